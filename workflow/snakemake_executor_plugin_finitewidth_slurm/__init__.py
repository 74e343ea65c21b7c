"""Snakemake's SLURM executor, with patience: what it leaves to chance is made safe here.

A subclass of the public executor of ``snakemake-executor-plugin-slurm``, which submits each job as
ever. Its own are: how the state of jobs is asked for, what becomes of a job that SLURM does not
take, and how a run ends (docs/cluster.md). Snakemake finds this package by its name.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_slurm import ExecutorSettings as SlurmSettings
from snakemake_executor_plugin_slurm import common_settings as common_settings
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finitewidth_slurm import ask, causes, earlier
from snakemake_executor_plugin_finitewidth_slurm.submission import SILENCE, Submission


@dataclass
class ExecutorSettings(SlurmSettings):
    """Those of the SLURM executor; jobs are looked up in another way."""

    status_command: str = field(
        default="squeue",
        metadata={
            "help": "Where to look for a job that squeue does not show any more: 'sacct' asks the "
            "accounting database, 'squeue' (default) nobody, and its files decide.",
            "env_var": False,
            "required": False,
        },
    )


class Executor(Submission):
    """Looks after the jobs that were submitted."""

    # Looking after jobs, in a thread of its own.

    async def check_active_jobs(self, active_jobs):
        if not active_jobs and not self.held:
            return
        async with self.status_rate_limiter:
            states = await asyncio.to_thread(ask.states, self.run_uuid, self.ask)
        if states is None:
            self.silence()
            for job_info in active_jobs:
                yield job_info
            return
        if self.silent:
            self.logger.warning("SLURM answers again.")
            self.told.discard(SILENCE)
            self.silent = False
        missing = [j.external_jobid for j in active_jobs if j.external_jobid not in states]
        if missing and self.workflow.executor_settings.status_command == "sacct":
            states |= await asyncio.to_thread(ask.accounted, missing, self.ask)
        for job_info in active_jobs:
            if not self.has_ended(job_info, states.get(job_info.external_jobid)):
                yield job_info
        if self.held and not await asyncio.to_thread(self.end_unheard, states):
            await asyncio.to_thread(self.submit_held)

    def silence(self):
        """SLURM did not answer: no news of any job."""
        self.silent = True
        if not self.closing.is_set() and self.tell_once(SILENCE):
            self.logger.warning(f"{SILENCE}; its jobs are taken to run on until it does.")

    def end_unheard(self, states: dict[str, str]) -> bool:
        """Cancel jobs that SLURM took but could not say so: they are about to be submitted again.

        Returns whether there were any.
        """
        with self.guard:
            if self.in_submission:
                # One of the jobs may be this one, whose number is not known yet.
                return False
        unheard = [
            number
            for number, state in states.items()
            if state not in ask.ENDED and not self.results.knows(number)
        ]
        if unheard:
            self.ask("scancel", *unheard)
        return bool(unheard)

    def has_ended(self, job_info, state: str | None) -> bool:
        """Whether a job is over, which is then reported."""
        if state is None:
            return self.forgotten(job_info)
        self.results.seen(job_info)
        if state == "COMPLETED":
            self.report_job_success(job_info)
            log = job_info.aux.get("slurm_logfile")
            if log is not None and not self.workflow.executor_settings.keep_successful_logs:
                # Nor does a log that cannot be removed end the run.
                with contextlib.suppress(OSError):
                    Path(log).unlink()
        elif state in ask.FAILED and not (
            state in ("NODE_FAIL", "PREEMPTED") and self.workflow.executor_settings.requeue
        ):
            self.failed(job_info, state)
        else:
            return False
        self.results.forget(job_info)
        return True

    def forgotten(self, job_info) -> bool:
        """Judge a job that SLURM does not know any more by its files, once they had time to show.

        SLURM forgets jobs some minutes after their end, and all of them where its state is lost.
        """
        patience = self.workflow.execution_settings.latency_wait
        there = self.results.judged(job_info, patience)
        if there is None:
            return False
        if there:
            self.report_job_success(job_info)
        else:
            what = f"SLURM job {job_info.external_jobid}"
            message = f"{what} is forgotten by SLURM, and its files are not there. "
            self.report_job_error(job_info, msg=message)
        self.results.forget(job_info)
        return True

    def failed(self, job_info, state: str):
        """Report a failed job, with the cause where somebody knows it."""
        log = job_info.aux.get("slurm_logfile")
        told = causes.cause(job_info.job.name, log and Path(log), os.getcwd())
        what = f"SLURM job {job_info.external_jobid} ended as {state}"
        # Without a cause each attempt has its own end.
        kind = causes.kind_of(told) if told else job_info.external_jobid
        logs = {"aux_logs": [str(log)]} if log else {}
        self.fail_once(job_info, kind, f"{what}: {told}. " if told else f"{what}. ", **logs)

    async def sleep(self):
        # In steps, since a run that ends waits for this.
        end = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and time.monotonic() < end:
            await asyncio.sleep(min(0.2, self.next_seconds_between_status_checks))
            if self.leaving.is_set() and self.held:
                await asyncio.to_thread(self.submit_held)

    # The end.

    def cancel(self):
        self.closing.set()
        main = threading.current_thread() is threading.main_thread()
        # A second Ctrl-C would leave jobs behind; this takes seconds.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        try:
            super().cancel()
            # Those that were on their way to SLURM.
            self.cancel_jobs([])
        finally:
            if main:
                signal.signal(signal.SIGINT, before)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]):
        if self.ready and not ask.cancel(self.run_uuid) and self.tell_once("not cancelled"):
            self.logger.warning(
                f"{SILENCE}: jobs may be left in its queue ({self.run_uuid}); the next run of this "
                "folder cancels them."
            )

    def shutdown(self):
        super().shutdown()
        if self.ready and not self.closing.is_set() and not self.results.open:
            runs = Path(self.workflow.persistence.path) / earlier.RUNS
            earlier.forget(runs, self.run_uuid)
