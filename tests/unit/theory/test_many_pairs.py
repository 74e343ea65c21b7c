"""Mehler's formula for all pairs of a data set, against the rule in the plane for one pair."""

import numpy as np
import pytest

from finitewidth.models.activations.table import get
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.perceptron import Perceptron
from finitewidth.planning.members import members
from finitewidth.study.study_file import validate
from finitewidth.theory.gaussian.expectations import pair_expectation
from finitewidth.theory.gaussian.many_pairs import MANY, product_means
from finitewidth.theory.layers.kernels import Kernels, step
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.training.stability import stable_learning_rate

VALUES = {"kind": "values", "values": [[1.0]]}

pytestmark = pytest.mark.fast

FUNCTIONS = {
    **{name: get(name).function for name in ("tanh", "sigmoid", "silu", "softplus", "arctan")},
    **{f"slope of {name}": get(name).derivative for name in ("tanh", "silu", "relu")},
    "exponential below, linear above": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
}


def kernel(scale):
    """Inputs of many lengths: some equal, opposite, zero, nearly equal, and some on one line."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(24, 3)) * scale / np.sqrt(3)
    x[1], x[2], x[3], x[4] = x[0], -x[0], 0.0, x[0] * (1 + 1e-7)
    x[16:] = np.linspace(-2, 2, 8)[:, None] * x[5]
    return x @ x.T


@pytest.mark.parametrize("scale", [0.3, 2.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_pair_is_that_of_the_rule_in_the_plane(name, scale):
    f, K = FUNCTIONS[name], kernel(scale)
    found = product_means(f, K)
    a, b = np.triu_indices(len(K), 1)
    value, error = pair_expectation(lambda y, z: f(y) * f(z), K[a, a], K[b, b], K[a, b], error=True)
    assert np.array_equal(found, found.T)
    assert np.all(np.abs(found[a, b] - value) <= error + 1e-12 * np.abs(value).max())


def test_tiles_meet():
    """More variables than lie in a tile, in another order."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 2))
    order = rng.permutation(150)
    K = x @ x.T
    found = product_means(np.tanh, K)
    other = product_means(np.tanh, K[np.ix_(order, order)])
    np.testing.assert_allclose(other, found[np.ix_(order, order)], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["tanh", "silu", "relu", "gelu"])
def test_layers_of_many_inputs_are_those_of_few(name):
    x = np.random.default_rng(6).normal(size=(MANY + 3, 4))
    K = x @ x.T / 4
    layer, of = Nonlinearity(name), {"tangents": np.ones_like(K), "gaussian": True}
    many = step(layer, Kernels((), K, **of), iter(()))
    of["tangents"] = of["tangents"][:5, :5]
    few = step(layer, Kernels((), K[:5, :5], **of), iter(()))
    np.testing.assert_allclose(many.nngp[:5, :5], few.nngp, rtol=0, atol=1e-12)
    np.testing.assert_allclose(many.ntk[:5, :5], few.ntk, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["line", "cloud"])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_a_learning_rate_of_many_inputs_is_bounded_closely(name, kind):
    config = validate(
        {
            "seed": 1,
            "inputs": {"x": {"kind": "points", "points": [[0.0]], "targets": VALUES}},
            "ensembles": {
                "e": {
                    "activation": name, "init": {"C_W": 1.5, "C_b": 0.1}, "width": 32, "depth": 3,
                    "inputs": "x", "networks": 50,
                    "train": {"inputs": "x", "learning_rate": 1e-6, "steps": [1]},
                }
            },
            "studies": {"s": {"ensembles": ["e"]}},
        }
    )  # fmt: skip
    (m,) = members(config, "e")
    cloud = np.random.default_rng(7).normal(size=(200, 5))
    x = np.linspace(-1, 2, 200)[:, None] if kind == "line" else cloud
    mlp = Perceptron.of_member(m, dimension=x.shape[1])
    theta = infinite_width_ntk(mlp, m.rates(mlp), x, [mlp.depth])[0]
    exact = 2 / np.linalg.eigvalsh(theta)[-1]
    assert 0.8 * exact < stable_learning_rate(m, x, spread=False) <= exact * (1 + 1e-9)
