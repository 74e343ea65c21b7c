"""What a run has left of a study: its table, datasets and figures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from finitewidth.comparison.by_number import in_short
from finitewidth.comparison.compare import table
from finitewidth.comparison.results import MemberResults, Results, Study, beside
from finitewidth.comparison.tables import read_csv
from finitewidth.core import places
from finitewidth.core.errors import describe
from finitewidth.core.words import check_word, check_words, named
from finitewidth.face.networks import validated
from finitewidth.members.words import Free
from finitewidth.provenance.artifacts import SUFFIXES, ArtifactError, read_stamp
from finitewidth.provenance.digests import digest_of_data
from finitewidth.provenance.leftovers import LastConfig, shown
from finitewidth.quantities.vocabulary import FIGURES, QUANTITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ReadStudy:
    """A study that a run has finished.

    Attributes
    ----------
    folder : Path
        ``results/studies/NAME``, wherever it stands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """What the study file calls it."""
        return self.folder.name

    @cached_property
    def table(self) -> pd.DataFrame:
        """``comparison.csv``: a row a number and order of theory, with the types of its columns."""
        return read_csv(self.folder / "comparison.csv")

    @cached_property
    def study(self) -> Study:
        """Its members with their datasets; raises ``ArtifactError`` where one cannot be read."""
        if not self._root:
            allowed = "a folder studies/NAME of a run, with its ensembles beside studies"
            raise ArtifactError(f"{self.folder} stands in no run, allowed is {allowed}")
        return Study.read(self._about["study"], self._root)

    @cached_property
    def _stamp(self) -> dict:
        return read_stamp(self.folder / "comparison.csv")

    @property
    def _about(self) -> dict:
        """What the table takes from its config."""
        if "study" not in self._stamp["config"]:
            raise ArtifactError(f"{self.folder / 'comparison.csv'} is the table of no study")
        return self._stamp["config"]

    @property
    def _root(self) -> str:
        """The folder of its run, which may be a renamed copy; "" where it stands in none."""
        run = self.folder.parent.parent
        moved = run.as_posix() if self.folder.parent.name == "studies" else ""
        return "".join(places.place(f"{self.folder.as_posix()}/") or (moved,))

    @property
    def datasets(self) -> dict[str, dict[str, xr.Dataset]]:
        """``estimates`` and ``theory`` of each member, by ``ensemble/member``."""
        return {
            f"{m.about.ensemble}/{m.about.name}": {
                what: dataset.assign_attrs(study=self.name)
                for what, dataset in (("estimates", m.estimates), ("theory", m.theory))
            }
            for m in self.study.every
        }

    @property
    def figures(self) -> dict[str, dict[str, Path]]:
        """The files of its figures: by name, then by ending (``png``, ``pdf``, ``svg``).

        Those of an earlier config are not among them, but among :attr:`leftovers`.
        """
        found: dict[str, dict[str, Path]] = {}
        for file in sorted((self.folder / "figures").glob("*.*")):
            if file not in self.leftovers and _config_in(file).get("study") == self._about["study"]:
                found.setdefault(file.stem, {})[file.suffix[1:]] = file
        return found

    @cached_property
    def leftovers(self) -> list[Path]:
        """Files of results in its folder that the config does not make: of an earlier one.

        The config is what the run was last given, and otherwise that of the table.
        """
        files = [f for f in sorted(self.folder.rglob("*.*")) if f.name.endswith(SUFFIXES)]
        if (made := self._made) is not None:
            return [file for file in files if file not in made and _config_in(file)]
        about = [(file, _config_in(file)) for file in files]
        return [
            file for file, given in about if given and given.get("study") != self._about["study"]
        ]

    @cached_property
    def _last(self) -> LastConfig | None:
        return LastConfig.of(self._root) if self._root else None

    @cached_property
    def _made(self) -> dict[Path, dict] | None:
        """The files that the run's last config makes here, each with its part of it."""
        if self._last is None or self.name not in self._last.config.studies:
            return None
        every = self._last.parts(self._root)
        return {file: part.config for file, part in every.items() if self.folder in file.parents}

    @cached_property
    def note(self) -> str:
        """One sentence, where not all that lies here is of the config that the run was last given;
        otherwise empty. :func:`read_study` warns of it."""
        table, name = self.folder / "comparison.csv", shown(self.folder)
        given = f"{shown(self._last.file)}, which the run was last given" if self._last else ""
        if self._last is not None and self._made is None:
            return f"{name}: {given}, has no such study, so that all of it is of an earlier one"
        if self._made and digest_of_data(self._made[table]) != self._stamp["config_sha256"]:
            return f"{name}: the table is of another config than {given}; a new run makes it anew"
        if not self.leftovers:
            return ""
        first, *more = self.leftovers
        others = f" and {len(more)} more" if more else ""
        tell = f"; finitewidth leftovers {shown(self._root)} lists them" if self._root else ""
        file = first.relative_to(self.folder)
        return f"{name} also holds what an earlier config made: {file}{others}{tell}"

    def draw(self, figure: str, **look: Any) -> Figure:
        """One of its figures drawn anew: :func:`finitewidth.draw`."""
        return draw(self.study, figure, **look)

    def __repr__(self) -> str:
        return f"<ReadStudy {self.folder}{f': {self.note}' if self.note else ''}>"


def _config_in(file: Path) -> dict:
    """The part of a config in a file's stamp; empty where it has none, as a person's own."""
    try:
        return read_stamp(file)["config"]
    except ArtifactError:
        return {}


