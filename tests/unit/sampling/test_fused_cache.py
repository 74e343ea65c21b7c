"""Jobs that start together: one compiles, the others wait and load; no result depends on it."""

import fcntl
import os
import subprocess
import sys
import time

import pytest

from finitewidth.sampling.fused import cached

#: A module with one compiled function, and a program that calls it and prints what it did.
MODULE = """
from finitewidth.sampling.fused.cached import cached


@cached
def answer(version):
    def answer(x):
        _ = version
        return 2 * x

    return answer
"""
PROGRAM = """
import json, sys, time
from finitewidth.sampling.fused import cached
cached._version = lambda: sys.argv[1]
cached.PATIENCE = float(sys.argv[2])
import kept
start = time.monotonic()
assert kept.answer(4) == 8
stats = kept.answer.dispatcher.stats
print(json.dumps([sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "kept.py").write_text(MODULE)

    def run(version="one", patience=60.0, **environment):
        environment = {**os.environ, "PYTHONPATH": f"workflow{os.pathsep}{tmp_path}"} | environment
        environment.pop("NUMBA_CACHE_DIR", None)
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, version, str(patience)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    return run


def said(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


LOADED, COMPILED = "[1, 0]", "[0, 1]"


def notes(folder):
    return sorted(path.name for path in (folder / "__pycache__").glob("*.compiled"))


def test_one_compiles_and_the_others_load(start, tmp_path):
    together = [said(one) for one in [start() for _ in range(3)]]
    assert sorted(together) == sorted([COMPILED, LOADED, LOADED])
    assert said(start()) == LOADED
    assert len(notes(tmp_path)) == 1
    assert not list((tmp_path / "__pycache__").glob("*.lock"))
    # Other code is compiled, and its note is the only one that is left.
    assert said(start("another")) == COMPILED
    assert [name.split("-")[0] for name in notes(tmp_path)] == ["another"]


def test_another_processor_is_another_note(start, tmp_path):
    assert said(start()) == COMPILED
    assert said(start(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")) == COMPILED
    assert len(notes(tmp_path)) == 2
    assert said(start()) == LOADED


def test_a_note_that_lies_costs_time_alone(start, tmp_path):
    assert said(start()) == COMPILED
    for path in (tmp_path / "__pycache__").glob("kept.*.nb?"):
        path.unlink()
    assert said(start()) == COMPILED


def test_who_waits_too_long_compiles(start, tmp_path):
    assert said(start()) == COMPILED
    (note,) = (tmp_path / "__pycache__").glob("*.compiled")
    for path in (tmp_path / "__pycache__").glob("kept.*.nb?"):
        path.unlink()
    note.unlink()
    with open(note.with_suffix(".lock"), "a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        begun = time.monotonic()
        assert said(start(patience=1.0)) == COMPILED
        assert time.monotonic() - begun > 1
    # One that was killed left its file, and no lock.
    note.unlink()
    note.with_suffix(".lock").touch()
    assert said(start(patience=60.0)) == LOADED


def test_a_folder_that_nothing_can_be_written_to(start, tmp_path):
    """Where not even a lock can be made, as beside an installation that is somebody else's."""
    with cached._one_at_a_time(str(tmp_path / "absent"), "one", "what"):
        pass
    with cached._one_at_a_time(None, "one", "what"):
        pass
    assert not (tmp_path / "absent").exists()
