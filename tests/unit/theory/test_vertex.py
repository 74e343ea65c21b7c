"""First order in 1/n on several inputs: reference values, closed forms, and networks themselves."""

import numpy as np
import pytest

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.expectations import covariance
from finitewidth.theory.mlp import linear
from finitewidth.theory.mlp.expansions import leading_order
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp.vertex import first_order

pytestmark = pytest.mark.fast

X = np.random.default_rng(0).normal(size=(4, 3))
LAYERS = [1, 2, 3, 4]


def varied(activation, bias=0.1, factor=1):
    """Four layers whose widths, C_b and C_W all differ."""
    C_b = tuple(bias * np.array([1.0, 2.0, 0.5, 1.5]))
    return Perceptron(
        activation, (3, 15 * factor, 20 * factor, 12 * factor, 5), C_b, (1.5, 1.7, 1.2, 1.4)
    )


# Computed apart from this project: one input, layer 5, equal widths; n V and n G1.
REFERENCE = {
    ("tanh", 0.0, 1.0, 1.0): (0.1279047353, 0.03939844304, -0.06822537136),
    ("sin", 0.0, 1.0, 1.0): (0.1777992879, 0.08097702475, -0.1159373466),
    ("erf", 0.0, np.pi / 4, 1.0): (0.1145723959, 0.03213172659, -0.06407054839),
    ("gelu", 0.17292239, 1.98305826, 1.0): (2.159648474, 88.98364884, 0.4712111154),
    ("silu", 0.55514317, 1.98800468, 1.0): (2.936667434, 108.3802712, 2.303229145),
    ("relu", 0.0, 2.0, 0.5): (1.0, 20.0, 0.0),
    ("linear", 0.0, 1.0, 1.0): (1.0, 8.0, 0.0),
}


@pytest.mark.parametrize("case", REFERENCE)
def test_reference_values(case):
    activation, C_b, C_W, square = case
    mlp = Perceptron.uniform_width(activation, dimension=4, width=10, depth=5, C_b=C_b, C_W=C_W)
    found = first_order(mlp, np.full((1, 4), np.sqrt(square)), [5])
    values = found.K.item(), 10 * found.V.item(), 10 * found.G1.item()
    assert values == pytest.approx(REFERENCE[case], rel=1e-9, abs=1e-12)


def test_relu_on_two_inputs_in_layer_2():
    # Layer 1 is Gaussian: V is the covariance of products of two ReLU, over n. The moments of
    # order four of the arc-cosine family (Cho and Saul 2009).
    mlp = Perceptron("relu", (3, 7, 5), (0.0, 0.0), (2.0, 2.0))
    V = first_order(mlp, X[:2], [2]).V[0]
    K = 2 * X[:2] @ X[:2].T / 3
    a, b = K[0, 0], K[1, 1]
    t = np.arccos(K[0, 1] / np.sqrt(a * b))
    s, c, rest = np.sin(t), np.cos(t), np.pi - t
    one = np.sqrt(a * b) / (2 * np.pi) * (s + rest * c)
    two = a * b / (2 * np.pi) * (3 * s * c + rest * (1 + 2 * c * c))
    sines = 3 * rest / 8 + np.sin(2 * t) / 4 - np.sin(4 * t) / 32
    three = a**1.5 * b**0.5 * 4 / np.pi * (c * sines + s**5 / 4)
    assert V[0, 0, 0, 0] == pytest.approx(4 * 5 / 4 * a * a / 7, rel=1e-12)
    assert V[0, 0, 1, 1] == pytest.approx(4 * (two - a * b / 4) / 7, rel=1e-10)
    assert V[0, 1, 0, 1] == pytest.approx(4 * (two - one * one) / 7, rel=1e-10)
    assert V[0, 0, 0, 1] == pytest.approx(4 * (three - one * a / 2) / 7, rel=1e-10)


def conditional_kernels(mlp, x, networks, seed):
    """Ghat of each layer, (networks, N, N), of networks drawn layer by layer given it."""
    rng = np.random.default_rng(seed)
    G = np.broadcast_to(mlp.C_b[0] + mlp.C_W[0] * x @ x.T / x.shape[1], (networks, len(x), len(x)))
    layers = [G]
    for n, C_b, C_W in zip(mlp.widths[1:-1], mlp.C_b[1:], mlp.C_W[1:], strict=True):
        value, vector = np.linalg.eigh(G)
        root = vector * np.sqrt(np.maximum(value, 0))[:, None, :]
        s = mlp.activation.function(rng.normal(size=(networks, n, len(x))) @ root.swapaxes(1, 2))
        G = C_b + C_W * s.swapaxes(1, 2) @ s / n
        layers.append(G)
    return layers


