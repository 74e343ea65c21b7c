"""What `make` has left of the default study, for a test that need not make it twice."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

from finitewidth.provenance.artifacts import SUFFIXES, ArtifactError, check, read_stamp
from running import ROOT

#: What stands in `results/` and is not of the default study, and what of Snakemake's is not a
#: record of what made a file.
OTHERS = {"runs", "README.md"}
NO_RECORDS = shutil.ignore_patterns("conda*", "finitewidth", "locks", "log", "scripts", "shadow")


def take_along(folder: Path, checkout: Path = ROOT) -> bool:
    """Copy the results and Snakemake's records of them into ``folder``, if they are sound.

    Sound is what is whole, and was made by the packages that are installed now, to the version:
    so it could be made again to the byte. Whether code, config and inputs are those of now
    Snakemake itself tells, which makes anew what is not.
    """
    results, records = checkout / "results", checkout / ".snakemake"
    if not (results / "index.html").is_file() or not records.is_dir():
        return False
    shutil.copytree(
        results, folder / "results", ignore=lambda at, _: OTHERS if Path(at) == results else ()
    )
    try:
        files = [p for p in (folder / "results").rglob("*") if p.name.endswith(SUFFIXES)]
        sound = all(_is_of_now(path) for path in files if "code" not in path.parts)
    except ArtifactError:
        sound = False
    if sound:
        shutil.copytree(records, folder / ".snakemake", ignore=NO_RECORDS)
    else:
        shutil.rmtree(folder / "results")
    return sound


def _is_of_now(path: Path) -> bool:
    check(path)
    return all(
        version == (platform.python_version() if name == "python" else metadata.version(name))
        for name, version in read_stamp(path)["packages"].items()
    )
