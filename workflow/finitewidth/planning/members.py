"""The members of a config, and the batches of them that share a job."""

from __future__ import annotations

import functools
import math
from collections.abc import Container
from dataclasses import dataclass, replace

from finitewidth.config.model import Config
from finitewidth.config.network import image_of, with_places
from finitewidth.models.block_shapes import BlockNetwork
from finitewidth.planning import cost
from finitewidth.planning.member import Member, Training
from finitewidth.planning.sweep import expand

#: Networks in training are drawn without weights where that takes at most so much of the time.
_CHEAPER = 0.6


def members(config: Config, ensemble: str) -> list[Member]:
    """All members of one ensemble, in the order of its lists."""
    return list(_members(Same(config), ensemble))


@functools.lru_cache(maxsize=4096)
def _members(same: Same, ensemble: str) -> tuple[Member, ...]:
    config = same.config
    given = config.ensembles[ensemble]
    if given.train is not None and given.outputs is None:
        outputs = config.inputs[given.train.inputs].target_outputs
        given = given.model_copy(update={"outputs": outputs})
    return tuple(_divided(config, _placed(config, m)) for m in expand(ensemble, given))


def _placed(config: Config, m: Member) -> Member:
    """A member with what its inputs tell: how many it learns, and the places that they have."""
    if isinstance(m, Training):
        return replace(m, training_inputs=config.inputs[m.train.inputs].count or 1)
    if not isinstance(m.network, BlockNetwork):
        return m
    return replace(m, network=with_places(m.network, image_of(config.inputs[m.inputs])))


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
    return sum(config.inputs[name].count or 1 for name in m.input_sets)


def _drawn(config: Config, m: Member) -> Member:
    """A member with the sampler that is cheaper, where none is named and it is made of blocks, or
    trained."""
    ensemble = config.ensembles[m.ensemble]
    if isinstance(m, Training):
        return _trained(m, ensemble.sampler, input_count(config, m))
    if ensemble.sampler is not None or not isinstance(m.network, BlockNetwork):
        return m
    if ensemble.weights != "normal" or "ntk" in m.measure:
        return m
    inputs = input_count(config, m)
    # Where rows are no fewer than what a matrix multiplies, weights are drawn either way.
    each = [replace(m, sampler=name) for name in ("marginal", "explicit")]
    return min(each, key=lambda one: cost.sampling(one, inputs).seconds)


def _trained(m: Training, asked: str | None, inputs: int) -> Training:
    """A member with every weight drawn, or without those between hidden layers where that is asked
    for, or is cheaper by far enough that no error of prices says so."""
    without = replace(m, sampler="marginal training")
    if asked is not None:
        return without if asked == "marginal" else m
    each = [cost.sampling(one, inputs).seconds for one in (without, m)]
    return without if m.depth > 2 and each[0] < _CHEAPER * each[1] else m


def _divided(config: Config, m: Member) -> Member:
    """A member with its number of shards: as many as the config asks, or as its cost does."""
    m = _drawn(config, m)
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
