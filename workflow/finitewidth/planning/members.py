"""Members: the points of an ensemble's sweep, resolved to plain values."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Literal

from finitewidth.config.model import Config, Ensemble, Init, Ntk, families_of
from finitewidth.core.blocks import block_size
from finitewidth.models.activations.table import get
from finitewidth.planning import cost
from finitewidth.quantities.vocabulary import FAMILIES
from finitewidth.theory.mlp.criticality import critical_point

#: Up to this depth every layer is recorded unless the config says otherwise.
ALL_LAYERS_UP_TO = 32
#: Keys that may be swept, as the columns of a table are called (its column "inputs" tells inputs of
#: one set from each other).
SWEEPABLE = ("activation", "input_set", "width", "depth", "C_W", "C_b")


@dataclass(frozen=True)
class Member:
    """One point of an ensemble's sweep; every field is plain data, for stamps and parameters."""

    ensemble: str
    name: str
    swept: dict
    activation: str
    init: str
    C_W: float | None
    C_b: float | None
    weights: str
    width: int
    hidden: tuple[int, ...] | None
    ladder: tuple[int, ...] | None
    controls: bool
    depth: int
    outputs: int
    inputs: str
    networks: int
    sampler: str
    precision: str
    layers: tuple[int, ...]
    record: int
    measure: tuple[str, ...]
    ntk: dict | None
    ntk_outputs: int
    memory: float
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

    @property
    def task(self) -> str | None:
        """What a GPU would be had for: sampling, with tangent kernels or without, but for what is
        computed on the CPU anyhow."""
        if self.sampler == "scalar" or "ntk_methods" in self.measure:
            return None
        return "sample" if self.ntk is None else "ntk"

    @property
    def folder(self) -> str:
        """Where its files stand."""
        return f"results/ensembles/{self.ensemble}/{self.name}"

    @property
    def samples(self) -> list[str]:
        """Its files of samples, shard by shard."""
        return [f"{self.folder}/samples/{shard}.nc" for shard in range(self.shard_count)]

    @property
    def seconds(self) -> list[str]:
        """How long each way of computing a tangent kernel took: no two runs agree on that."""
        return [f"{self.folder}/seconds.nc"] if "ntk_methods" in self.measure else []

    @property
    def results(self) -> list[str]:
        """What stands in its folder besides samples."""
        tests = ["normality.nc"] if "normality" in self.estimate else []
        return [f"{self.folder}/{file}" for file in ["estimates.nc", "theory.nc", *tests]]

    def slice(self, *leave_out: str) -> dict:
        """The member as plain data, without the fields named: a stage's slice of the config."""
        # As asdict does, in a tenth of its time: a plan may have ten thousand of these.
        return {
            k: copy.deepcopy(v) if isinstance(v, dict) else list(v) if isinstance(v, tuple) else v
            for k, v in vars(self).items()
            if k not in ("swept", *leave_out)
        }


def members(config: Config, ensemble: str) -> list[Member]:
    """All members of one ensemble, in the order of its lists."""
    return list(_members(Same(config), ensemble))


@functools.lru_cache(maxsize=4096)
def _members(same: Same, ensemble: str) -> tuple[Member, ...]:
    config = same.config
    return tuple(_divided(config, m) for m in _expand(ensemble, config.ensembles[ensemble]))


class Same:
    """A config, known by being that very one: its mappings have no hash to remember things by."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __hash__(self) -> int:
        return id(self.config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.config is self.config


def input_count(config: Config, m: Member) -> int:
    """How many vectors a member is evaluated on; one for a user's array, read later, without it."""
    return config.inputs[m.inputs].count or 1


def _divided(config: Config, m: Member) -> Member:
    """A member with its number of shards: as many as the config asks, or as its cost does."""
    if config.ensembles[m.ensemble].shards is not None or "ntk_methods" in m.measure:
        return m
    seconds = cost.sampling(m, input_count(config, m)).seconds
    if config.device_for(m.task) == "cuda":
        seconds /= cost.GPU_SPEED
    wanted = min(seconds / (60 * config.job_minutes), m.blocks)
    return replace(m, shards=max(1, math.ceil(wanted)))


