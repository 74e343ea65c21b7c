"""What is changed of the SLURM executor, without SLURM."""

import asyncio
import logging
import subprocess
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake.api import Workflow
from snakemake.exceptions import WorkflowError

import cluster
from cluster import RUNS, Patient, end_earlier_runs, make_safe

pytestmark = pytest.mark.fast

SQUEUE, SACCT = "squeue --name x", "sacct --name x"
LOG = logging.getLogger("test")


def asked(patient, answers, command=SQUEUE):
    """What the executor is told, look by look."""
    given = iter(answers)

    async def query(command, log):
        states = next(given)
        return (None, None) if states is None else (states, 0.1)

    patient.query = query
    return [asyncio.run(patient(command, LOG))[0] for _ in answers]


def test_no_answer_is_no_news_and_said_once(caplog):
    running = {"1": "RUNNING"}
    told = asked(Patient(None), [running, None, None, running, None])
    assert told == [running, {}, {}, running, {}]
    said = [record.message for record in caplog.records]
    assert ["answers again" in line for line in said] == [False, True, False]


def test_a_job_that_squeue_misses_twice_in_a_row_is_judged_by_its_files():
    both, one = {"1": "RUNNING", "2": "RUNNING"}, {"1": "RUNNING"}
    told = asked(Patient(None), [both, one, both, one, None, one, one])
    unknown = one | {"2": "UNKNOWN"}
    assert told == [both, one, both, one, {}, unknown, unknown]
    # The accounting database lags behind, and forgets nothing.
    assert asked(Patient(None), [both, one, one, one], SACCT) == [both, one, one, one]


def test_a_preempted_job_has_ended():
    assert asked(Patient(None), [{"1": "PREEMPTED"}]) == [{"1": "CANCELLED"}]


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
        left = "" if gone else "\n".join(self.jobs)
        return subprocess.CompletedProcess(command, 0, left, "")

    def pause(self, seconds):
        self.seconds += seconds


def test_jobs_of_earlier_runs_are_cancelled_and_waited_for(tmp_path, caplog):
    runs = tmp_path / RUNS
    runs.write_text("one\ntwo\n")
    queue = Queue(["7", "9"], goes_after=3)
    end_earlier_runs(runs, ask=queue.ask, pause=queue.pause)
    assert (queue.cancelled, queue.seconds, queue.names) == (["7", "9"], 3, ["one", "two"])
    assert not runs.exists()


def test_runs_that_left_nothing_are_forgotten(tmp_path):
    queue = Queue()
    end_earlier_runs(tmp_path / RUNS, ask=queue.ask, pause=queue.pause)
    assert queue.names is None
    (tmp_path / RUNS).write_text("one\n")
    end_earlier_runs(tmp_path / RUNS, ask=queue.ask, pause=queue.pause)
    assert (queue.names, queue.cancelled, queue.seconds) == (["one"], [], 0)
    assert not (tmp_path / RUNS).exists()


def test_jobs_that_do_not_go_and_a_silent_slurm_are_errors(tmp_path):
    runs = tmp_path / RUNS
    runs.write_text("one\n")
    queue = Queue(["7"], goes_after=100)
    with pytest.raises(WorkflowError, match="7 of an earlier run"):
        end_earlier_runs(runs, ask=queue.ask, pause=queue.pause, patience=5)

    def silent(*command):
        return subprocess.CompletedProcess(command, 1, "", "Unable to contact slurm controller")

    def absent(*command):
        raise FileNotFoundError("squeue")

    for ask in (silent, absent):
        with pytest.raises(WorkflowError, match="does not answer"):
            end_earlier_runs(runs, ask=ask, pause=queue.pause)
    # Still to be asked after.
    assert runs.read_text() == "one\n"


def test_slurm_answers_unless_it_says_that_it_is_down_or_says_nothing(monkeypatch):
    def after(said):
        def ask(*command):
            if isinstance(said, Exception):
                raise said
            return subprocess.CompletedProcess(command, 0, said, "")

        monkeypatch.setattr(cluster, "_ask", ask)
        return cluster.answers()

    up, down = "Slurmctld(primary) at a is UP\n", "Slurmctld(backup) at b is DOWN\n"
    assert [after(said) for said in (up, up + down, "", FileNotFoundError())] == [True] * 4
    assert [after(said) for said in (down, subprocess.TimeoutExpired("x", 1))] == [False] * 2


