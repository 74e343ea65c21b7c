"""The only place that reads or writes a file of results: atomically, and never without its stamp.

A stamp says what made a file: rule and wildcards, the slice of the config, the digest of every
input, the code and the packages. It holds no time, host or absolute path, so that the same run
gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from finitewidth import __version__, code

PACKAGES = (
    "matplotlib", "netCDF4", "numpy", "pandas", "pingouin", "scikit-learn", "scipy", "seaborn",
    "torch", "xarray",
)  # fmt: skip
_IMPORTED_AS = {"scikit-learn": "sklearn"}
#: How each kind of text file marks a line that its readers skip.
_COMMENTS = {".csv": ("# ", ""), ".tex": ("% ", ""), ".md": ("<!-- ", " -->")}


class ArtifactError(Exception):
    """A file of results that cannot be read as what it should be."""


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def samples_digest(shards: Sequence) -> str:
    """SHA-256 of what the files of one member's samples hold, the same for any division of it.

    Each shard is an ``xarray.Dataset`` with the coordinate ``network``; attributes do not count.
    """
    shards = sorted(shards, key=lambda shard: int(shard["network"][0]))
    total = hashlib.sha256()
    for name in sorted(shards[0].variables):
        first = shards[0][name]
        divided = "network" in first.dims
        total.update(f"{name} {first.dtype} {first.dims} {divided or first.shape}\n".encode())
        for shard in shards if divided else shards[:1]:
            values = shard[name].transpose("network", ...) if divided else shard[name]
            total.update(values.values.tobytes())
    return total.hexdigest()


def digest_of(path: str | Path) -> str:
    """What a stamp says of an input: SHA-256 of a file, or :func:`samples_digest` of a folder."""
    if not Path(path).is_dir():
        return sha256(path)
    shards: list = []
    while (file := Path(path) / f"{len(shards)}.nc").exists():
        shard = read_dataset(file)
        # One that does not go on where the last one ended is left from another division.
        if shards and shard["network"][0] != shards[-1]["network"][-1] + 1:
            break
        shards.append(shard)
    if not shards:
        raise ArtifactError(f"{path} holds no samples")
    return samples_digest(shards)


def canonical(data: object) -> str:
    """``data`` as JSON with one spelling: keys sorted, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), default=list)


def make_stamp(
    *,
    rule: str,
    wildcards: Mapping[str, str],
    config: Mapping,
    inputs: Sequence[str] | Mapping[str, str],
    code_digest: str,
    packages: Sequence[str] = (),
    device: str = "cpu",
) -> dict:
    """The stamp of what one job writes, as plain data.

    ``inputs`` are paths of files, or a mapping from paths to digests already taken; ``packages``
    is what the code imports.
    """
    if not isinstance(inputs, Mapping):
        inputs = {str(path): sha256(path) for path in inputs}
    return {
        "rule": rule,
        "wildcards": dict(wildcards),
        "config": json.loads(canonical(config)),
        "config_sha256": hashlib.sha256(canonical(config).encode()).hexdigest(),
        "inputs": dict(inputs),
        "code": {**code.commit(), "sha256": code_digest, "version": __version__},
        "device": device,
        "packages": _versions(packages),
    }


def _versions(imported: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the packages that the code imports.

    Of the code and not of this process, which may have been forked from one that has more loaded.
    """
    used = [p for p in PACKAGES if _IMPORTED_AS.get(p, p) in imported]
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in used}}


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place only if the block ends well.

    No two writers share one, on whatever machines they are; what a killed one left goes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = rf"\.{re.escape(path.stem)}\.[0-9a-f]{{16}}\.part{re.escape(path.suffix)}"
    for left in path.parent.glob(".*.part*"):
        if re.fullmatch(name, left.name):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_dataset(dataset, path: str | Path, stamp: Mapping, *, title: str) -> None:
    """Write an ``xarray.Dataset`` as netCDF-4, each variable with a checksum of its own."""
    dataset = dataset.assign_attrs(
        title=title,
        source=f"finitewidth {__version__}",
        Conventions="CF-1.11",
        config_sha256=stamp["config_sha256"],
        provenance=canonical(stamp),
    )
    with_checksum = {name: {"fletcher32": True} for name, v in dataset.variables.items() if v.ndim}
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=with_checksum)


def read_dataset(path: str | Path):
    """Load a netCDF artifact into memory.

    Raises
    ------
    ArtifactError
        In one sentence, where the file is missing, truncated or fails its checksum.
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
            return dataset.load()
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"{path} cannot be read as netCDF ({error}): remove it and run again"
        ) from error


def read_sizes(path: str | Path) -> dict[str, int]:
    """The dimensions of a netCDF artifact and its whole-number attributes, nothing else read.

    Raises ``ArtifactError`` as :func:`read_dataset` does.
    """
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            sizes = {name: len(dimension) for name, dimension in file.dimensions.items()}
            attributes = {name: file.getncattr(name) for name in file.ncattrs()}
    except (OSError, RuntimeError) as error:
        raise ArtifactError(
            f"{path} cannot be read as netCDF ({error}): remove it and run again"
        ) from error
    whole = {k: int(v) for k, v in attributes.items() if not isinstance(v, str)}
    return sizes | whole


def write_text(text: str, path: str | Path, stamp: Mapping) -> None:
    """Write a CSV, Markdown or TeX file; its first line is the stamp, as a comment."""
    before, after = _COMMENTS[Path(path).suffix]
    with replacing(path) as temporary:
        line = f"{before}provenance: {canonical(stamp)}{after}\n"
        temporary.write_text(line + text, encoding="utf-8", newline="\n")


def write_figure(figure, path: str | Path, stamp: Mapping, *, title: str) -> None:
    """Write a matplotlib figure as PDF or PNG, the stamp in the file's metadata."""
    fields: dict[str, str | None] = {"Title": title, "Creator": f"finitewidth {__version__}"}
    if Path(path).suffix == ".pdf":
        fields |= {"Keywords": canonical(stamp), "CreationDate": None}
    else:
        fields = {**fields, "Software": None, "provenance": canonical(stamp)}
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata=fields)


def read_stamp(path: str | Path) -> dict:
    """The stamp inside an artifact of any kind.

    Raises
    ------
    ArtifactError
        Where the file holds none.
    """
    readers: dict[str, Callable[[Path], str]] = {
        ".nc": _stamp_in_netcdf, ".png": _stamp_in_png, ".pdf": _stamp_in_pdf,
    }  # fmt: skip
    try:
        return json.loads(readers.get(Path(path).suffix, _stamp_in_text)(Path(path)))
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} holds no stamp of finitewidth") from error


def _stamp_in_netcdf(path: Path) -> str:
    import netCDF4

    with netCDF4.Dataset(path) as file:
        return file.provenance


def _stamp_in_png(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return image.text["provenance"]


def _stamp_in_pdf(path: Path) -> str:
    # matplotlib writes the information dictionary uncompressed, as a literal string in which
    # parentheses and backslashes are escaped.
    keywords = re.search(rb"/Keywords \((.*?[^\\])\)", path.read_bytes(), re.DOTALL)[1]
    return re.sub(rb"\\(.)", rb"\1", keywords, flags=re.DOTALL).decode("latin-1")


def _stamp_in_text(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return re.search(r"provenance: (\{.*\})", file.readline())[1]