@dataclass(frozen=True)
class Batch:
    """Members of one ensemble that are sampled, estimated and predicted by one job each."""

    name: str
    ensemble: str
    members: tuple[Member, ...]

    @property
    def task(self) -> str | None:
        """What a GPU would be had for."""
        return self.members[0].task

    @property
    def shards(self) -> int:
        """Jobs that sample them: several for a single member only."""
        return self.members[0].shard_count


def batches(config: Config) -> list[Batch]:
    """Every member of a config in batches; a member in more than one shard has one to itself."""
    result = []
    for ensemble in config.ensembles:
        groups: list[list[Member]] = []
        seconds = 0.0
        for m in members(config, ensemble):
            last = groups[-1] if groups else []
            mine = cost.sampling(m, input_count(config, m)).seconds
            together = seconds + mine < min(cost.BATCH_SECONDS, 60 * config.job_minutes)
            if last and together and m.shard_count == last[-1].shard_count == 1:
                last.append(m)
                seconds += mine
            else:
                groups.append([m])
                seconds = mine
        for k, group in enumerate(groups):
            name = batch_name(ensemble, k, len(groups), config.ensembles)
            result.append(Batch(name, ensemble, tuple(group)))
    return result


def batch_name(entry: str, batch: int, count: int, taken: Container[str]) -> str:
    """What a batch of an entry of the config is called: as no other entry is, nor its batches."""
    if count == 1:
        return entry
    name = f"{entry}_{batch}"
    while name in taken:
        name += "_"
    return name


def _expand(name: str, ensemble: Ensemble) -> list[Member]:
    widths = ensemble.width or [max(ensemble.ladder or ensemble.hidden or [])]
    depths = ensemble.depth or [len(ensemble.hidden or []) + 1]
    axes: dict[str, list] = {
        "activation": ensemble.activation,
        "input_set": ensemble.inputs,
        "width": widths,
        "depth": depths,
    }
    if isinstance(ensemble.init, Init):
        if ensemble.init.critical_times is not None:
            axes["critical_times"] = ensemble.init.critical_times
        else:
            axes |= {"C_W": ensemble.init.C_W or [], "C_b": ensemble.init.C_b or [0.0]}
    swept_keys = [key for key, values in axes.items() if len(values) > 1]
    result = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        result.append(_resolve(name, ensemble, point, swept_keys))
    if len({m.name for m in result}) < len(result):
        # Numbers that differ beyond the digits that a short name has.
        result = [replace(m, name=_named(m.swept, repr)) for m in result]
    return result


def _named(swept: dict, write: Callable[[float], str]) -> str:
    """The folder of a member: its swept keys, with numbers as ``write`` has them."""
    values = {k: write(v) if isinstance(v, float) else str(v) for k, v in swept.items()}
    name = "_".join(f"{k}-{text}" for k, text in values.items()) or "only"
    return name.replace("(", "-").replace(")", "")