@pytest.mark.parametrize(
    ("activation", "bias"),
    [("tanh", 0.1), ("relu", 0.0), ("relu", 0.2), ("gelu", 0.1), ("sin", 0.0), ("abs", 0.0)],
)
def test_networks(activation, bias, assert_mean):
    # Width 120 to 200: the next orders in 1/n are under a few percent of the first, which is what
    # the covariances may be off by besides their scatter (4.5 standard errors, once in 150 000).
    mlp = varied(activation, bias, factor=10)
    x = X.copy()
    x[2], x[3] = x[0], -x[1]
    found = first_order(mlp, x, LAYERS)
    assert not found.V[0].any()
    assert not found.G1[0].any()
    for k, G in list(enumerate(conditional_kernels(mlp, x, 8000, seed=2)))[1:]:
        shift = G - G.mean(axis=0)
        products = np.einsum("rab,rcd->rabcd", shift, shift)
        error = products.std(axis=0) / np.sqrt(len(G))
        room = 4.5 * error + 0.05 * np.abs(found.V[k]).max()
        assert np.all(np.abs(products.mean(axis=0) - found.V[k]) <= room)
        assert_mean(G, found.K[k] + found.G1[k])


@pytest.mark.parametrize("activation", ["sin", "relu", "gelu", "erf", "abs", "cos"])
def test_shift_of_the_mean(activation):
    # E[Ghat'] is the mean over networks of F(Ghat). What fluctuates to first order is subtracted
    # where its mean is known to be 0: J (Ghat - F(Ghat before)), J by differences.
    mlp = varied(activation, 0.1, factor=10)
    x, networks = X[:2], 10_000
    expected = first_order(mlp, x, [1, 2, 3, 4])
    kernels = conditional_kernels(mlp, x, networks, seed=3)
    upper = np.triu_indices(2)
    K = expected.K[:, *upper]
    G = [g[:, *upper] for g in kernels]

    def mean_of_next(k, g):
        """Mean of Ghat in layer k + 2, given it is g (..., 3) in layer k + 1."""
        one, both, two = np.moveaxis(g, -1, 0)
        moments = [
            covariance(mlp.activation, a, b, c)
            for a, b, c in ((one, one, one), (one, two, both), (two, two, two))
        ]
        return mlp.C_b[k + 1] + mlp.C_W[k + 1] * np.stack(moments, axis=-1)

    def jacobian(k):
        """Of mean_of_next at K, (3, 3)."""
        h = 1e-4
        steps = h * np.eye(3)
        up, down = mean_of_next(k, K[k] + steps), mean_of_next(k, K[k] - steps)
        return ((up - down) / (2 * h)).T

    third = mean_of_next(1, G[1]) - K[2] - (G[1] - K[1]) @ jacobian(1).T
    fluctuation = G[2] - mean_of_next(1, G[1]) + (G[1] - K[1]) @ jacobian(1).T
    fourth = mean_of_next(2, G[2]) - K[3] - fluctuation @ jacobian(2).T
    for samples, G1 in ((third, expected.G1[2]), (fourth, expected.G1[3])):
        G1 = G1[upper]
        error = samples.std(axis=0) / np.sqrt(networks)
        # 4.5 standard errors (once in 150 000) and the next order, which widths of 100 leave.
        room = 4.5 * error + 0.06 * np.abs(G1).max() + 1e-7
        assert np.all(np.abs(samples.mean(axis=0) - G1) < room)


@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_linear_networks(bias):
    mlp = varied("linear", bias)
    found = first_order(mlp, X, LAYERS)
    assert pytest.approx(linear.first_order(mlp, X, LAYERS).pairs, rel=1e-11, abs=1e-14) == found.V
    assert np.all(np.abs(found.G1) < 1e-13)


