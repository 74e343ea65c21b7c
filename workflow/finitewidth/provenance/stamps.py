"""Stamps: what made a file of results, as plain data, and where each kind of file holds it.

A stamp names rule and wildcards, the part of the config, the digest of every input, the code and
the packages. It holds no time, host or absolute path, so that the same run gives the same bytes.
"""

from __future__ import annotations

import html
import json
import mmap
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import AnyStr

from finitewidth import __version__
from finitewidth.core.files import sha256, unreadable
from finitewidth.provenance import code
from finitewidth.provenance.digests import OWN, UNKNOWN, canonical, digest_of_data, png_chunks
from finitewidth.provenance.whole import UNREADABLE, ArtifactError, beside, check_file, described

PACKAGES = (
    "fastparquet", "matplotlib", "netCDF4", "numpy", "pandas", "pingouin", "scikit-learn", "scipy",
    "seaborn", "torch", "xarray",
)  # fmt: skip
_IMPORTED_AS = {"scikit-learn": "sklearn"}
#: What a stamp is made of; under ``str`` stands what each value of a mapping is, whatever its key.
_STAMP = {
    "rule": str, "wildcards": {str: str}, "config": dict, "config_sha256": str,
    "inputs": {str: str}, "device": str, "packages": {str: str},
    "code": {"commit": str, "dirty": str, "sha256": str, "version": str, "modules": {str: str}},
}  # fmt: skip


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


def open_stamp(stamp: Mapping) -> str:
    """A stamp with a place for its file's digest."""
    return canonical({**stamp, OWN: UNKNOWN})


def read_stamp(path: str | Path) -> dict:
    """The stamp inside an artifact of any kind.

    Raises
    ------
    ArtifactError
        Where the file holds none.
    """
    readers: dict[str, Callable[[Path], str]] = {
        ".nc": _stamp_in_netcdf, ".png": _stamp_in_png, ".pdf": _stamp_in_pdf,
        ".svg": _stamp_in_svg, ".csv": _stamp_of_table, ".json": _stamp_in_description,
        ".parquet": _stamp_in_parquet,
    }  # fmt: skip
    check_file(path)
    if Path(path).suffix == ".csv" and unreadable(beside(path)):
        raise ArtifactError(
            f"{path} holds no stamp of finitewidth: that of a table stands in"
            f" {beside(path).name}, which is not beside it"
        )
    try:
        stamp = json.loads(readers.get(Path(path).suffix, _stamp_in_text)(Path(path)))
        if not (_is(stamp, _STAMP) and _is_shallow(stamp)):
            raise ValueError("what stands there is of another shape")
        return stamp
    except UNREADABLE as error:
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


def _stamp_in_parquet(path: Path) -> str:
    # By hand, as below; behind the texts of the table.
    text = list(re.finditer(rb'\{"code":\{[ -~]*', path.read_bytes()))[-1][0].decode("ascii")
    return json.dumps(json.JSONDecoder().raw_decode(text)[0])


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
    last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8")
    return _there(re.search(r"provenance: (\{.*\})", last))[1]


def _stamp_of_table(path: Path) -> str:
    return _stamp_in_json(described(path), lambda about: about["schema:sha256"])


def _stamp_in_description(path: Path) -> str:
    own = re.compile("sha256:([0-9a-f]{64})")
    return _stamp_in_json(
        json.loads(path.read_bytes()),
        lambda about: _there(own.fullmatch(about["dc:identifier"]))[1],
    )


def _stamp_in_json(about: dict, own: Callable[[dict], str]) -> str:
    return json.dumps({**json.loads(about["dc:provenance"]), OWN: own(about)})
