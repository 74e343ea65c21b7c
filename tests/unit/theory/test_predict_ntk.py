"""Predictions of tangent kernels: dimensions, orders, and whole ensembles that keep to them.

z-scores of sampled ensembles against the orders that are exact there: some 60 numbers, each within
4.5 of its errors, which chance fails in one of 2500 choices of the seeds.
"""

import numpy as np
import pytest
import xarray as xr

from finitewidth.estimate.families import estimate
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import FAMILIES
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.predict.predict_ntk import predict_ntk, predict_ntk_ladder
from finitewidth.theory.predict.predict_preactivations import ORDERS

X = np.array([[1.0, -0.5, 0.3], [0.8, 0.9, -0.2]])
NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
ALL = ("ntk", "ntk_tensors", "dntk", "ntk_spectrum")


def law_of(activation, width=12, depth=3, C_b=0.2, C_W=1.6):
    mlp = Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=depth, C_b=C_b, C_W=C_W, outputs=2
    )
    return mlp, LearningRates.named("pdlt", mlp, 0.5, 1.2)


@pytest.fixture(scope="module")
def both():
    mlp, rates = law_of("gelu", depth=2)
    samples = sample_ntk(
        mlp, rates, X, networks=30_000, seed=2, sampler="explicit", measure=("ntk", "dntk")
    )
    return estimate([samples], ALL, isotropic=True, **NAMES), predict_ntk(mlp, rates, X, [2], ALL)


def test_estimates_and_predictions_join(both):
    estimates, theory = both
    names = {q for family in ALL for q in FAMILIES[family].names}
    assert set(theory.data_vars) == names
    assert tuple(theory.order.values) == ORDERS
    for name in names:
        assert theory[name].dims == ("order", *estimates[name].dims)
        xr.align(theory[name], estimates[name], join="exact")
        assert {"long_name", "units", "equation", "references"} <= set(theory[name].attrs)


def test_the_first_order_is_exact_in_layer_2(both):
    """Of the mean and of A, B, D, F, P and Q: nothing before layer 2 fluctuates."""
    estimates, theory = both
    for name in ("ntk", "ntk_A", "ntk_B", "ntk_D", "ntk_F", "ntk_variance", "dntk_P", "dntk_Q"):
        gap = estimates[name] - theory[name].sel(order="1/n", drop=True)
        z = (gap / estimates[f"{name}_stderr"]).values
        assert np.isfinite(z).all(), name
        # 16 entries of a tensor over couples and fewer of the others, 100 in all.
        assert np.abs(z).max() < 4.7, name
        exact = theory[name].sel(order="exact")
        assert (exact == theory[name].sel(order="1/n")).all() or name == "ntk"
    # And not beyond.
    mlp, rates = law_of("gelu", depth=3)
    deeper = predict_ntk(mlp, rates, X, [3], ALL)
    assert deeper["ntk_A"].sel(order="1/n").notnull().all()
    assert not any((deeper[n].sel(order="exact").notnull()).any() for n in ("ntk_A", "dntk_P"))
    assert (theory["ntk"].sel(order="exact") == theory["ntk"].sel(order="infinite_width")).all()


def test_two_slopes_are_exact_on_the_diagonal_at_any_depth():
    mlp, rates = law_of("leaky_relu(0.3)", width=5, depth=4)
    samples = sample_ntk(mlp, rates, X[:1], networks=60_000, seed=3)
    estimates = estimate([samples], ["ntk", "ntk_tensors"], isotropic=True, **NAMES)
    theory = predict_ntk(mlp, rates, X[:1], [4], ["ntk", "ntk_tensors"])
    for name in theory.data_vars:
        exact = theory[name].sel(order="exact").values.ravel()
        z = (estimates[name].values.ravel() - exact) / estimates[f"{name}_stderr"].values.ravel()
        assert np.abs(z).max() < 4.5, name


def test_eigenvalues_to_first_order():
    """What is left beyond 1/n falls as its square: four times from one width to the double."""
    gaps = []
    for width, seed in ((24, 5), (48, 6)):
        mlp, rates = law_of("tanh", width=width, C_b=0.1)
        samples = sample_ntk(mlp, rates, X, networks=60_000, seed=seed)
        found = estimate([samples], ["ntk_spectrum"], isotropic=True, **NAMES)
        theory = predict_ntk(mlp, rates, X, [3], ["ntk_spectrum"])
        for name in ("ntk_eigenvalue", "ntk_log_condition"):
            first = theory[name].sel(order="1/n").values
            infinite = theory[name].sel(order="infinite_width").values
            off = found[name].values - first
            error = found[f"{name}_stderr"].values
            assert (np.abs(off) < 0.35 * np.abs(first - infinite) + 4.5 * error).all(), name
            gaps.append(np.abs(first - infinite).max())
    assert gaps[2] == pytest.approx(gaps[0] / 2, rel=0.05)


def test_other_layers_are_not_told():
    mlp, rates = law_of("tanh")
    theory = predict_ntk(mlp, rates, X, [1, 3], ["ntk"])
    assert np.isnan(theory["ntk"].sel(layer=1)).all()
    with pytest.raises(ValueError, match="the tangent kernel is that of layer 3"):
        predict_ntk(mlp, rates, X, [1, 2], ["ntk"])
    with pytest.raises(ValueError, match="unknown families covariance"):
        predict_ntk(mlp, rates, X, [3], ["covariance"])


def test_weights_that_are_not_normal_have_their_limit_alone():
    mlp = Perceptron.uniform_width(
        "relu", dimension=3, width=6, depth=3, weights="uniform", C_W=2.0
    )
    rates = LearningRates.named("standard", mlp)
    theory = predict_ntk(mlp, rates, X, [3], ALL)
    assert np.isfinite(theory["ntk"].sel(order="infinite_width")).all()
    assert np.isnan(theory["ntk"].sel(order="1/n")).all()
    assert np.isnan(theory["ntk_variance"].sel(order="1/n")).all()


def test_a_ladder_shares_its_coefficients():
    mlps, rates = zip(*(law_of("silu", width=n) for n in (8, 16)), strict=True)
    theory = predict_ntk_ladder(mlps, rates, X, [2, 3])
    beyond = theory["ntk_mean"].sel(order="1/n") - theory["ntk_mean"].sel(order="infinite_width")
    first = theory["ntk_mean_1"].sel(order="1/n")
    assert (beyond * theory["width"]).isel(rung=0).values == pytest.approx(first.values, abs=1e-12)
    assert (beyond * theory["width"]).isel(rung=1).values == pytest.approx(first.values, abs=1e-12)
    assert first.sel(layer=2).values == pytest.approx(0.0, abs=1e-12)
    one = predict_ntk(mlps[0], rates[0], X, [3], ["ntk"])["ntk"].sel(order="1/n", layer=3)
    assert theory["ntk_mean"].sel(order="1/n", layer=3, rung=0).values == pytest.approx(
        one.values[[0, 0, 1], [0, 1, 1]], rel=1e-12
    )
