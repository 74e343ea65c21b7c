"""Singular values of derivatives by the input: both ways of drawing, against torch.func.jacrev.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import jacobians
from finitewidth.sampling.layers.singular_values import by_rotations, log_singular_values
from small_blocks import stream, through

FALSE_ALARM = 1e-4
MEASURE = ("preactivations", "jacobian")
X = np.array([[1.0, -0.5], [0.3, 0.7]])
TWO = ({"dense": {"width": "2n"}}, "activation", "dense")
BIASED = {"C_W": 1.7, "C_b": 0.3, "dimension": 2}
NETWORKS = {
    "tanh": Perceptron.uniform_width("tanh", width=8, depth=3, **BIASED).architecture,
    "relu": Perceptron.uniform_width("relu", width=8, depth=3, **BIASED).architecture,
    "one output": Perceptron.uniform_width(
        "gelu", width=8, depth=3, outputs=1, **BIASED
    ).architecture,
    "skips": stream("tanh", gamma=0.8, beta=0.7, width=12),
    "norms before": stream("gelu", norm="layer", width=12),
    "norms behind": stream("relu", norm="rms", place="post", width=12),
    "two matrices": stream("relu", branch=TWO, width=12),
}


def inputs(network):
    return np.sin(1.7 * np.arange(2 * network.shapes[0][0])).reshape(2, -1) + 0.1


def by_autograd(network, x, generator):
    """Singular values of torch's own Jacobians, (layers of results, inputs, n_0), largest first."""
    found, state = [], generator.get_state()
    for end in network.ends:

        def layer(one, end=end):
            generator.set_state(state)
            return through(network.layers[:end], one[None], generator)[0]

        each = [torch.linalg.svdvals(torch.func.jacrev(layer)(one)) for one in x]
        rows = torch.zeros(len(x), x.shape[1], dtype=x.dtype)
        for row, values in zip(rows, each, strict=True):
            row[: len(values)] = values
        found.append(rows)
    return torch.stack(found)


@cache
def wanted(case):
    network, generator = NETWORKS[case], torch.Generator().manual_seed(3)
    x = torch.from_numpy(inputs(network))
    return torch.stack([by_autograd(network, x, generator) for _ in range(400)]).numpy()


def drawn(case, sampler, networks=2000):
    network = NETWORKS[case]
    how = {"networks": networks, "seed": 4, "sampler": sampler, "measure": MEASURE}
    return np.exp(sample(network, inputs(network), **how)["jacobian"].values)


def p_values(one, other):
    """Of each singular value on both inputs, their product over inputs, and their ratio."""
    found = []
    for layer in range(one.shape[1]):
        a, b = one[:, layer], other[:, layer]
        for k in range(a.shape[-1]):
            if b[..., k].max() < 1e-12:
                assert (a[..., k] < 1e-12).all()
                continue
            pairs = [(a[:, 0, k], b[:, 0, k]), (a[:, 1, k], b[:, 1, k])]
            pairs += [(a[:, 0, k] * a[:, 1, k], b[:, 0, k] * b[:, 1, k])]
            pairs += [(a[:, 0, k] - a[:, 0, 0], b[:, 0, k] - b[:, 0, 0])] if k else []
            # Where gates are all closed a rounding is not told from 0.
            pairs = [tuple(np.where(abs(v) < 1e-12, 0, v) for v in pair) for pair in pairs]
            found += [stats.ks_2samp(*pair).pvalue for pair in pairs]
    return np.array(found)


@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
@pytest.mark.parametrize("case", NETWORKS)
def test_singular_values_have_the_law_of_torchs_jacobians(case, sampler):
    p = p_values(drawn(case, sampler), wanted(case))
    assert p.min() > FALSE_ALARM / len(p), p.min()


def test_both_samplers_have_one_law():
    p = p_values(drawn("tanh", "marginal", 5000), drawn("tanh", "explicit", 4000))
    assert p.min() > FALSE_ALARM / len(p), p.min()


@pytest.mark.parametrize("case", ["tanh", "norms before"])
def test_tangents_without_slopes_are_caught(case, monkeypatch):
    """Wrong on purpose: tangents that no activation and no norm changes."""
    monkeypatch.setattr(jacobians, "pull_back", lambda layer, before, after, t: t)
    p = p_values(drawn(case, "marginal"), wanted(case))
    assert p.min() < 1e-8


