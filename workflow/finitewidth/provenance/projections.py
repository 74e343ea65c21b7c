"""What each artifact takes from the config: the parameters of its rule, and what its stamp says.

Of a member each stage takes the fields of its own class (:mod:`finitewidth.members.stages`,
:mod:`finitewidth.members.trained`), so that a change of any other field reruns nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from finitewidth.config.model import Config, Study
from finitewidth.members.plain import plain
from finitewidth.members.stages import (
    EstimatedLadder,
    EstimatedNetworks,
    EstimatedTraining,
    PredictedLadder,
    PredictedNetworks,
    PredictedTraining,
    SampledLadder,
    SampledNetworks,
    SampledTraining,
    TabulatedLadder,
    TabulatedNetworks,
    TabulatedTraining,
)
from finitewidth.members.trained import (
    GeneratedNetworks,
    PredictedReplicas,
    TabulatedReplicas,
    TrainedNetworks,
)
from finitewidth.planning.member import Member
from finitewidth.planning.members import members
from finitewidth.planning.trained_members import (
    TrainedMember,
    study_members,
    trained_members,
)


@dataclass(frozen=True)
class Part:
    """One artifact's part of a config; artifacts that are written together share it."""

    rule: str
    wildcards: Mapping[str, str]
    config: dict
    paths: tuple[str, ...]


def vectors(config: Config, name: str) -> dict:
    """Of a set of input vectors."""
    return {"seed": config.seed, "spec": config.inputs[name].model_dump()}


def sample(config: Config, m: Member, shard: int) -> dict:
    """Of one shard of a member's networks."""
    return samples(config, m)(shard)


def samples(config: Config, m: Member) -> Callable[[int], dict]:
    """Of each shard, by its number: what thousands of them share is found once."""
    shared = {
        "seed": config.seed,
        "device": config.device_for(m.task),
        "member": plain(m, SampledNetworks, SampledLadder, SampledTraining),
    }

    def of_shard(shard: int) -> dict:
        found = {**shared, "blocks": list(m.shard_bounds(shard))}
        islands = m.island_bounds(shard)
        return found | ({"islands": list(islands)} if islands else {})

    return of_shard


def estimate(config: Config, m: Member) -> dict:
    """Of a member's estimates, besides its samples."""
    kinds = (EstimatedNetworks, EstimatedLadder, EstimatedTraining)
    return {"seed": config.seed, "member": plain(m, *kinds)}


def normality(config: Config, m: Member) -> dict:
    """Of a member's tests of normality."""
    return {"seed": config.seed, "normality": plain(m.normality)}


def theory(m: Member) -> dict:
    """Of a member's theory."""
    return {"member": plain(m, PredictedNetworks, PredictedLadder, PredictedTraining)}


def images(config: Config, name: str) -> dict:
    """Of a set of labelled images."""
    return {"seed": config.seed, "spec": config.data[name].model_dump()}


def train(config: Config, m: TrainedMember) -> dict:
    """Of a member's trained networks."""
    return _of_trained(config, m, "train", TrainedNetworks)


def measure(config: Config, m: TrainedMember) -> dict:
    """Of what is measured of a member's trained networks."""
    return _of_trained(config, m, "measure", TrainedNetworks)


def generate(config: Config, m: TrainedMember) -> dict:
    """Of networks drawn from the covariances of a member's."""
    return _of_trained(config, m, "generate", GeneratedNetworks)


def predict(config: Config, m: TrainedMember) -> dict:
    """Of the theory of a member's trained networks."""
    return {"seed": config.seed, "member": plain(m, PredictedReplicas)}


def _of_trained(config: Config, m: TrainedMember, task: str, seen: type) -> dict:
    device = config.device_for(task)
    return {"seed": config.seed, "device": device, "member": plain(m, seen)}


def study(config: Config, name: str) -> dict:
    """Of a study's table: what it claims, and where its members stand."""
    given = config.studies[name]
    every = [listed(m) for m in study_members(config, name)]
    about = {"name": name, "title": given.title, "quantities": given.quantities, "members": every}
    if given.published:
        about["published"] = [each.model_dump() for each in given.published]
    return {"study": about}


