"""What a person sees of `python -m finitewidth run`: one line of progress, and no traceback."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from running import KINDS, ROOT

#: Two jobs that wait, one that fails as ours do, and one that is killed.
SNAKEFILE = """
rule all:
    input: "a", "b"
rule wait:
    output: "{name}"
    wildcard_constraints: name="[ab]"
    log: "{name}.log"
    shell: "sleep 1; touch {output}"
rule fail:
    output: "c"
    log: "c.log"
    shell: "echo 'fail: no luck (log: c.log)' >&2; exit 1"
rule die:
    output: "d"
    log: "d.log"
    shell: "kill -9 $$"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def command(*arguments):
    words = [sys.executable, "-m", "finitewidth", "run", "--cores", "1", *arguments]
    return [str(word) for word in words]


def run(folder, *arguments):
    """Status and output, as of a pipe."""
    done = subprocess.run(
        command("-s", folder / "Snakefile", *arguments), cwd=folder, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stdout


def on_a_terminal(folder, *arguments, interrupts=()):
    """Status and output on a terminal where Ctrl-C is pressed: after which words, and how often."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        words = command(*arguments)
        os.execv(words[0], words)
    said, left, end = "", list(interrupts), time.monotonic() + 200
    while True:
        if time.monotonic() > end:
            os.killpg(process, signal.SIGKILL)
            pytest.fail(f"the run has not ended after 200 s; it said: {said}")
        if left and left[0] in said:
            os.write(terminal, b"\x03")
            left.pop(0)
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                said += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


def last_lines(said):
    """What stays on the terminal: without what was drawn over, and without the key itself, which a
    terminal shows even after the run's last word."""
    said = re.sub(r"[^\n]*\r\x1b\[K", "", said.replace("\r\n", "\n"))
    return said.replace("^C", "").splitlines()


def test_a_terminal_has_one_line_that_is_drawn_over_and_then_the_end(folder):
    status, said = on_a_terminal(folder, "-s", "Snakefile")
    assert status == 0, said
    assert re.search(r"\r\x1b\[K\d of 3 jobs done; running wait [ab]", said)
    (line,) = last_lines(said)
    assert re.fullmatch(r"All 3 jobs are done, in \d+ s\.", line)


def test_a_pipe_has_no_carriage_return_and_a_line_now_and_then(folder):
    status, said = run(folder)
    assert status == 0, said
    assert "\r" not in said
    assert len(said.splitlines()) <= 3
    assert "Job stats" in next((folder / ".snakemake" / "log").glob("*")).read_text()
    assert run(folder) == (0, "Nothing to do: everything is up to date.\n")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("c", "fail: no luck (log: c.log)"),
        ("d", "die: its process was killed (SIGKILL), as for lack of memory (log: d.log)"),
    ],
)
def test_a_failed_job_ends_with_its_sentence(folder, target, line):
    status, said = run(folder, target)
    assert status == 1
    assert said.splitlines()[-1] == line
    assert len(said.splitlines()) == 2
    assert "Traceback" not in said


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_is_a_sentence_however_often(folder, times):
    for words in ("planning", "running wait"):
        status, said = on_a_terminal(folder, "-s", "Snakefile", interrupts=[words] * times)
        assert status not in (0, None)
        assert "Traceback" not in said
        assert len(last_lines(said)) == 1, last_lines(said)
        (line,) = last_lines(said)
        assert re.fullmatch(r"Interrupted.*\. The same command goes on from there\.", line), said
    # A job that was interrupted while it began may count as incomplete; and Snakemake's own lock,
    # which our profiles do without, stays where the third Ctrl-C ends it at once.
    status, said = run(folder, "--rerun-incomplete", "--nolock")
    assert status == 0, said


#: What hears of Ctrl-C under `finitewidth run`, and under plain Snakemake.
INSTALL = ("following.start()", "interrupts.install()")

