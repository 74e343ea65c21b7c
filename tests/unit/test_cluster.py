"""What is asked of SLURM and made of its answers, and the executor, without SLURM."""

import ast
import inspect
import re
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
import snakemake_executor_plugin_slurm_jobstep as jobstep

import snakemake_executor_plugin_finitewidth_slurm as executor
from finitewidth.slurm import ask, causes, names, refusals
from finitewidth.slurm.earlier import RUNS, EarlierRunError, end_earlier_runs, forget, note
from finitewidth.slurm.refusals import Refusal
from snakemake_executor_plugin_finitewidth_slurm.results import Results

pytestmark = pytest.mark.fast


def answer(text, status=0):
    return lambda *command, **how: subprocess.CompletedProcess(command, status, text, "")


def test_a_command_that_is_not_there_does_not_end_or_is_no_longer_wanted_has_failed():
    assert ask.ask("echo", "1").stdout == "1\n"
    assert ask.ask("no-such-command").returncode == 1
    assert "did not answer" in ask.ask("sleep", "60", seconds=0.1).stderr
    stop = threading.Event()
    stop.set()
    before = time.monotonic()
    assert ask.ask("sleep", "60", stop=stop).returncode == 1
    assert time.monotonic() - before < 10


def test_states_are_read_and_no_answer_is_none():
    said = "1|RUNNING\n2_[1-3]|PENDING\n"
    assert ask.states("x", answer(said)) == {"1": "RUNNING", "2_[1-3]": "PENDING"}
    assert ask.states("x", answer("")) == {}
    assert ask.states("x", answer(said, status=1)) is None
    assert ask.accounted(["1"], answer("1|CANCELLED by 0\n")) == {"1": "CANCELLED"}
    assert ask.accounted(["1"], answer("", status=1)) == {}


class Queue:
    """A SLURM whose jobs go some seconds after they were cancelled."""

    def __init__(self, jobs=(), goes_after=2):
        self.jobs, self.goes_after = list(jobs), goes_after
        self.cancelled, self.seconds, self.names = [], 0, None

    def ask(self, *command):
        if command[0] == "scancel":
            self.cancelled += command[1:]
            return subprocess.CompletedProcess(command, 0, "", "")
        assert command[0] == "squeue"
        self.names = command[-1].removeprefix("--name=").split(",")
        gone = self.cancelled and self.seconds >= self.goes_after
        left = "" if gone else "".join(f"{job}|{place}\n" for job, place in self.jobs)
        return subprocess.CompletedProcess(command, 0, left, "")

    def pause(self, seconds):
        self.seconds += seconds


def end(folder, queue, **how):
    said = []
    end_earlier_runs(
        folder / RUNS, str(folder), said.append, ask=queue.ask, pause=queue.pause, **how
    )
    return said


def test_jobs_of_earlier_runs_of_a_folder_are_cancelled_and_waited_for(tmp_path):
    note(tmp_path / RUNS, "one")
    note(tmp_path / RUNS, "two")
    # A copy of the folder has the names as well.
    queue = Queue([("7", tmp_path), ("8", tmp_path / "copy"), ("9", tmp_path)], goes_after=3)
    (said,) = end(tmp_path, queue)
    assert (queue.cancelled, queue.seconds, queue.names) == (["7", "9"], 3, ["one", "two"])
    assert "2 jobs" in said
    assert not (tmp_path / RUNS).exists()


def test_runs_that_left_nothing_are_forgotten(tmp_path):
    queue = Queue()
    assert not end(tmp_path, queue)
    assert queue.names is None
    note(tmp_path / RUNS, "one")
    assert not end(tmp_path, queue)
    assert (queue.names, queue.cancelled, queue.seconds) == (["one"], [], 0)
    assert not (tmp_path / RUNS).exists()


def test_a_run_that_ended_takes_its_own_name_back(tmp_path):
    for name in ("one", "two"):
        note(tmp_path / RUNS, name)
    forget(tmp_path / RUNS, "two")
    assert (tmp_path / RUNS).read_text() == "one\n"
    forget(tmp_path / RUNS, "one")
    assert not (tmp_path / RUNS).exists()
    forget(tmp_path / RUNS, "one")


def test_jobs_that_do_not_go_and_a_silent_slurm_are_errors(tmp_path):
    note(tmp_path / RUNS, "one")
    with pytest.raises(EarlierRunError, match="7 of an earlier run"):
        end(tmp_path, Queue([("7", tmp_path)], goes_after=100), patience=5)
    silent = Queue()
    silent.ask = answer("Unable to contact slurm controller", status=1)
    with pytest.raises(EarlierRunError, match="does not answer"):
        end(tmp_path, silent)
    # Still to be asked after.
    assert (tmp_path / RUNS).read_text() == "one\n"


