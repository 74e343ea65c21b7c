"""Why a job failed, in the words of whoever knows best: its script, SLURM, or the disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Bytes of a log's end that are read.
_TAIL = 64 * 1024
#: Less than this many bytes free: nothing can be written.
_FULL = 64 * 1024
_STEP = re.compile(r"^(?:slurmstepd|srun)(?:-[^:]*)?: error: (.*)")
#: What follows from something else that failed, and says nothing itself.
_FOLLOWS = re.compile(r"Exited with exit code|STEP .* CANCELLED|Terminated$|Killed$")


def cause(rule: str, log: Path | None, folder: str) -> str:
    """One sentence on why a job of a rule failed; "" where nobody says.

    Parameters
    ----------
    rule : str
        What the line begins with that a failed script leaves (``finitewidth.runtime.job``).
    log : Path or None
        SLURM's log of the job: what it printed, and what SLURM's launchers did.
    folder : str
        Where it ran.
    """
    lines = _tail(log)
    for line in reversed(lines):
        if line.startswith(f"{rule}: ") and " (log: " in line:
            return line.removeprefix(f"{rule}: ").rpartition(" (log: ")[0].strip()
    steps = (match[1].strip() for line in reversed(lines) if (match := _STEP.match(line)))
    told = next((step for step in steps if not _FOLLOWS.search(step)), "")
    # On a full disk a log may be missing what matters, or be missing altogether.
    return told or (f"no space is left on the disk of {folder}" if _full(folder) else "")


def kind_of(sentence: str) -> str:
    """What two sentences have in common that tell of the same cause in different files."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*|\d+", "", sentence)


def _tail(log: Path | None) -> list[str]:
    if log is None:
        return []
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _full(folder: str) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FULL or (disk.f_files > 0 and disk.f_favail == 0)
