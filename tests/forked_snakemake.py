"""Many command lines of Snakemake, each in a child of one process that has imported it.

Reads a JSON list of [folder, argument, ...] from stdin, where FINITEWIDTH_...=value is one of its
environment; writes a JSON list of [status, what was
printed], where -14 is a child that took longer than two minutes.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile

# What every start of the workflow imports of others', and of ours nothing: whose it is follows from
# the Snakefile.
import numpy  # noqa: F401
import pydantic  # noqa: F401
import scipy.special  # noqa: F401
import yaml  # noqa: F401
from snakemake import cli, deployment, executors, script, workflow  # noqa: F401


def run(said: int, folder: str, *arguments: str) -> None:
    """As the command line does, in this process."""
    os.dup2(said, 1)
    os.dup2(said, 2)
    signal.alarm(120)
    words = [word for word in arguments if not word.startswith("FINITEWIDTH_")]
    os.environ.update(word.split("=", 1) for word in arguments if word not in words)
    sys.argv[:] = ["snakemake", "--directory", folder, *words]
    cli.main()


def main() -> None:
    commands = json.load(sys.stdin)
    said = [tempfile.TemporaryFile() for _ in commands]  # noqa: SIM115
    running: dict[int, int] = {}
    outcomes: list = [None] * len(commands)
    for k, command in enumerate(commands):
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
        while len(running) == 2 or (running and k == len(commands) - 1):
            pid, status = os.wait()
            done = running.pop(pid)
            said[done].seek(0)
            text = said[done].read().decode(errors="replace")
            outcomes[done] = [os.waitstatus_to_exitcode(status), text]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
