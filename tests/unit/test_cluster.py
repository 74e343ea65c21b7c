"""What is asked of SLURM and made of its answers, and the executor, without SLURM."""

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

from finitewidth_slurm import ask, causes, names, refusals
from finitewidth_slurm.earlier import (
    RUNS,
    EarlierRunError,
    check_there,
    end_earlier_runs,
    files_there,
    forget,
    held,
    note,
)
from finitewidth_slurm.refusals import Refusal

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
    # As it says for ever of a job that SLURM lost.
    assert ask.accounted(["1"], answer("1|RUNNING\n")) == {}


class Queue:
    """A SLURM whose jobs go some seconds after they were cancelled."""

    def __init__(self, jobs=(), goes_after=2):
        self.jobs, self.goes_after = list(jobs), goes_after
        self.cancelled, self.killed, self.seconds, self.names = [], None, 0, None

    def ask(self, *command):
        if command[0] == "scancel":
            # Asked politely, a job takes what it finished with it: first of all it is killed.
            killing = [word for word in command[1:] if word.startswith("--")]
            assert killing == (["--full", "--signal=KILL"] if self.killed is None else [])
            if killing:
                self.killed = [*command[3:]]
            else:
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
    assert queue.killed == queue.cancelled
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


def test_a_run_whose_files_went_with_an_earlier_run_says_so(tmp_path):
    results = tmp_path / "results"
    files = [results / "ensembles/a/samples/0.nc", results / "inputs/x.nc"]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    (results / ".held").mkdir()
    (results / ".held/0").touch()
    assert not files_there(tmp_path / RUNS, results)
    note(tmp_path / RUNS, "one")
    planned = files_there(tmp_path / RUNS, results)
    assert sorted(planned) == files
    check_there(planned)
    files[0].unlink()
    with pytest.raises(EarlierRunError, match=r"1 files .*samples/0.nc first: start again"):
        check_there(planned)


def test_files_that_ending_jobs_remove_are_given_back(tmp_path):
    results, store = tmp_path / "results", tmp_path / "results/.held"
    files = [results / f"ensembles/{name}.nc" for name in ("whole", "removed", "made anew")]
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.write_text("before")
    # What a run that was killed in this place left.
    store.mkdir()
    (store / "0").write_text("older")
    before = [file.stat() for file in files]
    with held(files, store):
        files[1].unlink()
        files[2].unlink()
        files[2].write_text("after")
    check_there(files)
    assert [file.read_text() for file in files] == ["before", "before", "after"]
    after = [file.stat() for file in files]
    assert [(s.st_ino, s.st_mtime_ns) for s in after[:2]] == [
        (s.st_ino, s.st_mtime_ns) for s in before[:2]
    ]
    assert not store.exists()
    # Of a run that nothing is in the way of, not even a folder.
    with held([], store):
        assert not store.exists()


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


@pytest.mark.parametrize("name", names.ELSEWHERE)
def test_jobs_go_to_no_cluster_where_nobody_follows_them(name):
    assert name in names.unknown([name], only_misspelt=True)


def test_every_resource_that_the_plugin_reads_is_known():
    code = "".join(
        path.read_text()
        for module in (plugin, jobstep)
        for path in Path(inspect.getfile(module)).parent.glob("*.py")
    )
    read = set(re.findall(r"resources\.get\(\s*\"(\w+)\"", code))
    assert len(read) > 15
    assert read <= {*names.KNOWN, *names.ELSEWHERE}
