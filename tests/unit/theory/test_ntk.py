"""The infinite-width NTK, against brute-force integration and against networks themselves."""

import numpy as np
import pytest

import tangents
from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.slopes import mean_square_slope, slope_covariance
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk

pytestmark = pytest.mark.fast

X = np.random.default_rng(3).normal(size=(3, 4))
NAMES = [*TABLE, "leaky_relu(0.2)"]


def varied(activation, bias=0.2):
    mlp = Perceptron(
        activation, (4, 9, 6, 8, 5), (bias, 2 * bias, 0.5 * bias, bias), (1.5, 1.7, 1.2, 1.4)
    )
    return mlp, LearningRates((0.3, 0.7, 0.2, 0.4), (1.0, 0.5, 2.0, 1.3))


def brute_force(mlp, rates, x, layer):
    """The recursion with sums over a plane of 2002^2 points, derivatives by differences."""
    u = np.linspace(-9, 9, 2002)
    weight = np.exp(-u * u / 2) * (u[1] - u[0]) / np.sqrt(2 * np.pi)
    f, h = mlp.activation.function, 1e-5

    def slope(z):
        return (f(z + h) - f(z - h)) / (2 * h)

    K = mlp.C_b[0] + mlp.C_W[0] * x @ x.T / x.shape[1]
    theta = rates.lambda_b[0] + rates.lambda_W[0] * x @ x.T / x.shape[1]
    for k in range(1, layer):
        squares, slopes = np.empty_like(K), np.empty_like(K)
        for a in range(len(x)):
            for b in range(len(x)):
                root = np.linalg.cholesky(K[np.ix_([a, b], [a, b])] + 1e-14 * np.eye(2))
                z1 = (root[0, 0] * u)[:, None]
                z2 = root[1, 0] * u[:, None] + root[1, 1] * u
                squares[a, b] = weight @ (f(z1) * f(z2)) @ weight
                slopes[a, b] = weight @ (slope(z1) * slope(z2)) @ weight
        theta = rates.lambda_b[k] + rates.lambda_W[k] * squares + mlp.C_W[k] * slopes * theta
        K = mlp.C_b[k] + mlp.C_W[k] * squares
    return theta


@pytest.mark.parametrize("activation", ["tanh", "gelu", "cos", "relu", "abs"])
def test_brute_force(activation):
    mlp, rates = varied(activation)
    found = infinite_width_ntk(mlp, rates, X[:2], [3])[0]
    # Kinks cost the plane three digits.
    rel = 3e-4 if mlp.activation.slopes else 1e-8
    assert found == pytest.approx(brute_force(mlp, rates, X[:2], 3), rel=rel)


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "abs"])
def test_layer_2_is_exact_at_any_width(activation, assert_mean):
    # Layer 1 is Gaussian and its NTK is fixed, so that the mean of layer 2 has no correction.
    mlp = Perceptron(activation, (4, 3, 2), (0.1, 0.3), (1.5, 1.2))
    rates = LearningRates((0.5, 0.2), (1.0, 2.0))
    nets = tangents.networks(mlp, X, 40_000, seed=1)
    theta = tangents.tangent_kernel(mlp, rates, nets)
    expected = infinite_width_ntk(mlp, rates, X, [2])[0]
    assert_mean((theta[:, 0, :, 0] + theta[:, 1, :, 1]) / 2, expected)
    assert_mean(theta[:, 0, :, 1], 0.0)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu(0.3)", "linear"])
def test_two_slopes_are_exact_on_the_diagonal(activation, assert_mean):
    mlp = Perceptron(activation, (4, 3, 4, 2, 2), (0.1, 0.0, 0.3, 0.1), (1.5, 1.2, 2.0, 1.4))
    rates = LearningRates((0.5, 0.2, 0.1, 0.7), (1.0, 2.0, 0.4, 1.3))
    theta = tangents.tangent_kernel(mlp, rates, tangents.networks(mlp, X, 60_000, seed=2))
    expected = np.diagonal(infinite_width_ntk(mlp, rates, X, [4])[0])
    assert_mean(np.einsum("maa->ma", theta[:, 0, :, 0]), expected)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_wide_networks(activation):
    mlp = Perceptron(activation, (4, 300, 300, 300, 1), (0.1,) * 4, (1.5,) * 4)
    rates = LearningRates.named("ntk", mlp)
    theta = tangents.tangent_kernel(mlp, rates, tangents.networks(mlp, X, 60, seed=3))
    theta = theta[:, 0, :, 0]
    expected = infinite_width_ntk(mlp, rates, X, [4])[0]
    # The mean is off by about L/n of itself.
    slack = 4.5 * theta.std(axis=0) / np.sqrt(60) + 4 / 300 * expected.max()
    assert slack.max() < 0.25 * expected.max()
    assert np.all(np.abs(theta.mean(axis=0) - expected) < slack)


