"""The tiny study, run once for all tests that look at its results."""

from __future__ import annotations

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
def tiny(run_tiny) -> Path:
    """The folder in which the tiny study was run on two cores."""
    return run_tiny("--cores", "2")
