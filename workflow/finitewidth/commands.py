"""``finitewidth``: its commands trace, stamp, estimate, describe, leftovers, check and archive."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from finitewidth import __version__
from finitewidth.core.errors import ConfigError, visible
from finitewidth.core.places import DEFAULT, RESULTS, RUNS, STAGES, place, root_of
from finitewidth.planning.describe import networks_of
from finitewidth.planning.members import members
from finitewidth.planning.plan import report
from finitewidth.planning.trained_members import trained_members
from finitewidth.provenance.archive import DEFAULT_STUDY, archive
from finitewidth.provenance.artifacts import SUFFIXES, ArtifactError, read_stamp
from finitewidth.provenance.leftovers import delete, leftovers
from finitewidth.provenance.rebuild import command, verify
from finitewidth.provenance.trace import Ancestry, Tracer
from finitewidth.provenance.trace_text import as_data, compared, of_earlier, tree, verdict
from finitewidth.runtime.folder import LOCK, occupied
from finitewidth.study.runs import check_layout, name_of
from finitewidth.study.study_file import load, overrides


def main(arguments: list[str]) -> int:
    """Run one of them; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # As of `trace FILE | head`: whoever read on has seen enough. Python flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except (ArtifactError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="finitewidth",
        description="Ensembles of finite-width neural networks, measured and held against theory.",
        epilog="finitewidth COMMAND --help explains one. A study file is YAML: config/README.md of"
        " the project lists its keys. First steps: finitewidth check mine.yaml; finitewidth"
        " estimate mine.yaml; finitewidth run mine.yaml --cores all.",
    )
    parser.add_argument("--version", action="version", version=f"finitewidth {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="run a study file: the workflow, with options of Snakemake")

    stamp = commands.add_parser(
        "stamp",
        help="print what made a file of results, as JSON",
        description="Prints the stamp of a file of results as JSON: the rule, config, inputs, code"
        " and packages that made it (docs/provenance.md).",
    )
    stamp.add_argument("file", help="a file of results")
    stamp.set_defaults(run=_stamp)

    trace = commands.add_parser(
        "trace",
        help="print all that a file of results was made from, back to the config, and check that"
        " nothing was altered since",
        description="Prints the ancestry of FILE and holds it against what stands on disk. Exit"
        " status 0: every link holds; 1: one is broken, and named: a file was altered or is"
        " missing, or was computed by other code than stands here, or from another config.",
    )
    trace.add_argument("file", nargs="?", help="a file of results, or a folder of them: all")
    trace.add_argument("--json", action="store_true", help="as JSON, with every key")
    trace.add_argument(
        "--configfile", help="the study file that made it (else: sought among those at hand)"
    )
    trace.add_argument(
        "--diff", nargs=2, metavar=("A", "B"), help="say what differs between two ancestries"
    )
    trace.add_argument(
        "--rebuild", action="store_true", help="print the command that makes the file again"
    )
    trace.add_argument(
        "--verify",
        action="store_true",
        help="make the file again in a scratch folder, from the config, and compare the bytes"
        " (with --rebuild: print the command, too)",
    )
    trace.add_argument(
        "--cores", type=int, default=os.cpu_count(), help="for --verify (default: all)"
    )
    trace.set_defaults(run=_trace)

    estimate = commands.add_parser(
        "estimate",
        help="print what a study file takes: core-hours, GPU-hours, memory and disk",
        description="Prints what a study file takes before it is run: core-hours, GPU-hours, memory"
        " and disk, stage by stage. Nothing is run.",
    )
    estimate.add_argument("config", nargs="+", help="study files, a later one over an earlier one")
    estimate.set_defaults(run=_estimate)

    describe = commands.add_parser(
        "describe",
        help="print the networks of a study file block by block: shapes, numbers drawn, sampler,"
        " cost",
        description="Prints the networks of each ensemble of a study file, block by block: shapes,"
        " numbers drawn, sampler, cost. Nothing is run.",
    )
    describe.add_argument("config", nargs="+", help="study files, a later one over an earlier one")
    describe.set_defaults(run=_describe)

    archive = commands.add_parser(
        "archive",
        help="pack code, config and results into one file",
        description="Packs the code, config and results of a run into one file, each file checked"
        " against its digest, and prints the command that rebuilds them.",
    )
    _add_run(archive)
    archive.add_argument("--run", dest="name", help="the name of the run, instead of both")
    archive.add_argument("--directory", default=".", help="the folder that holds results/")
    archive.add_argument("--output", help="the file to write (finitewidth-<study file>.tar.gz)")
    archive.set_defaults(run=_archive)

    folder = commands.add_parser(
        "folder",
        help="print where the results of a run stand",
        description="Prints the folder of a run, which follows from its study file and from what"
        " was laid on top of it; without either, that of the default study.",
    )
    _add_run(folder)
    folder.set_defaults(run=_folder)

    left = commands.add_parser(
        "leftovers",
        help="list the files of results in a run's folder that its last config does not make",
        description="A run deletes nothing: members and figures of an earlier config stay where"
        " they are, and no page, report or archive shows them. This lists them, one a line. Only"
        " files that this project made count.",
    )
    left.add_argument(
        "folder", nargs="?", default=RESULTS, help="the folder of a run (default: results)"
    )
    left.add_argument("--delete", action="store_true", help="delete them, too")
    left.set_defaults(run=_leftovers)

    check = commands.add_parser(
        "check",
        help="say whether a study file is valid, without running anything that stands in it",
        description="Reads study files as plain data, which Snakemake's own reader does not"
        " (docs/security.md). Exit status 0: a valid config, in one line; 1: a sentence says what"
        " is wrong.",
    )
    check.add_argument("config", nargs="+", help="study files, a later one over an earlier one")
    check.set_defaults(run=_check)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    """What a run was given, as `run` takes it."""
    parser.add_argument("--configfile", nargs="+", default=[], help="study files of the run")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="what was laid on top of them"
    )