@named
def read_study(folder: str | Path) -> ReadStudy:
    """Open a study that a run has finished.

    Warns in one sentence where its folder also holds what an earlier config made
    (:attr:`ReadStudy.leftovers`).

    Parameters
    ----------
    folder : path
        ``results/studies/NAME``, or ``results/runs/RUN/studies/NAME``; or that of a copy of the
        run's whole folder, whatever it is called.

    Raises
    ------
    ArtifactError
        In one sentence, where there is none; it names the studies that are there.
    """
    # Where it stands says which run it is of; a link into results stands where it leads to.
    path, real = Path(os.path.abspath(folder)), Path(os.path.realpath(folder))
    if places.place(f"{path.as_posix()}/") is None and places.place(f"{real.as_posix()}/"):
        path = real
    if not (path / "comparison.csv").is_file():
        around = (path / "studies", path, path.parent)
        there = sorted({str(t.parent) for place in around for t in place.glob("*/comparison.csv")})
        allowed = ", ".join(there) or "a folder of results/studies"
        raise ArtifactError(f"{folder} is no study with a table, allowed is {allowed}")
    study = ReadStudy(path)
    if study.note:
        warnings.warn(study.note, stacklevel=3)
    return study


@named
def draw(study: Study | ReadStudy, figure: str, **look: Any) -> Figure:
    """One of the workflow's figures, of a study that was read or run.

    Parameters
    ----------
    study : Study or ReadStudy
        Of :func:`finitewidth.read_study`, or ``load_study(...).run()``.
    figure : str
        ``covariance``, ``kurtosis``, ...; config/README.md lists all.
    **look
        ``width`` in inches, ``font_size`` in points, ``file``, a matplotlib style file.

    Raises
    ------
    ValueError
        In one sentence: a misspelt figure, or nothing to draw of this study.
    """
    from finitewidth import figures

    check_word("figure", figure, FIGURES)
    check_words("look", list(look), ("width", "font_size", "file"))
    given = {key: value.item() if hasattr(value, "item") else value for key, value in look.items()}
    if isinstance(given.get("file"), Path):
        given["file"] = str(given["file"])
    style = validated({"seed": 0, "style": given}, "style.").style
    settings = figures.settings(**style.model_dump())
    of = study.study if isinstance(study, ReadStudy) else study
    return figures.draw(figure, of, settings)


@named
def compare(
    measured: xr.Dataset | Study | ReadStudy | Results | Sequence[Results],
    theory: xr.Dataset | None = None,
    *,
    quantities: str | Sequence[str] | None = None,
    short: bool = False,
) -> pd.DataFrame:
    """Every measured number beside every order of theory, in one tidy frame.

    Parameters
    ----------
    measured : dataset, Study, ReadStudy or results of members
        Estimates of :func:`finitewidth.estimate`; or a study that was run or read, which has its
        theory.
    theory : xarray.Dataset, optional
        Of :func:`finitewidth.predict`, beside estimates.
    quantities : str or sequence of str, optional
        Those that are wanted; all where left out.
    short : bool
        One row a number with few columns, to read: the orders of theory stand side by side, and a
        verdict says whether those that hold agree.

    Returns
    -------
    pandas.DataFrame
        A row a number and order: what the networks are, quantity, layer, inputs, order, theory,
        estimate, standard_error, z (standard normal where the order is right), neglected, holds,
        trusted, and the reason where it is not (docs/architecture.md). If ``short``, what tells
        numbers apart, estimate, standard_error, verdict, and a column an order.

    Raises
    ------
    ValueError
        In one sentence, where a quantity is misspelt or something else than such was given.
    """
    wanted = None if quantities is None else list(check_words("quantities", quantities, QUANTITIES))
    rows = _rows(measured, theory, wanted)
    return in_short(rows) if short else rows


def _rows(
    measured: xr.Dataset | Study | ReadStudy | Results | Sequence[Results],
    theory: xr.Dataset | None,
    wanted: list[str] | None,
) -> pd.DataFrame:
    if isinstance(measured, ReadStudy):
        measured = measured.study
    if isinstance(measured, Study):
        if theory is not None:
            raise ValueError("theory: given with a study, which has its own")
        return table(measured if wanted is None else replace(measured, quantities=wanted))
    if isinstance(measured, xr.Dataset):
        return table(Study("", None, wanted, [_of_datasets(measured, theory)])).drop(
            columns="study"
        )
    each = [measured] if isinstance(measured, Results) else list(measured)
    if theory is not None or not each or not all(isinstance(m, Results) for m in each):
        raise ValueError(
            f"measured: given {describe(measured)}, allowed are estimates with their theory, a"
            " study, or results of members"
        )
    return table(Study("", None, wanted, each)).drop(columns="study")


def _of_datasets(estimates: xr.Dataset, theory: xr.Dataset | None) -> MemberResults:
    if theory is None:
        theory = xr.Dataset()
    elif "order" not in theory.dims:
        raise ValueError("theory: given a dataset without orders, allowed is what fw.predict gives")
    if not any(str(name).endswith("_stderr") for name in estimates.data_vars):
        raise ValueError("measured: given a dataset without standard errors, allowed are estimates")
    said = {**theory.attrs, **estimates.attrs}
    about = Free(ensemble=str(said.get("ensemble", "")), name=str(said.get("member", "")),
                 said=said)  # fmt: skip
    return beside(about, estimates, theory)