#: Condition.notify wakes a waiter and then forgets it; Ctrl-C comes between the two.
WAKING = """
import os, queue, signal, sys, threading, time
from finitewidth.runtime import following, interrupts

def between(frame, event, call):
    if frame.f_code is threading.Condition.notify.__code__ and event == "c_return":
        if call.__name__ == "release":
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGINT)

{install}
told = queue.Queue()
ended = threading.Thread(target=lambda: [told.get(), told.get()])
ended.start()
time.sleep(0.5)
try:
    sys.setprofile(between)
    told.put(1)
    signal.pause()
except KeyboardInterrupt:
    time.sleep(0.5)
    told.put(2)
    ended.join(10)
    os._exit(3 + ended.is_alive())
"""


#: A wait that has ended takes its lock back; Ctrl-C comes before it has.
TAKING_BACK = """
import os, signal, sys, threading, time
from finitewidth.runtime import following, interrupts

def before(frame, event, call):
    if event == "call" and frame.f_back.f_code is threading.Condition.wait.__code__:
        if frame.f_code.co_name == "_acquire_restore":
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGINT)

{install}
jobs = threading.Semaphore(0)
threading.Timer(0.5, jobs.release).start()
try:
    sys.setprofile(before)
    jobs.acquire()
    signal.pause()
except KeyboardInterrupt:
    os._exit(3)
except RuntimeError:
    os._exit(4)
"""


@pytest.mark.parametrize("install", INSTALL)
@pytest.mark.parametrize("code", [WAKING, TAKING_BACK], ids=["waking", "taking back"])
def test_ctrl_c_leaves_nobody_waiting_and_no_lock_that_is_not_held(tmp_path, install, code):
    code = code.replace("{install}", install)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=100)
    assert done.returncode == 3


#: Plain Snakemake runs the workflow's shortest job and tells whose handler Ctrl-C has then.
PLAIN = """
import signal, sys
from snakemake.cli import main

try:
    main(sys.argv[1:])
finally:
    print(signal.getsignal(signal.SIGINT).__module__)
"""


def test_plain_snakemake_hears_of_ctrl_c_as_well(tmp_path):
    words = ["-s", ROOT / "Snakefile", "--configfile", KINDS, "--cores", "1", "crate_config"]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, *words], cwd=tmp_path, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "finitewidth.runtime.interrupts"


def test_what_ends_the_run_alone_ends_it(folder):
    for number, status, line in (
        (signal.SIGKILL, -signal.SIGKILL, "The run was killed"),
        (signal.SIGINT, 1, "Interrupted"),
    ):
        process = subprocess.Popen(
            command("-s", "Snakefile"), cwd=folder, text=True, stderr=subprocess.PIPE
        )
        while not list(folder.glob(".snakemake/incomplete/*")):
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == status
        assert line in said
        time.sleep(1.5)
        for file in folder.glob(".snakemake/incomplete/*"):
            file.unlink()
        for file in folder.glob(".snakemake/locks/*"):
            file.unlink()


@pytest.mark.parametrize(
    "words",
    ["--config seed", "--config a=b=c", "--config =1", "--config seed=x", "--set-threads x",
     "--nonsense", "--cores many", "--configfile gone.yaml", "--directory /proc/x", "-- nothing"],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path, words):
    done = subprocess.run(
        command("--configfile", KINDS, *words.split()),
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert done.stdout == ""


def test_snakemake_speaks_for_itself_where_it_is_asked_to(folder):
    for words in (["--dry-run"], ["--printshellcmds", "--forceall"], ["--verbose"]):
        status, said = run(folder, *words)
        assert status == 0
        assert "Building DAG of jobs" in said
    assert run(folder, "--list")[1].split() == ["all", "die", "fail", "wait"]


def test_the_end_says_where_results_are(kinds, tmp_path):
    folder = shutil.copytree(kinds, tmp_path / "kinds")
    words = command(
        "--configfile",
        KINDS,
        "--directory",
        folder,
        "--forcerun",
        "compare",
        "--until",
        "compare",
    )
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert f"tables and figures: {folder}/results/studies" in lines
    assert any(line.startswith("report: ") for line in lines)
    assert len(lines) < 15
