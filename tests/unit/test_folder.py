"""Who lives holds a folder; who is dead does not; of another machine nothing is known."""

import fcntl
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from finitewidth.runtime import folder
from running import ROOT

pytestmark = pytest.mark.fast

HOLD = """
import sys

from pathlib import Path
from finitewidth.runtime.folder import FolderError, occupy
try:
    print(occupy(Path(sys.argv[1])), flush=True)
except FolderError as error:
    sys.exit(str(error))
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "deep" / "run.lock"


@pytest.fixture
def run(lock):
    """Start a process that holds the folder; returns it, and what it says first."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, lock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PYTHONPATH": str(ROOT / "workflow")},
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_run_is_refused_and_a_killed_one_is_taken_up(run, lock):
    first, said = run()
    assert said == "False"
    assert folder.occupied(lock)
    second, said = run()
    assert f"another run is at work in this folder (process {first.pid} on " in said
    assert second.wait() == 1
    # What was refused has not taken the lock, nor the name, away.
    assert run()[1] == said
    first.kill()
    first.wait()
    assert not folder.occupied(lock)
    third, said = run()
    assert said == "True"
    # One that ends by itself leaves nothing.
    third.communicate("")
    assert lock.read_text() == ""
    assert run()[1] == "False"


def test_of_a_run_on_another_machine_nothing_is_known(run, lock):
    lock.parent.mkdir()
    lock.write_text("another-machine 7\n")
    assert folder.occupied(lock)
    _, said = run()
    assert "process 7 on another-machine" in said
    assert f"delete {lock}" in said
    lock.unlink()
    assert run()[1] == "False"


def test_a_lock_that_names_nobody_is_nobodys(run, lock):
    lock.parent.mkdir()
    for text in ("", "\n", f"{platform.node()}\n", f"{platform.node()} x\n"):
        lock.write_text(text)
        assert not folder.occupied(lock)
        process, said = run()
        assert said == str(bool(text.strip()))
        process.communicate("")


def test_where_a_file_system_has_no_locks_the_process_is_looked_for(run, lock, monkeypatch):
    first, _ = run()

    def none(file, kind):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert folder.occupied(lock)
    with pytest.raises(folder.FolderError, match=f"process {first.pid} on "):
        folder.occupy(lock)
    first.kill()
    first.wait()
    assert not folder.occupied(lock)


def test_a_folder_that_cannot_be_made_or_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.check_writable("results")
    monkeypatch.setattr(folder.os, "access", lambda path, mode: False)
    with pytest.raises(folder.FolderError, match="cannot be written to"):
        folder.check_writable("results")
    with pytest.raises(folder.FolderError, match="libnetCDF takes a backslash"):
        folder.check_name("a\\b")


def test_runs_that_begin_together_write_the_same_file_whole(tmp_path):
    """Two dry runs of a folder, say: neither takes away what the other is writing."""
    path, text = tmp_path / "made/a.yaml", "x" * 10**6

    def write(_):
        folder.write_whole(path, text)
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(64))) == {text}
    assert list(path.parent.iterdir()) == [path]
