"""The workflow as a module that is fetched from an address, on the library that is installed."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading

import pytest

from finitewidth.provenance.artifacts import read_stamp
from outside import outside
from running import ROOT, digests, snakemake

#: Ends with a crate, and has few jobs.
SMALL = {
    "seed": 1,
    "inputs": {"one": {"kind": "sphere", "dimension": 3, "count": 1}},
    "ensembles": {
        "small": {"activation": "relu", "init": "critical", "width": 4, "depth": 2,
                  "inputs": "one", "networks": 200, "estimate": ["covariance"]},
    },
    "studies": {"all": {"ensembles": ["small"]}},
}  # fmt: skip


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """No news of what is fetched."""


@pytest.fixture(scope="module")
def address():
    """Where the files of this workflow can be fetched from, as from GitHub."""
    handler = functools.partial(Silent, directory=str(ROOT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def installed(folder):
    """The library as pip puts it somewhere: its packages, and nothing of the workflow."""
    ignore = shutil.ignore_patterns("__pycache__")
    for path in (ROOT / "workflow").iterdir():
        if (path / "__init__.py").is_file():
            shutil.copytree(path, folder / path.name, ignore=ignore)
    return folder


def fetching(folder, library, *arguments):
    return subprocess.run(
        [sys.executable, "-P", "-m", "snakemake", "--directory", folder, "--snakefile",
         folder / "Snakefile", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(library)},
    )  # fmt: skip


def test_from_an_address_it_runs_on_the_library_that_is_installed(address, tmp_path):
    library = installed(tmp_path / "site")
    entry = f"{address}/workflow/Snakefile"
    folder = outside(tmp_path / "run", repr(SMALL), entry=entry)
    done = fetching(folder, library, "--cores", "2", "fw_all")
    assert done.returncode == 0, done.stdout
    beside = outside(tmp_path / "beside", repr(SMALL))
    done = snakemake(beside, "-s", beside / "Snakefile", "--cores", "2", "fw_all")
    assert done.returncode == 0, done.stdout
    own, theirs = digests(folder), digests(beside)
    # Of a library that is installed nobody knows the commit, which stands in stamps.
    assert {name for name in theirs if not name.startswith("code/")} <= set(own)
    stamps = [read_stamp(f / "results/studies/all/comparison.csv") for f in (folder, beside)]
    assert stamps[0]["code"]["modules"] == stamps[1]["code"]["modules"]
    rows = [(f / "results/studies/all/comparison.csv").read_text() for f in (folder, beside)]
    assert rows[0] == rows[1]
    # The copy of the code is what ran.
    assert own["code/workflow/scripts/compare.py"] == theirs["code/workflow/scripts/compare.py"]
    job = "code/workflow/finitewidth/runtime/job.py"
    assert own[job] == theirs[job]
    for part in ("rules", "scripts"):
        names = [{n for n in x if n.startswith(f"code/workflow/{part}")} for x in (own, theirs)]
        assert names[0] == names[1] != set()
    assert "Nothing to be done" in fetching(folder, library, "--dry-run", "fw_all").stdout


@pytest.mark.parametrize("version", ["9.9.9", None])
def test_from_an_address_another_library_is_refused_in_one_sentence(address, tmp_path, version):
    library = tmp_path / "site/finitewidth"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(f'__version__ = "{version}"\n' if version else "")
    entry = f"{address}/workflow/Snakefile"
    folder = outside(tmp_path / "run", repr(SMALL), entry=entry)
    done = fetching(folder, library.parent, "--dry-run", "fw_all")
    assert done.returncode == 1
    (line,) = [x for x in done.stdout.splitlines() if x and not x.startswith("Using")]
    assert f"of version {version}" in line or "missing" in line
    assert "install it" in line
