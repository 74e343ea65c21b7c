"""What failed jobs say, kept until the run ends, so that it comes last under plain Snakemake.

The controller of a run makes a file to which jobs that fail add a line each, instead of printing it
amid what Snakemake says of them; it prints these when it ends. Where there is no such file, jobs
print their lines themselves: where another process follows the run (``following.py``), where this
workflow is a module of another one, and on SLURM, whose executor tells why a job failed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path

from finitewidth.runtime.folder import OURS

FAILED = OURS / "failed"
#: How many lines are told at the end.
MOST = 8


def keep(file: Path = FAILED) -> None:
    """Have jobs keep their lines until this process ends, and print them then."""
    # Snakemake is elsewhere when it ends.
    file = file.absolute()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        atexit.register(_end, file, os.getpid(), Path.cwd())


def kept(line: str, log: str, file: Path = FAILED) -> bool:
    """Whether a line of a job that fails, whose log is given, is kept for the end of the run."""
    if "SLURM_JOB_ID" in os.environ:
        return False
    try:
        # Not created. One write a line, so that those of two jobs do not mix.
        place = os.open(file, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(place, "wb", buffering=0) as there:
            data = f"{log}\t{line}\n".encode()
            return there.write(data) == len(data)
    except OSError:
        # No such file, or a full disk.
        return False


def told(file: Path, folder: Path) -> list[str]:
    """What to print at the end: of each job the last line, but of one that went well after all.

    ``folder`` is the one that paths of logs are relative to.
    """
    noted = file.read_text(encoding="utf-8").splitlines()
    last = {log: line for log, _, line in (each.partition("\t") for each in noted)}
    lines = [line for log, line in last.items() if not _went_well(folder / log)]
    more = len(lines) - MOST
    return [f"{more} more failed: see Snakemake's log.", *lines[more:]] if more > 0 else lines


def _went_well(log: Path) -> bool:
    try:
        return ": done in " in log.read_text(encoding="utf-8", errors="replace")[-200:]
    except OSError:
        return False


def _end(file: Path, process: int, folder: Path) -> None:
    # Not in a child that was forked from the controller.
    if os.getpid() == process and file.exists():
        sys.stdout.flush()
        sys.stderr.write("".join(f"{line}\n" for line in told(file, folder)))
        sys.stderr.flush()
        file.unlink()
