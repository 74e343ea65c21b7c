"""What is rounding is no measurement: no error bar, and a reason; what is one keeps its trust.

Constants and nearly degenerate inputs are drawn at random, with fixed seeds; nothing here fails by
chance, as every threshold is passed by orders of magnitude or not at all.
"""

from functools import partial

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.reasons import Reason
from finitewidth.core.rounding import ROUNDING
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.errors.jackknife import block_bounds, block_sums, jackknife
from finitewidth.estimate.families import estimate
from finitewidth.estimate.preactivations.lognorm import log_norm
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.trained.representations.replicas import over_pairs, over_replicas

NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
NO_ERROR = (Reason.NO_SPREAD, Reason.SINGULAR)
UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}
POWERS = ("preactivations", "quartic", "sextic")


def of_every(names, found):
    """Reason and error of each number of the quantities ``names``."""
    for name in names:
        reason, error = found[f"{name}_reason"].values, found[f"{name}_stderr"].values
        yield from ((name, r, e) for r, e in zip(reason.flat, error.flat, strict=True))


@pytest.mark.parametrize("networks", [50, 77, 1003, 40_001])
def test_constants_have_no_error_whatever_the_blocks(networks):
    """Blocks of sizes that differ, values of any size, and constants that rounding moves."""
    rng, bounds = np.random.default_rng(networks), block_bounds(networks)
    values = rng.choice([-1, 1], 40) * 10.0 ** rng.uniform(-12, 12, 40)
    for noise in (0.0, *UNIT.values()):
        x = values * (1 + noise * rng.uniform(-1, 1, (networks, 40)))
        sums = block_sums(lambda at, x=x: {"x": x[at], "xx": x[at] ** 2}, bounds)
        of_one = np.abs(values) * (ROUNDING["float32" if noise == 2.0**-24 else "float64"])
        mean = jackknife(sums, bounds, lambda s, n: s["x"] / n, rounding=of_one)

        def variance(s, n):
            return s["xx"] / n - (s["x"] / n) ** 2

        # A difference of what is summed: far more than its rounding is left of nothing.
        spread = jackknife(sums, bounds, variance, rounding=3 * of_one * np.abs(values))
        for found in (mean, spread):
            assert (found.reason == Reason.NO_SPREAD).all()
            assert np.isnan(found.stderr).all()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_ensembles_that_agree_but_for_rounding(precision):
    """Samples of one network over and over, each number rounded by itself."""
    rng = np.random.default_rng(5)
    mlp = Perceptron.uniform_width(
        "tanh", dimension=3, width=9, depth=3, C_b=0.1, C_W=1.5, outputs=2
    )
    x = rng.normal(size=(2, 3))
    rates = LearningRates.named("ntk", mlp)
    shared = {"networks": 600, "seed": 1, "precision": precision}
    mlps = [Perceptron.uniform_width("tanh", dimension=3, width=n, depth=3, C_b=0.1, C_W=1.5)
            for n in (5, 6, 7, 8)]  # fmt: skip
    of_rungs = [LearningRates.named("ntk", each) for each in mlps]
    members = (
        (sample(mlp, x, measure=POWERS, **shared), estimate,
         ("covariance", "correlation", "four_point", "six_point", "kurtosis", "log_norm")),
        (sample_ntk(mlp, rates, x, sampler="explicit", measure=("ntk", "dntk"), **shared), estimate,
         ("ntk", "ntk_tensors", "ntk_spectrum")),
        (sample_ladder(mlps, x, rates=of_rungs, **shared), estimate_ladder,
         ("kernel_moments", "ntk_mean", "log_kernel", "inverse_kernel")),
    )  # fmt: skip
    for samples, estimator, families in members:
        assert samples.attrs["precision"] == precision
        healthy = estimator([samples], families, **NAMES)
        frozen = samples.copy()
        for name, values in samples.data_vars.items():
            own = values.values[:1] * (1 + UNIT[precision] * rng.uniform(-1, 1, values.shape))
            frozen[name] = values.copy(data=own.astype(values.dtype))
        frozen = frozen.assign_attrs(samples.attrs)
        found = estimator([frozen], families, **NAMES)
        names = [n for n in found.data_vars if f"{n}_reason" in found]
        left_out = ("not_finite", "dead_fraction", "log_norm_histogram", "log_kernel_histogram")
        for name, reason, error in of_every([n for n in names if n not in left_out], found):
            assert reason != Reason.NONE, name
            if reason in NO_ERROR:
                assert np.isnan(error), name
        # The first layer's conditional kernel is a number; all else of the real networks varies.
        for name, reason, _ in of_every(names, healthy.isel(layer=slice(1, None))):
            own = name == "correlation"
            assert own or reason not in NO_ERROR, (name, reason)
        kept = [r == Reason.NONE for _, r, _ in of_every(("covariance",), healthy)
                ] if "covariance" in healthy else [True]  # fmt: skip
        assert np.mean(kept) > 0.9


