"""Mean tangent kernels of ladders whose rates grow with the width, and of odd weights."""

import numpy as np
import pytest

from finitewidth.comparison.extrapolate import agree
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.trapezoidal import MOST_POINTS, axis
from finitewidth.theory.gaussian.trapezoidal_products import gram
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_ntk import predict_ntk, predict_ntk_ladder

X = np.array([[1.0, 0.5, -0.3], [0.2, -1.0, 0.8]])
LAYERS = [1, 2, 3]


def ladder(activation, parameterisation, widths):
    mlps = [
        Perceptron.uniform_width(activation, dimension=3, width=n, depth=3, C_b=0.1, C_W=1.5)
        for n in widths
    ]
    return mlps, [LearningRates.named(parameterisation, mlp) for mlp in mlps]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("parameterisation", ["ntk", "standard"])
def test_each_rung_has_the_theory_of_its_own_network(activation, parameterisation):
    widths = [2, 5, 9, 16]
    mlps, rates = ladder(activation, parameterisation, widths)
    found = predict_ntk_ladder(mlps, rates, X, LAYERS)
    a, b = found["pair_a"].values, found["pair_b"].values
    for rung, (mlp, own) in enumerate(zip(mlps, rates, strict=True)):
        alone = predict_ntk(mlp, own, X, LAYERS, ["ntk"])["ntk"].isel(layer=-1)
        for order in ("infinite_width", "1/n"):
            wanted = alone.sel(order=order).values[a, b]
            given = found["ntk_mean"].sel(order=order).isel(rung=rung, layer=-1).values
            np.testing.assert_allclose(given, wanted, rtol=1e-9)
    limits = found["ntk_mean"].sel(order="infinite_width").transpose("rung", ...).values
    assert agree(limits) == ("ntk_mean_1" in found) == (parameterisation == "ntk")
    neglected = with_neglected(found, mlps, X, rates)["ntk_mean_neglected"]
    assert (neglected.sel(order=["infinite_width", "1/n"]).values >= 0).all()


@pytest.mark.parametrize("weights", ["uniform", "pytorch"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
def test_what_is_neglected_of_weights_that_are_not_normal_has_a_size(weights, activation):
    widths = (3, 4, 4, 4)
    variances = (0.0,) * 3, (1.5,) * 3
    if weights == "pytorch":
        variances = tuple(1 / (3 * n) for n in widths[:-1]), (1 / 3,) * 3
    mlp = Perceptron(activation, widths, *variances, weights)
    rates = LearningRates.named("ntk", mlp)
    families = ["ntk", "ntk_tensors", "ntk_spectrum"]
    theory = predict_ntk(mlp, rates, X, LAYERS, families)
    found = with_neglected(theory, [mlp], X, [rates])
    for name in theory.data_vars:
        left = found[f"{name}_neglected"].values
        assert (np.isnan(left) | (left >= 0)).all()


@pytest.mark.parametrize("variance", [1e12, 1e30, 1e300])
def test_a_lattice_that_cannot_be_summed_says_nothing(variance):
    u, weight = axis(1.5 / np.sqrt(variance))
    assert len(u) == MOST_POINTS
    assert np.isnan(weight).all()


@pytest.mark.parametrize("name", ["tanh", "sin", "gelu"])
def test_nor_does_what_is_made_of_one(name):
    for variance in (1e10, 1e30):
        K = variance * np.array([[1.0, 0.3], [0.3, 2.0]])
        mean, square = gram(get(name), K)
        assert mean.shape == (10,)
        assert square.shape == (10, 10)
