"""Exact second moments of the NTK, against networks, first order in 1/n, and itself at depth."""

import numpy as np
import pytest

import tangents
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.exact import moment_ratios
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.mlp_ntk.ntk_chain import first_order
from finitewidth.theory.mlp_ntk.ntk_exact import mean, second_moments
from finitewidth.theory.predict.predict_ntk import predict_ntk_ladder

X = np.random.default_rng(4).normal(size=(2, 3))


def varied(activation, bias=0.2, factor=1):
    widths = (3, 5 * factor, 4 * factor, 8 * factor, 2)
    mlp = Perceptron(activation, widths, (bias, 2 * bias, 0.5 * bias, bias), (1.5, 1.7, 1.2, 1.4))
    return mlp, LearningRates((0.3, 0.7, 0.2, 0.4), (1.0, 0.5, 2.0, 1.3))


@pytest.mark.parametrize(
    ("activation", "bias"),
    [("relu", 0.0), ("relu", 0.3), ("linear", 0.2), ("leaky_relu(-0.4)", 0.2), ("abs", 0.0)],
)
def test_networks(activation, bias, assert_mean):
    mlp, rates = varied(activation, bias)
    nets = tangents.networks(mlp, X, 100_000, seed=5)
    theta = np.einsum("miaja->maij", tangents.tangent_kernel(mlp, rates, nets))
    G = np.einsum("maa->ma", tangents.conditional_variance(mlp, nets))
    z = nets.z[-1]
    expected = second_moments(mlp, rates, X, [4])
    same = (theta[..., 0, 0] + theta[..., 1, 1]) / 2
    assert_mean(G, expected.G[0])
    assert_mean(G**2, expected.g[0])
    assert_mean(same, expected.H[0])
    assert_mean(theta[..., 0, 0] * theta[..., 1, 1], expected.aa[0])
    assert_mean(theta[..., 0, 1] ** 2, expected.bb[0])
    assert_mean(G * same, expected.dd[0])
    assert_mean(z[:, 0] * z[:, 1] * theta[..., 0, 1], expected.ff[0])
    squares = (theta[..., 0, 0] ** 2 + theta[..., 1, 1] ** 2) / 2
    assert_mean(squares / expected.H[0] ** 2, expected.ratio[0])


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu(0.3)"])
def test_first_order_is_what_is_left_at_large_width(activation):
    gaps = []
    for factor in (20, 40):
        mlp, rates = varied(activation, factor=factor)
        exact, first = (f(mlp, rates, X, [2, 3, 4]) for f in (second_moments, first_order))
        pairs = [
            (exact.g - exact.G**2, first.V),
            (exact.aa - exact.H**2, first.A),
            (exact.bb, first.B),
            (exact.dd - exact.G * exact.H, first.D),
            (exact.ff, first.F),
        ]
        assert pytest.approx(first.K, rel=1e-13) == exact.G
        assert pytest.approx(first.Theta, rel=1e-13) == exact.H
        gaps.append(np.array([a - b for a, b in pairs])[:, 1:])
    # The rest is of order 1/n^2; where a tensor starts it is zero but for rounding.
    assert gaps[0] == pytest.approx(4 * gaps[1], rel=0.1, abs=1e-12)
    assert np.abs(gaps[0]).max() > 1e-6


def test_moments_of_the_kernel_are_those_of_the_chain():
    for bias in (0.0, 0.3):
        mlp, rates = varied("leaky_relu(0.3)", bias)
        found = second_moments(mlp, rates, X, [4, 1, 2])
        ratios = moment_ratios(mlp, X, [4, 1, 2])[1]
        assert found.g / found.G**2 == pytest.approx(ratios, rel=1e-13)


