"""Samplers of tangent kernels against each other, and against automatic differentiation.

Two-sample Kolmogorov-Smirnov tests, fixed seeds. Some 900 p-values are looked at; each has to
exceed 3e-6, so that chance fails the file once in 300 choices of the seeds.
"""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.layerwise import layerwise
from finitewidth.sampling.mlp.conditional_ntk import conditional_ntk, layer_sums
from finitewidth.sampling.mlp.explicit_dntk import dntk
from finitewidth.sampling.mlp.marginal_ntk import gram_factor, pseudo_inverse
from finitewidth.sampling.ntk_ensemble import sample_ntk

LEAST_P = 3e-6


def statistics(samples):
    """Numbers that tell tangent kernels, outputs and how they go together, a column each."""
    ntk, z = samples["ntk"].values, samples["output_preactivation"].values
    kernel = samples["conditional_kernel"].values
    k, N = ntk.shape[1], ntk.shape[3]
    own = ntk[:, range(k), range(k)]
    found = {
        "theta": own[:, 0, 0, 0],
        "z": z[:, 0, 0],
        "kernel": kernel[:, 0],
        "z z theta": z[:, 0, 0] ** 2 * own[:, 0, 0, 0],
        "kernel theta": kernel[:, -1] * own[:, 0, N - 1, N - 1],
    }
    if N > 1:
        found["theta 01"] = own[:, 0, 0, 1]
        found["z z theta 01"] = z[:, 0, 0] * z[:, 0, 1] * own[:, 0, 0, 1]
        found["trace"] = np.trace(own[:, 0], axis1=1, axis2=2)
        found["angle"] = own[:, 0, 0, 1] / np.sqrt(own[:, 0, 0, 0] * own[:, 0, 1, 1])
    if k > 1:
        found["theta ij"] = ntk[:, 0, 1, 0, 0]
        found["z z theta ij"] = z[:, 0, 0] * z[:, 1, 0] * ntk[:, 0, 1, 0, 0]
        found["theta ii jj"] = own[:, 0, 0, 0] * own[:, 1, 0, 0]
        found["theta ij ab"] = ntk[:, 0, 1, 0, N - 1]
    # Atoms, as of dead networks, are the same number but for rounding.
    return {name: np.round(values, 9) for name, values in found.items()}


def agree(one, other):
    first, second = statistics(one), statistics(other)
    for name in first:
        a, b = first[name], second[name]
        # A ratio that does not exist (a dead network) is as frequent in both.
        both = np.isfinite(a).mean(), np.isfinite(b).mean()
        assert both[0] == pytest.approx(both[1], abs=0.02), name
        p = stats.ks_2samp(a[np.isfinite(a)], b[np.isfinite(b)]).pvalue
        assert p > LEAST_P, (name, p)


RNG = np.random.default_rng(5)
TWO = RNG.normal(size=(2, 3))
INPUTS = {
    "one": TWO[:1],
    "two": TWO,
    "duplicate": np.stack([TWO[0], TWO[0], TWO[1]]),
    "opposite and zero": np.stack([TWO[0], -TWO[0], 0 * TWO[0]]),
    "more than neurons": RNG.normal(size=(5, 3)),
}


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize(
    ("activation", "C_b"),
    [("relu", 0.0), ("relu", 0.3), ("tanh", 0.0), ("gelu", 0.2), ("leaky_relu(0.3)", 0.0)],
)
def test_marginal_ensembles_of_both_kinds_and_explicit_ones_agree(activation, C_b, inputs):
    # Three and two neurons: ReLU networks die often.
    mlp = Perceptron(activation, (3, 4, 2, 3, 2), (C_b,) * 4, (1.6, 2.0, 1.4, 1.8))
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    x = INPUTS[inputs]
    with np.errstate(invalid="ignore", divide="ignore"):
        compiled, on_torch, explicit = (
            sample_ntk(mlp, rates, x, networks=20_000, seed=seed, precision="float64", **how)
            for seed, how in enumerate(({}, {"compiled": False}, {"sampler": "explicit"}))
        )
        agree(compiled, explicit)
        agree(on_torch, explicit)
        agree(compiled, on_torch)


