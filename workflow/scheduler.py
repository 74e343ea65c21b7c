"""Snakemake looks at its schedule again a second after every look, and after every job that ends.

Each look plans the next, so that every job that ever ended adds one a second: after a hundred jobs
the controller spends a fifth of a core on asking files for their sizes (Snakemake 9.27, the default
of --max-jobs-per-timespan; measured on the default study). One look a second is all that the limit
on submissions needs.
"""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def calm() -> None:
    """Let at most one look at a time be planned; does nothing to a Snakemake that plans none."""
    # The name is misspelt there.
    if hasattr(JobScheduler, "_schedule_reevalutation"):
        JobScheduler._schedule_reevalutation = _plan


def _plan(self: JobScheduler, delay: float) -> None:
    if getattr(self, "_look_planned", False):
        return

    def look() -> None:
        self._look_planned = False
        self._open_jobs.release()

    self._look_planned = True
    timer = threading.Timer(delay, look)
    # Nothing is left to look at once the rest has ended.
    timer.daemon = True
    timer.start()
