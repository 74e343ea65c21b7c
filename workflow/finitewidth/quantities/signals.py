"""Quantities of how signals go through networks, layer by layer: of derivatives and gates."""

from __future__ import annotations

from finitewidth.quantities.description import (
    AT_INPUT,
    Family,
    FigureEntry,
    Quantity,
    one_each,
)

_YANG = "Yang, Schoenholz, arXiv:1712.08969"

FAMILIES = (
    Family(
        "gradient_norm",
        (
            Quantity(
                "gradient_norm",
                AT_INPUT,
                "E|df/dz|^2 of one output f by a layer's neurons z (at all places)",
                "docs/theory.md 13.8",
                _YANG,
                unit=(),
            ),
            Quantity(
                "gradient_log_mean",
                AT_INPUT,
                "mean of log |df/dz|^2, over networks where it is not 0",
                "docs/theory.md 13.8",
                "derived here",
                unit=(),
            ),
            Quantity(
                "gradient_log_variance",
                AT_INPUT,
                "variance of log |df/dz|^2, over networks where it is not 0",
                "docs/theory.md 13.8",
                "derived here",
                unit=(),
            ),
        ),
        records=("gradient",),
        estimator="estimate.preactivations.gradients:gradient_norms",
        theory="theory.predict.predicted_signals:gradient_norms",
        price=900.0,
        reads=one_each,
    ),
)

#: Figures of these by their names.
FIGURES = {
    "gradient_norm": FigureEntry(
        "preactivations.gradient_norm",
        ("gradient_norm",),
        "Mean squared norm of the derivative of one output by each layer's neurons, against layer,"
        " on infinite width, and the ratio of both.",
    ),
}