@pytest.mark.parametrize("activation", ["relu", "linear", "abs", "leaky_relu(0.3)"])
def test_scalar_and_marginal_ensembles_agree(activation):
    mlp = Perceptron(activation, (3, 4, 2, 3, 1), (0.0,) * 4, (1.6, 2.0, 1.4, 1.8))
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    each = [
        sample_ntk(
            mlp, rates, TWO[:1], networks=40_000, seed=3, name=(sampler, str(compiled)),
            sampler=sampler, outputs=1, precision="float64", compiled=compiled,
        )
        for sampler in ("scalar", "marginal")
        for compiled in (True, False)
    ]  # fmt: skip
    for one, other in combinations(each, 2):
        agree(one, other)
    dead = [np.mean(s["conditional_kernel"].values == 0) for s in each]
    expected = 1 - (1 - 2**-4) * (1 - 2**-2) * (1 - 2**-3) if activation == "relu" else 0.0
    error = np.sqrt(max(expected * (1 - expected), 1e-12) / 40_000)
    assert dead == pytest.approx([expected] * 4, abs=4.5 * error)


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu", "silu"])
def test_derivatives_of_tangent_kernels_against_differentiation(name):
    widths, k, activation = (3, 5, 4, 6, 3), 2, get(name)
    torch.manual_seed(4)
    weights = [torch.randn(1, b, a, dtype=torch.float64) for a, b in pairwise(widths)]
    biases = [torch.randn(1, n, dtype=torch.float64) for n in widths[1:]]
    x = torch.randn(2, 3, dtype=torch.float64)
    rates = LearningRates((0.5, 0.3, 0.9, 0.7), (1.2, 0.8, 1.1, 0.6))
    own = {"tanh": torch.tanh, "gelu": torch.nn.functional.gelu, "relu": torch.relu,
           "silu": torch.nn.functional.silu}[name]  # fmt: skip
    flat = torch.cat([t.flatten() for pair in zip(weights, biases, strict=True) for t in pair])
    each = [
        r
        for layer in range(4)
        for r in (
            [rates.lambda_W[layer] / widths[layer]] * weights[layer].numel()
            + [rates.lambda_b[layer]] * biases[layer].numel()
        )
    ]
    rate = torch.tensor(each, dtype=torch.float64)

    def outputs(p):
        s, at = x, 0
        for layer in range(4):
            n, m = widths[layer + 1], widths[layer]
            W, b = p[at : at + n * m].view(n, m), p[at + n * m : at + n * m + n]
            at += n * m + n
            z = s @ W.T + b
            s = own(z)
        return z[:, :k]

    J = torch.func.jacrev(outputs)(flat)
    H = torch.func.hessian(outputs)(flat)
    # Indices: H and J are (input, output, parameter, ...).
    v = rate * J
    expected = torch.einsum("aiuv,bju,ckv->ijkabc", H, v, v)
    found = layerwise(activation, weights, biases, x, rates, outputs=k)
    got = dntk(activation, weights, x, found.preactivations, rates, k)[0]
    assert got.shape == expected.shape
    assert torch.allclose(got, expected, rtol=1e-9, atol=1e-10 * expected.abs().max())
    theta = torch.einsum("aiu,bju->ijab", J, v)
    assert torch.allclose(found.total[0], theta, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "C_b", "inputs"),
    [("tanh", 0.3, 1), ("relu", 0.0, 1), ("relu", 0.0, 2), ("gelu", 0.2, 3), ("erf", 0.0, 2)],
)
def test_the_average_over_the_way_back_against_the_marginal_sampler(activation, C_b, inputs):
    """With the activations of a forward pass fixed, only what lies off their span is redrawn."""
    n, N = 5, inputs
    x = torch.tensor(np.random.default_rng(1).normal(size=(N, 3)))
    rates = LearningRates((0.5, 0.3, 0.9), (1.2, 0.8, 1.1))
    C_W = (1.6, 2.0, 1.4)
    mlp = Perceptron(activation, (3, n, n, 1), (C_b,) * 3, C_W)
    generator = torch.Generator().manual_seed(2)
    # One forward pass, explicitly; biases are one more activation.
    s, sums, Ws, bs, slopes, rows = x, [], [], [], [], [x]
    for layer in range(2):
        W = torch.randn(n, s.shape[1], generator=generator, dtype=torch.float64)
        W *= np.sqrt(C_W[layer] / s.shape[1])
        b = torch.randn(n, generator=generator, dtype=torch.float64) * np.sqrt(C_b)
        z = s @ W.T + b
        s = mlp.activation.on_tensor(torch, z)
        slope = mlp.activation.derivative_on_tensor(torch, z, s)
        gram = (s @ s.T)[None]
        kernel = C_b + C_W[layer + 1] / n * gram
        sums.append(layer_sums(z[None], s[None], slope[None], gram, kernel, C_W[layer + 1], None))
        Ws.append(W), bs.append(b), slopes.append(slope), rows.append(s)
    found = conditional_ntk(sums, x @ x.T, rates, mlp.widths, C_W)[0]
    # Redraw: the second layer's weights and biases given what they gave, and the last layer's.
    draws = 200_000
    span = torch.cat([rows[1], torch.full((N, 1), np.sqrt(C_b * n / C_W[1]))], 1)
    off = torch.eye(n + 1, dtype=torch.float64) - torch.linalg.pinv(span) @ span
    fresh = torch.randn(draws, n, n + 1, generator=generator, dtype=torch.float64) @ off
    W2 = Ws[1] + (fresh * np.sqrt(C_W[1] / n))[:, :, :n]
    if C_b:
        # The known part of W2 is what its activations and biases fix together.
        whole = torch.cat([Ws[1], (bs[1] / np.sqrt(C_b * n / C_W[1]))[:, None]], 1)
        W2 = (whole - whole @ off)[:, :n] + (fresh * np.sqrt(C_W[1] / n))[:, :, :n]
    else:
        W2 = (
            Ws[1]
            - (torch.cat([Ws[1], torch.zeros(n, 1)], 1) @ off)[:, :n]
            + (fresh * np.sqrt(C_W[1] / n))[:, :, :n]
        )
    W3 = torch.randn(draws, n, generator=generator, dtype=torch.float64) * np.sqrt(C_W[2] / n)
    d2 = W3[:, None] * slopes[1]
    d1 = torch.bmm(d2, W2) * slopes[0]
    theta = rates.lambda_b[2] + rates.lambda_W[2] / n * (rows[2] @ rows[2].T)
    theta = theta + (rates.lambda_b[1] + rates.lambda_W[1] / n * (rows[1] @ rows[1].T)) * (
        d2 @ d2.transpose(1, 2)
    )
    theta = theta + (rates.lambda_b[0] + rates.lambda_W[0] / 3 * (x @ x.T)) * (
        d1 @ d1.transpose(1, 2)
    )
    error = theta.std(0) / np.sqrt(draws)
    # At most 9 numbers a case: 4.5 standard errors fail once in 3000 choices of the seed.
    assert ((theta.mean(0) - found).abs() < 4.5 * error + 1e-12).all()