def test_submission_waits_for_slurm_but_not_for_somebody_who_stops_it(monkeypatch):
    answers = iter([False, False, True])
    waited, submitted = [], []
    monkeypatch.setattr(cluster, "answers", lambda: next(answers))
    monkeypatch.setattr(cluster.time, "sleep", waited.append)
    submit = cluster._when_slurm_answers(lambda self, job: submitted.append(job))
    executor = SimpleNamespace(workflow=SimpleNamespace(scheduler=SimpleNamespace(_user_kill=None)))
    submit(executor, "a job")
    assert (waited, submitted) == ([5, 5], ["a job"])
    monkeypatch.setattr(cluster, "answers", lambda: False)
    executor.workflow.scheduler._user_kill = "graceful"
    submit(executor, "another")
    assert (len(waited), submitted) == (2, ["a job", "another"])


@pytest.fixture
def controller(tmp_path, monkeypatch):
    """A controller, and an executor whose changes are taken back."""
    monkeypatch.setattr(plugin, "query_job_status", plugin.query_job_status)
    for name in ("run_job", "__post_init__"):
        monkeypatch.setattr(plugin.Executor, name, getattr(plugin.Executor, name))
    built = []
    return SimpleNamespace(
        is_main_process=True,
        executor_plugin=SimpleNamespace(name="slurm"),
        persistence=SimpleNamespace(path=tmp_path),
        _build_dag=lambda: built.append(True),
        built=built,
    )


def test_the_executor_and_the_workflow_have_the_parts_that_are_replaced(controller):
    for name in ("query_job_status", "Executor"):
        assert hasattr(plugin, name)
    assert hasattr(Workflow, "_build_dag")
    before = plugin.query_job_status, plugin.Executor.run_job, plugin.Executor.__post_init__
    make_safe(controller)
    after = plugin.query_job_status, plugin.Executor.run_job, plugin.Executor.__post_init__
    assert after[0].query is before[0]
    assert [now.__wrapped__ for now in after[1:]] == list(before[1:])
    make_safe(controller)
    assert after == (
        plugin.query_job_status, plugin.Executor.run_job, plugin.Executor.__post_init__
    )  # fmt: skip


def test_jobs_and_controllers_without_the_executor_stay_as_they_are(controller, monkeypatch):
    before = plugin.query_job_status
    controller.is_main_process = False
    make_safe(controller)
    controller.is_main_process = True
    monkeypatch.delitem(cluster.sys.modules, cluster.PLUGIN)
    make_safe(controller)
    assert plugin.query_job_status is before


@pytest.mark.parametrize(
    ("executor", "squeue", "others", "looked"),
    [
        ("slurm", "/bin/squeue", False, True),
        ("slurm", "/bin/squeue", True, False),
        ("local", "/bin/squeue", False, True),
        ("local", None, False, False),
        ("dryrun", "/bin/squeue", False, False),
    ],
)
def test_earlier_runs_are_ended_before_files_are_looked_at(
    controller, monkeypatch, tmp_path, executor, squeue, others, looked
):
    asked_after = []

    def end(runs):
        assert not controller.built
        asked_after.append(runs)

    monkeypatch.setattr(cluster, "end_earlier_runs", end)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: squeue)
    make_safe(controller)
    controller.executor_plugin.name = executor
    monkeypatch.setattr(cluster, "occupied", lambda: others)
    controller._build_dag()
    assert asked_after == ([tmp_path / RUNS] if looked else [])
    assert controller.built == [True]


def test_the_name_of_a_runs_jobs_is_written_down_beside_earlier_ones(controller, tmp_path):
    (tmp_path / RUNS).write_text("one\n")

    def post_init(self):
        self.run_uuid = "two"

    cluster._noted(post_init)(SimpleNamespace(workflow=controller))
    assert (tmp_path / RUNS).read_text() == "one\ntwo\n"
