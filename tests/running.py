"""Running the workflow as a person would: the command line, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from finitewidth.core.files import sha256
from finitewidth.provenance.artifacts import SUFFIXES

ROOT = Path(__file__).parents[1]
TINY = ROOT / "config" / "tiny.yaml"
#: Where its results stand.
TINYS = "results/runs/tiny"
#: One job of every kind; its results stand in `results/` itself.
KINDS = ROOT / "tests" / "kinds.yaml"


def shell() -> dict[str, str]:
    """The environment of somebody who types at the top of the project."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PWD": str(ROOT)}


def snakemake(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run snakemake with its working directory in ``folder``; stdout and stderr together."""
    command = [sys.executable, "-m", "snakemake", "--directory", folder, *arguments]
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1800,
        env=shell(),
    )


def digests(folder: Path, root: str = "results") -> dict[str, str]:
    """SHA-256 of every result of a run, but of logs, configs and what is made of measured times."""
    results = folder / root
    files = (p for p in sorted(results.rglob("*")) if p.is_file())
    files = (p for p in files if not {"logs", "configs"} & set(p.parts))
    files = (p for p in files if p.stem not in ("seconds", "ntk_times"))
    return {str(path.relative_to(results)): sha256(path) for path in files}


def artifacts(folder: Path) -> list[Path]:
    """Files that carry a stamp, whole or not; hidden ones are nobody's yet."""
    files = (folder / "results").rglob("*")
    return [p for p in files if p.name.endswith(SUFFIXES) and not p.name.startswith(".")]


def rests(folder: Path) -> list[Path]:
    """Hidden files of results: none is left of what ended well, but in a folder that is an output
    Snakemake's mark of the time."""
    hidden = (folder / "results").rglob(".*")
    return [path for path in hidden if path.name != ".snakemake_timestamp"]


def variant(path: Path, change: Callable[[dict], None]) -> Path:
    """A copy of the tiny study file, changed, of the same run."""
    content = {"run": "tiny", **yaml.safe_load(TINY.read_text())}
    change(content)
    path.write_text(yaml.safe_dump(content))
    return path


def together(commands: Sequence[Sequence[str | Path]]) -> list[tuple[int, str]]:
    """Status and output of many short command lines, each a folder and what snakemake gets there.

    They start from one process that has imported Snakemake, and what the Snakefile of this checkout
    imports: a quarter of the time of as many interpreters, for dry runs.
    """
    done = subprocess.run(
        [sys.executable, ROOT / "tests/forked_snakemake.py"],
        input=json.dumps([[str(part) for part in command] for command in commands]),
        capture_output=True,
        text=True,
        timeout=1800,
        cwd=ROOT,
        env=shell(),
    )
    assert done.returncode == 0, done.stderr
    return [tuple(outcome) for outcome in json.loads(done.stdout)]


def planned(said: str) -> set[tuple[str, str]]:
    """The jobs that a dry run lists: stage, and what it is about in words."""
    jobs = re.split(r"^(?:local)?rule ", said, flags=re.MULTILINE)[1:]
    found = set()
    for job in jobs:
        # A batch of members is named in its rule, everything else by wildcards.
        stage, _, batch = job.split(":")[0].partition("_")
        found.add((stage, batch + " " + "".join(re.findall(r"wildcards: (.*)", job))))
    of_all = ("all", "study", "gallery", "crate")
    return {(stage, about) for stage, about in found if stage not in of_all}