def test_pseudo_inverse_gives_an_orthonormal_span():
    rows = torch.randn(1, 4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[:, 2] = 2 * rows[:, 0] - rows[:, 1]
    rows = torch.cat([rows, 0 * rows])
    gram, factor, regular = gram_factor(rows)
    assert not regular
    span = torch.bmm(pseudo_inverse(factor), rows)
    alive = torch.tensor([[1.0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.float64)
    assert torch.allclose(torch.bmm(span, span.transpose(1, 2)), torch.diag_embed(alive), atol=1e-9)
    assert torch.allclose(torch.bmm(factor, factor.transpose(1, 2)), gram, atol=1e-12)
    assert torch.allclose(torch.bmm(factor, span), rows, atol=1e-9)


@pytest.mark.parametrize("compiled", [True, False])
def test_inputs_that_nearly_coincide_keep_their_difference(compiled):
    """In single precision, too, though it is the thousandth part of an input."""
    x = np.stack([TWO[0], TWO[0] + 1e-3 * TWO[1]])
    mlp = Perceptron("tanh", (3, 16, 16, 1), (0.0,) * 3, (1.5,) * 3)
    rates, gaps = LearningRates.named("ntk", mlp), []
    for seed, precision in ((1, "float64"), (2, "float32")):
        samples = sample_ntk(
            mlp, rates, x, networks=4000, seed=seed, precision=precision, compiled=compiled
        )
        theta = samples["ntk"].values[:, 0, 0]
        gaps.append(theta[:, 0, 0] + theta[:, 1, 1] - 2 * theta[:, 0, 1])
    assert np.median(gaps[0]) < 1e-5
    assert stats.ks_2samp(*gaps).pvalue > LEAST_P


def test_shards_join_to_the_whole_and_memory_divides_a_block():
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, C_W=1.5)
    rates = LearningRates.named("ntk", mlp)
    for how in ({}, {"compiled": False}, {"sampler": "explicit"}):
        shared = {"networks": 9000, "seed": 1, **how}
        whole = sample_ntk(mlp, rates, TWO, **shared)["ntk"].values
        parts = [sample_ntk(mlp, rates, TWO, blocks=b, **shared)["ntk"].values
                 for b in ((0, 1), (1, 3))]  # fmt: skip
        assert np.array_equal(np.concatenate(parts), whole)
        small = sample_ntk(mlp, rates, TWO, memory=1e-5, **shared)["ntk"].values
        assert small.shape == whole.shape
        assert np.isfinite(small).all()
        with pytest.raises(ValueError, match="memory of 1e-09 GiB does not hold one network"):
            sample_ntk(mlp, rates, TWO, memory=1e-9, **shared)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": "scalar"}, "not activation tanh"),
        ({"measure": ("ntk", "dntk")}, "dntk needs the explicit sampler, not the marginal one"),
    ],
)
def test_what_a_sampler_cannot_do_is_one_sentence(change, words):
    mlp = Perceptron.uniform_width("tanh", dimension=3, width=6, depth=3, C_W=1.5)
    with pytest.raises(ValueError, match=words):
        sample_ntk(mlp, LearningRates.named("ntk", mlp), TWO, networks=100, seed=1, **change)


@pytest.mark.parametrize("compiled", [True, False])
def test_streams_are_those_of_the_block(compiled):
    """The first block of an ensemble does not know how many there are."""
    mlp = Perceptron.uniform_width("relu", dimension=3, width=6, depth=3, C_W=2.0)
    few, many = (
        sample_ntk(
            mlp, LearningRates.named("standard", mlp), TWO, networks=n, seed=1, compiled=compiled
        )["ntk"].values
        for n in (4096, 9000)
    )
    assert np.array_equal(few, many[:4096])
    assert torch_stream(1, "networks", 0).initial_seed() is not None