def _stamp(options: argparse.Namespace) -> int:
    print(json.dumps(read_stamp(options.file), indent=2))
    return 0


def _estimate(options: argparse.Namespace) -> int:
    config = load(options.config)
    print(f"What {', '.join(options.config)} takes, stage by stage:\n\n{report(config)}")
    print(f"Results in {root_of(name_of(config, options.config, {}, DEFAULT_STUDY))}/.")
    return 0


def _describe(options: argparse.Namespace) -> int:
    print(networks_of(load(options.config)))
    return 0


def _archive(options: argparse.Namespace) -> int:
    over = overrides(options.config)
    given = (options.configfile, over, options.name, options.directory, options.output)
    print(*archive(*given), sep="\n")
    return 0


def _folder(options: argparse.Namespace) -> int:
    files, over = options.configfile or [str(DEFAULT_STUDY)], overrides(options.config)
    print(root_of(name_of(load(files, over), files, over, DEFAULT_STUDY)))
    return 0


def _leftovers(options: argparse.Namespace) -> int:
    root = Path(options.folder)
    files = leftovers(root)
    size = sum(file.stat().st_size for file in files) / 2**20
    print("".join(f"{visible(str(file))}\n" for file in files), end="")
    told = f"{root}: {len(files)} file{'' if len(files) == 1 else 's'} of an earlier config"
    if files and options.delete:
        before, _ = place(f"{root.absolute().as_posix()}/") or (".", "")
        if occupied(Path(before, LOCK)):
            raise ArtifactError(f"{root}: a run is at work there, nothing was deleted")
        delete(files, root)
        told += ", deleted"
    print(f"{told} ({size:.1f} MiB)." if files else f"{told}.", file=sys.stderr)
    return 0


def _check(options: argparse.Namespace) -> int:
    config = load(options.config)
    count = sum(len(members(config, name)) for name in config.ensembles)
    count += sum(len(trained_members(config, name)) for name in config.trained)
    root = root_of(name_of(config, options.config, {}, DEFAULT_STUDY))
    about = f"{count} members, {len(config.studies)} studies, in {root}/"
    print(f"{', '.join(options.config)}: {about}")
    return 0


def _trace(options: argparse.Namespace) -> int:
    cores = options.cores or 0
    if options.verify and cores < 1:
        raise ConfigError(f"--cores: given {cores}, allowed is a whole number of at least 1")
    if options.configfile is not None:
        # One that cannot be read gives no file, which is no fault of the results.
        load([options.configfile])
    if options.diff:
        lines = compared(*(_ancestry(path, options)[0] for path in options.diff))
        print("\n".join(lines) or "nothing differs")
        return 1 if lines else 0
    if options.file is None:
        raise ArtifactError("trace: given no file, allowed are a file of results or a folder")
    if Path(options.file).is_dir():
        if options.rebuild or options.verify:
            raise ArtifactError(
                f"trace: given the folder {options.file}, allowed with --rebuild or --verify is one"
                " file of results"
            )
        return _trace_folder(options)
    ancestry, folder = _ancestry(options.file, options)
    if options.rebuild or options.verify:
        return _again(ancestry, folder, options)
    print(json.dumps(as_data(ancestry), indent=2) if options.json else tree(ancestry))
    return 1 if ancestry.problems else 0


