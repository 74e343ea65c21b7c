"""Scripts forked from a warm process: as if each had a Python of its own, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finitewidth.provenance import code
from running import KINDS, digests, snakemake

WORKFLOW = code.PACKAGE.parent
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(WORKFLOW)!r})
from warm import warm
warm(workflow)
rule all:
    input: [f"{{k}}.out" for k in range(8)]
rule job:
    output: "{{k}}.out"
    params: code={{"sha256": "", "packages": ["numpy", "no such package"]}}
    script: "job.py"
"""
SURROUNDINGS = """
import json, os, signal, sys, threading
from pathlib import Path
# Which the shell sets for itself, or what tells the two apart.
shell = ("_", "SHLVL", "PS1", "FINITEWIDTH_WARM")
about = {
    "environment": {k: v for k, v in os.environ.items() if k not in shell},
    "argv": [Path(argument).parent.as_posix() for argument in sys.argv],
    "first": sys.path[0],
    "path": sorted({path for path in sys.path if "runtime-cache" not in path}),
    "folder": os.getcwd(),
    "name": __name__,
    "signals": {s.name: str(signal.getsignal(s)) for s in signal.valid_signals()
                if isinstance(s, signal.Signals)},
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "wakes": signal.set_wakeup_fd(-1),
    "threads": threading.active_count(),
    "file": __file__,
}
print(f"job {snakemake.wildcards.k} is heard")
Path(snakemake.output[0]).write_text(json.dumps(about))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder whose name has a space."""
    path = tmp_path / "a folder"
    path.mkdir()
    return path


@pytest.fixture
def run(folder, monkeypatch):
    """Run a workflow of eight jobs of one script; its output, and whether all went well."""

    def run(script: str, *arguments: str, warm: bool) -> tuple[str, bool]:
        monkeypatch.setenv("FINITEWIDTH_WARM", "1" if warm else "0")
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "job.py").write_text(script)
        done = snakemake(folder, "-s", folder / "Snakefile", "--cores", "3", *arguments)
        assert not processes(folder)
        return done.stdout, done.returncode == 0

    return run


def processes(folder: Path, name: str = "") -> list[int]:
    """Processes that work in ``folder``, or those among them called ``name``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(process / "cwd") == str(folder)
            if here and name in (process / "comm").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_warm_script_finds_itself_in_the_same_surroundings(folder, run):
    found = {}
    for warm in (False, True):
        said, well = run(SURROUNDINGS, "--forceall", warm=warm)
        assert well, said
        assert all(f"job {k} is heard" in said for k in range(8))
        found[warm] = [json.loads((folder / f"{k}.out").read_text()) for k in range(8)]
    for cold, warm in zip(found[False], found[True], strict=True):
        assert {k: v for k, v in warm.items() if v != cold[k]} == {}
    assert found[True][0]["folder"] == str(folder)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('no such luck')", "ValueError: no such luck"),
        ("raise SystemExit('no such luck')", "no such luck"),
        ("import sys; sys.exit(3)", "returned non-zero exit status 3"),
        ("import os; os._exit(4)", "returned non-zero exit status 4"),
        ("import os; os.kill(os.getpid(), 9)", "died with <Signals.SIGKILL: 9>"),
        ("import os; os.kill(os.getpid(), 2)", "died with <Signals.SIGINT: 2>"),
    ],
)
@pytest.mark.parametrize("warm", [True, False])
def test_a_script_that_fails_fails_its_job(folder, run, script, message, warm):
    after = "from pathlib import Path\nPath(snakemake.output[0]).write_text('half')\n" + script
    said, well = run(after, "0.out", warm=warm)
    assert not well
    assert message in said
    assert "Error in rule job" in said
    assert not (folder / "0.out").exists()


def test_one_that_leaves_a_thread_or_does_something_at_exit_is_waited_for(folder, run):
    script = """
import atexit, threading, time
from pathlib import Path
def late():
    time.sleep(0.3)
    lines.append("thread")
lines = []
out = snakemake.output[0]
atexit.register(lambda: Path(out).write_text(",".join([*lines, "exit"])))
threading.Thread(target=late).start()
"""
    _, well = run(script, "0.out", warm=True)
    assert well
    assert (folder / "0.out").read_text() == "thread,exit"


@pytest.mark.parametrize("victim", ["controller", "server"])
def test_nothing_is_left_of_what_was_killed(folder, victim):
    (folder / "Snakefile").write_text(SNAKEFILE)
    script = "import time; time.sleep(3); open(snakemake.output[0], 'w').write('whole')"
    (folder / "job.py").write_text(script)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "0.out", "1.out"]
    with open(folder / "said", "w") as said:
        controller = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
    wait_for(lambda: len(processes(folder, "job.py")) == 2)
    jobs = processes(folder, "job.py")
    (server,) = {int((Path("/proc") / str(job) / "stat").read_text().split()[3]) for job in jobs}
    os.kill(controller.pid if victim == "controller" else server, signal.SIGKILL)
    assert controller.wait(60) != 0
    # Jobs go on to their end, as they do where each has an interpreter of its own.
    wait_for(lambda: not processes(folder))
    if victim == "server":
        text = (folder / "said").read_text()
        assert "the process that had started" in text
        assert not (folder / "0.out").exists()


def test_interrupted_jobs_hear_of_it(folder):
    (folder / "Snakefile").write_text(SNAKEFILE)
    script = """
import time
try:
    time.sleep(30)
except KeyboardInterrupt:
    raise SystemExit("heard of it")
"""
    (folder / "job.py").write_text(script)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "0.out", "1.out"]
    with open(folder / "said", "w") as said:
        controller = subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=said, start_new_session=True
        )
    wait_for(lambda: len(processes(folder, "job.py")) == 2)
    time.sleep(0.2)
    os.killpg(controller.pid, signal.SIGINT)
    assert controller.wait(20) != 0
    assert (folder / "said").read_text().count("heard of it") == 2
    assert not processes(folder)


def test_a_cold_run_on_one_core_gives_the_same_bytes(kinds, tmp_path, monkeypatch):
    """Job after job, each in an interpreter of its own, beside two at a time that start warm."""
    monkeypatch.setenv("FINITEWIDTH_WARM", "0")
    done = snakemake(tmp_path, "--configfile", KINDS, "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert digests(tmp_path) == digests(kinds)
