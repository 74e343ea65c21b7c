"""Many command lines of Snakemake, each in a child of one process that has imported it.

Reads a JSON list of [folder, argument, ...] from stdin, where FINITEWIDTH_...=value is one of its
environment; writes a JSON list of [status, what was
printed], where -14 is a child that took longer than five minutes.
"""

import contextlib
import itertools
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

# What every start of the workflow imports of others'.
import docutils.core  # noqa: F401
import jinja2  # noqa: F401
import jsonschema  # noqa: F401
import nbformat  # noqa: F401
import numpy  # noqa: F401
import pydantic  # noqa: F401
import requests  # noqa: F401
import scipy.special  # noqa: F401
import smart_open  # noqa: F401
import yaml  # noqa: F401
from snakemake import cli, deployment, executors, script, workflow  # noqa: F401

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"


def import_ours() -> None:
    """What the Snakefile of this checkout imports of the library, half of the time of a dry run."""
    sys.path.insert(0, str(WORKFLOW))
    import finitewidth.comparison.report
    import finitewidth.provenance.projections
    import finitewidth.runtime.run
    import finitewidth.study.handed
    import finitewidth.study.runs  # noqa: F401


def is_of_another(command: list[str]) -> bool:
    """Whether its library may be another one, or its registries hold more: as a Snakefile that is
    named and extensions tell."""
    named = [b for a, b in itertools.pairwise(command) if a in ("-s", "--snakefile")]
    ours = (WORKFLOW / "Snakefile", WORKFLOW.parent / "Snakefile")
    return any("FINITEWIDTH_" in w for w in command) or any(Path(n) not in ours for n in named)


def run(said: int, folder: str, *arguments: str) -> None:
    """As the command line does, in this process."""
    os.dup2(said, 1)
    os.dup2(said, 2)
    signal.alarm(300)
    words = [word for word in arguments if not word.startswith("FINITEWIDTH_")]
    os.environ.update(word.split("=", 1) for word in arguments if word not in words)
    sys.argv[:] = ["snakemake", "--directory", folder, *words]
    cli.main()


def main() -> None:
    commands = json.load(sys.stdin)
    said = [tempfile.TemporaryFile() for _ in commands]  # noqa: SIM115
    running: dict[int, int] = {}
    outcomes: list = [None] * len(commands)
    # Before ours is imported.
    first = sorted(range(len(commands)), key=lambda k: not is_of_another(commands[k]))
    imported = False
    for number, k in enumerate(first):
        command = commands[k]
        if not imported and not is_of_another(command):
            import_ours()
            imported = True
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                run(said[k].fileno(), *command)
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
                if isinstance(end.code, str):
                    # As an interpreter does with a text that it exits with.
                    print(end.code, file=sys.stderr)
            finally:
                with contextlib.suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        running[pid] = k
        while len(running) == 2 or (running and number == len(commands) - 1):
            pid, status = os.wait()
            done = running.pop(pid)
            said[done].seek(0)
            text = said[done].read().decode(errors="replace")
            outcomes[done] = [os.waitstatus_to_exitcode(status), text]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
