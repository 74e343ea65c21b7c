"""Snakemake, but that the SLURM executor looks every second.

By itself it looks ten seconds later each time that nothing has ended, and no option changes that:
right for hours on a cluster, not for jobs of seconds. Nothing else differs from what a person runs.
"""

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

pause = RemoteExecutor.next_seconds_between_status_checks
RemoteExecutor.next_seconds_between_status_checks = pause.setter(
    lambda self, seconds: pause.fset(self, min(seconds, 1))
)

if __name__ == "__main__":
    sys.exit(main())
