"""How often tests of normality should reject."""

from __future__ import annotations

import numpy as np

from finitewidth.quantities.vocabulary import LEVEL, SAMPLES, TESTS
from finitewidth.theory.predict.case import Case


def normality(case: Case) -> dict[str, dict[str, np.ndarray]]:
    """Share of rejections: the level, for what is Gaussian.

    Any few neurons of networks of infinite width with normal weights are, and the controls are at
    any width. There the level is exact for Hotelling's test and for the radial one, which is
    calibrated by simulation; the p-values of Henze-Zirkler are approximate. At finite width theory
    says nothing.

    The radial test looks at all n neurons of a layer, and these do not become Gaussian together:
    |z|^2/n has the variance 2 K^2/n + (1 + 2/n) Var(Ghat) + ..., and both parts are of order 1/n.
    So its limit is no level, and nothing is said but in layer 1, where Ghat is a number.
    """
    shape = (len(TESTS), len(SAMPLES), *case.shape)
    infinite = np.full(shape, LEVEL)
    if not case.is_normal:
        infinite[:, SAMPLES.index("ensemble")] = np.nan
    later = np.array(case.layers) > 1
    infinite[TESTS.index("radial"), SAMPLES.index("ensemble"), later] = np.nan
    exact = np.full(shape, np.nan)
    for test in ("hotelling_mean", "radial"):
        exact[TESTS.index(test), SAMPLES.index("gaussian")] = LEVEL
    for values in (infinite, exact):
        values[:, :, np.isneginf(case.log_K)] = np.nan
    return {"rejection_rate": {"infinite_width": infinite, "exact": exact}}
