"""The executor of jobs on SLURM, without SLURM."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm import Executor as SlurmExecutor

import snakemake_executor_plugin_finitewidth_slurm as executor
from finitewidth_slurm import causes
from snakemake_executor_plugin_finitewidth_slurm.results import Results

pytestmark = pytest.mark.fast


def test_a_job_that_slurm_misses_twice_is_judged_by_its_files(tmp_path):
    results, ours = Results(), Job(tmp_path / "a.nc")
    results.before(ours)
    info = SimpleNamespace(job=ours, external_jobid="7")
    results.submitted(info)
    assert (results.knows("7"), results.knows("8"), results.open) == (True, False, {"7"})
    # Seen in between: not missed twice in a row.
    assert results.judged(info, 0) is None
    results.seen(info)
    assert results.judged(info, 0) is None
    assert results.judged(info, 1000) is None
    assert results.judged(info, 0) is False
    (tmp_path / "a.nc").write_text("new")
    assert results.judged(info, 1000) is True
    results.forget(info)
    assert (results.knows("7"), results.open) == (True, set())


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
    monkeypatch.setattr(SlurmExecutor, "__init__", lambda self, *given: None)
    scheduler = SimpleNamespace(error_callback=told.silent.append)
    settings = SimpleNamespace(status_command="squeue", requeue=False, keep_successful_logs=False)
    workflow = SimpleNamespace(
        scheduler=scheduler,
        executor_settings=settings,
        execution_settings=SimpleNamespace(latency_wait=0),
    )
    executor.Executor.__init__(ours, workflow, None)
    ours.workflow, ours.logger = workflow, SimpleNamespace(warning=told.warnings.append)
    monkeypatch.setattr(SlurmExecutor, "run_job", lambda self, job: told.submitted.append(job))
    monkeypatch.setattr(
        SlurmExecutor,
        "report_job_error",
        lambda self, info, msg=None, **kw: told.errors.append((info.job, msg)),
    )
    monkeypatch.setattr(
        SlurmExecutor, "report_job_success", lambda self, info: told.done.append(info.job)
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

    monkeypatch.setattr(SlurmExecutor, "run_job", run)
    jobs = [Job(tmp_path / str(k)) for k in range(100)]
    for each in jobs:
        controller.hold(each, "AssocMaxSubmitJobLimit")
    controller.submit_held()
    assert len(asked) == 1
    assert {each for each, _ in controller.held} == set(jobs)


def test_a_job_that_is_refused_for_good_has_no_attempt_left(controller, tmp_path, monkeypatch):
    monkeypatch.setattr(SlurmExecutor, "handle_job_error", lambda self, job: None)
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
    folder = Path(inspect.getfile(executor)).parent
    trees = [ast.parse((folder / f"{name}.py").read_text()) for name in ("__init__", "submission")]
    nodes = (node for tree in trees for node in ast.walk(tree))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not {name for name in used if re.match(r"_[^_]", name)}
    # Names of its own hide none of the parent's.
    own = {"held", "guard", "in_submission", "silent", "told", "refused", "results", "closing",
           "leaving", "ready", "ask"}  # fmt: skip
    classes = executor.Executor.__mro__
    methods = {name for c in classes[: classes.index(SlurmExecutor)] for name in vars(c)}
    replaced = {name for name in methods if hasattr(SlurmExecutor, name)}
    assert not own & set(dir(SlurmExecutor))
    assert {"run_job", "run_jobs", "check_active_jobs", "cancel", "cancel_jobs", "shutdown",
            "sleep", "report_job_error", "report_job_submission"} <= replaced  # fmt: skip


@pytest.mark.parametrize("plugin", [executor.__name__, "snakemake_logger_plugin_finitewidth"])
def test_plugins_bring_no_library_with_them(plugin):
    # Snakemake imports them at every start, and a copy of the workflow has a library of its own.
    wanted = f"import sys, {plugin}; print('finitewidth' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", wanted], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