def listed(m: Member | TrainedMember) -> dict:
    """Of a member, as a study lists it."""
    kinds = (TabulatedNetworks, TabulatedLadder, TabulatedTraining, TabulatedReplicas)
    return {**plain(m, *kinds), "folder": m.folder}


def figures(config: Config, name: str) -> dict:
    """Of a study's figures: what its table takes, and how they look."""
    return {**study(config, name), "style": config.style_of(name).model_dump()}


def as_text(about: dict) -> str:
    """A part of a config as a parameter of a rule whose outputs the report shows. The report writes
    parameters into a script of its page as they are, so this is JSON in which no text can end a
    script."""
    return json.dumps(about).replace("<", "\\u003c")


def gallery(config: Config) -> dict:
    """Of the page of all figures."""
    studies = [study for study in _studies(config) if study["figures"]]
    return {"formats": config.formats, "studies": studies}


def index(config: Config) -> dict:
    """Of the page of all results, which shows what they are about and what its networks are."""
    studies = [
        study | {"parameters": _parameters(config, config.studies[study["name"]])}
        for study in _studies(config)
    ]
    return {"formats": config.formats, "studies": studies, "about": config.about}


def _studies(config: Config) -> list[dict]:
    return [
        {"name": name, "title": given.title, "figures": given.figures}
        for name, given in config.studies.items()
    ]


def _parameters(config: Config, study: Study) -> dict:
    """The entries of a study's networks, as they were given."""
    return {
        kind: {name: known[name].model_dump(mode="json", exclude_unset=True) for name in names}
        for kind, known, names in (
            ("ensembles", config.ensembles, study.ensembles),
            ("trained", config.trained, study.trained),
        )
        if names
    }


def parts(config: Config) -> Iterator[Part]:
    """Every artifact of a config with its part."""
    for name in config.inputs:
        inputs = (f"results/inputs/{name}.nc",)
        yield Part("inputs", {"name": name}, vectors(config, name), inputs)
    for ensemble in config.ensembles:
        for m in members(config, ensemble):
            yield from _of_member(config, m)
    for name in config.data:
        yield Part("data", {"data": name}, images(config, name), (f"results/data/{name}.nc",))
    for ensemble in config.trained:
        for t in trained_members(config, ensemble):
            named = {"ensemble": ensemble, "member": t.name}
            for rule, taken, files in (
                ("train", train(config, t), ("networks",)),
                ("measure", measure(config, t), ("estimates", "covariances")),
                ("generate", generate(config, t), ("generated",)),
                ("predict", predict(config, t), ("theory",)),
            ):
                yield Part(rule, named, taken, tuple(f"{t.folder}/{file}.nc" for file in files))
    for name, given in config.studies.items():
        taken, folder = study(config, name), f"results/studies/{name}"
        tables = tuple(f"{folder}/comparison.{ending}" for ending in TABLES)
        yield Part("compare", {"study": name}, taken, tables)
        for figure in given.figures or []:
            paths = tuple(f"{folder}/figures/{figure}.{x}" for x in config.formats)
            named = {"study": name, "figure": figure}
            yield Part("figure", named, figures(config, name), paths)
    yield Part("gallery", {}, gallery(config), (GALLERY,))
    yield Part("index", {}, index(config), (INDEX,))


#: The page of all figures.
GALLERY = "results/figures.md"
#: The page of all results.
INDEX = "results/index.html"
#: How each study's table is written.
TABLES = ("csv", "csv-metadata.json", "parquet", "md", "tex", "html")


def _of_member(config: Config, m: Member) -> Iterator[Part]:
    named = {"ensemble": m.ensemble, "member": m.name}
    for shard, path in enumerate(m.samples):
        # What was timed is written beside the one shard that such a member has.
        paths = (path, *m.seconds)
        yield Part("sample", {**named, "shard": str(shard)}, sample(config, m, shard), paths)
    yield Part("estimate", named, estimate(config, m), (f"{m.folder}/estimates.nc",))
    yield Part("theory", named, theory(m), (f"{m.folder}/theory.nc",))
    if "normality" in m.estimate:
        yield Part("normality", named, normality(config, m), (f"{m.folder}/normality.nc",))
