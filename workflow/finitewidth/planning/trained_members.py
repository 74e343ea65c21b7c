"""The members of the config's ``trained``, and the batches of them that share a job."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from finitewidth.config.model import Config
from finitewidth.config.model_trained import Trained
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import Published, Rainbow, TabulatedReplicas
from finitewidth.planning import cost, trained_cost
from finitewidth.planning.member import Member
from finitewidth.planning.members import Same, batch_name, members
from finitewidth.quantities.vocabulary import TRAINED_FAMILIES


@dataclass(frozen=True, kw_only=True)
class TrainedMember(TabulatedReplicas):
    """One point of the sweep over ``widen`` and ``weights``: all that any stage uses.

    ``checkpoint`` is the number of epochs after which the state of training is kept.
    """

    checkpoint: int

    @property
    def folder(self) -> str:
        """Where its files stand."""
        return f"results/trained/{self.ensemble}/{self.name}"

    @property
    def seconds(self) -> list[str]:
        """Nothing of trained networks is timed."""
        return []

    @property
    def results(self) -> list[str]:
        """What stands in its folder besides the networks."""
        return [f"{self.folder}/{file}.nc" for file in ("estimates", "generated", "theory")]

    @property
    def activations(self) -> tuple[str, ...]:
        """None of the table: ReLU stands in the code that trains."""
        return ()

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that are estimated of it."""
        return tuple(TRAINED_FAMILIES)


def trained_members(config: Config, ensemble: str) -> list[TrainedMember]:
    """All members of one entry of ``trained``, in the order of its lists."""
    return list(_members(Same(config), ensemble))


@functools.lru_cache(maxsize=4096)
def _members(same: Same, ensemble: str) -> tuple[TrainedMember, ...]:
    trained = same.config.trained[ensemble]
    axes: dict[str, list] = {"weights": trained.weights, "widen": trained.widen}
    swept_keys = [key for key, values in axes.items() if len(values) > 1]
    result = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        swept = {key: point[key] for key in swept_keys}
        names = (f"{key}-{_readable(value)}" for key, value in swept.items())
        result.append(_resolved(ensemble, "_".join(names) or "only", swept, trained, point))
    return tuple(result)


def _readable(value: float | str) -> str:
    """A value as text: short, but different for different values of a sweep."""
    if isinstance(value, str):
        return value
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _resolved(
    ensemble: str, name: str, swept: dict, trained: Trained, point: dict
) -> TrainedMember:
    shape = trained.shape(ensemble).widened(point["widen"])
    published = trained.published
    return TrainedMember(
        ensemble=ensemble,
        name=name,
        swept=swept,
        data=trained.data,
        mlp=shape.mlp,
        cnn=shape.cnn,
        widen=point["widen"],
        weights=point["weights"],
        C_W=trained.C_W,
        replicas=trained.replicas,
        epochs=trained.epochs,
        batch=trained.batch,
        learning_rate=trained.learning_rate,
        momentum=trained.momentum,
        optimiser=trained.optimiser,
        checkpoint=trained.checkpoint,
        rainbow=of_plain(trained.rainbow.model_dump(), Rainbow),
        published=of_plain(published.model_dump(), Published) if published else None,
    )


@dataclass(frozen=True)
class TrainedBatch:
    """Members of one entry that are trained, measured and predicted by one job each."""

    name: str
    data: str
    members: tuple[TrainedMember, ...]


def trained_batches(config: Config) -> list[TrainedBatch]:
    """Every member of ``trained`` in batches."""
    result = []
    for ensemble, trained in config.trained.items():
        data = config.data[trained.data]
        groups: list[list[TrainedMember]] = []
        seconds = 0.0
        for m in trained_members(config, ensemble):
            mine = trained_cost.training(m, data).seconds
            if groups and seconds + mine < cost.BATCH_SECONDS:
                groups[-1].append(m)
                seconds += mine
            else:
                groups.append([m])
                seconds = mine
        for k, group in enumerate(groups):
            name = batch_name(ensemble, k, len(groups), config.trained)
            result.append(TrainedBatch(name, trained.data, tuple(group)))
    return result


def study_members(config: Config, name: str) -> list[Member | TrainedMember]:
    """Members of a study's ensembles, then of its trained networks."""
    given = config.studies[name]
    random = [m for e in given.ensembles or [] for m in members(config, e)]
    return [*random, *(m for e in given.trained or [] for m in trained_members(config, e))]
