"""Theory of singular values of derivatives by the input, beside networks that are drawn."""

import numpy as np
import pytest
from scipy import integrate, stats

from finitewidth.core.bins import PROBABILITIES
from finitewidth.estimate.families import estimate
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.mlp.tangent_squares import along_and_across
from finitewidth.theory.mlp.volumes import log_volumes
from finitewidth.theory.predict.predict_member import predict_network

MEASURE = ("preactivations", "jacobian")
NAMES = ("jacobian_square", "jacobian_log_mean", "jacobian_log_variance")
X = np.array([[1.0, -0.5, 0.2]])
ABOUT = {"neurons": 2, "networks": 100, "rates": None}


def told(mlp, x=X):
    layers = range(1, len(mlp.widths))
    return predict_network(mlp, x, layers, ["jacobian"], **ABOUT)


def measured(mlp, networks, x=X):
    found = sample(mlp, x, networks=networks, seed=1, measure=MEASURE)
    return found, estimate([found], ["jacobian"], seed=1, ensemble="e", member="m")


EXACT = {
    "linear": Perceptron("linear", (3, 5, 4, 6), (0.2,) * 3, (1.5, 0.8, 1.2)),
    "narrow": Perceptron("linear", (3, 5, 2, 4), (0.0,) * 3, (1.5, 0.8, 1.2)),
    "relu": Perceptron("relu", (3, 12, 10, 9), (0.3,) * 3, (1.5, 2.0, 1.7)),
    "one output": Perceptron("relu", (3, 8, 6, 1), (0.0,) * 3, (1.5, 2.0, 1.7)),
    "leaky": Perceptron("leaky_relu(0.3)", (3, 5, 4, 6), (0.3,) * 3, (1.5, 0.8, 1.2)),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_exact_is_so_at_any_width(case):
    """4.5 standard errors of at most nine numbers a case: once in 3,000 sets of all."""
    mlp = EXACT[case]
    theory, (_, found) = told(mlp), measured(mlp, 6000)
    for name in NAMES:
        exact = theory[name].sel(order="exact").values[:, 0]
        if name != "jacobian_square" and case == "leaky":
            assert np.isnan(exact[1:]).all()
            continue
        assert np.isfinite(exact).all()
        pull = (found[name].values[:, 0] - exact) / found[f"{name}_stderr"].values[:, 0]
        assert (np.abs(pull) < 4.5).all(), (name, pull)


def test_a_volume_of_one_direction_is_a_chi_variable():
    """By integrals over the density of chi^2, of one number after another."""
    mean, variance = log_volumes(Perceptron("linear", (1, 3), (0.0,), (1.4,)), [1])

    def moment(k):
        return integrate.quad(
            lambda v: (0.5 * np.log(1.4 * v)) ** k * stats.chi2.pdf(v, 3), 0, np.inf
        )[0]

    assert mean[0] == pytest.approx(moment(1), rel=1e-7)
    assert variance[0] == pytest.approx(moment(2) - moment(1) ** 2, rel=1e-6)


def test_gates_that_leave_too_few_rows_leave_nothing_to_say():
    mean, _ = log_volumes(Perceptron("relu", (6, 6, 6), (0.0,) * 2, (2.0,) * 2), [1, 2])
    assert np.isfinite(mean[0])
    assert np.isnan(mean[1])


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin"])
def test_wide_networks_tend_to_one_value_along_and_one_across(activation):
    """Widths 100 and 300 to order 1/n; 4.5 errors of six numbers: once in 2e4."""
    x, means = 2 * X, []
    for width in (100, 300):
        mlp = Perceptron.uniform_width(activation, dimension=3, width=width, depth=3, C_b=0.1,
                                       C_W=1.8)  # fmt: skip
        found = sample(mlp, x, networks=400, seed=1, measure=MEASURE)["jacobian"].values[:, :, 0]
        squares = np.exp(2 * found) * 3 / width
        means.append((squares.sum(-1).mean(0), squares.sum(-1).std(0) / 20))
    (narrow, a), (wide, b) = means
    along, across = along_and_across(mlp, x, [1, 2, 3])
    limit, error = (3 * wide - narrow) / 2, np.hypot(1.5 * b, 0.5 * a)
    assert (np.abs(limit - (along + 2 * across)[:, 0]) < 4.5 * error).all()
    # As if the tangent along the input were one of the others.
    if activation == "tanh":
        assert np.abs(limit - 3 * across[:, 0])[-1] > 6 * error[-1]


def test_the_tangent_along_the_input_is_a_derivative_of_the_kernel():
    """Its mean product with the neuron is half of the kernel's derivative by log |x|; its square,
    mixed second derivatives of the kernel of two inputs on a line."""
    from finitewidth.theory.mlp import kernel

    mlp = Perceptron.uniform_width("erf", dimension=3, width=9, depth=4, C_b=0.1, C_W=1.8)
    h = 1e-2
    x = np.concatenate([(1 + h) * X, (1 - h) * X])
    K = kernel.infinite_width(mlp, x, [1, 2, 3, 4])
    mixed = (K[:, 0, 0] + K[:, 1, 1] - 2 * K[:, 0, 1]) / (2 * h) ** 2
    along, _ = along_and_across(mlp, X, [1, 2, 3, 4])
    np.testing.assert_allclose(along[:, 0] * (X @ X.T).item() / 3, mixed, rtol=2e-3)


def test_spectra_are_means_of_quantiles_of_each_network():
    mlp = EXACT["linear"]
    samples, found = measured(mlp, 200)
    logs = samples["jacobian"].values[:, 1, 0] + 0.5 * np.log(3 / 4)
    for place, share in enumerate(PROBABILITIES):
        each = [sorted(row)[max(int(np.ceil(share * 3)), 1) - 1] for row in logs]
        here = found["jacobian_spectrum"].values[1, 0, place]
        assert here == pytest.approx(np.mean(each))
        error = found["jacobian_spectrum_stderr"].values[1, 0, place]
        assert error == pytest.approx(np.std(each, ddof=1) / 200**0.5, rel=0.02)
    mean = found["jacobian_log_mean"].values[1, 0]
    assert mean == pytest.approx(logs.mean())
    square = np.exp(2 * logs).mean()
    assert found["jacobian_square"].values[1, 0] == pytest.approx(square)
