"""Study files as a hostile hand would leave them, up to the jobs that Snakemake makes of them."""

import re
import shutil

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import HealthCheck, given, settings

from finitewidth.core.errors import ConfigError
from finitewidth.planning.plan import plan
from finitewidth.study.study_file import load
from hostile_configs import RANDOM, TRAINED, mutants, shipped_texts, texts
from running import ROOT, together

COUNT = 40


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Eighty study files, half of them changed content and half changed text, in folders."""
    folder = tmp_path_factory.mktemp("files")
    found = {True: [], False: []}
    dealt = settings(derandomize=True, database=None, deadline=None, max_examples=20 * COUNT,
                     suppress_health_check=list(HealthCheck))  # fmt: skip

    def keep(text: bytes) -> None:
        if all(len(kept) == COUNT for kept in found.values()):
            return
        path = folder / "study.yaml"
        path.write_bytes(text)
        try:
            # Thousands of jobs are another matter, and as many seconds.
            planned = sum(job.count for job in plan(load([path])).values()) < 300
            wanted = found[True] if planned else None
        except ConfigError:
            wanted = found[False]
        if wanted is not None and len(wanted) < COUNT and text not in wanted:
            wanted.append(text)

    @dealt
    @given(mutants([RANDOM, TRAINED]))
    def of_content(content):
        try:
            keep(yaml.safe_dump(content, sort_keys=False).encode())
        except (yaml.YAMLError, ValueError):  # what YAML cannot say
            return

    @settings(dealt, max_examples=3 * COUNT)
    @given(texts(shipped_texts()[:2]))
    def of_text(text):
        keep(text)

    of_text()
    of_content()
    assert len(found[True]) == len(found[False]) == COUNT
    array = folder / "x.nc"
    xr.Dataset({"x": (("row", "component"), np.eye(3))}).to_netcdf(array)
    for accepted, contents in found.items():
        for k, text in enumerate(contents):
            place = folder / f"{'good' if accepted else 'bad'}{k}"
            place.mkdir()
            shutil.copy(array, place / "x.nc")
            (place / "a.tar.gz").touch()
            (place / "study.yaml").write_bytes(text)
    return folder


def dry_runs(folders, *arguments) -> list:
    """Status and output of a dry run in each folder, of the study file in it."""
    commands = [
        [str(f), "--snakefile", str(ROOT / "Snakefile"), "--dry-run", "--quiet", "rules",
         "--config", f"study={f}/study.yaml", *arguments]
        for f in folders
    ]  # fmt: skip
    return together(commands)


def test_what_can_be_planned_becomes_jobs(files):
    folders = [files / f"good{k}" for k in range(COUNT)]
    for folder, (status, said) in zip(folders, dry_runs(folders), strict=True):
        text = (folder / "study.yaml").read_text()
        # What a file holds, and whether it is there, is no matter of the study file alone.
        told = "Missing input files" in said or re.search(r"^config key ", said, re.MULTILINE)
        assert status == 0 or told, f"{text}\n{said}"
        assert "Traceback" not in said
        assert {path.name for path in folder.iterdir()} <= {
            "study.yaml", "x.nc", "a.tar.gz", "said", ".snakemake",
        }  # fmt: skip


def test_what_is_refused_is_refused_in_one_sentence(files):
    folders = [files / f"bad{k}" for k in range(COUNT)]
    for folder, (status, said) in zip(folders, dry_runs(folders), strict=True):
        assert status not in (0, -14, 99), said
        assert "Traceback" not in said, said
        with pytest.raises(ConfigError) as caught:
            load([folder / "study.yaml"])
        sentence = str(caught.value)
        # The last line, and none that names a place in a program.
        assert said.splitlines()[-1] == sentence
        assert not re.search(r'^ *File "', said, re.MULTILINE), said