#: As SLURM words them (slurm_errno.c, and the names of limits), and what each means.
SENTENCES = {
    "Unable to contact slurm controller (connect failure)": Refusal.UNHEARD,
    "Socket timed out on send/recv operation": Refusal.UNHEARD,
    "Zero Bytes were transmitted or received": Refusal.UNHEARD,
    "Slurm backup controller in standby mode": Refusal.UNHEARD,
    "Required partition not available (inactive or drain)": Refusal.FOR_A_TIME,
    "Requested partition configuration not available now": Refusal.FOR_A_TIME,
    "Slurm temporarily unable to accept job, sleeping and retrying": Refusal.FOR_A_TIME,
    "Resource temporarily unavailable": Refusal.FOR_A_TIME,
    "AssocMaxSubmitJobLimit": Refusal.FOR_A_TIME,
    "AssocGrpSubmitJobsLimit": Refusal.FOR_A_TIME,
    "QOSMaxSubmitJobPerUserLimit": Refusal.FOR_A_TIME,
    "QOSGrpSubmitJobsLimit": Refusal.FOR_A_TIME,
    "Reached jobs per hour limit": Refusal.FOR_A_TIME,
    "QOSMaxWallDurationPerJobLimit": Refusal.FOR_GOOD,
    "QOSMaxMemoryPerJob": Refusal.FOR_GOOD,
    "AssocMaxWallDurationPerJobLimit": Refusal.FOR_GOOD,
    "Invalid partition name specified": Refusal.FOR_GOOD,
    "Invalid account or account/partition combination specified": Refusal.FOR_GOOD,
    "Requested time limit is invalid (missing or exceeds some limit)": Refusal.FOR_GOOD,
    "Requested node configuration is not available": Refusal.FOR_GOOD,
    "Memory specification can not be satisfied": Refusal.FOR_GOOD,
    "Invalid qos specification": Refusal.FOR_GOOD,
    "User's group not permitted to use this partition": Refusal.FOR_GOOD,
    "No partition specified or system default partition": Refusal.FOR_GOOD,
    "Invalid generic resource (gres) specification": Refusal.FOR_GOOD,
}
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.mark.parametrize(("sentence", "kind"), SENTENCES.items())
def test_a_refusal_lasts_as_long_as_its_sentence_says(sentence, kind):
    message = f"The error message was 'sbatch: error: {sentence}'.\n    sbatch call:\n sbatch -p x"
    assert refusals.said(message) == sentence
    assert refusals.kind(sentence, lambda: False) is kind
    if "imit" in sentence and "(" not in sentence:
        assert refusals.kind(f"{sentence}; {POLICY}", lambda: False) is kind


def test_a_limit_without_a_name_is_one_on_their_number_if_there_are_jobs():
    assert refusals.kind(POLICY, lambda: True) is Refusal.FOR_A_TIME
    assert refusals.kind(POLICY, lambda: False) is Refusal.FOR_GOOD


def test_the_cause_is_what_the_script_said_or_slurm_or_the_disk(tmp_path, monkeypatch):
    log = tmp_path / "1.log"
    script = "sample_quick: 'a/b' cannot be written (log: results/logs/sample/quick.log)"
    step = "slurmstepd: error: Step 1.0 exceeded memory limit (9 > 8), being killed"
    follows = "srun: error: cpu1: task 0: Exited with exit code 1"
    log.write_text(f"noise\n{step}\n{script}\nsample_quick: noise\n{follows}\n")
    assert causes.cause("sample_quick", log, str(tmp_path)) == "'a/b' cannot be written"
    assert "exceeded memory limit" in causes.cause("another", log, str(tmp_path))
    log.write_text(follows)
    assert causes.cause("sample_quick", log, str(tmp_path)) == ""
    assert causes.cause("sample_quick", None, str(tmp_path)) == ""
    # A disk so full that the log holds nothing.
    full = SimpleNamespace(f_bavail=1, f_frsize=4096, f_files=100, f_favail=100)
    monkeypatch.setattr(causes.os, "statvfs", lambda folder: full)
    assert causes.cause("x", tmp_path / "none", "here") == "no space is left on the disk of here"


def test_causes_in_different_files_are_of_one_kind():
    one, other = (f"results/{k}.nc cannot be written; {k} MiB are free" for k in (1, 2))
    assert causes.kind_of(one) == causes.kind_of(other) != causes.kind_of("something else")
    one, other = (f"[Errno 28] No space left on device: '{k}'" for k in "ab")
    assert causes.kind_of(one) == causes.kind_of(other)


