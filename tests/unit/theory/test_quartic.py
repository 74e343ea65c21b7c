"""Means of four activations: against nested sums, angular integrals and each other."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from finitewidth.core.indices import quads
from finitewidth.models.activations.table import TABLE, get
from finitewidth.theory.gaussian.expectations import covariance, moment, pair_expectation
from finitewidth.theory.gaussian.four_activations import quartic
from finitewidth.theory.gaussian.trapezoidal import moments

NAMES = (*TABLE, "leaky_relu(0.2)", "leaky_relu(-0.5)")
SMOOTH = [name for name, a in TABLE.items() if a.strip is not None and name != "linear"]
CLOSED = ["erf", "gelu", "sin", "cos"]

# One factor and four rests: every pair of correlations of the four has its own value and sign.
LOADINGS = np.array([0.9, -0.5, 0.6, 0.2])
REST = np.array([0.3, 0.5, 0.4, 1.1])


def scale(activation, K):
    """Hölder's bound on each value."""
    return np.prod(moment(activation, 4, np.diagonal(K))[quads(len(K))] ** 0.25, axis=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 20.0])
def test_against_nested_sums(name, size, one_factor):
    activation = get(name)
    powers = [np.bincount(quad, minlength=4) for quad in quads(4)]
    K, expected = one_factor(activation, np.sqrt(size) * LOADINGS, size * REST, powers)
    found = quartic(activation, K)
    gap, bound = np.abs(found.values - expected), scale(activation, K)
    assert np.all(gap < 2e-9 * bound)
    assert np.all(gap < found.errors + 1e-12 * bound)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("size", [1e-6, 0.3, 5.0, 30.0])
@pytest.mark.parametrize("rank", [1, 2, 3, 6])
def test_closed_forms_against_lattices(name, size, rank):
    activation = get(name)
    A = np.random.default_rng(rank).normal(size=(4, rank))
    K = size * A @ A.T / np.diagonal(A @ A.T).max()
    closed, grid = quartic(activation, K), quartic(activation, K, method="quadrature")
    gap = np.abs(closed.values - grid.values)
    assert np.all(gap < 1e-7 * scale(activation, K))
    assert np.all(gap <= closed.errors + grid.errors)


@pytest.mark.parametrize("name", SMOOTH)
def test_far_out_errors_are_said(name, one_factor):
    # Beyond the reach of its grid, the estimate covers what is missing.
    activation = get(name)
    K, expected = one_factor(activation, 10 * LOADINGS, 100 * REST, [[1, 1, 1, 1]])
    fine, coarse = (
        moments(activation.function, activation.strip, K, [(1, 1, 1, 1)], stretch)
        for stretch in (1.0, 1.25)
    )
    assert abs(fine - expected) <= abs(fine - coarse) + 1e-9 * scale(activation, K)[0]


@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu(0.2)"])
@pytest.mark.parametrize("seed", range(5))
def test_two_slopes_in_a_plane(name, seed):
    # z_a = r c_a cos(phi - p_a) and <r^4> = 8: an integral over one angle.
    activation = get(name)
    A = np.random.default_rng(seed).normal(size=(4, 2))
    found = quartic(activation, A @ A.T)
    bound = scale(activation, A @ A.T)
    kinks = np.arctan2(A[:, 0], -A[:, 1]) % np.pi
    edges = np.sort(np.concatenate([kinks - np.pi, kinks, [np.pi]]))
    edges = np.concatenate([[-np.pi], edges])
    for k, quad in enumerate(quads(4)):

        def product(phi, quad=quad):
            return np.prod(activation.function(A @ [np.cos(phi), np.sin(phi)])[quad])

        parts = [integrate.quad(product, a, b)[0] for a, b in pairwise(edges)]
        expected = 8 * sum(parts) / (2 * np.pi)
        assert abs(found.values[k] - expected) < 1e-9 * bound[k]


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "sin", "silu"])
def test_independent_pairs_factor(name):
    activation = get(name)
    K = np.zeros((4, 4))
    K[:2, :2], K[2:, 2:] = [[1.0, 0.7], [0.7, 2.0]], [[0.5, -0.3], [-0.3, 0.4]]
    values = dict(zip(map(tuple, quads(4)), quartic(activation, K).values, strict=True))
    first, second = covariance(activation, 1.0, 2.0, 0.7), covariance(activation, 0.5, 0.4, -0.3)
    assert values[0, 1, 2, 3] == pytest.approx(first * second, rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "relu", "abs", "leaky_relu(0.2)", "gelu", "cos", "silu"])
