"""The only place that reads or writes a file of results: atomically, and never without its stamp.

A stamp says what made a file: rule and wildcards, the part of the config, the digest of every
input, the code and the packages. It holds no time, host or absolute path, so that the same run
gives the same bytes.
"""

from __future__ import annotations

import html
import io
import itertools
import json
import mmap
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, AnyStr

from finitewidth import __version__
from finitewidth.core.files import BACKSLASH, MISSING, replacing, sha256, unreadable
from finitewidth.provenance import code
from finitewidth.provenance.digests import (
    OWN,
    UNKNOWN,
    canonical,
    digest_of_data,
    has_seal,
    is_sealed,
    png_chunks,
    samples_digest,
    seal,
    sealed,
)

if TYPE_CHECKING:
    import xarray as xr

#: Endings of the files that carry a stamp.
SUFFIXES = (".nc", ".csv", ".md", ".tex", ".html", ".pdf", ".png", ".svg")
PACKAGES = (
    "matplotlib", "netCDF4", "numpy", "pandas", "pingouin", "scikit-learn", "scipy", "seaborn",
    "torch", "xarray",
)  # fmt: skip
_IMPORTED_AS = {"scikit-learn": "sklearn"}
#: What a stamp is made of; under ``str`` stands what each value of a mapping is, whatever its key.
_STAMP = {
    "rule": str, "wildcards": {str: str}, "config": dict, "config_sha256": str,
    "inputs": {str: str}, "device": str, "packages": {str: str},
    "code": {"commit": str, "dirty": str, "sha256": str, "version": str, "modules": {str: str}},
}  # fmt: skip
#: How each kind of text file marks a line that its readers skip.
_COMMENTS = {
    ".csv": ("# ", ""), ".tex": ("% ", ""), ".md": ("<!-- ", " -->"), ".html": ("<!-- ", " -->"),
}  # fmt: skip
#: Where each kind of figure holds its stamp, and what matplotlib would otherwise say of the day.
_STAMP_IN = {"pdf": "Keywords", "png": "provenance", "svg": "Description"}
_NO_DATES = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}


class ArtifactError(Exception):
    """A file of results that cannot be read, or is not the kind of file that it should be."""


class DamagedError(ArtifactError):
    """A file of results whose bytes are not those that were written."""

    def __init__(self, path: str | Path, problem: object) -> None:
        super().__init__(f"{path} is damaged ({problem})")
        self.path = Path(path)


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


def make_stamp(
    *,
    rule: str,
    wildcards: Mapping[str, str],
    config: Mapping,
    inputs: Sequence[str] | Mapping[str, str],
    used: Mapping,
    device: str = "cpu",
) -> dict:
    """The stamp of what one job writes, as plain data.

    ``inputs`` are paths of files, or a mapping from paths to digests already taken; ``used`` is
    what :func:`finitewidth.provenance.code.used` says of the code. What writes a file adds its own
    digest.
    """
    if not isinstance(inputs, Mapping):
        inputs = {str(path): sha256(path) for path in inputs}
    return {
        "rule": rule,
        "wildcards": dict(wildcards),
        "config": json.loads(canonical(config)),
        "config_sha256": digest_of_data(config),
        "inputs": dict(inputs),
        "code": {
            **code.commit_of(rule, wildcards),
            "sha256": used["sha256"],
            "modules": dict(used["modules"]),
            "version": __version__,
        },
        "device": device,
        "packages": _versions(used["packages"], used.get("own_packages", ())),
    }


