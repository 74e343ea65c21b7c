"""How many networks hold numbers that are not finite, and which is the first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.samples import Samples

#: What is looked through. Of a dead layer the log-norm is -inf, as it should be.
_MEASURED = (
    "preactivation", "kernel", "quartic", "sextic", "gradient", "jacobian", "log_norm", "ntk",
    "output_preactivation", "conditional_kernel", "conditional_ntk", "dntk", "ntk_by_way",
)  # fmt: skip


def lost_networks(samples: Samples, estimates: Mapping[str, Estimate]) -> dict:
    """Variables that count the networks with a number that is not finite; none if all is well.

    Returns
    -------
    dict
        ``not_finite_networks``, how many networks of a layer, and ``not_finite_first``, the index
        of the first of them (-1 where there is none); of a ladder with a leading dimension rung.
        Tangent kernels count at the last layer.
    """
    if not any(np.any(e.reason == Reason.NOT_FINITE) for e in estimates.values()):
        return {}
    lost = np.any([samples.not_finite(name) for name in _MEASURED if name in samples], axis=0)
    dims = ("rung", "layer") if samples.size("rung") else ("layer",)
    lost = lost if samples.size("rung") else lost[:, 0]
    first = np.where(lost.any(axis=0), lost.argmax(axis=0), -1)
    about = {
        "not_finite_networks": (lost.sum(axis=0), "networks with a number that is not finite"),
        "not_finite_first": (first, "index of the first network with a number that is not finite"),
    }
    return {
        name: (dims, values.astype(np.int32), {"long_name": words, "units": "1"})
        for name, (values, words) in about.items()
    }
