"""One config gives the same bytes on different processors, one of them emulated."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from finitewidth.core import processor
from processors import EMULATOR, HASWELL
from running import ROOT

#: Without weights: layers of scale-invariant and other activations, a ladder with its controls,
#: tangent kernels in both ways, of one input and of two.
STUDY = {
    "seed": 5,
    "inputs": {
        "pair": {"kind": "sphere", "dimension": 5, "count": 2, "overlap": 0.5},
        "one": {"kind": "sphere", "dimension": 5, "count": 1},
    },
    "ensembles": {
        "plain": {"activation": ["relu", "gelu"], "init": {"C_W": 1.8, "C_b": 0.1}, "width": 24,
                  "depth": 3, "inputs": "pair", "networks": 300,
                  "estimate": ["covariance", "four_point", "kurtosis", "distribution"]},
        "ladder": {"activation": "tanh", "init": "critical", "ladder": [8, 12, 16], "depth": 3,
                   "inputs": "one", "networks": 400, "estimate": ["kernel_moments", "log_kernel"]},
        "tangents": {"activation": "tanh", "init": "critical", "width": 12, "depth": 2,
                     "inputs": "pair", "networks": 100, "measure": ["ntk"],
                     "estimate": ["ntk", "ntk_tensors", "ntk_spectrum"]},
    },
    "studies": {"all": {"ensembles": ["plain", "ladder", "tangents"],
                        "figures": ["kurtosis", "histograms"]}},
}  # fmt: skip


def interpreter() -> str:
    """This interpreter's own file, which an emulator can start."""
    return os.path.realpath(sys.executable)


def ran(folder: Path, study: Path, *before: str, pins: bool = True, **environment: str) -> dict:
    """What the libraries saw and the digests, of the study run in a process of its own."""
    folder.mkdir()
    cleared = {k: v for k, v in os.environ.items() if k not in processor.PINS}
    path = os.pathsep.join([*map(str, (ROOT / "tests", ROOT / "workflow")), *sys.path])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    given = cleared | threads | (processor.PINS if pins else {}) | environment
    done = subprocess.run(
        [*before, interpreter(), str(ROOT / "tests/emulated.py"), str(study), str(folder)],
        env=given | {"PYTHONPATH": path, "MPLBACKEND": "agg"},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 is installed (make emulator does)")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the promise is of x86-64 processors")
def test_the_same_bytes_on_a_processor_with_and_without_avx512(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    # Code for the emulated processor, compiled here, since an emulator would take minutes for it.
    haswell = HASWELL | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    compiled = ran(tmp_path / "compiled_here", study, **haswell)
    emulated = ran(tmp_path / "emulated", study, EMULATOR, "-cpu", "Haswell", **haswell)
    here = ran(tmp_path / "here", study)
    free = ran(tmp_path / "free", study, pins=False)

    if here["about"]["numba"] == emulated["about"]["numba"]:
        pytest.skip("this processor is the one that is emulated")
    assert emulated["about"]["numba"] == "haswell"
    assert emulated["digests"] == compiled["digests"] == here["digests"]
    assert sum(name.startswith("figure") for name in here["digests"]) == 4
    # With the pins taken out libraries see what there is, and bytes differ.
    if free["about"]["numpy"] != here["about"]["numpy"]:
        different = {
            name for name in free["digests"] if free["digests"][name] != here["digests"][name]
        }
        assert different


def test_jobs_inherit_one_code_of_each_library(tiny):
    """What every job of a run said of itself."""
    notes = [json.loads(p.read_text()) for p in tiny.rglob("*.processor.json")]
    made = {file for note in notes for file in note["files"]}
    assert {"inputs", "ensembles", "studies"} <= {file.split("/")[1] for file in made}
    if not processor.features().issuperset(processor.NEEDED):
        return
    expected = {"numpy": "X86_V3", "openblas": "Haswell", "torch": "AVX2"}
    for library, code in expected.items():
        seen = {note[library] for note in notes if library in note}
        assert seen == {code}, library


def test_nothing_is_pinned_on_a_processor_that_lacks_it(monkeypatch):
    for known, pinned in (({"avx2"}, {}), ({"avx2", "fma", "sse2"}, processor.PINS), (set(), {})):
        monkeypatch.setattr(processor, "features", lambda known=known: frozenset(known))
        environment: dict[str, str] = {}
        processor.pin(environment)
        assert environment == pinned
