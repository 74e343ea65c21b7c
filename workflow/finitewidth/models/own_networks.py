"""The networks that extensions declare, by name."""

from __future__ import annotations

from collections.abc import Iterator

from finitewidth.core.errors import ConfigError
from finitewidth.extensions.loaded import check, declared, entry_of, extension_of
from finitewidth.models.own_network import OwnNetwork, OwnShape

TABLE: dict[str, OwnNetwork] = declared("NETWORKS", OwnNetwork, ())
for _name, _own in TABLE.items():
    check("NETWORKS", _name, _own.wrong)


def get(name: str) -> OwnNetwork:
    """The network of that name; raises ``ValueError`` where no extension declares it."""
    if name not in TABLE:
        raise ValueError(f"unknown network {name!r}")
    return TABLE[name]


def shape_of(name: str, width: int) -> OwnShape:
    """The network of a member of that width; raises ``ValueError`` where sizes are not whole."""
    return OwnShape(own=name, sizes=get(name).sizes(width))


def files_of(member: object, *, theory: bool = False) -> Iterator[str]:
    """What stamps call the network of a member, and its theory; nothing of any other network."""
    shape = getattr(member, "network", None)
    if isinstance(shape, OwnShape):
        for part in ("", "theory") if theory else ("",):
            entry = entry_of("NETWORKS", shape.own, part)
            if entry is not None:
                yield entry


def refused(name: str, given: str, allowed: str) -> ConfigError:
    """The error of a network that does something else than it says."""
    return extension_of("NETWORKS", name).refused(f"the network {name}, {given}", allowed)
