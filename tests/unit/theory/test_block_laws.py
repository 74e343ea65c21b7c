"""Laws of whole networks made of blocks: log-norms where depth and width are alike, linear ones."""

import numpy as np
import pytest

from finitewidth.config.network import network
from finitewidth.estimate.families import estimate
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.predict_blocks import predict_blocks

#: The first kernel is 1 at C_W = 2.
ONE = np.array([[1.0, -0.5, 0.5]])
HALF = {"gamma": 0.5**0.5, "beta": 0.5**0.5}
LAW = {"inputs": 3, "activation": "relu", "C_W": 2.0}


def told(one, layers, families=("log_norm",), x=ONE):
    return predict_blocks(BlockCase(one, x, layers, 4, None), families)


def stream(depth, width, residual=HALF, **law):
    blocks = [{"repeat": depth, "residual": residual}]
    return network(blocks=blocks, readout="none", width=width, **LAW | law)


def test_log_norms_of_residual_networks_have_a_first_order():
    one = stream(3, 48)
    samples = sample(one, ONE, networks=10000, seed=2)
    found = estimate([samples], ("log_norm",), seed=2, ensemble="e", member="m")
    theory = told(one, [1, 2, 3])
    spread, step = BlockCase(one, ONE, [1, 2, 3], 4, None).steps(tangent=False)
    for name in ("log_norm_mean", "log_norm_variance"):
        measured, error = (found[f"{name}{end}"].values[:, 0] for end in ("", "_stderr"))
        first = theory[name].sel(order="1/n").values[:, 0]
        # Six numbers at 4.5 standard errors: one false alarm in 25,000 runs.
        assert (abs(measured - first) < 4.5 * error + spread * step).all()
        limit = theory[name].sel(order="infinite_width").values[:, 0]
        assert (abs(measured - limit) > 6 * error)[1:].all()


def test_the_limit_of_depth_with_width_grows_by_the_published_law():
    """Layers are correlated, since they share a stream; without that the slope would be 2.25."""
    n, layers = 100, [60, 120]
    theory = told(stream(120, n), layers)
    mean, variance = (
        theory[f"log_norm_{moment}"].sel(order="double_scaling").values[:, 0]
        for moment in ("mean", "variance")
    )
    r = 0.5 ** (np.abs(np.arange(-80, 81)) / 2)
    c = 2 / np.pi * ((1 + 2 * r**2) * np.arcsin(r) + 3 * r * np.sqrt(1 - r**2))
    kappa = 4 * 0.25 + 2 * 0.25 + 0.25 * c.sum()
    assert np.diff(variance)[0] * 4 * n / 60 == pytest.approx(kappa, rel=1e-6)
    # The mean is half of (g - kappa/2) L/n; g = 0.7374 is what the stream's mean square gains.
    assert np.diff(mean)[0] * 2 * n / 60 == pytest.approx(0.7374 - kappa / 2, abs=2e-4)
    bins = theory["log_norm_histogram"].sel(order="double_scaling").values
    assert bins.sum(-1) == pytest.approx(1.0)


def test_the_limit_of_depth_with_width_agrees_with_drawn_networks():
    one = stream(64, 64)
    samples = sample(one, ONE, networks=8000, seed=4, layers=[64])
    found = estimate([samples], ("log_norm",), seed=4, ensemble="e", member="m")
    limit = told(one, [64]).sel(order="double_scaling")
    # It leaves out terms of order 1/n, here a tenth; infinite width is off by its whole size.
    for name in ("log_norm_mean", "log_norm_variance"):
        assert float(found[name].squeeze()) == pytest.approx(float(limit[name].squeeze()), rel=0.2)


@pytest.mark.parametrize("law", [
    {"activation": "tanh"}, {"C_b": 0.1}, {"residual": HALF | {"norm": "rms"}},
])  # fmt: skip
def test_networks_that_keep_no_scale_have_no_such_limit(law):
    theory = told(stream(2, 16, **law), [1, 2])
    assert (
        "double_scaling" not in theory.order
        or np.isnan(theory["log_norm_variance"].sel(order="double_scaling")).all()
    )


def test_mean_kernels_of_linear_networks_are_exact():
    """Without queries scores are equal, and a network of attention is linear in its tokens."""
    law = {"inputs": 12, "input": {"tokens": 3, "channels": 4}, "activation": "linear",
           "width": 4, "C_W": 1.3, "C_b": 0.1, "read": "all", "readout": "none"}  # fmt: skip
    none = {"C_W": 0.0, "C_b": 0.0}

    def of(**keys):
        attention = {"attention": {"heads": 1, "causal": True} | keys}
        return network(blocks=[{"residual": {"beta": 0.8}, "branch": [attention]},
                               {"branch": ["dense"]}], embed={"positions": 0.3}, **law)  # fmt: skip

    x = np.random.default_rng(0).normal(size=(2, 12))
    exact = told(of(q=none), [1, 2], ("covariance",), x).sel(order="exact")
    samples = sample(of(q=none), x, networks=10000, seed=6, layers=[1, 2])
    found = estimate([samples], ("covariance",), seed=6, ensemble="e", member="m")
    for name in ("covariance", "cross_covariance"):
        z = (found[name] - exact[name].values) / found[f"{name}_stderr"]
        # 84 numbers of four channels: one false alarm in 1700 runs.
        assert np.isfinite(z).all()
        assert abs(z).max() < 4.5
    # Without keys, too; with both logits depend on tokens, and with a bias of queries alone.
    known = told(of(k=none), [2], ("covariance",), x)["covariance"].sel(order="exact")
    assert np.isfinite(known).all()
    for other in ({}, {"q": {"C_W": 0.0}}):
        theory = told(of(**other), [1, 2], ("covariance",), x)
        assert np.isnan(theory["covariance"].sel(order="exact")).all()
