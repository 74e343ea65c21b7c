"""A study's members as tables and figures read them: estimates beside theory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import xarray as xr

from finitewidth.comparison.extrapolate import extrapolate
from finitewidth.comparison.sweeps import extrapolate_sweep, groups
from finitewidth.provenance.artifacts import read_dataset
from finitewidth.quantities.vocabulary import quantities_of


@dataclass(frozen=True)
class MemberResults:
    """One member: its plain description, its estimates and its theory.

    Attributes
    ----------
    about : mapping
        The member's slice of the config (``ensemble``, ``name``, ``width``, ``activation``, ...).
    swept : mapping
        The swept keys and this member's values.
    estimates, theory : xarray.Dataset
        Tests of normality, coefficients of the expansion in 1/n and generated networks, where
        there are any, stand among the estimates.
    """

    about: Mapping
    swept: Mapping
    estimates: xr.Dataset
    theory: xr.Dataset

    @property
    def label(self) -> str:
        """The member in a few words, for legends."""
        return ", ".join([self.about["ensemble"].replace("_", " "), *self.swept_words])

    @property
    def swept_words(self) -> list[str]:
        """The swept keys with the field's symbols, for example ``n = 128``."""
        symbols = {"width": "n", "depth": "L", "C_W": "$C_W$", "C_b": "$C_b$"}
        symbols |= {"activation": "σ", "input_set": "x", "widen": "widths ×", "weights": "weights"}
        values = {k: f"{v:.4g}" if not isinstance(v, str) else v for k, v in self.swept.items()}
        return [f"{symbols[key]} = {value}" for key, value in values.items()]

    def seconds(self) -> xr.Dataset:
        """How long each way of computing a tangent kernel took, where that was measured."""
        return read_dataset(Path(self.about["folder"]) / "seconds.nc")

    def has(self, family: str) -> bool:
        """Whether the member estimates a family of quantities."""
        return any(q in self.estimates for q in quantities_of(family))


@dataclass(frozen=True)
class Study:
    """A study's name, title, wanted quantities (None for all), members, and sweeps over width.

    A sweep is what members that differ in their width alone give together: coefficients of the
    expansion in 1/n. Its description is that of the widest, and ``width`` is not among its swept
    keys.
    """

    name: str
    title: str | None
    quantities: list[str] | None
    members: list[MemberResults]
    sweeps: list[MemberResults] = field(default_factory=list)

    def estimating(self, families: Iterable[str]) -> Study:
        """The study with those of its members alone that estimate every one of ``families``."""
        members = [m for m in self.members if all(m.has(family) for family in families)]
        return replace(self, members=members)

    @classmethod
    def read(cls, description: Mapping, place: str = "") -> Study:
        """Load the files of every member; raises ``ArtifactError`` where one cannot be read.

        ``place`` is what stands before ``results/`` (:func:`finitewidth.runtime.job.place`).
        """
        each = [{**about, "folder": place + about["folder"]} for about in description["members"]]
        members = [_read_member(about) for about in each]
        about = (description["name"], description["title"], description["quantities"])
        return cls(*about, members, _sweeps(members))


def _read_member(about: Mapping) -> MemberResults:
    folder = Path(about["folder"])
    estimates = read_dataset(folder / "estimates.nc")
    if "replicas" in about:
        estimates = estimates.merge(read_dataset(folder / "generated.nc"))
        return MemberResults(about, about["swept"], estimates, read_dataset(folder / "theory.nc"))
    if "normality" in about["estimate"]:
        tests = read_dataset(folder / "normality.nc")
        # Groups of p-values have a dimension of their own, `sample` is shared with `quadruple`.
        estimates = estimates.merge(
            tests, compat="override", join="outer", combine_attrs="override"
        )
    theory = read_dataset(folder / "theory.nc")
    if about["ladder"]:
        estimates = estimates.merge(extrapolate(estimates, theory), compat="override")
    return MemberResults(about, about["swept"], estimates, theory)


def _sweeps(members: list[MemberResults]) -> list[MemberResults]:
    ours = [m for m in members if "replicas" not in m.about]
    found = []
    for group in groups([(m.about, m.swept) for m in ours]):
        each = [ours[place] for place in group]
        width = [m.about["width"] for m in each]
        fitted = extrapolate_sweep(width, [m.estimates for m in each], [m.theory for m in each])
        if fitted[0].data_vars:
            swept = {key: value for key, value in each[-1].swept.items() if key != "width"}
            found.append(MemberResults(each[-1].about, swept, *fitted))
    return found
