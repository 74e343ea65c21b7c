"""How often tests of normality should reject."""

from __future__ import annotations

import numpy as np
import xarray as xr

from finitewidth.core.labelled import filled, nothing
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
    labels = {
        "test": TESTS,
        "sample": SAMPLES,
        "layer": case.layers,
        "input": range(len(case.x)),
    }
    infinite, exact = filled(LEVEL, labels), nothing(labels)
    if not case.is_normal:
        infinite.loc[{"sample": "ensemble"}] = np.nan
    for layer in case.layers:
        if layer > 1:
            infinite.loc[{"test": "radial", "sample": "ensemble", "layer": layer}] = np.nan
    for test in ("hotelling_mean", "radial"):
        exact.loc[{"test": test, "sample": "gaussian"}] = LEVEL
    alive = xr.DataArray(~np.isneginf(case.log_K), dims=("layer", "input"))
    orders = {"infinite_width": infinite, "exact": exact}
    return {"rejection_rate": {order: v.where(alive).values for order, v in orders.items()}}
