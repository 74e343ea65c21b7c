"""The only place that reads or writes a file of results: atomically, and never without its stamp.

Its parts: whether a file is whole (``whole.py``), stamps (``stamps.py``) and figures
(``figure_files.py``).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from finitewidth import __version__
from finitewidth.core.files import BACKSLASH, replacing, sha256
from finitewidth.provenance.digests import canonical, samples_digest, seal, sealed, table_head
from finitewidth.provenance.figure_files import write_figure
from finitewidth.provenance.stamps import make_stamp, open_stamp, read_stamp
from finitewidth.provenance.whole import (
    BESIDE,
    UNREADABLE,
    ArtifactError,
    DamagedError,
    beside,
    check,
    described,
    files_of,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "SUFFIXES", "ArtifactError", "DamagedError", "NoSamplesError", "beside", "check", "digest_of",
    "files_of", "make_stamp", "read_columns", "read_dataset", "read_shards", "read_sizes",
    "read_stamp", "write_dataset", "write_figure", "write_table", "write_text",
]  # fmt: skip


#: Endings of the files that carry a stamp.
SUFFIXES = (
    ".nc", ".csv", f".csv{BESIDE}", ".parquet", ".md", ".tex", ".html", ".pdf", ".png", ".svg",
)  # fmt: skip
#: How each kind of text file marks a line that its readers skip.
_COMMENTS = {".tex": ("% ", ""), ".md": ("<!-- ", " -->"), ".html": ("<!-- ", " -->")}


class NoSamplesError(ArtifactError):
    """A file among a member's samples that is whole, but holds something else."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path} holds no samples ({problem})")
        self.problem = problem


def read_shards(folder: str | Path) -> Iterator[tuple[Path, xr.Dataset]]:
    """The files of one member's samples in their order, each with its dataset.

    One that does not go on where the last one ended is left from another division, and the end.

    Raises
    ------
    ArtifactError
        Where one cannot be read, ``NoSamplesError`` where it is whole but holds something else.
    """
    end = 0
    for number in itertools.count():
        file = Path(folder) / f"{number}.nc"
        if not os.path.lexists(file):
            return
        shard = read_dataset(file)
        if problem := _not_samples(shard):
            raise NoSamplesError(file, problem)
        if number and shard["network"][0] != end:
            return
        end = int(shard["network"][-1]) + 1
        yield file, shard


def _not_samples(shard: xr.Dataset) -> str | None:
    """Why a dataset holds no networks of a member, in words; None where it does."""
    if "network" not in shard.variables or shard["network"].dims != ("network",):
        return "it does not count networks"
    if shard["network"].dtype.kind not in "iu" or not shard["network"].size:
        return "its networks have no numbers"
    odd = [name for name, v in shard.variables.items() if v.dtype.kind not in "iufbSU"]
    return f"{odd[0]} holds neither numbers nor words" if odd else None


def digest_of(path: str | Path) -> str:
    """What a stamp says of an input: SHA-256 of a file, or :func:`samples_digest` of a folder."""
    if not Path(path).is_dir():
        return sha256(path)
    shards = [shard for _, shard in read_shards(path)]
    if not shards:
        raise ArtifactError(f"{path} holds no samples")
    return samples_digest(shards)


def write_dataset(dataset: xr.Dataset, path: str | Path, stamp: Mapping, *, title: str) -> None:
    """Write an ``xarray.Dataset`` as netCDF-4, with checksums and its digest as the last line.

    What it was stamped with before, as arithmetic on datasets may carry along, is replaced.
    """
    _check_path(path)
    dataset = dataset.assign_attrs(
        title=title,
        source=f"finitewidth {__version__}",
        Conventions="CF-1.11",
        config_sha256=stamp["config_sha256"],
        provenance=canonical(stamp),
    )
    with_checksum = {name: {"fletcher32": True} for name, v in dataset.variables.items() if v.ndim}
    with replacing(path) as temporary:
        try:
            dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=with_checksum)
            seal(temporary)
        except (OSError, RuntimeError) as error:
            # HDF5 does not say that a disk is full.
            free = shutil.disk_usage(temporary.parent).free / 2**20
            raise OSError(
                f"{path} cannot be written ({error}); {free:.1f} MiB are free on its disk, and"
                f" {dataset.nbytes / 2**20:.1f} are to be written"
            ) from error


