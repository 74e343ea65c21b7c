"""The lowest Snakemake that pyproject.toml promises makes the same bytes.

Of the tiny study where CI runs the tests (`.ci/run`), which takes two minutes; else of the study
with one job of every kind."""

import os
import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from running import KINDS, ROOT, TINY, digests

NAME, FILE = ("tiny", TINY) if os.environ.get("CI") else ("kinds", KINDS)
LOWEST = re.search(r'"snakemake>=([\d.]+)', (ROOT / "pyproject.toml").read_text())[1]


def pip(folder, *packages):
    """Put packages into a folder that takes nothing else along; skip where there are none."""
    words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, folder, *packages],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{' '.join(packages)} cannot be installed here: {done.stderr[-200:]}")


def missing(name, folder):
    """What a package in ``folder`` wants that neither is installed nor stands there."""
    (found,) = metadata.distributions(name=name, path=[str(folder)])
    for text in found.requires or []:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            has = wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
        except metadata.PackageNotFoundError:
            has = False
        if not has:
            yield f"{wanted.name}{wanted.specifier}"


@pytest.fixture(scope="module")
def lowest(tmp_path_factory):
    """A folder with that Snakemake, which goes before what is installed."""
    folder = tmp_path_factory.mktemp("lowest")
    pip(folder, f"snakemake=={LOWEST}")
    others = list(missing("snakemake", folder))
    if others:
        pip(folder, *others)
    return folder


def snakemake(lowest, folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--directory", folder, *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200,
        env={**os.environ, "PYTHONPATH": str(lowest), "PWD": str(ROOT)},
    )  # fmt: skip


@pytest.mark.slow
def test_the_lowest_snakemake_makes_the_same_bytes(lowest, request, tmp_path):
    version = snakemake(lowest, tmp_path, "--version").stdout.split()[-1]
    assert version.startswith(LOWEST)
    assert version != metadata.version("snakemake")
    study = ["--configfile", FILE]
    done = snakemake(lowest, tmp_path, *study, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert digests(tmp_path) == digests(request.getfixturevalue(NAME))
    said = snakemake(lowest, tmp_path, *study, "--dry-run", "--forcerun", "theory").stdout
    assert len(re.findall(r"^rule theory_\w+:", said, re.MULTILINE)) > 2
    assert not re.findall(r"^rule sample_\w+:", said, re.MULTILINE)
    done = snakemake(lowest, tmp_path, *study, "--report", "report.html")
    assert done.returncode == 0, done.stdout
    assert "Finite-width neural networks" in (tmp_path / "report.html").read_text(encoding="utf-8")
    bad = snakemake(lowest, tmp_path, "--config", "seed=-7", "--dry-run")
    assert bad.returncode == 1
    assert bad.stdout.splitlines()[-1].startswith("config key seed: given -7, allowed is")
