"""How much a study file may ask for: what cannot be planned is refused before it is expanded."""

from __future__ import annotations

import math

from finitewidth.config.model import Config
from finitewidth.config.model_ensemble import Ensemble, Init
from finitewidth.config.network import axes
from finitewidth.core.errors import ConfigError
from finitewidth.planning.cost import MiB, recorded
from finitewidth.planning.members import input_count, members

#: Members of all sweeps, layers of all members, files of samples: what a plan of minutes holds.
MOST_MEMBERS, MOST_LAYERS, MOST_SHARDS = 5000, 4 * 10**6, 50_000
#: MiB that one network may leave in a file of samples; there are at least 50 of them.
MOST_RECORDED = 256


def check_size(config: Config) -> None:
    """Raise a :class:`ConfigError` for the entry with which a sum goes beyond what is allowed."""
    _check_members(config)
    shards = 0
    for name in config.ensembles:
        for m in members(config, name):
            if m.C_W is not None and not math.isfinite(m.C_W):
                raise ConfigError.at(f"ensembles.{name}.init", m.init, "a finite C_W")
            left = recorded(m, input_count(config, m)) / MiB
            if left > MOST_RECORDED:
                given = f"{input_count(config, m)} vectors"
                allowed = (
                    f"so few vectors, layers and neurons that one network leaves at most"
                    f" {MOST_RECORDED} MiB of samples (these leave {left:.3g})"
                )
                raise ConfigError.at(f"ensembles.{name}.inputs", given, allowed)
            shards += m.shard_count
            if shards > MOST_SHARDS:
                given = f"{shards} files of samples and more"
                allowed = f"at most {MOST_SHARDS} (larger job_minutes, fewer shards or networks)"
                raise ConfigError.at(f"ensembles.{name}", given, allowed)


def _check_members(config: Config) -> None:
    count = layers = 0
    entries = [(f"ensembles.{n}", _points(e), e.depths) for n, e in config.ensembles.items()]
    entries += [(f"trained.{n}", len(t.widen) * len(t.weights), [1])
                for n, t in config.trained.items()]  # fmt: skip
    for path, points, depths in entries:
        count += points
        layers += points * sum(depths) // len(depths)
        for what, given, most in (
            ("members", count, MOST_MEMBERS), ("layers of members", layers, MOST_LAYERS),
        ):  # fmt: skip
            if given > most:
                allowed = f"at most {most} in all of the file"
                raise ConfigError.at(path, f"{given:.4g} {what}, with those before it", allowed)


def _points(ensemble: Ensemble) -> int:
    """Members of an ensemble's sweep."""
    init = ensemble.init if isinstance(ensemble.init, Init) else Init()
    swept = (ensemble.activation, ensemble.inputs, ensemble.width, ensemble.depth,
             init.critical_times, init.C_W, init.C_b)  # fmt: skip
    network = axes(ensemble.network) if ensemble.network is not None else {}
    return math.prod(len(values or [None]) for values in (*swept, *network.values()))
