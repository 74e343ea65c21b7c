"""The compiled code: wide, free of the C library, and with the same results for every processor."""

import json
import os
import platform
import subprocess
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from finitewidth.sampling.fused.activations import CODES, activate
from finitewidth.sampling.fused.drawing import draw

#: Draws a few networks of many kinds and prints digests of what was recorded, and which instruction
#: set it was compiled for. Rows of neurons have the length that the first argument says.
SCRIPT = """
import hashlib, json, sys
import numpy as np
from finitewidth.sampling.fused import networks
networks.ROW = int(sys.argv[1])
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import CODES
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.ntk_ensemble import sample_ntk

x = np.random.default_rng(0).standard_normal((3, 10))
found = {}
for activation in ("relu", *CODES):
    for precision in ("float32", "float64"):
        C_b = 0.0 if activation == "relu" else 0.1
        mlp = Perceptron(activation, (10, 300, 20, 77, 9, 600), (C_b,) * 5, (2.0,) * 5)
        samples = sample(mlp, x, networks=30, seed=1, precision=precision,
                         measure=("preactivations", "quartic", "sextic"))
        every = b"".join(samples[name].values.tobytes() for name in sorted(samples.data_vars))
        found[f"{activation} {precision}"] = hashlib.sha256(every).hexdigest()
rates = LearningRates((0.5,) * 3, (1.0,) * 3)
for activation, C_b in (("relu", 0.0), ("tanh", 0.1)):
    mlp = Perceptron(activation, (10, 300, 77, 9), (C_b,) * 3, (2.0,) * 3)
    samples = sample_ntk(mlp, rates, x, networks=30, seed=1)
    every = b"".join(samples[name].values.tobytes() for name in sorted(samples.data_vars))
    found[f"tangent kernels, {activation}"] = hashlib.sha256(every).hexdigest()
mlp = Perceptron("leaky_relu(0.2)", (10, 300, 4000, 1), (0.0,) * 3, (2.0,) * 3)
samples = sample_ntk(mlp, rates, x[:1], networks=1000, seed=1, sampler="scalar")
every = b"".join(samples[name].values.tobytes() for name in sorted(samples.data_vars))
found["scalars"] = hashlib.sha256(every).hexdigest()
code = "".join(networks.sample_networks.dispatcher.inspect_asm().values())
print(json.dumps({"wide": "%zmm" in code, "middle": "%ymm" in code, "found": found}))
"""

on_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or not llvm.get_host_cpu_features().get("avx2"),
    reason="wants a processor with AVX2",
)


def run(folder, row, **environment):
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(folder),
        "PYTHONPATH": "workflow",
    } | environment
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(row)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@on_x86
def test_other_instructions_and_other_rows_give_the_same_bytes(tmp_path):
    """As compiled for this processor, and for one of 2013, whose registers are at most half as
    wide as the widest, in rows of other lengths."""
    here = run(os.environ.get("NUMBA_CACHE_DIR", ""), 256)
    narrow = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
    there = run(tmp_path / "there", 64, **narrow)
    assert there["middle"]
    assert not there["wide"]
    assert here["found"] == there["found"]


@numba.njit
def draw_row(neurons, count, key):
    draw(neurons, 0, 0, count, key, 0, 1, 0)


def _instructions(function, *arguments):
    function(*arguments)
    return [line.split() for line in "\n".join(function.inspect_asm().values()).splitlines()]


def _registers(lines, *names):
    """The kinds of registers that instructions of these names use."""
    used = [line for line in lines if line and line[0] in names]
    assert used, names
    return {kind for line in used for kind in ("xmm", "ymm", "zmm") if f"%{kind}" in line[-1]}


@on_x86
@pytest.mark.parametrize(("precision", "letters"), [("float32", "ps"), ("float64", "pd")])
def test_loops_are_wide_and_call_no_library(precision, letters):
    neurons = np.zeros(256, precision)
    lines = _instructions(draw_row, neurons, 256, np.zeros(3, np.uint64))
    for name in ("vpmuludq", f"vfmadd213{letters}", f"vsqrt{letters}"):
        assert not _registers(lines, name) & {"xmm"}, name
    for code in CODES.values():
        activate(code, 1.0, 1.0, neurons, 0, 256)
    lines += _instructions(activate, 0, 1.0, 0.0, neurons, 0, 256)
    assert not _registers(lines, f"vfmadd213{letters}") & {"xmm"}
    text = " ".join(word for line in lines for word in line)
    for function in ("exp", "log", "sin", "cos", "tanh", "erf", "fma", "sqrt", "pow"):
        assert f"${function}," not in text
        assert f"${function}f," not in text