def read_dataset(path: str | Path) -> xr.Dataset:
    """Load a netCDF artifact into memory, once its bytes are known to be those that were written.

    Raises
    ------
    ArtifactError
        In one sentence, where the file is missing or holds no dataset; ``DamagedError`` where it
        is truncated or was changed.
    """
    import xarray as xr

    check(path)
    _check_path(path)
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
            # Ours are not compressed. Somebody's own may stand for more than any memory holds.
            if dataset.nbytes > 2 * os.path.getsize(path) + 2**20:
                raise ValueError(f"it stands for {dataset.nbytes} bytes, more than are in it")
            return dataset.load()
    except (Exception, MemoryError) as error:  # whatever a file of another shape makes of xarray
        raise ArtifactError(f"{path} cannot be read as a dataset ({error})") from error


def read_sizes(path: str | Path) -> dict[str, int]:
    """The dimensions of a netCDF artifact and its whole-number attributes, nothing else read.

    Raises ``ArtifactError`` as :func:`read_dataset` does.
    """
    import netCDF4

    check(path)
    _check_path(path)
    with netCDF4.Dataset(path) as file:
        sizes = {name: len(dimension) for name, dimension in file.dimensions.items()}
        attributes = {name: file.getncattr(name) for name in file.ncattrs()}
    whole = {k: int(v) for k, v in attributes.items() if not isinstance(v, str)}
    return sizes | whole


def _check_path(path: str | Path) -> None:
    if "\\" in os.path.abspath(path):
        raise ArtifactError(f"{os.path.abspath(path)} cannot be a netCDF file: {BACKSLASH}")


def write_text(text: str, path: str | Path, stamp: Mapping) -> None:
    """Write a Markdown, TeX or HTML file.

    Its first line tells people what made it, its last one is the whole stamp, both as comments.
    """
    before, after = _COMMENTS[Path(path).suffix]
    made = stamp["code"]
    changed = " with changes" if made["dirty"] == "yes" else ""
    first = (
        f"finitewidth {made['version']}, commit {made['commit'][:12]}{changed}, config"
        f" {stamp['config_sha256'][:12]}; the whole stamp is the last line"
    )
    # What would end the comment stands in texts only, where JSON has another spelling for it.
    mark = open_stamp(stamp).replace("<", "\\u003c").replace(">", "\\u003e")
    content = f"{before}{first}{after}\n{text.rstrip()}\n{before}provenance: {mark}{after}\n"
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(content.encode()))


def write_table(
    text: str, path: str | Path, stamp: Mapping, *, title: str, columns: Sequence[Mapping]
) -> None:
    """Write a CSV file, and beside it what it is, as CSV on the Web has it.

    The table is the text alone, so that whatever reads CSV reads it. Its SHA-256, its columns and
    the stamp stand in ``<path>-metadata.json`` (https://www.w3.org/TR/tabular-metadata/).

    Parameters
    ----------
    columns : sequence of mapping
        Descriptions of that standard, one a column: ``name``, ``titles``, ``datatype``.
    """
    content = text.encode()
    about = {
        "url": quote(Path(path).name),
        "dc:title": title,
        "schema:sha256": hashlib.sha256(content).hexdigest(),
        "tableSchema": {"columns": list(columns)},
        # Of that standard's own words none holds an object of others.
        "dc:provenance": canonical(stamp),
    }
    described = table_head() + json.dumps(about, indent=1).removeprefix("{\n") + "\n"
    for name, written in ((path, content), (beside(path), sealed(described.encode()))):
        with replacing(name) as temporary:
            temporary.write_bytes(written)


def read_columns(path: str | Path) -> list[dict]:
    """What the columns of a table are, once it is known to be as it was written.

    Raises
    ------
    ArtifactError
        In one sentence, where the table or what stands beside it is missing or was altered.
    """
    check(path)
    try:
        columns = described(Path(path))["tableSchema"]["columns"]
        return [{"titles": str(c["titles"]), "datatype": c["datatype"]} for c in columns]
    except UNREADABLE as error:
        raise ArtifactError(f"{beside(path)} does not say what the columns are") from error
