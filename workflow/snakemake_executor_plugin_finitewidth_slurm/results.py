"""The files of jobs, by which a job is judged that SLURM does not know any more."""

from __future__ import annotations

import os
import time

#: Looks at SLURM that miss a job until it is taken to be over.
LOOKS = 2


class Results:
    """Which jobs were submitted, and what their files were before.

    A file of an earlier run may be there: it is the job's only if it is another one than before.
    """

    def __init__(self) -> None:
        self._before: dict = {}
        self._numbers: set[str] = set()
        #: Numbers of jobs that are not known to be over.
        self.open: set[str] = set()
        self._missed: dict[str, list[float]] = {}

    def before(self, job) -> None:
        """Look at a job's files, before it is submitted."""
        self._before[job] = _files(job)

    def submitted(self, job_info) -> None:
        """Remember the number that SLURM gave a job."""
        self._numbers.add(job_info.external_jobid)
        self.open.add(job_info.external_jobid)

    def knows(self, number: str) -> bool:
        """Whether a number, of one task where it is an array's, is that of a job of this run."""
        return number in self._numbers

    def seen(self, job_info) -> None:
        """SLURM knows the job, this time."""
        self._missed.pop(job_info.external_jobid, None)

    def judged(self, job_info, patience: float) -> bool | None:
        """Whether a job that SLURM missed in this look made its files; None if that is too early.

        Files that are not there, or are those of before, are waited for by ``patience`` seconds
        from the look on that counts: a shared file system may show them late.
        """
        missed = self._missed.setdefault(job_info.external_jobid, [])
        missed.append(time.monotonic())
        if len(missed) < LOOKS:
            return None
        before, now = self._before.get(job_info.job, {}), _files(job_info.job)
        if all(state is not None and state != before.get(file) for file, state in now.items()):
            return True
        return False if missed[-1] - missed[LOOKS - 1] >= patience else None

    def forget(self, job_info) -> None:
        """The job is over."""
        self.open.discard(job_info.external_jobid)
        self._missed.pop(job_info.external_jobid, None)
        self._before.pop(job_info.job, None)


def _files(job) -> dict[str, tuple[int, int] | None]:
    """Time and inode of each file that a job makes; None where there is none."""
    states = {}
    for file in map(str, job.output):
        try:
            about = os.stat(file)
            states[file] = (about.st_mtime_ns, about.st_ino)
        except OSError:
            states[file] = None
    return states
