"""The members of an ensemble that a run has left, as one dataset."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from finitewidth.core import places
from finitewidth.core.errors import one_line
from finitewidth.core.words import check_word, named
from finitewidth.members.attributes import swept_meaning
from finitewidth.provenance.artifacts import ArtifactError, read_dataset, read_stamp
from finitewidth.provenance.digests import digest_of_data
from finitewidth.provenance.leftovers import LastConfig, shown
from finitewidth.provenance.projections import Part
from finitewidth.provenance.trace import differences

#: What a member of an ensemble has a file of.
FILES = ("estimates", "theory", "normality")
#: Attributes that members share unless they are swept, and the keys that sweep them.
_SHARED = {key: key for key in ("activation", "weights", "seed", "networks")} | {
    "inputs": "input_set"
}


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
        In one sentence, where there is no such file, one cannot be read, or they are of several
        configs.

    Warns
    -----
    UserWarning
        Where the folder also holds members that the run's last config does not have: these are left
        out.
    """
    check_word("what", what, FILES)
    files = _members(Path(os.path.abspath(folder)), what)
    read = {file: read_dataset(file) for file in files}
    _check_alike(Path(folder), read)
    each = _of_one_type([with_swept(one) for one in read.values()])
    if len(each) == 1:
        return each[0]
    shared = _in_common([one.attrs for one in each])
    try:
        found = xr.combine_by_coords(
            each, data_vars="all", coords="different", compat="no_conflicts", join="outer",
            combine_attrs="drop_conflicts",
        )  # fmt: skip
    except ValueError as error:
        names = ", ".join(file.parent.name for file in files)
        raise ArtifactError(one_line(f"{folder}: {names} do not fit together ({error})")) from None
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


def _members(folder: Path, what: str) -> list[Path]:
    """The files of an ensemble's members that are of one config: of the run's last, where it is
    known."""
    files = sorted(folder.glob(f"*/{what}.nc"))
    if not files:
        raise ArtifactError(f"{folder} has no member with {what}.nc, allowed is a folder of"
                            " results/ensembles")  # fmt: skip
    root = "".join(places.place(f"{folder.as_posix()}/") or ())
    last = LastConfig.of(root) if root else None
    if last is None:
        return files
    made = {f: part for f, part in last.parts(root).items() if folder == f.parent.parent}
    ours = [file for file in files if file in made]
    left = ", ".join(file.parent.name for file in files if file not in made)
    name, given = shown(folder), f"{shown(last.file)}, which the run was last given"
    if not made:
        _warn(f"{name}: {given}, has no such ensemble, so that {left} are of an earlier config")
        return files
    if not ours:
        raise ArtifactError(
            f"{name}: {given}, has none of the members that lie here ({left}): run it first"
        )
    if left:
        _warn(f"{name}: {given}, does not have {left}, which are left out; finitewidth leftovers"
              f" {shown(root)} lists what earlier configs made")  # fmt: skip
    return _of_this_config(folder, ours, made)


def _warn(sentence: str) -> None:
    # Above this one and _members: open_ensemble, and what refuses misspelt keywords.
    warnings.warn(sentence, stacklevel=5)


def _of_this_config(folder: Path, files: list[Path], made: Mapping[Path, Part]) -> list[Path]:
    """The files, unless some of them are as the config has them and others are not yet."""
    stamps = {file: read_stamp(file) for file in files}
    earlier = [
        file for file in files
        if stamps[file]["config_sha256"] != digest_of_data(made[file].config)
    ]  # fmt: skip
    if earlier and len(earlier) < len(files):
        one = earlier[0]
        how = next(iter(differences(stamps[one]["config"], made[one].config)), "")
        names = ", ".join(file.parent.name for file in earlier)
        raise ArtifactError(
            f"{shown(folder)}: {names} were made from an earlier config than the others ({how}):"
            " run the workflow again, which makes them anew"
        )
    return files


def _check_alike(folder: Path, each: Mapping[Path, xr.Dataset]) -> None:
    """Raise ``ArtifactError`` where members sweep other keys, or differ in what none of them
    sweeps."""
    about = {file.parent.name: one.attrs for file, one in each.items()}
    swept = {name: json.loads(attrs.get("swept", "{}")) for name, attrs in about.items()}
    first = next(iter(about))
    for name, attrs in about.items():
        keys = [", ".join(swept[one]) or "nothing" for one in (first, name)]
        if set(swept[first]) != set(swept[name]):
            what = f"{first} sweeps {keys[0]}, {name} sweeps {keys[1]}"
        else:
            what = next(
                (
                    f"{key} is {about[first][key]} in {first} and {attrs[key]} in {name}"
                    for key, sweep in _SHARED.items()
                    if sweep not in swept[name] and key in attrs and key in about[first]
                    if attrs[key] != about[first][key]
                ),
                "",
            )
        if what:
            raise ArtifactError(
                f"{folder} holds members of several configs ({what}), allowed are members of one:"
                " open a folder that holds these alone"
            )


def _in_common(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = each
    return {k: v for k, v in first.items() if all(k in o and o[k] == v for o in others)}