@pytest.mark.parametrize("name", ["slurm_partiton", "gpu_partion", "slurm_acount", "mem_MB", "run"])
def test_a_misspelt_resource_is_refused_with_the_known_ones_named(name):
    for only_misspelt in (True, False):
        problem = names.unknown(["mem_mb", name], only_misspelt)
        # One that resembles none may be another executor's.
        if problem is None:
            assert only_misspelt
            continue
        assert name in problem
        assert "gpu_partition" in problem
    assert names.unknown(["lsf_queue"], only_misspelt=True) is None
    assert names.unknown(["lsf_queue"]) is not None
    assert names.unknown(names.KNOWN) is None


def test_every_resource_that_the_plugin_reads_is_known():
    code = "".join(
        path.read_text()
        for module in (plugin, jobstep)
        for path in Path(inspect.getfile(module)).parent.glob("*.py")
    )
    read = set(re.findall(r"resources\.get\(\s*\"(\w+)\"", code))
    assert len(read) > 15
    assert read <= set(names.KNOWN)


def test_a_job_that_slurm_misses_twice_is_judged_by_its_files(tmp_path):
    results, ours = Results(), Job(tmp_path / "a.nc")
    results.before(ours)
    info = SimpleNamespace(job=ours, external_jobid="7")
    results.submitted(info)
    assert (results.knows("7"), results.knows("8")) == (True, False)
    # Seen in between: not missed twice in a row.
    assert results.judged(info, 0) is None
    results.seen(info)
    assert results.judged(info, 0) is None
    assert results.judged(info, 1000) is None
    assert results.judged(info, 0) is False
    (tmp_path / "a.nc").write_text("new")
    assert results.judged(info, 1000) is True


def test_the_file_of_an_earlier_run_is_not_that_of_a_forgotten_job(tmp_path):
    file = tmp_path / "a.nc"
    file.write_text("old")
    results, ours = Results(), Job(file)
    results.before(ours)
    info = SimpleNamespace(job=ours, external_jobid="7")
    assert [results.judged(info, 0) for _ in range(2)] == [None, False]
    another = tmp_path / "b"
    another.write_text("new")
    another.replace(file)
    assert results.judged(info, 0) is True


class Job:
    """A job with one file."""

    restart_times = 3

    def __init__(self, file, attempt=1):
        self.output, self.name, self.attempt = [str(file)], "x", attempt
        self.resources = {}


@pytest.fixture
def controller(tmp_path, monkeypatch):
    """An executor that has begun, whose parent and terminal note what they are told."""
    monkeypatch.chdir(tmp_path)
    told = SimpleNamespace(submitted=[], errors=[], silent=[], warnings=[], done=[])
    ours = object.__new__(executor.Executor)
    monkeypatch.setattr(executor.SlurmExecutor, "__init__", lambda self, *given: None)
    scheduler = SimpleNamespace(error_callback=told.silent.append)
    settings = SimpleNamespace(status_command="squeue", requeue=False, keep_successful_logs=False)
    workflow = SimpleNamespace(
        scheduler=scheduler,
        executor_settings=settings,
        execution_settings=SimpleNamespace(latency_wait=0),
    )
    executor.Executor.__init__(ours, workflow, None)
    ours.workflow, ours.logger = workflow, SimpleNamespace(warning=told.warnings.append)
    monkeypatch.setattr(
        executor.SlurmExecutor, "run_job", lambda self, job: told.submitted.append(job)
    )
    monkeypatch.setattr(
        executor.SlurmExecutor,
        "report_job_error",
        lambda self, info, msg=None, **kw: told.errors.append((info.job, msg)),
    )
    monkeypatch.setattr(
        executor.SlurmExecutor, "report_job_success", lambda self, info: told.done.append(info.job)
    )
    ours.told_to = told
    return ours


def refused(job, sentence):
    message = f"SLURM sbatch failed. The error message was 'sbatch: error: {sentence}'.\n"
    return SimpleNamespace(job=job, external_jobid=None), message


def test_jobs_that_are_refused_for_a_time_keep_their_attempt(controller, tmp_path):
    told = controller.told_to
    jobs = [Job(tmp_path / name) for name in "abc"]
    for each in jobs:
        controller.report_job_error(*refused(each, "AssocMaxSubmitJobLimit"))
    assert not told.errors
    assert not told.silent
    assert len(told.warnings) == 1
    controller.submit_held()
    assert told.submitted == jobs
    assert not controller.held


def test_one_refusal_stands_for_the_others_until_the_next_look(controller, tmp_path, monkeypatch):
    asked = []

    def run(self, job):
        asked.append(job)
        self.report_job_error(*refused(job, "AssocMaxSubmitJobLimit"))

    monkeypatch.setattr(executor.SlurmExecutor, "run_job", run)
    jobs = [Job(tmp_path / str(k)) for k in range(100)]
    for each in jobs:
        controller.hold(each, "AssocMaxSubmitJobLimit")
    controller.submit_held()
    assert len(asked) == 1
    assert {each for each, _ in controller.held} == set(jobs)


