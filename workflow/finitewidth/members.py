"""Members: the points of an ensemble's sweep, resolved to plain values."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

from finitewidth import activations
from finitewidth.blocks import block_size
from finitewidth.config import Config, Ensemble, Init, families_of
from finitewidth.vocabulary import FROM_QUARTIC

#: Up to this depth every layer is recorded unless the config says otherwise.
ALL_LAYERS_UP_TO = 32
SWEEPABLE = ("activation", "width", "depth", "C_W", "C_b")


@dataclass(frozen=True)
class Member:
    """One point of an ensemble's sweep; every field is plain data, for stamps and parameters."""

    ensemble: str
    name: str
    swept: dict
    activation: str
    C_W: float | None
    C_b: float | None
    weights: str
    width: int
    depth: int
    outputs: int
    inputs: str
    networks: int
    sampler: str
    precision: str
    layers: tuple[int, ...]
    record: int
    measure: tuple[str, ...]
    estimate: tuple[str, ...]
    normality: dict
    shards: int

    @property
    def block(self) -> int:
        """Networks that share one random stream."""
        return block_size(self.sampler, max(self.width, self.outputs))

    @property
    def blocks(self) -> int:
        """Number of blocks that the member's networks make (the last may be short)."""
        return -(-self.networks // self.block)

    def shard_bounds(self, shard: int) -> tuple[int, int]:
        """First block and one past the last of a shard: whole blocks, as even as they come."""
        shards = self.shard_count
        return self.blocks * shard // shards, self.blocks * (shard + 1) // shards

    @property
    def shard_count(self) -> int:
        """Files of samples: as the config asks, but never fewer than one block each."""
        return min(self.shards, self.blocks)

    def slice(self, *leave_out: str) -> dict:
        """The member as plain data, without the fields named: a stage's slice of the config."""
        fields = {k: v for k, v in asdict(self).items() if k not in ("swept", *leave_out)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def members(config: Config, ensemble: str) -> list[Member]:
    """All members of one ensemble, in the order of its lists."""
    return _expand(ensemble, config.ensembles[ensemble])


def member(config: Config, ensemble: str, name: str) -> Member:
    """The member called ``name``, for example ``width-128_depth-10``."""
    return {m.name: m for m in members(config, ensemble)}[name]


def _expand(name: str, ensemble: Ensemble) -> list[Member]:
    axes = {"activation": ensemble.activation, "width": ensemble.width, "depth": ensemble.depth}
    if isinstance(ensemble.init, Init):
        axes |= {"C_W": ensemble.init.C_W, "C_b": ensemble.init.C_b}
    swept_keys = [key for key in SWEEPABLE if len(axes.get(key, [])) > 1]
    result = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        swept = {key: point[key] for key in swept_keys}
        result.append(_resolve(name, ensemble, point, swept))
    return result


def _resolve(name: str, ensemble: Ensemble, point: dict, swept: dict) -> Member:
    C_b, C_W = point.get("C_b"), point.get("C_W")
    if ensemble.init == "critical":
        C_b, C_W = activations.get(point["activation"]).critical
    width, depth = point["width"], point["depth"]
    outputs = ensemble.outputs or width
    layers = _layers(ensemble.layers, depth)
    # Every recorded layer gives the same number of neurons.
    narrowest = min(outputs if layer == depth else width for layer in layers)
    return Member(
        ensemble=name,
        name="_".join(f"{k}-{_readable(v)}" for k, v in swept.items()) or "only",
        swept=swept,
        C_b=C_b,
        C_W=C_W,
        weights=ensemble.weights,
        activation=point["activation"],
        width=width,
        depth=depth,
        outputs=outputs,
        inputs=ensemble.inputs,
        networks=ensemble.networks,
        sampler=ensemble.sampler,
        precision=ensemble.precision,
        layers=layers,
        record=narrowest if ensemble.record == "all" else min(ensemble.record, narrowest),
        measure=_measured(ensemble),
        estimate=families_of(ensemble),
        normality=ensemble.normality.model_dump(),
        shards=ensemble.shards,
    )


def _measured(ensemble: Ensemble) -> tuple[str, ...]:
    """What the sampler records: sums of higher powers only where they are estimated from."""
    families = families_of(ensemble)
    quartic = ("quartic",) if any(f in FROM_QUARTIC for f in families) else ()
    sextic = ("sextic",) if "six_point" in families else ()
    return (*ensemble.measure, *quartic, *sextic)


def _readable(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("(", "-").replace(")", "")


def _layers(wanted: str | list | None, depth: int) -> tuple[int, ...]:
    """The recorded layers, sorted, each once."""
    if wanted == "all" or (wanted is None and depth <= ALL_LAYERS_UP_TO):
        return tuple(range(1, depth + 1))
    if wanted is None:
        return (*(2**k for k in range(depth.bit_length()) if 2**k < depth), depth)
    words = {"first": 1, "second": 2, "middle": (depth + 1) // 2, "last": depth}
    return tuple(sorted({words.get(layer, layer) for layer in wanted}))
