"""What a run has left: a study's table, datasets and figures; an ensemble's members together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from finitewidth.comparison.compare import table
from finitewidth.comparison.results import MemberResults, Results, Study, beside
from finitewidth.comparison.tables import read_csv
from finitewidth.core import places
from finitewidth.core.words import check_word, check_words, named
from finitewidth.members.attributes import swept_meaning
from finitewidth.members.words import Free
from finitewidth.provenance.artifacts import ArtifactError, read_dataset, read_stamp
from finitewidth.quantities.vocabulary import FIGURES, QUANTITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a member of an ensemble has a file of.
FILES = ("estimates", "theory", "normality")


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
        about = read_stamp(self.folder / "comparison.csv")["config"]
        if "study" not in about:
            raise ArtifactError(f"{self.folder / 'comparison.csv'} is the table of no study")
        place = places.place(f"{self.folder.as_posix()}/")
        return Study.read(about["study"], "".join(place) if place else places.RESULTS)

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
        """The files of its figures: by name, then by ending (``png``, ``pdf``, ``svg``)."""
        found: dict[str, dict[str, Path]] = {}
        for file in sorted((self.folder / "figures").glob("*.*")):
            found.setdefault(file.stem, {})[file.suffix[1:]] = file
        return found

    def draw(self, figure: str, **look: Any) -> Figure:
        """One of its figures drawn anew: :func:`finitewidth.draw`."""
        return draw(self.study, figure, **look)

    def __repr__(self) -> str:
        return f"<ReadStudy {self.folder}>"


@named
def read_study(folder: str | Path) -> ReadStudy:
    """Open a study that a run has finished.

    Parameters
    ----------
    folder : path
        ``results/studies/NAME``, or ``results/runs/RUN/studies/NAME``.

    Raises
    ------
    ArtifactError
        In one sentence, where there is none; it names the studies that are there.
    """
    # Where it stands says which run it is of.
    path = Path(os.path.abspath(folder))
    if not (path / "comparison.csv").is_file():
        around = (path / "studies", path, path.parent)
        there = sorted({str(t.parent) for place in around for t in place.glob("*/comparison.csv")})
        allowed = ", ".join(there) or "a folder of results/studies"
        raise ArtifactError(f"{folder} is no study with a table, allowed is {allowed}")
    return ReadStudy(path)


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
    settings = figures.settings(**{"width": None, "font_size": None, "file": None, **look})
    of = study.study if isinstance(study, ReadStudy) else study
    return figures.draw(figure, of, settings)


@named
def compare(
    measured: xr.Dataset | Study | ReadStudy | Results | Sequence[Results],
    theory: xr.Dataset | None = None,
    *,
    quantities: str | Sequence[str] | None = None,
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

    Returns
    -------
    pandas.DataFrame
        A row a number and order: what the networks are, quantity, layer, inputs, order, theory,
        estimate, standard_error, z (standard normal where the order is right), neglected, holds,
        trusted, and the reason where it is not (docs/architecture.md).

    Raises
    ------
    ValueError
        In one sentence, where a quantity is misspelt or something else than such was given.
    """
    wanted = None if quantities is None else list(check_words("quantities", quantities, QUANTITIES))
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
            "compare: given none of estimates with their theory, a study, or results of members"
        )
    return table(Study("", None, wanted, each)).drop(columns="study")


def _of_datasets(estimates: xr.Dataset, theory: xr.Dataset | None) -> MemberResults:
    if theory is None:
        theory = xr.Dataset()
    if not any(str(name).endswith("_stderr") for name in estimates.data_vars):
        raise ValueError("measured: given a dataset without standard errors, allowed are estimates")
    said = {**theory.attrs, **estimates.attrs}
    about = Free(ensemble=str(said.get("ensemble", "")), name=str(said.get("member", "")),
                 said=said)  # fmt: skip
    return beside(about, estimates, theory)


@named
def open_ensemble(folder: str | Path, what: str = "estimates") -> xr.Dataset:
    """The files of all members of an ensemble, with its swept keys as dimensions.

    Parameters
    ----------
    folder : path
        ``results/ensembles/NAME``, or that of a run, with a folder a member.
    what : str
        ``estimates``, ``theory`` or ``normality``.

    Returns
    -------
    xarray.Dataset
        Numbers that a member does not have are NaN. A key that is swept over numbers and words has
        words alone. ``xarray.open_mfdataset(paths, preprocess=fw.with_swept, combine="by_coords")``
        gives the same, lazily, where all members have the same quantities (it needs dask).

    Raises
    ------
    ArtifactError
        In one sentence, where there is no such file or one cannot be read.
    """
    check_word("what", what, FILES)
    files = sorted(Path(folder).glob(f"*/{what}.nc"))
    if not files:
        raise ArtifactError(f"{folder} has no member with {what}.nc, allowed is a folder of"
                            " results/ensembles")  # fmt: skip
    each = _of_one_type([with_swept(read_dataset(file)) for file in files])
    if len(each) == 1:
        return each[0]
    shared = _in_common([one.attrs for one in each])
    found = xr.combine_by_coords(
        each, data_vars="all", coords="different", compat="no_conflicts", join="outer",
        combine_attrs="drop_conflicts",
    )  # fmt: skip
    assert isinstance(found, xr.Dataset)
    return found.assign_attrs(shared)


@named
def with_swept(dataset: xr.Dataset) -> xr.Dataset:
    """A member's dataset with a dimension of one place for each swept key.

    For ``preprocess`` of ``xarray.open_mfdataset``. Where the width is swept, the coordinate
    ``width`` of layers is called ``layer_width``. It has the dimensions of swept keys, too.
    """
    swept = json.loads(dataset.attrs.get("swept", "{}"))
    if "width" in swept and "width" in dataset.coords:
        dataset = dataset.rename(width="layer_width")
    # Only variables get the new dimensions, and the same layer has another width elsewhere.
    of_layers = [name for name in ("width", "layer_width") if name in dataset.coords]
    dataset = dataset.reset_coords(of_layers)
    # What made the file, and what is true of one member alone, is not of all of them.
    own = ("provenance", "config_sha256", "title", "member", "swept", *swept)
    attrs = {key: value for key, value in dataset.attrs.items() if key not in own}
    for key, value in swept.items():
        about = {"long_name": swept_meaning(key), "units": "1"}
        dataset = dataset.expand_dims({key: [value]})
        dataset[key].attrs.update(about)
    dataset.attrs = attrs
    return dataset.set_coords(of_layers)


def _of_one_type(each: list[xr.Dataset]) -> list[xr.Dataset]:
    """Datasets whose swept keys can be sorted: words, where a key has numbers and words."""
    for key in {str(name) for one in each for name in one.dims}:
        values = [value for one in each if key in one.indexes for value in one[key].values]
        if len({isinstance(value, str) for value in values}) > 1:
            each = [
                one.assign_coords({key: (key, [str(v) for v in one[key].values], one[key].attrs)})
                if key in one.indexes
                else one
                for one in each
            ]
    return each


def _in_common(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = each
    return {k: v for k, v in first.items() if all(k in o and o[k] == v for o in others)}
