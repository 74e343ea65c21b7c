"""Submission to SLURM, and what becomes of a job that it does not take."""

import os
import re
import shlex
import signal
import threading
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_interface_common.exceptions import WorkflowError

from finitewidth_slurm import ask, earlier, names, refusals
from finitewidth_slurm.refusals import Refusal
from snakemake_executor_plugin_finitewidth_slurm.results import Results

SILENCE = "SLURM does not answer"


class Submission(SlurmExecutor):
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
            earlier.note(runs, self.run_uuid)
        except (earlier.EarlierRunError, OSError) as error:
            raise WorkflowError(str(error)) from None
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
