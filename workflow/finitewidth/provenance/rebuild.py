"""Making an artifact again: the command that does, and whether it gives the same bytes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from finitewidth.core.places import alone, at, run_in
from finitewidth.extensions.kept import KEPT
from finitewidth.extensions.named import VARIABLE, Extension, named
from finitewidth.provenance import own_code, processors
from finitewidth.provenance.artifacts import ArtifactError, files_of
from finitewidth.provenance.code import REBUILD, SNAKEFILE
from finitewidth.provenance.roundings import Apart, apart
from finitewidth.provenance.trace import Ancestry, Artifact, Tracer
from finitewidth.provenance.trace_text import broken, compared
from finitewidth.study.handed import option


def command(ancestry: Ancestry, folder: Path) -> str:
    """The command line that makes the root of an ancestry again, in the folder that it stands in.

    Raises ``ArtifactError`` where no config gives it.
    """
    config = _config(ancestry)
    words, run = ["snakemake", "--cores", "all"], f"run={run_in(ancestry.place)}"
    if folder.resolve() != SNAKEFILE.parent.resolve():
        words += ["--snakefile", str(SNAKEFILE), "--directory", str(folder)]
        config = str(folder / config)
    line = shlex.join([*words, "--force", "--config", option([config]), run, "--", ancestry.target])
    if extensions := own_code.used(_modules(ancestry)):
        files = [
            str(_file(one, folder, ancestry.place)) for one in named() if one.name in extensions
        ]
        line = f"{VARIABLE}={shlex.quote(','.join(files))} {line}"
    return line


def _modules(ancestry: Ancestry) -> set[str]:
    """What stamps of an ancestry name of code."""
    each = (a.stamp["code"]["modules"] for a in ancestry.artifacts.values() if a.stamp)
    return {name for modules in each for name in modules}


def _file(one: Extension, folder: Path, root: str) -> Path:
    """An extension as the run kept it, which no edit changes, or else where it stands."""
    kept = folder / at(root, f"{KEPT}/{one.digest}/{one.name}")
    return kept.resolve() if kept.is_file() else one.file


@dataclass(frozen=True)
class Verified:
    """What came of making a file again.

    Attributes
    ----------
    lines : list of str
        What differs; none if no byte does.
    few : bool
        Whether all numbers that differ do so by no more than rounding (:mod:`.roundings`).
    """

    lines: list[str]
    few: bool


def verify(ancestry: Ancestry, folder: Path, cores: int) -> Verified:
    """Make the root of an ancestry again in a scratch folder, and compare the bytes.

    Only what a user gave, and downloads, are taken from ``folder``; everything else is computed
    anew. Where bytes differ, numbers are compared, and what they were computed on.

    Raises
    ------
    ArtifactError
        In one sentence, where it cannot be made again or its bytes are never the same.
    """
    config = (folder / _config(ancestry)).resolve()
    timed = [path for path in ancestry.artifacts if Path(path).name == "seconds.nc"]
    if timed:
        raise ArtifactError(
            f"{ancestry.root} holds times ({timed[0]}), which differ from run to run: there are no"
            " bytes to compare"
        )
    other_code = [(path, p) for path, p in ancestry.problems if "other code" in p]
    if other_code:
        raise ArtifactError(f"{broken(other_code)[0]}: check out that code to make it again")
    with tempfile.TemporaryDirectory(prefix="finitewidth-") as name:
        scratch = _with_given(ancestry, folder, Path(name))
        words = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "--directory",
                 scratch, "--cores", cores, "--config", option([config]),
                 f"run={run_in(ancestry.place)}", "--quiet", "rules", "--",
                 ancestry.target]  # fmt: skip
        # What Snakemake says is its progress; ours goes to stdout.
        status = subprocess.run(
            [str(word) for word in words],
            cwd=SNAKEFILE.parent,
            stdout=2,
            env=os.environ | {REBUILD: str(_commits(ancestry, scratch))},
        ).returncode
        if status:
            raise ArtifactError(f"{ancestry.root} could not be made again (see above)")
        again, before = scratch / ancestry.target, folder / ancestry.root
        pairs = zip(files_of(again), files_of(before), strict=True)
        if all(one.read_bytes() == other.read_bytes() for one, other in pairs):
            return Verified([], True)
        rebuilt = Tracer(scratch, [config], ancestry.place).trace(ancestry.target)
        far, few = _numbers(ancestry, folder, rebuilt, scratch)
        return Verified(
            [*compared(ancestry, rebuilt), *far, *_made_on(ancestry, folder, scratch)], few
        )


def _numbers(one: Ancestry, folder: Path, other: Ancestry, scratch: Path) -> tuple[list[str], bool]:
    """A line for each dataset and table that came out otherwise, and whether all is rounding.

    Figures and pages have no numbers to compare: they follow from what they were made from.
    """
    precision = "single" if any(map(_is_single, one.artifacts.values())) else "double"
    told: dict[str, Apart] = {}
    for path, artifact in one.artifacts.items():
        again = other.artifacts.get(other.target if path == one.root else path)
        if artifact.stamp and not artifact.problems and again and again.digest != artifact.digest:
            far = apart(folder / path, scratch / again.path, precision)
            told |= {path: far} if far else {}
    lines = [f"    {path}: {far.said(precision)}" for path, far in told.items()]
    few = bool(told) and all(far.few for far in told.values()) and not one.problems
    return (["numbers"] if lines else []) + lines, few


def _is_single(artifact: Artifact) -> bool:
    """Whether networks of this artifact were computed in single precision."""
    stamp = artifact.stamp or {"config": {}, "rule": ""}
    member = stamp["config"].get("member")
    named = member.get("precision") if isinstance(member, dict) else None
    return named == "float32" or stamp["rule"] in ("train", "measure", "generate")


def _made_on(ancestry: Ancestry, folder: Path, scratch: Path) -> list[str]:
    """A line for each thing in which the processor that files were made on was another."""
    noted, again = (processors.noted(place / ancestry.place) for place in (folder, scratch))
    names = [alone(ancestry.place, path) for path in ancestry.artifacts]
    both = [(noted[name], again[name]) for name in names if name in noted and name in again]
    if not both:
        return ["it is not known on which processor it was made"]
    different = {
        (key, one[key], other[key])
        for one, other in both
        for key in one.keys() & other.keys()
        if one[key] != other[key]
    }
    lines = [f"    {key}: {one} | {other}" for key, one, other in sorted(different)]
    return ["made on another processor", *lines] if lines else ["made on such a processor"]


def _config(ancestry: Ancestry) -> str:
    absent = [(path, p) for path, p in ancestry.problems if p.startswith("uses the extension")]
    if absent:
        raise ArtifactError(broken(absent)[0])
    if ancestry.config is None:
        raise ArtifactError(
            f"no config at hand gives {ancestry.root}: name the one that does by --configfile"
        )
    return ancestry.config


def _with_given(ancestry: Ancestry, folder: Path, scratch: Path) -> Path:
    """A folder in ``scratch`` with links to what the user gave, relative to it as to ``folder``.

    The folder lies deep enough in ``scratch`` that links to files above it stay in there, too.
    """
    every = (path for path, artifact in ancestry.artifacts.items() if artifact.kind == "given")
    # Of which ``..`` stands in front alone.
    given = [Path(os.path.normpath(path)) for path in every if not Path(path).is_absolute()]
    inside = scratch.joinpath(*("above",) * max((p.parts.count("..") for p in given), default=0))
    inside.mkdir(parents=True, exist_ok=True)
    for path in given:
        (inside / path).parent.mkdir(parents=True, exist_ok=True)
        (inside / path).symlink_to((folder / path).resolve())
    return inside


def _commits(ancestry: Ancestry, scratch: Path) -> Path:
    """The commits that the stamps named, for stamps to name again (:func:`code.commit_of`)."""
    commits = {}
    for artifact in ancestry.artifacts.values():
        if artifact.stamp:
            key = json.dumps([artifact.stamp["rule"], artifact.stamp["wildcards"]], sort_keys=True)
            commits[key] = {k: artifact.stamp["code"][k] for k in ("commit", "dirty")}
    path = scratch / "commits.json"
    path.write_text(json.dumps(commits), encoding="utf-8")
    return path