def test_logarithms_know_what_the_norms_are_known_to():
    rng, bounds = np.random.default_rng(3), block_bounds(4000)
    rounding = ROUNDING["float32"]
    for center in (-1e5, 0.0, 3.0):
        still = log_norm(center + rounding * rng.uniform(-1, 1, 4000), bounds, rounding)
        moving = log_norm(center + 1e-3 * rng.normal(size=4000), bounds, rounding)
        for name in ("log_norm_mean", "log_norm_variance"):
            assert still[name].reason == Reason.NO_SPREAD
            assert np.isnan(still[name].stderr)
            assert moving[name].trusted


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf"])
@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
def test_eigenvalues_of_nearly_collinear_inputs(sampler, activation):
    """Trusted in single precision, they are those of double precision, drawn independently."""
    rng = np.random.default_rng(7)
    mlp = Perceptron.uniform_width(activation, dimension=4, width=32, depth=3, C_b=0.1, C_W=2.0)
    rates, trusted, z = LearningRates.named("ntk", mlp), {}, []
    for angle in (0.0, 1e-7, 1e-6, 1e-5, *10 ** rng.uniform(-5, -2, 4), 0.03, 0.3):
        first, across = np.linalg.qr(rng.normal(size=(4, 2)))[0].T
        x = 2 * np.stack([first, np.cos(angle) * first + np.sin(angle) * across])
        single, double = (
            estimate([sample_ntk(mlp, rates, x, networks=1500, seed=seed, sampler=sampler,
                                 precision=precision)], ["ntk_spectrum"], **NAMES)
            for seed, precision in ((1, "float32"), (2, "float64"))
        )  # fmt: skip
        for name in ("ntk_eigenvalue", "ntk_log_condition"):
            last = [found[f"{name}{end}"].isel(layer=-1).values.flat[-1]
                    for found in (single, double)
                    for end in ("", "_stderr", "_reason")]  # fmt: skip
            value, error, reason, right, right_error, other = last
            for why, bar in ((reason, error), (other, right_error)):
                assert (why in NO_ERROR) <= np.isnan(bar)
            trusted[name, angle] = reason == Reason.NONE, other == Reason.NONE
            if angle <= 1e-7:
                assert reason in NO_ERROR
                assert other in NO_ERROR
            if reason == other == Reason.NONE:
                z.append((value - right) / np.hypot(error, right_error))
    # 15 numbers a case at most, 90 in all: one beyond 4.5 has a chance of 1 in 1600.
    assert len(z) >= 2
    assert np.abs(z).max() < 4.5
    if activation != "relu":
        # Gates of nearly collinear inputs differ in rare networks alone, which have heavy tails.
        assert trusted["ntk_eigenvalue", 0.03] == (True, True)
        assert trusted["ntk_log_condition", 0.03] == (True, True)
    assert trusted["ntk_log_condition", 0.3] == (True, True)


def test_replicas_that_agree_have_no_error():
    rng = np.random.default_rng(2)
    for count in (3, 5, 8):
        constants = rng.choice([-1, 1], 500) * 10.0 ** rng.uniform(-9, 9, 500)
        pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
        both = ((over_replicas, count), (partial(over_pairs, pairs=pairs), len(pairs)))
        for summary, rows in both:
            for noise in (0.0, UNIT["float64"], UNIT["float32"]):
                values = constants * (1 + noise * rng.uniform(-1, 1, (rows, 500)))
                found = summary(values)
                assert (found.reason == Reason.NO_SPREAD).all()
                assert np.isnan(found.stderr).all()
                assert not found.trusted.any()
            healthy = summary(constants * (1 + 1e-4 * rng.normal(size=(rows, 500))))
            assert healthy.trusted.all()


def test_an_eigenvalue_is_known_to_a_share_of_the_largest():
    rng = np.random.default_rng(4)
    spectrum = np.array([3.0, 0.2, 1e-3, 0.0])
    values = spectrum * (1 + 0.05 * rng.normal(size=(6, 4))) + 1e-17 * rng.normal(size=(6, 4))
    found = over_replicas(values, np.full(4, 3 * UNIT["float32"]))
    assert found.trusted.tolist() == [True, True, True, False]
    assert np.isnan(found.stderr[3])


def test_samples_that_name_no_precision_have_that_of_their_numbers():
    from finitewidth.estimate.samples import Samples

    def of(dtype, **attributes):
        data = {"kernel": (("network", "layer"), np.ones((3, 1), dtype))}
        coordinates = {"network": np.arange(3), "layer": [1], "width": ("layer", [4])}
        return Samples([xr.Dataset(data, coordinates, attributes)]).rounding

    assert of(np.float32) == ROUNDING["float32"]
    assert of(np.float64) == ROUNDING["float64"]
    assert of(np.float64, precision="float32") == ROUNDING["float32"]
