"""Many command lines of Snakemake, each in a child of one process that has imported it.

Reads a JSON list of [folder, argument, ...] from stdin; writes a JSON list of [status, what was
printed], where -14 is a child that took longer than a minute.
"""

import contextlib
import json
import os
import signal
import sys

from snakemake import cli, deployment, executors, script, workflow  # noqa: F401


def run(folder: str, *arguments: str) -> None:
    """As the command line does, in this process, with what is printed in the folder."""
    said = os.open(os.path.join(folder, "said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    signal.alarm(60)
    sys.argv[:] = ["snakemake", "--directory", folder, *arguments]
    cli.main()


def main() -> None:
    commands = json.load(sys.stdin)
    running: dict[int, int] = {}
    outcomes: list = [None] * len(commands)
    for k, command in enumerate(commands):
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                run(*command)
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
            finally:
                with contextlib.suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        running[pid] = k
        while len(running) == 2 or (running and k == len(commands) - 1):
            pid, status = os.wait()
            k_done = running.pop(pid)
            with open(os.path.join(commands[k_done][0], "said"), errors="replace") as said:
                outcomes[k_done] = [os.waitstatus_to_exitcode(status), said.read()]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
