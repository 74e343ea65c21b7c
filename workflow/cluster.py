"""What Snakemake's SLURM executor leaves to chance, made safe (plugin 2.8; docs/cluster.md).

- One status query that fails makes the executor forget every job, and the workflow waits for ever.
  Here a failed query is no news: jobs are taken to run on until SLURM answers again.
- A job submitted while SLURM does not answer counts as failed. Here submission waits.
- A controller that is killed leaves its jobs in the queue, and the next one submits a second writer
  of the same files. Here the next one cancels what is left, and waits until it is gone, before it
  looks at which files are there.

Each change is made only where the executor has the part that it replaces, and
``tests/unit/test_cluster.py`` says so when another version lacks one; none touches a folder in
which SLURM was never used.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from finitewidth.folder import occupied

PLUGIN = "snakemake_executor_plugin_slurm"
#: In Snakemake's folder: the job name of every run that has not been seen to leave nothing behind.
RUNS = "slurm_runs"


def make_safe(workflow) -> None:
    """Change the executor and this controller; jobs, which run one rule each, stay as they are."""
    plugin = sys.modules.get(PLUGIN)
    if plugin is None or not workflow.is_main_process:
        return
    if hasattr(plugin, "query_job_status") and not isinstance(plugin.query_job_status, Patient):
        plugin.query_job_status = Patient(plugin.query_job_status)
    executor = getattr(plugin, "Executor", None)
    if hasattr(executor, "run_job") and not hasattr(executor.run_job, "__wrapped__"):
        executor.run_job = _when_slurm_answers(executor.run_job)
    if hasattr(executor, "__post_init__") and not hasattr(executor.__post_init__, "__wrapped__"):
        executor.__post_init__ = _noted(executor.__post_init__)
    if hasattr(workflow, "_build_dag"):
        # The last moment before Snakemake looks at files, and the first at which the executor is
        # known: what a job of an earlier run still finishes until then is not done again.
        workflow._build_dag = _after_earlier_runs(workflow, workflow._build_dag)


class Patient:
    """The executor's status query, of which no answer is no news."""

    def __init__(self, query: Callable):
        self.query = query
        self.silent = False
        self.seen: set[str] = set()
        self.missed: Counter[str] = Counter()

    async def __call__(self, command: str, log):
        states, seconds = await self.query(command, log)
        if states is None:
            if not self.silent:
                log.warning("SLURM does not answer; its jobs are taken to run on until it does.")
            self.silent = True
            return {}, 0.0
        if self.silent:
            log.warning("SLURM answers again.")
        self.silent = False
        return (self._judged(states) if command.startswith("squeue") else states), seconds

    def _judged(self, states: dict[str, str]) -> dict[str, str]:
        """With a state for what squeue does not show, or for which the executor has no end.

        SLURM forgets a job some minutes after its end (MinJobAge), which an outage can outlast: a
        job missed twice gets UNKNOWN, on which Snakemake looks for its files. A preempted job that
        is not requeued has ended.
        """
        missing = self.seen - states.keys()
        self.missed = Counter({job: self.missed[job] + 1 for job in missing})
        self.seen |= states.keys()
        forgotten = {job: "UNKNOWN" for job, times in self.missed.items() if times > 1}
        ended = {job: "CANCELLED" if s == "PREEMPTED" else s for job, s in states.items()}
        return ended | forgotten


def answers() -> bool:
    """Whether SLURM takes jobs; where that cannot be asked, submission will tell."""
    try:
        said = _ask("scontrol", "ping").stdout
    except subprocess.TimeoutExpired:
        return False
    except OSError:
        return True
    # One line for each controller, of which one will do.
    return "is UP" in said or "is DOWN" not in said


def _when_slurm_answers(run_job: Callable) -> Callable:
    """Submission, in one of the executor's own threads, put off while SLURM does not answer."""

    @functools.wraps(run_job)
    def run(self, job):
        said = False
        # Somebody who presses Ctrl-C does not wait for SLURM.
        while not answers() and not getattr(self.workflow.scheduler, "_user_kill", None):
            if not said:
                logger.warning("SLURM does not answer; jobs are submitted when it does.")
                said = True
            time.sleep(5)
        return run_job(self, job)

    return run


def _noted(post_init: Callable) -> Callable:
    """Start of the executor: the name of its jobs is written down before the first is submitted."""

    @functools.wraps(post_init)
    def start(self, *arguments, **options):
        post_init(self, *arguments, **options)
        with open(Path(self.workflow.persistence.path) / RUNS, "a", encoding="utf-8") as file:
            file.write(f"{self.run_uuid}\n")

    return start


def _after_earlier_runs(workflow, build: Callable) -> Callable:
    @functools.wraps(build)
    def build_dag():
        plugin, persistence = workflow.executor_plugin, workflow.persistence
        # The jobs of a controller that is alive are left to it; this run is refused when it starts.
        locked = occupied()
        # A local run after one on SLURM would be a second writer just as well.
        runs_jobs = plugin is not None and plugin.name in ("slurm", "local")
        if runs_jobs and not locked and shutil.which("squeue"):
            end_earlier_runs(Path(persistence.path) / RUNS)
        build()

    return build_dag


def end_earlier_runs(
    runs: Path,
    *,
    ask: Callable[..., subprocess.CompletedProcess] | None = None,
    pause: Callable[[float], None] = time.sleep,
    patience: int = 600,
) -> None:
    """Cancel the jobs that earlier runs left in the queue, and wait until they are gone.

    Parameters
    ----------
    runs : Path
        The names of those runs' jobs, one a line; removed when nothing of them is left.
    ask, pause
        How a command is run, and how a second is waited.
    patience : int
        Seconds until a job that does not go, as on a node that does not answer, is an error.

    Raises
    ------
    WorkflowError
        Where SLURM does not answer, or a job does not go: going on could mean two writers.
    """
    if not runs.exists():
        return
    ask = ask or _ask
    names = runs.read_text(encoding="utf-8").split()
    left = _in_queue(names, ask)
    if left:
        logger.warning(
            f"An earlier run of this folder left {len(left)} jobs in SLURM's queue: cancelling "
            f"{', '.join(left)}, and waiting until they are gone; what they finished is kept."
        )
        ask("scancel", *left)
    for _ in range(patience):
        if not left:
            break
        pause(1)
        left = _in_queue(names, ask)
    if left:
        raise WorkflowError(
            f"SLURM jobs {', '.join(left)} of an earlier run were cancelled but do not go: "
            "see squeue, and start again when they are gone."
        )
    runs.unlink()


def _in_queue(names: Sequence[str], ask: Callable) -> list[str]:
    """Jobs of these names that are pending, running or ending."""
    if not names:
        return []
    try:
        done = ask("squeue", "--all", "--noheader", "--format=%i", f"--name={','.join(names)}")
    except (OSError, subprocess.SubprocessError) as error:
        done = subprocess.CompletedProcess([], 1, "", str(error))
    if done.returncode != 0:
        raise WorkflowError(
            "SLURM does not answer, and jobs of an earlier run may still be in its queue: start "
            f"again when it does ({done.stderr.strip()})."
        )
    return done.stdout.split()


def _ask(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
