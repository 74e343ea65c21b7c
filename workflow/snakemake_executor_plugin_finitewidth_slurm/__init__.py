"""Snakemake's SLURM executor, with patience: what it leaves to chance is made safe here.

A subclass of the public executor of ``snakemake-executor-plugin-slurm``, which submits each job as
ever. Its own are: how the state of jobs is asked for, what becomes of a job that SLURM does not
take, and how a run ends (docs/cluster.md). Snakemake finds this package by its name.
"""

import asyncio
import os
import re
import shlex
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings as SlurmSettings
from snakemake_executor_plugin_slurm import common_settings as common_settings
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finitewidth.slurm import ask, causes, earlier, names, refusals
from finitewidth.slurm.refusals import Refusal
from snakemake_executor_plugin_finitewidth_slurm.results import Results

#: States in which a job has ended, and not well.
FAILED = {
    "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
}  # fmt: skip
SILENCE = "SLURM does not answer"


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


class Executor(SlurmExecutor):
    """Submits through its parent; ``held`` are the jobs that SLURM does not take for a time."""

    def __init__(self, workflow, logger):
        # Before the parent starts its thread, which looks after jobs.
        self.held: list = []
        self.guard = threading.Lock()
        self.in_submission = 0
        self.silent = False
        self.told: set = set()
        self.refused: set = set()
        self.results = Results()
        #: Set by Ctrl-C: nothing is submitted, all is cancelled. By SIGTERM: nothing is submitted.
        self.closing, self.leaving = threading.Event(), threading.Event()
        self.ready = False
        self.ask = partial(ask.ask, stop=self.closing)
        super().__init__(workflow, logger)

    def __post_init__(self, test_mode: bool = False):
        super().__post_init__(test_mode)
        if self.array_jobs:
            raise WorkflowError("Array jobs are not supported: submit jobs one by one.")
        resources = self.workflow.resource_settings.default_resources or {}
        if problem := names.unknown(resources):
            raise WorkflowError(problem)

    # Submission. In one of the parent's threads, or in the thread that looks after jobs.

    def run_jobs(self, jobs):
        if not self.ready:
            self.begin()
        super().run_jobs(jobs)

    def begin(self):
        """Before the first job: end what an earlier run left, and leave word of this one."""
        runs = Path(self.workflow.persistence.path) / earlier.RUNS
        try:
            earlier.end_earlier_runs(runs, os.getcwd(), self.logger.warning)
        except earlier.EarlierRunError as error:
            raise WorkflowError(str(error)) from None
        earlier.note(runs, self.run_uuid)
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGTERM)

            def leave(*received):
                self.leaving.set()
                if callable(before):
                    before(*received)

            signal.signal(signal.SIGTERM, leave)
        self.ready = True

    def run_job(self, job):
        if self.closing.is_set():
            return
        if self.leaving.is_set():
            self.workflow.scheduler.error_callback(job)
            return
        if self.silent:
            self.hold(job, SILENCE)
            return
        with self.guard:
            self.in_submission += 1
        try:
            self.results.before(job)
            super().run_job(job)
        finally:
            with self.guard:
                self.in_submission -= 1

    def report_job_submission(self, job_info, register_job: bool = True):
        # Its number is known from now on, whether or not SLURM ever shows it.
        self.results.submitted(job_info)
        super().report_job_submission(job_info, register_job=register_job)

    def report_job_error(self, job_info, msg=None, **kwargs):
        if job_info.external_jobid is not None:
            super().report_job_error(job_info, msg=msg, **kwargs)
            return
        # A terminal's Ctrl-C reaches sbatch as well, and sooner than this process.
        if self.closing.wait(0 if refusals.said(msg or "") else 1):
            return
        self.not_submitted(job_info, msg or "")

    def not_submitted(self, job_info, message: str):
        """Wait, or fail at once, by what SLURM says; other errors fail as ever."""
        said = refusals.said(message)
        kind = refusals.kind(said or message, partial(ask.has_jobs, self.ask))
        if kind is Refusal.UNHEARD:
            self.silent = True
            self.hold(job_info.job, SILENCE)
        elif kind is Refusal.FOR_A_TIME:
            self.hold(job_info.job, said)
        elif said:
            self.refused.add(job_info.job)
            self.fail_once(job_info, said, f"SLURM does not take this job: {said}. ")
        else:
            super().report_job_error(job_info, msg=message)

    def hold(self, job, why: str):
        """Keep a job until SLURM takes it; the reason is said once."""
        with self.guard:
            self.held.append((job, why))
        if self.tell_once(why):
            self.logger.warning(
                f"{SILENCE}; jobs are submitted, and looked after, when it does."
                if why == SILENCE
                else f"SLURM takes no more jobs for now, and is asked again until it does: {why}"
            )

    def submit_held(self):
        """Ask again for jobs that SLURM did not take: of each kind as many as it takes now."""
        with self.guard:
            held, self.held = self.held, []
        refused = set()
        for job, why in held:
            kind = (why, job.resources.get("slurm_partition"))
            if kind in refused:
                self.hold(job, why)
                continue
            self.run_job(job)
            with self.guard:
                if any(other is job for other, _ in self.held):
                    refused.add(kind)

    def handle_job_error(self, job):
        super().handle_job_error(job)
        if job in self.refused:
            # It would be refused again: no attempt is left.
            job.attempt = job.restart_times + 1

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
        ended = {*FAILED, "COMPLETED"}
        unheard = [
            number
            for number, state in states.items()
            if state not in ended and not self.results.knows(number)
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
                Path(log).unlink(missing_ok=True)
        elif state in FAILED and not (
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

    def fail_once(self, job_info, kind: str, message: str, **details):
        """Fail a job; of causes of a kind the first is told, and of others that a job gave up."""
        job = job_info.job
        if self.tell_once(kind):
            super().report_job_error(job_info, msg=message, **details)
        elif job in self.refused or job.attempt <= job.restart_times:
            self.workflow.scheduler.error_callback(job)
        else:
            super().report_job_error(job_info, msg="It failed as told above. ", **details)

    def tell_once(self, what: str) -> bool:
        """Whether this is the first time that something is told."""
        with self.guard:
            first = what not in self.told
            self.told.add(what)
        return first

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
        if self.ready and not self.closing.is_set() and not self.active_jobs:
            runs = Path(self.workflow.persistence.path) / earlier.RUNS
            earlier.forget(runs, self.run_uuid)

    # What is asked of the site: nothing that the profile does not say.

    def get_account_arg(self, job):
        """The account, if one is given; otherwise SLURM's own for the user, which is not asked for.

        Whether it may be used says SLURM itself: not every site has a database to ask.
        """
        given = re.split(r"[,\s]+", str(job.resources.get("slurm_account") or "").strip())
        for account in given:
            yield f" -A {shlex.quote(account)}" if account else ""

    def get_partition_arg(self, job):
        settings = self.workflow.executor_settings
        chosen = settings.partition_config or os.getenv("SNAKEMAKE_SLURM_PARTITIONS")
        if chosen or job.resources.get("slurm_partition"):
            return super().get_partition_arg(job)
        return ""
