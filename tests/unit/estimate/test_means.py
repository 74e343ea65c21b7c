"""Errors of means of skew kernels, and whom they are believed of, against known laws.

False alarms: fixed seeds; 2000 independent means of each width. Their spread is known to 1 %, and a
share beyond 3 of half a per cent to 0.08 % of all.
"""

import numpy as np
import pytest

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import KernelLaw
from finitewidth.estimate.errors.jackknife import Estimate, block_bounds, from_replicates
from finitewidth.estimate.errors.mean_errors import by_law, widened_mean

WIDTHS, NUMBER = np.array([8, 12, 16, 24]), 2000


def gamma(rng, spread, size):
    """Gamma variables of mean 1 and relative variance spread^2."""
    shape = 1 / spread**2
    return rng.gamma(shape, size=size) / shape


def lognormal(rng, spread, size):
    return np.exp(spread * rng.normal(size=size) - spread**2 / 2)


def judged(draw, spread, networks, layer):
    """Estimates of means that are 1 at each width: by the jackknife, and as reported."""
    rng = np.random.default_rng(11)
    kernel = np.stack([draw(rng, spread / n**0.5, (networks, 1, NUMBER)) for n in WIDTHS], axis=1)
    value = kernel.mean(axis=0)
    without = (value * networks - kernel) / (networks - 1)
    jackknife = from_replicates(value, without, block_bounds(networks))
    law = KernelLaw.of(kernel, WIDTHS, [layer], 1)
    rungs = np.zeros((len(WIDTHS), *value.shape))
    plain = np.full(value.shape, True)
    return jackknife, widened_mean(jackknife, rungs, law, networks, plain)[0], law


def far(found):
    """Root of the mean square of trusted z, and their share beyond 3."""
    z = ((found.value - 1) / found.stderr)[found.trusted]
    return np.sqrt(np.mean(z**2)), np.mean(np.abs(z) > 3)


@pytest.mark.parametrize(
    ("draw", "spread", "networks", "layer"),
    [
        (gamma, 3.0, 100, 2),
        (gamma, 5.0, 100, 2),
        (lognormal, 2.0, 100, 20),
        (lognormal, 3.0, 200, 20),
        (lognormal, 2.5, 60, 20),
    ],
)
def test_z_of_a_skew_mean_spreads_as_it_should_and_luck_is_not_asked(draw, spread, networks, layer):
    jackknife, found, law = judged(draw, spread, networks, layer)
    spread, share = far(found)
    assert 0.9 < spread < 1.05
    assert share < 0.01
    # Those in which no single network shows are further off, and fewer.
    assert far(jackknife)[1] > 1.4 * share
    assert found.trusted.mean() > jackknife.trusted.mean()
    # A row is believed of nearly all, or of few: the kernel decides, not the draw.
    limit = np.median(law.skewness, axis=-1)
    assert (found.trusted.mean(axis=-1)[limit < 0.25] > 0.98).all()
    assert (found.trusted.mean(axis=-1)[limit > 0.6] < 0.1).all()


def test_how_skew_a_mean_is_follows_from_the_law():
    # That of a gamma variable is twice its relative spread, that of a log-normal one (w + 2)
    # (w - 1)^(1/2) with w = e^(spread^2); of the mean of N it is 1/N^(1/2) of that.
    spread = 3 / WIDTHS**0.5
    law = judged(gamma, 3.0, 400, 2)[2]
    np.testing.assert_allclose(np.median(law.skewness, axis=-1)[:, 0], spread / 10, rtol=0.05)
    law, w = judged(lognormal, 2.0, 400, 1000)[2], np.exp(4 / WIDTHS)
    expected = (w + 2) * (w - 1) ** 0.5 / 20
    np.testing.assert_allclose(np.median(law.skewness, axis=-1)[:, 0], expected, rtol=0.08)


def test_controls_many_networks_and_firm_reasons_are_left_alone():
    given = Estimate(np.ones((4, 1)), np.ones((4, 1)), np.zeros((4, 1), np.int8), np.ones((4, 1)))
    given = given.doubted(np.array([[True], [True], [False], [False]]), Reason.HEAVY_TAIL)
    given = given.doubted(np.array([[True], [False], [False], [False]]), Reason.NO_SPREAD)
    skew = KernelLaw(np.ones((4, 1)), np.array([[0.1], [0.1], [0.9], [0.9]]))
    plain = np.array([[True], [True], [True], [False]])
    rungs = np.ones((4, 4, 1))
    few, wide = widened_mean(given, rungs, skew, 100, plain)
    reasons = [Reason.NO_SPREAD, Reason.NONE, Reason.UNSEEN_TAIL, Reason.NONE]
    assert few.reason.ravel().tolist() == reasons
    # Covariances of rungs are widened as errors are; what has controls keeps its own.
    factor = np.where(np.isnan(few.stderr), 1.0, few.stderr)
    assert factor[3] == 1
    assert factor[2] > 1.5
    np.testing.assert_allclose(wide[1:, 1:], (factor * factor[:, 0])[1:, 1:, None])
    assert by_law(999)
    assert not by_law(1000)
    many, _ = widened_mean(given, rungs, skew, 100_000, plain)
    assert many.reason.tolist() == given.reason.tolist()
    np.testing.assert_allclose(many.stderr[1:], 1, rtol=0.03)
