"""A study's members as tables and figures read them: estimates beside theory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar, cast

import xarray as xr

from finitewidth.comparison.extrapolate import extrapolate
from finitewidth.comparison.sweeps import extrapolate_sweep, groups
from finitewidth.core.places import RESULTS, at
from finitewidth.members.listed import listed
from finitewidth.members.stages import Tabulated
from finitewidth.members.trained import TabulatedReplicas
from finitewidth.members.words import Free
from finitewidth.provenance.artifacts import read_dataset
from finitewidth.quantities.vocabulary import quantities_of

About = TypeVar("About", Tabulated, TabulatedReplicas)


@dataclass(frozen=True)
class Results(Generic[About]):
    """One member: what it is, its estimates and its theory.

    Attributes
    ----------
    about : TabulatedNetworks, TabulatedLadder or TabulatedReplicas
    swept : mapping
        The swept keys and this member's values; the width is not among those of a sweep.
    estimates, theory : xarray.Dataset
        Tests of normality, coefficients of the expansion in 1/n and generated networks, where
        there are any, stand among the estimates.
    folder : Path
        Where its files stand.
    """

    about: About
    swept: Mapping
    estimates: xr.Dataset
    theory: xr.Dataset
    folder: Path = Path()

    @property
    def label(self) -> str:
        """The member in a few words, for legends."""
        return ", ".join([self.about.ensemble.replace("_", " "), *self.swept_words])

    @property
    def swept_words(self) -> list[str]:
        """The swept keys with the field's symbols, for example ``n = 128``."""
        symbols = {"width": "n", "depth": "L", "C_W": "$C_W$", "C_b": "$C_b$"}
        symbols |= {"activation": "σ", "input_set": "x", "widen": "widths ×", "weights": "weights"}
        values = {k: f"{v:.4g}" if not isinstance(v, str) else v for k, v in self.swept.items()}
        symbols |= {"gamma": "γ", "beta": "β", "repeat": "blocks"}
        return [f"{symbols.get(key, key.replace('_', ' '))} = {v}" for key, v in values.items()]

    def seconds(self) -> xr.Dataset:
        """How long each way of computing a tangent kernel took, where that was measured."""
        return read_dataset(self.folder / "seconds.nc")

    def has(self, family: str) -> bool:
        """Whether the member estimates a family of quantities."""
        return any(q in self.estimates for q in quantities_of(family))


#: Of a member of ``ensembles``, and of one of ``trained``.
MemberResults = Results[Tabulated]
TrainedResults = Results[TabulatedReplicas]


@dataclass(frozen=True)
class Study:
    """What a study claims, and the results of its members.

    Attributes
    ----------
    name, title : str
    quantities : list of str or None
        The wanted ones, None for all.
    members, trained : list
        Of ``ensembles`` and of ``trained``.
    sweeps : list
        What members that differ in their width alone give together: coefficients of the expansion
        in 1/n. The description is that of the widest, and ``width`` is not among the swept keys.
    published : list of mappings
        What was published of its numbers, as the study file has it.
    """

    name: str
    title: str | None
    quantities: list[str] | None
    members: list[MemberResults]
    sweeps: list[MemberResults] = field(default_factory=list)
    trained: list[TrainedResults] = field(default_factory=list)
    published: list[Mapping] = field(default_factory=list)

    @property
    def every(self) -> list[MemberResults | TrainedResults]:
        """All members: of ensembles, then trained."""
        return [*self.members, *self.trained]

    def estimating(self, families: Iterable[str]) -> Study:
        """The study with those of its members alone that estimate every one of ``families``."""
        families = list(families)
        members = [m for m in self.members if all(m.has(family) for family in families)]
        trained = [m for m in self.trained if all(m.has(family) for family in families)]
        return replace(self, members=members, trained=trained)

    @classmethod
    def read(cls, description: Mapping, place: str = RESULTS) -> Study:
        """Load the files of every member; raises ``ArtifactError`` where one cannot be read.

        ``place`` is the folder of the run (:func:`finitewidth.runtime.job.place`).
        """
        members: list[MemberResults] = []
        trained: list[TrainedResults] = []
        for about, folder in map(listed, description["members"]):
            if isinstance(about, TabulatedReplicas):
                trained.append(_replicas(about, Path(at(place, folder))))
            else:
                members.append(_member(about, Path(at(place, folder))))
        words = (description["name"], description["title"], description["quantities"])
        study = together(*words, members, trained)
        return replace(study, published=description.get("published", []))


def _replicas(about: TabulatedReplicas, folder: Path) -> TrainedResults:
    estimates, drawn = (read_dataset(folder / f"{name}.nc") for name in ("estimates", "generated"))
    estimates = estimates.merge(drawn, compat="no_conflicts", join="outer")
    return Results(about, about.swept, estimates, read_dataset(folder / "theory.nc"), folder)


def _member(about: Tabulated, folder: Path) -> MemberResults:
    tests = read_dataset(folder / "normality.nc") if "normality" in about.estimate else None
    estimates, theory = (read_dataset(folder / f"{name}.nc") for name in ("estimates", "theory"))
    return beside(about, estimates, theory, tests, folder)


def beside(
    about: Tabulated | Free,
    estimates: xr.Dataset,
    theory: xr.Dataset,
    tests: xr.Dataset | None = None,
    folder: Path = Path(),
) -> MemberResults:
    """One member's estimates beside its theory; ``tests`` are those of normality.

    Networks that are no member of a study file (``Free``) have tables, and no figures.
    """
    if tests is not None:
        # Groups of p-values have a dimension of their own, `sample` is shared with `quadruple`.
        estimates = estimates.merge(
            tests, compat="override", join="outer", combine_attrs="override"
        )
    if "rung" in estimates.dims:
        estimates = estimates.merge(extrapolate(estimates, theory), compat="override", join="outer")
    return MemberResults(cast(Tabulated, about), about.swept, estimates, theory, folder)


def together(
    name: str,
    title: str | None,
    quantities: list[str] | None,
    members: list[MemberResults],
    trained: list[TrainedResults],
) -> Study:
    """A study of these members, with what members of several widths give together."""
    return Study(name, title, quantities, members, _sweeps(members), trained)


def _sweeps(members: list[MemberResults]) -> list[MemberResults]:
    found = []
    for group in groups([(m.about, m.swept) for m in members]):
        each = [members[place] for place in group]
        width = [m.about.width for m in each]
        fitted = extrapolate_sweep(width, [m.estimates for m in each], [m.theory for m in each])
        if fitted[0].data_vars:
            swept = {key: value for key, value in each[-1].swept.items() if key != "width"}
            found.append(MemberResults(each[-1].about, swept, *fitted))
    return found