@pytest.mark.parametrize("law", [(2, 0.0), (3, 0.0), (2, 0.5)])
def test_dead_layers_pass_nothing_back_to_biases(law, assert_mean):
    """ReLU of widths 2 and 3: a layer is dead in a quarter or an eighth of networks, and the rate
    of its biases is most of its kernel. assert_mean at 4.5 errors: once in 5e3 of 30 numbers."""
    width, bias = law
    biases = (0.0, bias, 0.0, 0.0, 0.0)
    mlp = Perceptron("relu", (3, *[width] * 4, 2), biases, (1.5, 1.7, 1.2, 1.4, 1.0))
    rates = LearningRates((3.0, 7.0, 2.0, 4.0, 1.0), (0.1, 0.1, 0.2, 0.1, 0.1))
    nets = tangents.networks(mlp, X, 100_000, seed=6)
    theta = np.einsum("miaja->maij", tangents.tangent_kernel(mlp, rates, nets))
    expected = second_moments(mlp, rates, X, [5])
    same = (theta[..., 0, 0] + theta[..., 1, 1]) / 2
    assert_mean(same, expected.H[0])
    assert_mean(theta[..., 0, 0] * theta[..., 1, 1], expected.aa[0])
    squares = (theta[..., 0, 0] ** 2 + theta[..., 1, 1] ** 2) / 2
    assert_mean(squares / expected.H[0] ** 2, expected.ratio[0])
    np.testing.assert_allclose(mean(mlp, rates, X, [5]), expected.H, rtol=1e-13)
    rungs = predict_ntk_ladder([mlp], [rates], X, [5])["ntk_mean"].sel(order="exact").squeeze()
    np.testing.assert_allclose(rungs.values[[0, 2]], expected.H[0], rtol=1e-13)


def test_the_mean_is_the_infinite_width_ntk_where_no_layer_can_be_dead():
    for activation, bias in (("relu", 0.3), ("leaky_relu(0.2)", 0.0), ("abs", 0.0)):
        mlp, rates = varied(activation, bias)
        theta = infinite_width_ntk(mlp, rates, X, [1, 3, 4])
        found = second_moments(mlp, rates, X, [1, 3, 4])
        assert pytest.approx(np.einsum("taa->ta", theta), rel=1e-13) == found.H


def test_deep_networks_do_not_overflow():
    # G falls to 0 as a float; what is left of Theta are the biases.
    mlp = Perceptron.uniform_width("relu", dimension=3, width=1000, depth=3000, C_b=0.0, C_W=1.0)
    found = second_moments(mlp, LearningRates((1.0,) * 3000, (1.0,) * 3000), X, [3000])
    assert np.all(found.G == 0)
    assert pytest.approx(2.0, rel=1e-12) == found.H
    # Gradients of few layers count: as in a network without any signal, fluctuations are small.
    assert np.all((found.ratio > 1) & (found.ratio < 1.01))
    # G grows beyond floats, the ratio of moments does not.
    mlp = Perceptron.uniform_width("relu", dimension=3, width=1000, depth=3000, C_b=0.0, C_W=4.0)
    found = second_moments(mlp, LearningRates((0.0,) * 3000, (1.0,) * 3000), X, [3000])
    critical = Perceptron.uniform_width(
        "relu", dimension=3, width=1000, depth=3000, C_b=0.0, C_W=2.0
    )
    same = second_moments(critical, LearningRates((0.0,) * 3000, (1.0,) * 3000), X, [3000])
    assert np.all(np.isinf(found.G))
    assert found.ratio == pytest.approx(same.ratio, rel=1e-9)


def test_a_zero_input():
    mlp, rates = varied("relu", 0.0)
    found = second_moments(mlp, rates, np.zeros((1, 3)), [1, 4])
    assert found.H[:, 0] == pytest.approx([0.3, 0.4])
    assert found.aa[:, 0] == pytest.approx([0.09, 0.16])
    assert found.ratio[:, 0] == pytest.approx([1, 1])
    assert not found.g.any()
    assert not found.dd.any()


def test_bad_input():
    mlp, rates = varied("relu")
    with pytest.raises(ValueError, match="no two slopes"):
        second_moments(varied("tanh")[0], rates, X, [1])
    with pytest.raises(ValueError, match="normal weights"):
        second_moments(Perceptron("relu", (3, 5), (0.0,), (1.0,), "uniform"), rates, X, [1])
    with pytest.raises(ValueError, match="rates need 4 values"):
        second_moments(mlp, LearningRates((1.0,), (1.0,)), X, [1])
