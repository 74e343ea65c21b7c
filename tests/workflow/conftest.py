"""Runs that many tests look at: made once for all of pytest's processes, and never changed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from running import KINDS, TINY, snakemake


@pytest.fixture(scope="session")
def run_once(tmp_path_factory) -> Callable[..., Path]:
    """Run a study in a folder of its own, by name, for whichever process asks first."""

    def run(name: str, study: Path, *arguments: str) -> Path:
        base = tmp_path_factory.getbasetemp()
        # Each process of pytest-xdist has a folder of its own in the one that they share.
        base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        folder = base / f"shared-{name}"
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                part = base / f"part-{name}"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                done = snakemake(part, "--configfile", study, *arguments)
                assert done.returncode == 0, done.stdout
                part.rename(folder)
        return folder

    return run


@pytest.fixture(scope="session")
def tiny(run_once) -> Path:
    """The folder in which the tiny study was run on two cores. Run nothing there: take a copy."""
    return run_once("tiny", TINY, "--cores", "2")


@pytest.fixture(scope="session")
def kinds(run_once) -> Path:
    """The same of the study with one job of every kind."""
    return run_once("kinds", KINDS, "--cores", "2")


@pytest.fixture
def tiny_copy(tiny, tmp_path) -> Path:
    """A copy of the tiny study's folder, to run something in."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))
