"""Exact moments of two-slope networks: against explicit networks and other ways to integrate."""

import itertools

import numpy as np
import pytest
from scipy import special

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.exact import dead_fraction, gain_moments, moment_ratios, pair_ratios
from finitewidth.theory.mlp.expansions import leading_order, log_growth
from finitewidth.theory.mlp.mean_squares import log_mean_square

pytestmark = pytest.mark.fast

ACTIVATIONS = ("linear", "relu", "leaky_relu(0.3)", "abs")
X = np.array([[1.0, -0.5, 2.0], [0.2, 0.1, -0.4]])


def varied(activation, weights="normal", bias=True):
    C_b = (0.3, 0.1, 0.2, 0.4) if bias else (0.0,) * 4
    return Perceptron(activation, (3, 5, 4, 6, 4), C_b, (1.4, 0.9, 1.1, 1.3), weights)


def elementary(z, k):
    """Mean over k-subsets of different neurons (axis 1) of the product of their squares."""
    n = z.shape[1]
    subsets = list(itertools.combinations(range(n), k))
    return np.mean([np.prod(z[:, list(s)] ** 2, axis=1) for s in subsets], axis=0)


@pytest.mark.parametrize("slopes", [(1.0, 1.0), (1.0, 0.0), (1.0, 0.3), (2.0, -1.0)])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_gain_moments_against_the_mixture_of_chi_squares(slopes, n):
    a, b = np.square(slopes)
    expected = np.zeros(4)
    for B in range(n + 1):
        # E[(a chi^2_B + b chi^2_{n-B})^k], rising factorials of half-integers.
        for k in range(1, 5):
            terms = sum(
                special.comb(k, j)
                * (2 * a) ** j
                * special.poch(B / 2, j)
                * (2 * b) ** (k - j)
                * special.poch((n - B) / 2, k - j)
                for j in range(k + 1)
            )
            expected[k - 1] += special.comb(n, B) / 2**n * terms / n**k
    expected /= ((a + b) / 2) ** np.arange(1, 5)
    assert gain_moments(slopes, np.array([n]))[:, 0] == pytest.approx(expected, rel=1e-12)


