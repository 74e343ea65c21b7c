"""Members as a study lists them, for tables, figures and captions."""

from __future__ import annotations

from collections.abc import Mapping

from finitewidth.members.plain import of_plain
from finitewidth.members.stages import (
    Tabulated,
    TabulatedLadder,
    TabulatedNetworks,
    TabulatedTraining,
)
from finitewidth.members.trained import TabulatedReplicas


def listed(data: Mapping) -> tuple[Tabulated | TabulatedReplicas, str]:
    """A member of a study, of plain data, and the folder in which its files stand.

    Raises ``ValueError`` as :func:`finitewidth.members.plain.of_plain`.
    """
    about = {key: value for key, value in data.items() if key != "folder"}
    if "folder" not in data:
        raise ValueError("a member of a study lacks its folder")
    random = (TabulatedNetworks, TabulatedLadder, TabulatedTraining)
    member = of_plain(about, *random, TabulatedReplicas)
    return member, data["folder"]