def test_a_bias_of_tangents_is_caught(monkeypatch):
    """Wrong on purpose: rows of tangents that have the bias of values."""
    plain = jacobians.without_weights

    def biased(layer, rows, values, tile):
        return plain(layer, rows, rows.shape[1], tile)

    architecture = NETWORKS["tanh"]
    from finitewidth.sampling import on_torch

    tile = jacobians.partial(jacobians.jacobian_tile, draw=biased)
    monkeypatch.setitem(on_torch._JACOBIAN_SAMPLERS, "marginal", tile)
    assert architecture.maps[0].C_b
    p = p_values(drawn("tanh", "marginal"), wanted("tanh"))
    assert p.min() < 1e-8


def test_layers_and_neurons_are_those_of_the_plain_sampler():
    mlp = Perceptron.uniform_width("tanh", width=8, depth=3, **BIASED)
    one = sample(mlp, X, networks=3000, seed=1, measure=MEASURE)
    other = sample(mlp, X, networks=3000, seed=2)
    for layer in range(3):
        a, b = (found["kernel"].values[:, layer, 0, 1] for found in (one, other))
        assert stats.ks_2samp(a, b).pvalue > FALSE_ALARM / 3


def test_what_is_small_is_not_lost_beside_what_is_large():
    """Of 200 square matrices, over 400 powers of ten apart: the mean logarithm is that of
    determinants, layer by layer, and all singular values are finite and in order."""
    mlp = Perceptron.uniform_width("linear", dimension=6, width=6, depth=200, C_W=1.0)
    found = sample(mlp, np.ones((1, 6)), networks=40, seed=1, layers=[200], measure=MEASURE)
    logs = found["jacobian"].values[:, 0, 0]
    assert np.isfinite(logs).all()
    assert (np.diff(logs) <= 0).all()
    i = np.arange(6)
    from scipy.special import psi

    exponents = 100 * (np.log(2 / 6) + psi((6 - i) / 2))
    error = logs.std(axis=0) / 40**0.5
    # Exponents that are met but for a number that does not grow with depth; 4.5 errors and 2.
    assert (abs(logs.mean(axis=0) - exponents) < 4.5 * error + 2).all()
    total = abs(logs.mean() - exponents.mean())
    assert total < 4.5 * logs.mean(axis=1).std() / 40**0.5


def test_rotations_have_the_singular_values_of_lapack():
    stream = torch.Generator().manual_seed(1)
    for shape in ((3, 5, 5), (2, 4, 7), (2, 7, 4), (2, 1, 3)):
        full = torch.randn(shape, generator=stream, dtype=torch.float64)
        sizes = torch.linalg.vector_norm(full, dim=-1)
        for find in (by_rotations, log_singular_values):
            found = find(sizes.log(), full / sizes[..., None])
            known = torch.linalg.svdvals(full)
            kept = known.shape[-1]
            torch.testing.assert_close(found[..., :kept].exp(), known, rtol=1e-9, atol=0)
            assert (found[..., kept:] < -25).all()


def test_graded_rows_have_their_exact_singular_values():
    """Two rows of angle phi and lengths 1 and e^-900: 1, and e^-900 sin(phi)."""
    rows = torch.tensor([[1.0, 0.0], [np.cos(0.3), np.sin(0.3)]], dtype=torch.float64)
    found = log_singular_values(torch.tensor([0.0, -900.0], dtype=torch.float64), rows)
    torch.testing.assert_close(found, torch.tensor([0.0, -900 + np.log(np.sin(0.3))]).double())


def test_a_dead_input_has_none():
    mlp = Perceptron.uniform_width("relu", dimension=2, width=4, depth=3, C_W=2.0)
    found = sample(mlp, np.zeros((1, 2)), networks=5, seed=1, measure=MEASURE)["jacobian"].values
    assert np.isfinite(found[:, 0]).all()
    assert (found[:, 1:] == -np.inf).all()


def test_what_has_no_jacobian_is_refused():
    with pytest.raises(ValueError, match="jacobian without preactivations"):
        sample(NETWORKS["tanh"], X, networks=2, seed=1, measure=("jacobian",))
    with pytest.raises(ValueError, match="jacobian with gradient"):
        sample(NETWORKS["tanh"], X, networks=2, seed=1, measure=(*MEASURE, "gradient"))
