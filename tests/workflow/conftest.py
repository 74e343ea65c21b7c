"""The tiny study, run once for all tests that look at its results."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from running import TINY, snakemake


@pytest.fixture(scope="session")
def run_tiny(tmp_path_factory) -> Callable[..., Path]:
    """Run the tiny study in a new folder and return the folder."""

    def run(*arguments: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        done = snakemake(folder, "--configfile", TINY, *arguments)
        assert done.returncode == 0, done.stdout
        return folder

    return run


@pytest.fixture(scope="session")
def tiny(run_tiny, tmp_path_factory) -> Path:
    """The folder in which the tiny study was run on two cores, once for all of pytest's workers."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run_tiny("--cores", "2")
    told = tmp_path_factory.getbasetemp().parent / "tiny"
    with open(told, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not told.read_text():
            told.write_text(str(run_tiny("--cores", "2")))
    return Path(told.read_text())