def test_a_job_that_is_refused_for_good_has_no_attempt_left(controller, tmp_path, monkeypatch):
    monkeypatch.setattr(executor.SlurmExecutor, "handle_job_error", lambda self, job: None)
    first, second = Job(tmp_path / "a"), Job(tmp_path / "b")
    for each in (first, second):
        controller.report_job_error(*refused(each, "Invalid partition name specified"))
        controller.handle_job_error(each)
    ((job, message),) = controller.told_to.errors
    assert (job, controller.told_to.silent) == (first, [second])
    assert "Invalid partition name specified" in message
    assert [each.attempt for each in (first, second)] == [4, 4]


def test_an_outage_holds_jobs_without_asking_for_each(controller, tmp_path):
    silent = "Unable to contact slurm controller (connect failure)"
    controller.report_job_error(*refused(Job(tmp_path / "a"), silent))
    controller.run_job(Job(tmp_path / "b"))
    assert len(controller.held) == 2
    assert not controller.told_to.submitted
    assert len(controller.told_to.warnings) == 1


def test_nothing_is_submitted_after_ctrl_c_and_after_sigterm_jobs_are_given_back(
    controller, tmp_path
):
    first, second = Job(tmp_path / "a"), Job(tmp_path / "b")
    controller.leaving.set()
    controller.run_job(first)
    assert controller.told_to.silent == [first]
    controller.closing.set()
    controller.run_job(second)
    # sbatch, which a terminal's Ctrl-C reaches, too.
    controller.report_job_error(SimpleNamespace(job=second, external_jobid=None), "died")
    assert not controller.told_to.submitted
    assert not controller.told_to.errors


def test_a_cause_is_told_once_over_attempts_and_jobs(controller, tmp_path, monkeypatch):
    monkeypatch.setattr(causes, "cause", lambda rule, log, folder: f"no space for '{rule}'")
    one, last = Job(tmp_path / "a"), Job(tmp_path / "a", attempt=4)
    for number, each in enumerate((one, one, last)):
        info = SimpleNamespace(job=each, external_jobid=str(number), aux={})
        assert controller.has_ended(info, "FAILED")
    first, final = (message for _, message in controller.told_to.errors)
    assert "no space for" in first
    assert "no space for" not in final
    assert controller.told_to.silent == [one]


@pytest.mark.parametrize(
    ("state", "over"),
    [("PREEMPTED", True), ("TIMEOUT", True), ("NODE_FAIL", True), ("COMPLETED", True)]
    + [(state, False) for state in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED")],
)
def test_each_state_of_slurm_is_an_end_or_none(controller, tmp_path, state, over):
    info = SimpleNamespace(job=Job(tmp_path / "a"), external_jobid="1", aux={})
    assert controller.has_ended(info, state) is over
    assert len(controller.told_to.errors) == (over and state != "COMPLETED")
    assert len(controller.told_to.done) == (state == "COMPLETED")


def test_a_job_whose_answer_was_lost_is_ended_before_it_is_submitted_again(controller):
    controller.results.submitted(SimpleNamespace(external_jobid="1"))
    cancelled = []
    controller.ask = lambda *command: cancelled.append(command)
    states = {"1": "RUNNING", "2": "PENDING", "3": "FAILED"}
    assert controller.end_unheard(states)
    assert cancelled == [("scancel", "2")]
    assert not controller.end_unheard({"1": "RUNNING"})


def test_neither_account_nor_partition_is_asked_for_where_none_is_given(controller, monkeypatch):
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS", raising=False)
    controller.workflow.executor_settings.partition_config = None
    each = Job("a")
    assert next(controller.get_account_arg(each)) == ""
    assert controller.get_partition_arg(each) == ""
    each.resources = {"slurm_account": "one; two"}
    assert next(controller.get_account_arg(each)) == " -A 'one;'"


def test_nothing_private_of_the_parent_is_used():
    tree = ast.parse(Path(inspect.getfile(executor)).read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in used if re.match(r"_[^_]", name)}
    # Names of its own hide none of the parent's.
    own = {"held", "guard", "in_submission", "silent", "told", "refused", "results", "closing",
           "leaving", "ready", "ask"}  # fmt: skip
    methods = set(vars(executor.Executor)) - set(vars(object))
    replaced = {name for name in methods if hasattr(executor.SlurmExecutor, name)}
    assert not own & set(dir(executor.SlurmExecutor))
    assert {"run_job", "run_jobs", "check_active_jobs", "cancel", "cancel_jobs", "shutdown",
            "sleep", "report_job_error", "report_job_submission"} <= replaced  # fmt: skip
