"""How alike inputs of one network are: loops by hand, and theory on sampled networks."""

import numpy as np
import pytest

import finitewidth as fw
from finitewidth.estimate.preactivations.collapse import mean_cosines, stable_ranks


def kernels(networks=7, inputs=5, neurons=4, seed=0):
    z = np.random.default_rng(seed).normal(size=(networks, inputs, neurons))
    z[:, 1] = 3 * z[:, 0]
    return z, z @ z.swapaxes(1, 2) / neurons


def test_cosines_and_ranks_are_those_of_vectors():
    z, K = kernels()
    for one, cosine, rank in zip(z, mean_cosines(K), stable_ranks(K), strict=True):
        size = [np.sqrt((row**2).sum()) for row in one]
        each = [one[a] @ one[b] / size[a] / size[b] for a in range(5) for b in range(a)]
        assert cosine == pytest.approx(np.mean(each))
        singular = np.linalg.svd(one, compute_uv=False)
        assert rank == pytest.approx((singular**4).sum() / singular.max() ** 4)


def test_edges():
    assert np.isnan(mean_cosines(np.ones((3, 1, 1)))).all()
    np.testing.assert_allclose(stable_ranks(np.stack([np.eye(6), np.ones((6, 6))])), [6, 1])
    dead = np.zeros((1, 2, 2))
    assert np.isnan(mean_cosines(dead)).all()
    assert np.isnan(stable_ranks(dead)).all()


def test_sampled_transformers_have_the_cosines_of_infinite_width():
    """Four numbers, 4.5 standard errors and twice the part of order 1/n, 5/n a layer."""
    law = {"C_W": 2.0}
    one = fw.network(
        "relu", width=512, C_W=1.0, read="all", readout="none",
        inputs=8, tokens=6,
        blocks=[{"residual": {"norm": "layer", "place": "post"},
                 "branch": [{"attention": {"heads": 32, "head_dim": 64, "q": law, "k": law}}]},
                {"residual": {}, "branch": ["activation", "dense"]}],
    )  # fmt: skip
    x = 1 + np.random.default_rng(2).normal(size=(1, 6, 8))
    drawn = fw.sample(one, x, networks=60, progress=False)
    found, told = fw.estimate(drawn, ["rank_collapse"]), fw.predict(one, x, ["rank_collapse"])
    for name in ("mean_cosine", "stable_rank"):
        theory = told[name].sel(order="infinite_width").values
        off = np.abs(found[name].values - theory)
        error = 4.5 * found[f"{name}_stderr"].values + 10 / 512 * theory
        assert (off < error).all(), (name, off / error)
        assert (np.abs(np.diff(theory)) > 0).all()


def test_perceptrons_have_them_too():
    one = fw.perceptron("relu", width=300, depth=3, C_W=2.0, inputs=4)
    x = 1 + np.random.default_rng(3).normal(size=(3, 4)) / 2
    drawn = fw.sample(one, x, networks=200, progress=False)
    found, told = fw.estimate(drawn, ["rank_collapse"]), fw.predict(one, x, ["rank_collapse"])
    for name in ("mean_cosine", "stable_rank"):
        theory = told[name].sel(order="infinite_width").values
        assert np.abs(found[name].values - theory).max() < 0.05 * theory.max()