@pytest.mark.parametrize("activation", NAMES)
def test_equal_opposite_and_zero_inputs(activation):
    x = np.array([X[0], X[0], -X[0], 0 * X[0], X[1]])
    for bias in (0.0, 0.2):
        mlp, rates = varied(activation, bias)
        found = infinite_width_ntk(mlp, rates, x, [1, 2, 4])
        assert found == pytest.approx(found.swapaxes(1, 2), rel=1e-14)
        assert found[:, 1] == pytest.approx(found[:, 0], rel=1e-8, abs=1e-9)
        assert np.linalg.eigvalsh(found).min() > -1e-7 * found.max()
        alone = infinite_width_ntk(mlp, rates, x[2:3], [1, 2, 4])
        assert found[:, 2, 2] == pytest.approx(alone[:, 0, 0], rel=1e-12)
        if mlp.activation.slopes is None and get(activation).function(np.zeros(())) == 0:
            # tanh and its kind are odd, or z of a zero input is zero: nothing is special.
            near = infinite_width_ntk(mlp, rates, x + np.eye(5, 4) * 1e-7, [4])
            assert found[2] == pytest.approx(near[0], rel=1e-5, abs=1e-6)


def test_a_zero_input_passes_nothing_through_a_kink():
    mlp, rates = varied("relu", 0.0)
    x = np.array([0 * X[0], X[1]])
    nets = tangents.networks(mlp, x, 10, seed=0)
    theta = tangents.tangent_kernel(mlp, rates, nets)
    found = infinite_width_ntk(mlp, rates, x, [4])[0]
    assert np.all(theta[:, 0, 0, 0, :] == found[0])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu(0.2)", "abs", "linear"])
def test_logarithms_against_plain_numbers(activation):
    # A bias of 1e-300 takes the other path and changes nothing else.
    for lambda_b, lambda_W in ((0.5, 1.2), (0.0, 1.0), (0.7, 0.0)):
        rates = LearningRates((lambda_b,) * 4, (lambda_W,) * 4)
        plain = infinite_width_ntk(varied(activation, 1e-300)[0], rates, X, [1, 2, 4])
        found = infinite_width_ntk(varied(activation, 0.0)[0], rates, X, [4, 1, 2])
        assert found[[1, 2, 0]] == pytest.approx(plain, rel=1e-12, abs=1e-12)


def test_depth_beyond_the_range_of_floats():
    # K grows to 2^2000 and comes back; at equal norms every layer puts in lambda_W K_L/C_W.
    C_W = (2.0, *(4.0,) * 2000, *(1.0,) * 2000)
    depth = len(C_W)
    mlp = Perceptron("relu", (4, *(8,) * depth), (0.0,) * depth, C_W)
    rates = LearningRates((0.0,) * depth, tuple(3 * c for c in C_W))
    x = X / np.sqrt(np.mean(X**2, axis=1, keepdims=True))
    found = infinite_width_ntk(mlp, rates, x, [depth])[0]
    assert np.diagonal(found) == pytest.approx(3 * 2 * depth * np.ones(3), rel=1e-9)
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh(found).min() > 0


@pytest.mark.parametrize("activation", NAMES)
def test_slopes_of_equal_inputs_are_the_mean_square(activation):
    K = np.array([1e-6, 0.3, 4.0, 50.0])
    one = mean_square_slope(get(activation), K)
    assert slope_covariance(get(activation), K, K, K) == pytest.approx(one, rel=1e-8)


def test_bad_input():
    mlp, rates = varied("tanh")
    with pytest.raises(ValueError, match="normal weights"):
        infinite_width_ntk(Perceptron("tanh", (4, 5), (0.0,), (1.0,), "uniform"), rates, X, [1])
    with pytest.raises(ValueError, match="rates need 4 values"):
        infinite_width_ntk(mlp, LearningRates((1.0,), (1.0,)), X, [1])
    with pytest.raises(ValueError, match="layers are numbered"):
        infinite_width_ntk(mlp, rates, X, [5])