def test_fourth_moment_with_bias_against_gauss_laguerre():
    # Linear, two hidden layers: the mean over two chi squares of a polynomial, exactly.
    mlp = Perceptron("linear", (3, 4, 6, 2), (0.3, 0.1, 0.2), (1.4, 0.9, 1.1))
    G = 0.3 + 1.4 * np.sum(X**2, axis=1) / 3
    (u, p), (v, q) = (special.roots_genlaguerre(12, n / 2 - 1) for n in (4, 6))
    p, q = p / p.sum(), q / q.sum()
    second = 0.1 + 0.9 * np.multiply.outer(G, u) * 2 / 4
    third = 0.2 + 1.1 * np.multiply.outer(second, v) * 2 / 6
    moments = np.array([np.einsum("auv,u,v->a", third**k, p, q) for k in range(1, 5)])
    expected = moments / moments[0] ** np.arange(1, 5)[:, None]
    assert moment_ratios(mlp, X, [3])[:, 0] == pytest.approx(expected, rel=1e-12)
    assert np.exp(log_mean_square(mlp, X, [3]))[0] == pytest.approx(moments[0], rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_moments_of_explicit_networks(activation, bias, simulate, assert_mean):
    mlp = varied(activation, bias=bias)
    layers = [1, 2, 3, 4]
    G = np.exp(log_mean_square(mlp, X, layers))
    ratios = moment_ratios(mlp, X, layers)
    for k, z in enumerate(simulate(mlp, X, 60_000, seed=11)):
        for power in (1, 2, 3):
            assert_mean(elementary(z, power), ratios[power - 1, k] * G[k] ** power)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_uniform_weights_of_explicit_networks(activation, bias, simulate, assert_mean):
    mlp = varied(activation, "uniform", bias)
    layers = [1, 2, 3, 4]
    G = np.exp(log_mean_square(mlp, X, layers))
    pair, same = pair_ratios(mlp, X, layers)
    for k, z in enumerate(simulate(mlp, X, 60_000, seed=12)):
        assert_mean(elementary(z, 1), G[k])
        assert_mean(elementary(z, 2), pair[k] * G[k] ** 2)
        assert_mean(np.mean(z**4, axis=1), same[k] * G[k] ** 2)


def test_pytorch_default_flows_to_its_fixed_point():
    # C_W = 1/3 and ReLU: the bias is 5/6 of G, whose kurtosis is -6/5 (5/6)^2 at infinite width.
    mlp = Perceptron.uniform_width("relu", dimension=3, width=100_000, depth=30, weights="pytorch")
    G = np.exp(log_mean_square(mlp, X, [30]))
    assert pytest.approx(0.4, rel=1e-6) == G * 100_000
    assert pair_ratios(mlp, X, [30])[1] - 3 == pytest.approx(-5 / 6, rel=1e-3)
    assert leading_order(mlp, X, [30]).kurtosis_infinite == pytest.approx(-5 / 6, rel=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_normal_weights_are_the_uniform_recursion_without_kurtosis(activation, monkeypatch):
    mlp = varied(activation, "uniform")
    monkeypatch.setattr(Perceptron, "excess_kurtosis", 0.0)
    pair, same = pair_ratios(mlp, X, [1, 2, 3, 4])
    expected = moment_ratios(varied(activation), X, [1, 2, 3, 4])[1]
    assert pair == pytest.approx(expected, rel=1e-12)
    assert same == pytest.approx(3 * expected, rel=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("weights", ["normal", "uniform"])
@pytest.mark.parametrize("bias", [True, False])
def test_first_orders_are_those_of_the_exact_moments(activation, weights, bias):
    def at(n):
        widths = (3, n, 2 * n, 3 * n, n)
        C_b = (0.3, 0.1, 0.2, 0.4) if bias else (0.0,) * 4
        return Perceptron(activation, widths, C_b, (1.4, 0.9, 1.1, 1.3), weights)

    layers, n = [1, 2, 3, 4], 10**6
    mlp = at(n)
    first = leading_order(mlp, X, layers)
    pair, same = pair_ratios(mlp, X, layers)
    assert n * (pair - 1) == pytest.approx(n * first.four_point, rel=1e-4, abs=1e-8)
    corrections = n * (same - 3 - first.kurtosis_infinite)
    expected = n * (first.kurtosis - first.kurtosis_infinite)
    assert corrections == pytest.approx(expected, rel=1e-4, abs=1e-7)
    if weights == "normal":
        n = 3000
        _, two, three, _ = moment_ratios(at(n), X, layers)
        assert n**2 * (three - 3 * two + 2) == pytest.approx(
            n**2 * leading_order(at(n), X, layers).six_point, rel=2e-2, abs=1e-6
        )
    else:
        assert np.isnan(first.six_point).all()


def test_published_values():
    # PDLT section 3.3, equal widths: V/G^2 = 2 (l - 1) linear; ReLU 5 (l - 1), with C_b = 0.
    for activation, C_W, V in (("linear", 1.0, 8.0), ("relu", 2.0, 20.0)):
        mlp = Perceptron.uniform_width(activation, dimension=3, width=10, depth=5, C_W=C_W)
        assert 10 * leading_order(mlp, X, [5]).four_point == pytest.approx(V)
        assert log_growth(mlp, [1, 5]) == pytest.approx([0, V / 10])
    # Linear, exact product form of PDLT sections 3.3 and 3.4.
    mlp = Perceptron("linear", (3, 4, 7, 2), (0.0,) * 3, (1.0,) * 3)
    _, two, three, _ = moment_ratios(mlp, X, [3])
    n = np.array([4, 7])
    assert two == pytest.approx(np.prod(1 + 2 / n))
    assert three == pytest.approx(np.prod(1 + 6 / n + 8 / n**2))


def test_double_scaling_is_the_limit():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=4000, depth=2001, C_W=2.0)
    growth = log_growth(mlp, [2001])[0]
    assert growth == pytest.approx(2.5)
    two = moment_ratios(mlp, X, [2001])[1]
    assert two == pytest.approx(np.exp(growth), rel=5e-3)


@pytest.mark.parametrize("weights", ["normal", "uniform"])
def test_dead_networks(weights, simulate, assert_mean):
    mlp = Perceptron("relu", (3, 2, 3, 1, 4), (0.0,) * 4, (2.0,) * 4, weights)
    x = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    expected = dead_fraction(mlp, x, [1, 2, 3, 4])
    assert expected[:, 1] == pytest.approx(1)
    assert expected[-1, 0] == pytest.approx(1 - (1 - 1 / 4) * (1 - 1 / 8) * (1 - 1 / 2))
    for k, z in enumerate(simulate(mlp, x[:1], 100_000, seed=13)):
        assert_mean(np.all(z == 0, axis=1), expected[k, 0])
    # A bias in the first and third layer: dead in the others only, by the layer just before.
    mixed = Perceptron("relu", (3, 2, 3, 1, 4), (0.1, 0.0, 0.1, 0.0), (2.0,) * 4, weights)
    expected = dead_fraction(mixed, x, [1, 2, 3, 4])
    assert expected[:, 0] == pytest.approx([0, 1 / 4, 0, 1 / 2])
    for k, z in enumerate(simulate(mixed, x, 100_000, seed=14)):
        assert_mean(np.all(z == 0, axis=1), expected[k])
    mlp = Perceptron("leaky_relu(0.1)", (3, 1, 1, 4), (0.0,) * 3, (2.0,) * 3, weights)
    assert np.array_equal(dead_fraction(mlp, x, [3]), [[0.0, 1.0]])


@pytest.mark.parametrize("weights", ["normal", "uniform"])
def test_great_depth_gives_infinities_and_no_error(weights):
    mlp = Perceptron.uniform_width(
        "relu", dimension=3, width=16, depth=20_000, C_W=2.0, weights=weights
    )
    pair, same = pair_ratios(mlp, X, [10, 20_000])
    assert np.isfinite(pair[0]).all()
    assert np.isinf(pair[1]).all()
    assert np.isinf(same[1]).all()
    assert log_mean_square(mlp, X, [20_000])[0] == pytest.approx(
        np.log(2 * np.sum(X**2, axis=1) / 3)
    )
    assert 0 < dead_fraction(mlp, X, [20_000])[0, 0] < 1


def test_zero_input():
    for bias in (True, False):
        for weights in ("normal", "uniform"):
            mlp = varied("relu", weights, bias)
            pair, same = pair_ratios(mlp, np.zeros((1, 3)), [1, 2, 4])
            assert np.isfinite(pair).all()
            assert np.isfinite(same).all()
    assert np.isneginf(log_mean_square(mlp, np.zeros((1, 3)), [3])).all()


def test_errors():
    with pytest.raises(ValueError, match="no two slopes"):
        pair_ratios(varied("tanh"), X, [1])
    with pytest.raises(ValueError, match="normal weights"):
        moment_ratios(varied("relu", "uniform"), X, [1])
    with pytest.raises(ValueError, match="numbered from 1 to 4"):
        leading_order(varied("relu"), X, [5])
