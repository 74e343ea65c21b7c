"""A run as one file that a person can unpack elsewhere: code, config, results and crate.

An archive holds the results that the crate names, each only if it still has the SHA-256 that stands
there; the user's own input files; Snakemake's records of the results, without times, so that an
edit in the unpacked folder reruns what depends on it; and the commit of the code, since the
unpacked folder has no git. The same folder gives the same bytes. Nothing outside the folder is
packed, whatever the crate, the config or links say: the folder may be somebody else's.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import unquote

from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError, visible
from finitewidth.core.files import inside, replacing, sha256
from finitewidth.core.places import DEFAULT, at, root_of
from finitewidth.extensions import named as extensions
from finitewidth.extensions.kept import KEPT
from finitewidth.provenance.artifacts import ArtifactError
from finitewidth.provenance.code import CHECKOUT as ROOT
from finitewidth.provenance.code import COMMIT_FILE, PACKAGE, PACKAGES, recorded_commit
from finitewidth.provenance.crate import CODE, CRATE, NOT_CODE
from finitewidth.study.runs import check_layout, is_kept, kept_configs, name_of
from finitewidth.study.study_file import load

#: What stands beside the code that the crate has a copy of.
_BESIDE = ("tests", "docs", "benchmarks", "profiles", "CHANGELOG.md", ".gitignore", ".ci",
           "results/README.md")  # fmt: skip
#: The time of code and of the user's files (2020-01-01), and of all results, which Snakemake wants
#: to be newer than scripts and not older than each other; what a person edits is newer than both.
_TIME, _TIME_OF_RESULTS = 1577836800, 1577923200
DEFAULT_STUDY = ROOT / "config.yaml"
_METADATA = Path(".snakemake") / "metadata"


def archive(
    study_files: list[str], over: Mapping, run: str | None, folder: str, output: str | None
) -> list[str]:
    """Pack a run in ``folder``; sentences on it, as :func:`pack` has them.

    It is the run of ``study_files`` with ``over`` on top, or the one called ``run``.
    """
    files = study_files or [str(DEFAULT_STUDY)]
    by_files = name_of(load(files), files, {}, DEFAULT_STUDY)
    run = run or name_of(load(files, over), files, over, DEFAULT_STUDY)
    target = Path(output or f"finitewidth-{run}.tar.gz")
    if not target.name.endswith(".tar.gz"):
        raise ConfigError(f"--output: given {target}, allowed is a name that ends with .tar.gz")
    check_layout(run, lambda: load([DEFAULT_STUDY]), folder)
    if over or run != by_files:
        # Its files alone do not say what the run was; but what it kept does.
        study_files = files = [str(file) for file in kept_configs(Path(folder, root_of(run)))[:1]]
        if not files:
            raise ArtifactError(f"{Path(folder, root_of(run))} holds no run: run make first")
    sentences = pack(load(files), study_files, target=target, folder=Path(folder), run=run)
    size = target.stat().st_size / 2**20
    return [f"{target}: {size:.0f} MiB, SHA-256 {sha256(target)}.", *sentences]


def pack(
    config: Config,
    study_files: Iterable[str | Path],
    *,
    target: Path,
    folder: Path,
    run: str = DEFAULT,
) -> list:
    """Write the archive ``target`` of a run in ``folder`` (the one that holds ``results``).

    ``config`` is what ``study_files`` say (none: the default one), ``run`` what the run is called.

    Returns
    -------
    list of str
        Sentences on what a person has to know: the command for there, and which files of theirs
        are not packed.

    Raises
    ------
    ArtifactError
        Where there is no crate, or a result is not the one that it names.
    """
    top = target.name.removesuffix(".tar.gz")
    root = root_of(run)
    results = _results(folder, root)
    entries: dict[str, Path | bytes] = dict(_code())
    entries[COMMIT_FILE.name] = (json.dumps(recorded_commit(), sort_keys=True) + "\n").encode()
    names, sentences = _study_files(study_files, entries, run)
    sentences += _own_files(config, folder, entries)
    entries |= results
    entries |= _metadata(folder, {*results, f"{root}/code"})
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(target) as temporary,
        open(temporary, "wb") as raw,
        # No name and no time in the header of the compression, either.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(entries):
            _add(tar, f"{top}/{name}", entries[name])
    kept = [at(root, f"{KEPT}/{one.digest}/{one.name}") for one in extensions.named()]
    words = [f"EXTENSIONS={name}" for name in [",".join(k for k in kept if k in results)] if name]
    words += [f'CONFIG="{" ".join(names)}"'] if names else []
    command = " ".join(["make", *words])
    return [f"Unpacked, `{command}` finds everything up to date.", *sentences]


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = _TIME_OF_RESULTS if "/results/" in name else _TIME
    if isinstance(content, bytes):
        info.size, info.mode = len(content), 0o644
        tar.addfile(info, io.BytesIO(content))
    elif content.is_symlink():
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(content), 0o777
        tar.addfile(info)
    else:
        info.size = content.stat().st_size
        info.mode = 0o755 if os.access(content, os.X_OK) else 0o644
        with open(content, "rb") as file:
            tar.addfile(info, file)


def _code() -> Iterator[tuple[str, Path]]:
    for name in (*CODE, *_BESIDE):
        yield from _below(ROOT, name)
    if not (ROOT / "workflow" / PACKAGE.name).exists():
        # Installed, the packages do not stand among the rest of the workflow.
        for name in PACKAGES:
            yield from ((f"workflow/{p}", file) for p, file in _below(PACKAGE.parent, name))


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """A file or every file below a folder of ``folder``, by its path from there."""
    start = folder / name
    below = () if start.is_symlink() or not start.is_dir() else sorted(start.rglob("*"))
    for file in below or (start,):
        relative = file.relative_to(folder)
        hidden = any(fnmatch(p, n) for p in relative.parts for n in NOT_CODE)
        wanted = not hidden or name.startswith(".")
        if wanted and (file.is_symlink() or file.is_file()):
            yield relative.as_posix(), file


def _study_files(
    files: Iterable[str | Path], entries: dict, run: str
) -> tuple[list[str], list[str]]:
    """Names of the study files in the archive, and a sentence for each that stands outside the
    folder."""
    names, sentences = [], []
    for file in map(Path, files):
        ours, kept = file.resolve().is_relative_to(ROOT), is_kept(file)
        # What a run kept is called by its digest, where it says what the run is called.
        name = f"config/{run}.yaml" if kept else f"config/{file.name}"
        name = file.resolve().relative_to(ROOT).as_posix() if ours and not kept else name
        if kept and _is_another(entries, name, file):
            # One of the project's own has that name; what a run kept says itself how it is called.
            name = f"config/{run}-{file.stem}.yaml"
        if _is_another(entries, name, file):
            raise ConfigError(
                f"config file {file}: given a name that another file has in the archive, allowed"
                f" is one that {name} does not have"
            )
        entries[name] = file.resolve()
        names.append(name)
        if not (ours or kept):
            sentences.append(f"{file} is called {name} there.")
    return names, sentences


def _is_another(entries: dict, name: str, file: Path) -> bool:
    """Whether a file of the archive has that name and another content."""
    return name in entries and sha256(entries[name]) != sha256(file)


def _own_files(config: Config, folder: Path, entries: dict) -> list[str]:
    """Pack the files that the config names; sentences on those that cannot be."""
    sentences = []
    for key, named in ((f"{k}.{name}", v) for k in ("inputs", "data")
                       for name, v in (getattr(config, k) or {}).items()):  # fmt: skip
        for field in ("file", "archive"):
            given = getattr(named, field, None)
            if given is None:
                continue
            # A config may say ./x, too.
            name = os.path.normpath(given)
            if path := inside(folder, name):
                entries[name] = path
            elif Path(given).is_absolute() or (folder / given).exists():
                sentences.append(
                    f"config key {key}.{field}: {given} stands outside this folder and is not"
                    " packed; it has to be in the same place there, too."
                )
    return sentences


def _results(folder: Path, root: str) -> dict[str, Path | bytes]:
    """The crate of a run, and every file that it names."""
    name = f"{root}/{CRATE}"
    crate = inside(folder, name)
    if crate is None:
        raise ArtifactError(f"{folder / name} cannot be read: run make first")
    found: dict[str, Path | bytes] = {name: crate}
    for named, digest in _named(crate, folder / name):
        name = f"{root}/{named}"
        path = inside(folder, name)
        if path is None or digest not in (None, sha256(path)):
            # What leads out of the folder is not told from what is not there.
            raise ArtifactError(
                f"{visible(name)} is not the file that the crate names: run make first"
            )
        found[name] = path
    # What Snakemake takes the time of a folder from.
    found[f"{root}/code/.snakemake_timestamp"] = b""
    return found


def _named(crate: Path, called: Path) -> list[tuple[str, object]]:
    """The files that a crate names, as paths below its folder, each with its SHA-256 or None."""
    try:
        graph = json.loads(crate.read_text(encoding="utf-8"))["@graph"]
        files = [entity for entity in graph if "File" in entity["@type"]]
        return [(unquote(entity["@id"]), entity.get("sha256")) for entity in files]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{called} cannot be read as a crate of this workflow: run make first"
        ) from error


def _metadata(folder: Path, results: set[str]) -> dict[str, bytes]:
    """Snakemake's records of results: their parameters and inputs, without the times of jobs."""
    kept: dict[str, bytes] = {}
    for file in sorted((folder / _METADATA).rglob("*")):
        relative = file.relative_to(folder / _METADATA)
        own = inside(folder, (_METADATA / relative).as_posix())
        try:
            # Long names are cut into folders, which begin with @.
            about = base64.urlsafe_b64decode("".join(p.removeprefix("@") for p in relative.parts))
            if own is None or about.decode() not in results:
                continue
            record = json.loads(own.read_bytes())
        except (OSError, ValueError, binascii.Error, RecursionError):
            continue
        if isinstance(record, dict):
            record |= {"starttime": 0.0, "endtime": 0.0, "job_hash": 0}
            text = json.dumps(record, sort_keys=True)
            kept[(_METADATA / relative).as_posix()] = text.encode()
    return kept