@pytest.mark.parametrize("activation", ["relu", "abs", "leaky_relu(0.2)"])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_one_input_of_two_slopes(activation, bias):
    mlp = varied(activation, bias)
    found = first_order(mlp, X[:1], LAYERS)
    ratio = leading_order(mlp, X[:1], LAYERS).four_point[:, 0]
    assert found.V[:, 0, 0, 0, 0] == pytest.approx(ratio * found.K[:, 0, 0] ** 2, rel=1e-11)
    assert np.all(found.G1 == 0)


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "cos"])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_permuted_repeated_and_single_inputs(activation, bias):
    mlp = varied(activation, bias)
    K, V, G1 = first_order(mlp, X, LAYERS)
    assert pytest.approx(infinite_width(mlp, X, LAYERS), rel=1e-9) == K
    order = [2, 0, 3, 1, 0]
    moved = first_order(mlp, X[order], LAYERS)
    for tensor, again in ((K, moved.K), (V, moved.V), (G1, moved.G1)):
        for axis in range(1, tensor.ndim):
            tensor = tensor.take(order, axis=axis)
        assert again == pytest.approx(tensor, rel=1e-8, abs=1e-9 * np.abs(tensor).max())
    alone = first_order(mlp, X[1:2], LAYERS)
    assert alone.V[:, 0, 0, 0, 0] == pytest.approx(V[:, 1, 1, 1, 1], rel=1e-9)
    assert alone.G1[:, 0, 0] == pytest.approx(G1[:, 1, 1], rel=1e-8, abs=1e-12)
    # Cov(Ghat_ab, Ghat_cd) has the symmetries of a covariance of symmetric matrices.
    assert pytest.approx(V.transpose(0, 2, 1, 3, 4), rel=1e-12) == V
    assert pytest.approx(V.transpose(0, 3, 4, 1, 2), rel=1e-12) == V


def test_multiples_and_opposites_of_inputs():
    # A scale-invariant network multiplies; an even activation forgets signs after layer 1.
    a, b = X[:2]
    mlp = varied("relu", 0.0)
    K, V, G1 = first_order(mlp, np.stack([a, 3 * a, b]), LAYERS)
    assert V[:, 1, 1, 0, 2] == pytest.approx(9 * V[:, 0, 0, 0, 2], rel=1e-11)
    assert V[:, 1, 2, 0, 2] == pytest.approx(3 * V[:, 0, 2, 0, 2], rel=1e-11)
    assert G1[:, 1, 2] == pytest.approx(3 * G1[:, 0, 2], rel=1e-11)
    K, V, G1 = first_order(varied("abs", 0.0), np.stack([a, -a, b]), LAYERS)
    assert K[0, 0, 1] == pytest.approx(-K[0, 0, 0])
    assert K[1:, 0, 1] == pytest.approx(K[1:, 0, 0])
    assert V[:, 1, 2, 1, 0] == pytest.approx(V[:, 0, 2, 0, 0], rel=1e-11)
    zero = first_order(mlp, np.stack([a, 0 * a]), LAYERS)
    assert np.all(zero.V[:, 1] == 0)
    assert np.all(zero.K[:, 1] == 0)


def test_without_bias_agrees_with_a_negligible_one():
    x = np.concatenate([X, X[:1]])
    bare, general = (first_order(varied("relu", bias), x, LAYERS) for bias in (0.0, 1e-300))
    for one, other in zip(bare, general, strict=True):
        assert one == pytest.approx(other, rel=1e-8, abs=1e-8)


def test_deep_networks_do_not_leave_the_range():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=1000, depth=1000, C_W=2.0)
    V = first_order(mlp, X[:2], [1000]).V[0]
    K = infinite_width(mlp, X[:2], [1000])[0]
    assert V[0, 0, 0, 0] / K[0, 0] ** 2 == pytest.approx(5 * 999 / 1000, rel=1e-9)
    shrinking = Perceptron.uniform_width("relu", dimension=3, width=1000, depth=400, C_W=1.0)
    found = first_order(shrinking, X[:2], [400])
    critical = Perceptron.uniform_width("relu", dimension=3, width=1000, depth=400, C_W=2.0)
    expected = first_order(critical, X[:2], [400])
    assert pytest.approx(expected.V * 2.0**-800, rel=1e-9) == found.V


def test_errors():
    with pytest.raises(ValueError, match="normal weights"):
        first_order(Perceptron("tanh", (3, 4), (0.0,), (1.0,), "uniform"), X, [1])
    with pytest.raises(ValueError, match="numbered from 1 to 4"):
        first_order(varied("tanh"), X, [5])