def _again(ancestry: Ancestry, folder: Path, options: argparse.Namespace) -> int:
    """How the file is made again; whether that gives the same bytes; or both."""
    if options.rebuild:
        print(command(ancestry, folder), flush=True)
    if not options.verify:
        return 0
    found = verify(ancestry, folder, options.cores)
    verdict = "the same but for rounding" if found.lines else "the same bytes"
    print("\n".join([*found.lines, *[f"{options.file}: made again, {verdict}"] * found.few]))
    return 0 if found.few else 1


def _trace_folder(options: argparse.Namespace) -> int:
    """Every artifact below a folder: how many are well, and the broken links."""
    files = [p for p in sorted(Path(options.file).rglob("*")) if p.name.endswith(SUFFIXES)]
    files = [p for p in files if not p.name.startswith(".") and _is_stamped(_real(p))]
    if not files:
        raise ArtifactError(f"{options.file} holds no artifacts")
    problems: dict[tuple[str, str], None] = {}
    earlier: dict[str, list[str]] = {}
    tracers: dict[tuple[Path, str], Tracer] = {}
    for file in files:
        folder, root = _standing(_real(file))
        # Each run is traced by what it kept.
        if (folder, root) not in tracers:
            tracers[folder, root] = _tracer(folder, root, options)
        found = tracers[folder, root].trace(_below(file, folder))
        problems |= dict.fromkeys(found.problems)
        if found.later:
            earlier.setdefault(found.later, []).append(found.root)
    if options.json:
        listed = [{"path": path, "problem": problem} for path, problem in problems]
        told = {"files": len(files), "whole": not problems, "problems": listed}
        print(json.dumps(told | {"earlier": [file for of in earlier.values() for file in of]}))
    else:
        print("\n".join([*verdict(len(files), problems), *of_earlier(earlier)]))
    return 1 if problems else 0


def _is_stamped(path: Path) -> bool:
    """Whether a file is of a stage; code, configs and logs stand in results, too."""
    found = "".join(place(str(path)) or ())
    return found != "" and str(path).removeprefix(f"{found}/").partition("/")[0] in STAGES


def _ancestry(file: str, options: argparse.Namespace) -> tuple[Ancestry, Path]:
    if not os.path.exists(file):
        raise ArtifactError(f"{file or repr(file)} is missing")
    path = _real(Path(file))
    folder, root = _standing(path)
    # A copy that stands elsewhere may be of any run: of one that gives it whole, if there is one.
    roots = [root] if place(str(path)) else _roots(folder)
    found = (_tracer(folder, r, options).trace(_below(path, folder)) for r in roots)
    return min(found, key=lambda ancestry: len(ancestry.problems)), folder


def _real(path: Path) -> Path:
    """With all links followed; ``Path.resolve`` throws where they go round in circles."""
    return Path(os.path.realpath(path))


def _below(path: Path, folder: Path) -> str:
    """A file's path from the folder, where it stands in there."""
    path = _real(path)
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _standing(path: Path) -> tuple[Path, str]:
    """The folder that `results` stands in, and that of the run of a file from there.

    Of a file that was copied out of it, that is the current one.
    """
    before, root = place(str(path)) or (Path.cwd(), RESULTS)
    return Path(before), root


def _roots(folder: Path) -> list[str]:
    """The folders of all runs in a folder."""
    return [RESULTS, *(f"{RUNS}/{entry.name}" for entry in sorted((folder / RUNS).glob("*")))]


def _tracer(folder: Path, root: str, options: argparse.Namespace) -> Tracer:
    """A tracer of a run, which must not be one of the layout before runs had names."""
    if options.configfile is not None:
        return Tracer(folder, [Path(options.configfile).resolve()], root)
    if root == RESULTS:
        check_layout(DEFAULT, lambda: load([DEFAULT_STUDY]), folder)
    return Tracer(folder, root=root)
