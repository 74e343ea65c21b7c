"""Who lives holds a lock of the operating system; who is dead does not."""

import platform
import subprocess
import sys

import pytest
from snakemake.exceptions import WorkflowError

import survive

HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from survive import hold
print(hold(Path(sys.argv[2]), sys.argv[3] == "locked"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def controller(tmp_path):
    """Start a process that counts as a controller; returns it, and whether it was the only one."""
    path, started = tmp_path / "controllers", []

    def start(locked="locked"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, survive.__file__.rpartition("/")[0], path, locked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline() == "True\n"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_locks_are_taken_away_only_where_nobody_lives(controller):
    first, alone = controller()
    assert alone
    # Snakemake itself lets two run that make different files.
    second, alone = controller()
    assert not alone
    first.kill()
    first.wait()
    third, alone = controller()
    assert not alone
    for process in (second, third):
        process.kill()
        process.wait()
    assert controller()[1]


def test_of_another_machine_nothing_is_known(controller, tmp_path):
    (tmp_path / "controllers").write_text("another-machine\n")
    first, alone = controller()
    assert not alone
    first.kill()
    first.wait()
    second, alone = controller()
    assert not alone
    assert platform.node() in (tmp_path / "controllers").read_text()
    second.kill()
    second.wait()
    # But where Snakemake holds no lock, none of them can live.
    _, alone = controller("free")
    assert alone
    assert (tmp_path / "controllers").read_text() == f"{platform.node()}\n"


def test_a_folder_that_cannot_be_made_or_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    survive.check_writable("results")
    monkeypatch.setattr(survive.os, "access", lambda path, mode: False)
    with pytest.raises(WorkflowError, match="cannot be written to"):
        survive.check_writable("results")