def test_equal_opposite_zero_and_proportional_inputs(name):
    activation = get(name)
    f = activation.function
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 5))
    X = np.stack([a, a, -a, 0 * a, 2 * a, b])
    K = X @ X.T / 5
    values = quartic(activation, K).values
    # The same from two variables: polar panels take any function of both, with kinks at zero.

    block = K[0, 0], K[5, 5], K[0, 5]
    factor = [1, 1, -1, 0, 2, 0]
    bound = max(scale(activation, K))
    for k, quad in enumerate(quads(6)):

        def product(z1, z2, quad=quad):
            return np.prod([f(z2 if i == 5 else factor[i] * z1) for i in quad], axis=0)

        if len({*quad}) >= 3 or k % 5 == 0:
            assert values[k] == pytest.approx(pair_expectation(product, *block), abs=1e-9 * bound)


@pytest.mark.parametrize("name", ["relu", "abs"])
@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-6, 1e-7, 1e-9, 1e-12])
def test_nearly_equal_inputs(name, gap, one_factor):
    # Two inputs with a common part: correlation 1 - gap, and two others.
    load = np.array([0.8, 0.8, -0.5, 0.3])
    common, tiny = 0.36, 2 * gap
    activation = get(name)
    K = np.outer(load, load) + np.diag([common, common, 0.4, 0.9])
    K[0, 1] = K[1, 0] = K[0, 0] - tiny
    found = quartic(activation, K)
    order = [2, 1, 3, 0]
    other = quartic(activation, K[np.ix_(order, order)])
    k = quads(4).tolist().index([0, 1, 2, 3])
    assert found.values[k] == pytest.approx(other.values[k], rel=1e-8)
    # To first order in the gap, from the equal inputs.
    _, expected = one_factor(activation, load[[0, 2, 3]], [common, 0.4, 0.9], [[2, 1, 1]])
    assert abs(found.values[k] - expected) < 3 * gap + 1e-9


def test_order_of_inputs_and_shapes():
    A = np.random.default_rng(2).normal(size=(5, 7))
    K = A @ A.T / 7
    order = np.array([3, 0, 4, 2, 1])
    for name in ("tanh", "gelu", "relu"):
        found = quartic(get(name), K, estimate=False)
        assert np.isnan(found.errors).all()
        moved = quartic(get(name), K[np.ix_(order, order)], estimate=False).values
        place = {tuple(q): k for k, q in enumerate(quads(5))}
        back = [place[tuple(sorted(order[q]))] for q in quads(5)]
        assert moved == pytest.approx(found.values[back], rel=1e-9, abs=1e-12)


def test_errors():
    with pytest.raises(ValueError, match="square matrix"):
        quartic(get("tanh"), np.ones(3))
    with pytest.raises(ValueError, match="none of auto, quadrature"):
        quartic(get("tanh"), np.eye(2), method="hermite")
    with pytest.raises(ValueError, match="has a kink"):
        quartic(get("relu"), np.eye(2), method="quadrature")


def test_steep_activations_on_two_inputs_cost_no_more_than_others():
    # At a variance of 1e7 silu is a ReLU up to 1e-6; grids would have 1e10 points there.
    K = 1e7 * np.array([[1.0, 0.3], [0.3, 0.5]])
    steep, kinked = (quartic(get(name), K) for name in ("silu", "relu"))
    np.testing.assert_allclose(steep.values, kinked.values, rtol=1e-5)
    assert np.all(steep.errors < 1e-9 * steep.values)