def _versions(imported: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the packages that the code imports, ``own`` by extensions.

    Of the code and not of this process, in which libraries may have loaded others.
    """
    used = [p for p in PACKAGES if _IMPORTED_AS.get(p, p) in imported]
    known = {_IMPORTED_AS.get(p, p) for p in PACKAGES}
    if more := sorted(set(own) - known):
        of = metadata.packages_distributions()
        used += [of[name][0] for name in more if name in of]
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in used}}


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
    """Write a CSV, Markdown, TeX or HTML file; its first line is the stamp, as a comment."""
    before, after = _COMMENTS[Path(path).suffix]
    # What would end the comment stands in texts only, where JSON has another spelling for it.
    mark = _open(stamp).replace("<", "\\u003c").replace(">", "\\u003e")
    if Path(path).suffix == ".csv":
        mark = re.sub(r'"(?:[^"\\]|\\.)*"', _without_formula, mark)
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(f"{before}provenance: {mark}{after}\n{text}".encode()))


def write_figure(figure: Any, path: str | Path, stamp: Mapping, *, title: str) -> None:
    """Write a matplotlib figure as PDF, PNG or SVG, the stamp in the file's metadata.

    The lines of the figure's label are sentences for its caption; the stamp has them as ``notes``.
    """
    ending = Path(path).suffix[1:]
    notes = figure.get_label().splitlines()
    stamp = {**stamp, "notes": notes} if notes else stamp
    # None leaves out what would differ from run to run, or tell of the machine.
    fields = {"Title": title, "Creator": f"finitewidth {__version__}", **_NO_DATES[ending]}
    content = io.BytesIO()
    figure.savefig(content, format=ending, metadata=fields | {_STAMP_IN[ending]: _open(stamp)})
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(content.getvalue()))


def _open(stamp: Mapping) -> str:
    """A stamp with a place for its file's digest."""
    return canonical({**stamp, OWN: UNKNOWN})


def check(path: str | Path) -> None:
    """Hold the bytes of an artifact of any kind against the digest in it.

    They are, before a library for its format sees them: HDF5 can wait for ever on a file in which
    one bit was flipped.

    Raises ``DamagedError`` where it was altered, ``ArtifactError`` where it is missing.
    """
    path = Path(path)
    _check_file(path)
    try:
        whole = has_seal(path) if path.suffix == ".nc" else is_sealed(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing") from None
    except (OSError, MemoryError) as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from error
    if not whole:
        raise DamagedError(path, "its bytes do not have the digest that they were written with")


def _without_formula(text: re.Match) -> str:
    """A text of JSON with every sign escaped that a spreadsheet could take for the beginning of a
    formula, wherever it cuts the line into cells."""
    return re.sub(r"(?<![0-9A-Za-z])[=+@-]", lambda sign: f"\\u{ord(sign[0]):04x}", text[0])


def _check_file(path: str | Path) -> None:
    """A pipe would be waited for, and a device never ends."""
    problem = unreadable(path)
    if problem:
        said = "is missing" if problem == MISSING else f"cannot be read: {problem}"
        raise ArtifactError(f"{path} {said}")


def read_stamp(path: str | Path) -> dict:
    """The stamp inside an artifact of any kind.

    Raises
    ------
    ArtifactError
        Where the file holds none.
    """
    readers: dict[str, Callable[[Path], str]] = {
        ".nc": _stamp_in_netcdf, ".png": _stamp_in_png, ".pdf": _stamp_in_pdf,
        ".svg": _stamp_in_svg,
    }  # fmt: skip
    _check_file(path)
    try:
        stamp = json.loads(readers.get(Path(path).suffix, _stamp_in_text)(Path(path)))
        if not (_is(stamp, _STAMP) and _is_shallow(stamp)):
            raise ValueError("what stands there is of another shape")
        return stamp
    except (
        OSError, LookupError, AttributeError, TypeError, ValueError, StopIteration, RecursionError,
        MemoryError,
    ) as error:  # fmt: skip
        raise ArtifactError(f"{path} holds no stamp of finitewidth") from error


def _is(value: object, shape: type | Mapping) -> bool:
    """Whether plain data is of a shape as that of ``_STAMP``; more keys are no harm."""
    if isinstance(shape, type):
        return isinstance(value, shape)
    if not isinstance(value, dict):
        return False
    if str in shape:
        return all(_is(each, shape[str]) for each in value.values())
    return all(key in value and _is(value[key], inner) for key, inner in shape.items())


def _is_shallow(value: object, levels: int = 60) -> bool:
    """Whether plain data is nested no deeper than any study file may be."""
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inside)


def _there(match: re.Match[AnyStr] | None) -> re.Match[AnyStr]:
    """What was looked for; ``ValueError`` where it is not there."""
    if match is None:
        raise ValueError("no stamp stands there")
    return match


def _stamp_in_netcdf(path: Path) -> str:
    # By hand, as below, so that the stamp of a damaged file can still be told: HDF5 keeps a text in
    # one piece. The file's own digest is at its end.
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        text = _there(re.search(rb'\{"code":\{[ -~]*', content))[0].decode("ascii")
        own = re.search(rf'"{OWN}":"[0-9a-f]{{64}}"'.encode(), content[-100:])
    stamp, _ = json.JSONDecoder().raw_decode(text)
    return json.dumps({**stamp, **(json.loads(b"{%b}" % own[0]) if own else {})})


def _stamp_in_png(path: Path) -> str:
    # By hand, so that the stamp of a damaged picture can still be told.
    content, field = path.read_bytes(), b"tEXtprovenance\0"
    texts = (content[a:b] for a, b in png_chunks(content))
    return next(t for t in texts if t.startswith(field))[len(field) :].decode("latin-1")


def _stamp_in_pdf(path: Path) -> str:
    # matplotlib writes the information dictionary uncompressed, as a literal string in which
    # parentheses and backslashes are escaped.
    keywords = _there(re.search(rb"/Keywords \((.*?[^\\])\)", path.read_bytes(), re.DOTALL))[1]
    return re.sub(rb"\\(.)", rb"\1", keywords, flags=re.DOTALL).decode("latin-1")


def _stamp_in_svg(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    described = re.search(r"<dc:description>(.*?)</dc:description>", text, re.DOTALL)
    return html.unescape(_there(described)[1])


def _stamp_in_text(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return _there(re.search(r"provenance: (\{.*\})", file.readline()))[1]
