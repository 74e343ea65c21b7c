"""Tangent kernels by the GPU's kernels: network by network against numpy on the same counters, and
against the sampler on torch in distribution; and whether what is interpreted here can be compiled.

False alarms: 20 means and mean squares are compared by z-scores below 4.5, which chance exceeds in
2 of 10,000 choices of the seeds. Seeds are fixed.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cards
from cards import DEVICE
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import NtkRecorder
from finitewidth.sampling.triton_kernels.covered import is_covered, is_ntk_covered
from finitewidth.sampling.triton_kernels.marginal_ntk import fill
from finitewidth.sampling.triton_kernels.shapes import Shape, shape_of
from plain_networks import normals

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def mlp(activation, hidden=(20, 17, 70), C_b=0.1, C_W=1.8):
    depth = len(hidden) + 1
    return Perceptron(
        activation,
        (6, *hidden, 3),
        tuple(C_b * (1 + k) for k in range(depth)),
        tuple(C_W + k / 10 for k in range(depth)),
    )


def rates_of(member):
    weights = tuple(0.3 + k / 7 for k in range(member.depth))
    return LearningRates(weights, tuple(1.2 - k / 9 for k in range(member.depth)))


def inputs(count):
    return np.random.default_rng(count).standard_normal((count, 6))


def drawn(member, x, outputs, networks=2, first=3, **rest):
    recorder = NtkRecorder(networks, len(x), outputs)
    about = {"seed": 5, "name": ("e", "m"), "first": first, "networks": networks}
    fill(member, rates_of(member), x, recorder.arrays, **about, device=DEVICE, **rest)
    return recorder.arrays


def plain(member, x, outputs, number):
    """What is recorded of one network, by projections on whole layers."""
    A, depth, rates = len(x), member.depth, rates_of(member)

    def draw(layer, which, width):
        return normals(5, ("e", "m"), number, layer, which, width)

    layers, s = [], x
    for layer in range(1, depth + 1):
        width, fan_in = member.widths[layer], member.widths[layer - 1]
        T = np.array([draw(layer, a, width) for a in range(A)])
        F = np.linalg.cholesky(s @ s.T)
        z = np.sqrt(member.C_W[layer - 1] / fan_in) * F @ T
        if any(member.C_b):
            z = z + np.sqrt(member.C_b[layer - 1]) * draw(layer, A, width)
        layers.append((s, np.linalg.solve(F, s), T, z))
        s = member.activation.function(z)
    found = {"output_preactivation": z[:, :outputs].T}
    gram = layers[-1][0] @ layers[-1][0].T
    conditional = member.C_b[-1] + member.C_W[-1] / member.widths[-2] * gram
    found["conditional_kernel"] = conditional[np.triu_indices(A)]
    unit = np.kron(np.eye(outputs), np.ones((A, A)))
    total, rows = 0, None
    for layer in range(depth, 0, -1):
        s, Q, T, z = layers[layer - 1]
        square = unit if rows is None else rows @ rows.T
        term = rates.lambda_b[layer - 1] + rates.lambda_W[layer - 1] / len(s[0]) * s @ s.T
        total = total + square * np.tile(term, (outputs, outputs))
        if layer == 1:
            break
        width = member.widths[layer - 1]
        # The last layer's weights know of no input: a row an output, until gates tell them apart.
        below = np.eye(outputs) if rows is None else np.linalg.cholesky(square)
        on_span = T[:, :outputs].T if rows is None else rows @ T.T
        fresh = np.array([draw(layer - 1, A + 1 + r, width) for r in range(len(below))])
        off = below @ fresh @ (np.eye(width) - Q.T @ Q)
        back = np.sqrt(member.C_W[layer - 1] / width) * (on_span @ Q + off)
        gates = member.activation.derivative(layers[layer - 2][3])
        rows = np.repeat(back, A, 0) if rows is None else back
        rows = rows * np.tile(gates, (outputs, 1))
    found["ntk"] = total.reshape(outputs, A, outputs, A).transpose(0, 2, 1, 3)
    return found


@pytest.mark.parametrize(
    ("activation", "count", "outputs", "C_b"),
    [
        ("relu", 3, 1, 0.0),
        ("relu", 1, 2, 0.0),
        ("leaky_relu(-0.3)", 2, 2, 0.1),
        ("tanh", 2, 2, 0.0),
        ("gelu", 1, 1, 0.1),
        ("silu", 3, 2, 0.1),
        ("sin", 4, 1, 0.1),
    ],
)
def test_network_by_network(activation, count, outputs, C_b):
    for hidden in ((20, 17, 65), (30,)):
        member, x = mlp(activation, hidden, C_b), inputs(count)
        arrays = drawn(member, x, outputs)
        for at in range(2):
            for name, exact in plain(member, x, outputs, 3 + at).items():
                gap = np.abs(arrays[name][at] - exact).max()
                assert gap < 2e-4 * np.abs(exact).max(), (hidden, name)


def test_any_division_of_the_work_gives_the_same_bytes():
    member, x = mlp("relu", (20, 150), 0.0), inputs(2)
    whole = drawn(member, x, 1, networks=7)
    lanes = shape_of(member.widths[1:-1]).lanes
    for tile, networks in ((7, 8), (3, 2)):
        other = drawn(member, x, 1, networks=7, tile=tile, shape=Shape(networks, lanes))
        for name in whole:
            assert whole[name].tobytes() == other[name].tobytes(), name


def test_dependent_inputs_and_dead_layers():
    x = inputs(2)
    together = np.vstack([x[0], x[0], 0 * x[0]])
    for activation in ("relu", "tanh"):
        member = mlp(activation, (20, 17, 30), 0.0)
        found, alone = drawn(member, together, 1), drawn(member, x[:1], 1)
        assert all(np.isfinite(values).all() for values in found.values())
        ntk = found["ntk"][:, 0, 0]
        # Twice the same input; of the second nothing is drawn, so that it is the same to rounding.
        assert np.allclose(ntk[:, 0, 0], ntk[:, 1, 1], rtol=1e-5)
        assert np.allclose(ntk[:, 0, 0], ntk[:, 0, 1], rtol=1e-5)
        assert np.allclose(found["output_preactivation"][:, 0, 2], 0)
        # The forward pass of the first input is what it is alone.
        name = "output_preactivation"
        assert np.allclose(found[name][:, :, 0], alone[name][:, :, 0], rtol=1e-4, atol=1e-5)
        dead = Perceptron(activation, member.widths, member.C_b, (1.0, 0.0, 1.0, 1.0))
        found = drawn(dead, x, 1)
        assert all(np.isfinite(values).all() for values in found.values())
        assert (found["output_preactivation"] == 0).all()


@pytest.mark.parametrize(("activation", "C_b"), [("relu", 0.0), ("tanh", 0.1)])
def test_both_samplers_draw_from_the_same_law(activation, C_b):
    member, x = mlp(activation, (16, 12), C_b), inputs(2)
    found = drawn(member, x, 1, networks=4096, shape=Shape(4096, 16))
    other = sample_ntk(member, rates_of(member), x, networks=20_000, seed=2, outputs=1)
    for name, values in found.items():
        for power in (1, 2):
            one, two = values**power, other[name].values.astype(float) ** power
            error = np.sqrt(one.var(0) / len(one) + two.var(0) / len(two))
            assert (np.abs(one.mean(0) - two.mean(0)) <= 4.5 * error).all(), (name, power)


def test_what_is_covered():
    member = mlp("relu", C_b=0.0)
    moments, four, single = ("preactivations",), ("preactivations", "quartic"), "float32"
    assert is_covered(member, 8, "marginal", moments, single)
    assert not is_covered(member, 9, "marginal", moments, single)
    assert is_covered(member, 4, "marginal", four, single)
    assert not is_covered(member, 5, "marginal", four, single)
    assert not is_covered(member, 2, "marginal", moments, "float64")
    assert not is_covered(member, 2, "explicit", moments, single)
    uniform = Perceptron("relu", member.widths, member.C_b, member.C_W, weights="uniform")
    assert not is_covered(uniform, 2, "marginal", moments, single)
    ntk = ("ntk",)
    assert is_ntk_covered(member, 3, 2, "marginal", ntk, single)
    assert not is_ntk_covered(member, 4, 2, "marginal", ntk, single)
    assert not is_ntk_covered(member, 2, 1, "explicit", ntk, single)
    assert not is_ntk_covered(member, 2, 1, "marginal", ("ntk", "preactivations"), single)
    # Kernels that leave the range of single precision; no hidden layer.
    assert not is_ntk_covered(mlp("relu", (2,) * 20, 0.0), 1, 1, "marginal", ntk, single)
    assert not is_ntk_covered(mlp("relu", (), 0.0), 1, 1, "marginal", ntk, single)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from card_kernels import evaluate
from finitewidth.sampling.triton_kernels import networks, tangents, tangents_back

POINTERS = dict(key="*i64", widths="*i32", places="*i32", preactivation="*fp32",
                z="*fp32", values="*fp32", slopes="*fp32")
INTEGERS = ("first", "networks", "recorded", "neurons", "depth")

def build(kernel, **constants):
    kinds = {
        name: "constexpr" if name in constants
        else "i32" if name in INTEGERS else POINTERS.get(name, "*fp64")
        for name in kernel.arg_names
    }
    fixed = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    card, options = GPUTarget("cuda", 90, 32), {"num_warps": 4, "enable_fp_fusion": True}
    made = compile(ASTSource(kernel, kinds, fixed), target=card, options=options)
    assert made.asm["cubin"]

about = dict(PLUS=1.0, MINUS=0.0, NETS=4, LANES=32)
marginal = dict(MOMENTS=True, FOURS=True, SIXTH=True, **about)
for code in range(10):
    build(evaluate, CODE=code, PLUS=1.0, MINUS=0.5, COUNT=128)
build(networks.sample_networks, A=1, CODE=1, INVARIANT=False, WHOLE=False, **marginal)
build(networks.sample_networks, A=2, CODE=0, INVARIANT=True, WHOLE=True, **marginal)
for kernel in (tangents.forwards, tangents_back.backwards):
    build(kernel, A=1, OUT=2, CODE=0, BIAS=False, WHOLE=True, **about)
    build(kernel, A=2, OUT=1, CODE=2, BIAS=True, WHOLE=False, **about)
"""


def test_kernels_compile_for_a_card_that_is_not_here(tmp_path):
    """The compiler refuses what the interpreter allows."""
    environment = os.environ | {
        "TRITON_INTERPRET": "0",
        "TRITON_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(cards.__file__).parent),
    }
    subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILE], env=environment, check=True)