def _resolve(name: str, ensemble: Ensemble, point: dict, swept_keys: list[str]) -> Member:
    init, C_b, C_W = _init(ensemble, point)
    # Beside the critical point, C_W is what differs from member to member.
    point = point | {"C_W": C_W}
    swept_keys = ["C_W" if key == "critical_times" else key for key in swept_keys]
    swept = {key: point[key] for key in SWEEPABLE if key in swept_keys}
    width, depth = point["width"], point["depth"]
    outputs = ensemble.outputs or (ensemble.hidden or [width])[-1]
    layers = _layers(ensemble.layers, depth)
    if ensemble.ladder is None and not {"preactivations", "log_norm"} & set(ensemble.measure):
        layers = (depth,)
    # Every recorded layer gives the same number of neurons.
    widths = (*(ensemble.hidden or [width] * (depth - 1)), outputs)
    narrowest = min(widths[layer - 1] for layer in layers)
    return Member(
        ensemble=name,
        name=_named(swept, "{:g}".format),
        swept=swept,
        init=init,
        C_b=C_b,
        C_W=C_W,
        weights=ensemble.weights,
        activation=point["activation"],
        width=width,
        hidden=_tuple(ensemble.hidden),
        ladder=_tuple(ensemble.ladder),
        controls=ensemble.controls and ensemble.ladder is not None,
        depth=depth,
        outputs=outputs,
        inputs=point["input_set"],
        networks=ensemble.networks,
        sampler=ensemble.sampler,
        precision=ensemble.precision,
        layers=layers,
        record=narrowest if ensemble.record == "all" else min(ensemble.record, narrowest),
        measure=_measured(ensemble),
        ntk=_rates(ensemble),
        ntk_outputs=_ntk_outputs(ensemble, outputs),
        memory=ensemble.memory,
        estimate=families_of(ensemble),
        normality=ensemble.normality.model_dump(),
        shards=ensemble.shards or 1,
    )


def _init(ensemble: Ensemble, point: dict) -> tuple[str, float | None, float | None]:
    """What was asked for, in words, and C_b, C_W (None where the weights' law fixes them)."""
    if ensemble.weights == "pytorch":
        return "pytorch", None, None
    if "C_W" in point:
        return "given", point["C_b"], point["C_W"]
    at = critical_point(get(point["activation"]))
    times = point.get("critical_times", 1.0)
    words = f"critical ({at.universality_class}, {at.where})"
    if times != 1:
        words = f"C_W {times:g} times the {words}"
    return words, at.C_b, times * at.C_W


def _tuple(values: list[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)


def _measured(ensemble: Ensemble) -> tuple[str, ...]:
    """What the sampler records: sums of higher powers only where they are estimated from."""
    if ensemble.ladder is not None:
        ntk = ("conditional_ntk",) if "ntk_mean" in families_of(ensemble) else ()
        return ("conditional_kernel", *ntk)
    families = families_of(ensemble)
    needed = {name for f in families for name in FAMILIES[f].records}
    return (*ensemble.measure, *(name for name in ("quartic", "sextic") if name in needed))


def _measures_ntk(ensemble: Ensemble) -> bool:
    of_ladder = ensemble.ladder is not None and "ntk_mean" in families_of(ensemble)
    return of_ladder or bool({"ntk", "ntk_methods"} & set(ensemble.measure))


def _rates(ensemble: Ensemble) -> dict | None:
    """What :meth:`finitewidth.models.parameterisation.Rates.named` takes."""
    if not _measures_ntk(ensemble):
        return None
    given = ensemble.ntk or Ntk()
    return {
        "name": given.parameterisation,
        "lambda_b": given.lambda_b,
        "lambda_W": given.lambda_W,
    }


def _ntk_outputs(ensemble: Ensemble, outputs: int) -> int:
    """How many outputs a tangent kernel is taken of."""
    if not _measures_ntk(ensemble) or ensemble.sampler == "scalar":
        return 1
    return min((ensemble.ntk or Ntk()).outputs, outputs)


def _layers(wanted: Literal["all"] | list[int | str] | None, depth: int) -> tuple[int, ...]:
    """The recorded layers, sorted, each once."""
    if wanted == "all" or (wanted is None and depth <= ALL_LAYERS_UP_TO):
        return tuple(range(1, depth + 1))
    if wanted is None:
        return (*(2**k for k in range(depth.bit_length()) if 2**k < depth), depth)
    words = {"first": 1, "second": 2, "middle": (depth + 1) // 2, "last": depth}
    numbers = {words[layer] if isinstance(layer, str) else layer for layer in wanted}
    return tuple(sorted(numbers))
