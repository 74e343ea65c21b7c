"""Quantities of random networks along their training; f is what they predict, p of them train.

Moments are steps of gradient descent, or times of gradient flow. "Frozen" is of the same networks,
had their tangent kernels stood still: the linear models at their starts.
"""

from __future__ import annotations

from finitewidth.quantities.description import Family, FigureEntry, Quantity

_LEE = "Lee et al., arXiv:1902.06720"
#: What controls the noise of second moments.
_WIDE = ("wide_prediction", "wide_variance")
AT_OUTPUTS = ("moment", "output", "input")
AT_KERNELS = ("moment", "output", "pair")


def _told(name: str, dims: tuple[str, ...], meaning: str, sections: str) -> Quantity:
    return Quantity(name, dims, meaning, f"docs/theory.md {sections}", _LEE)


FAMILIES = (
    Family(
        "predictions",
        (
            _told("prediction_mean", AT_OUTPUTS, "mean of a prediction over networks, E[f]",
                  "12.1, 12.4, 12.6"),
            _told("prediction_variance", AT_OUTPUTS, "variance of a prediction over networks",
                  "12.1, 12.4"),
            _told("prediction_covariance", AT_KERNELS,
                  "covariance of the predictions of one output at two inputs", "12.1, 12.4"),
        ),
        records=("prediction", "start", *_WIDE, "wide_covariance"),
        estimator="estimate.training.predictions:predictions",
        made_of="training",
        price=4.0,
    ),
    Family(
        "training_errors",
        (
            _told("training_loss", ("moment",), "E[(1/2) sum of (f - y)^2] over training inputs",
                  "12.1, 12.4"),
            _told("squared_error", AT_OUTPUTS, "E[(f - y)^2] where there is a target y",
                  "12.1, 12.4"),
            _told("squared_bias", AT_OUTPUTS, "(E[f] - y)^2; the rest of the error is variance",
                  "12.1, 12.4"),
        ),
        records=("prediction", "start", "loss", *_WIDE),
        estimator="estimate.training.predictions:errors",
        made_of="training",
        price=4.0,
    ),
    Family(
        "frozen_predictions",
        (
            _told("frozen_mean", AT_OUTPUTS, "mean prediction, had tangent kernels stood still",
                  "12.1, 12.4"),
            _told("frozen_variance", AT_OUTPUTS, "its variance over networks", "12.1, 12.4"),
            _told("motion_mean", AT_OUTPUTS, "mean of f less that of a kernel that stands still",
                  "12.1, 12.4, 12.6"),
            _told("motion_square", AT_OUTPUTS, "mean square of that difference", "12.1, 12.7"),
        ),
        records=("prediction", "start", "frozen_prediction", *_WIDE),
        estimator="estimate.training.predictions:motion",
        made_of="training",
        price=4.0,
    ),
    Family(
        "kernel_drift",
        (
            _told("kernel_drift", AT_KERNELS, "E[Theta - Theta at the start] of one output",
                  "12.1, 12.4, 12.6"),
            _told("layer_drift", ("moment", "layer", "output", "pair"),
                  "what each layer contributes to the drift of the tangent kernel", "12.1"),
        ),
        records=("layer_kernel",),
        estimator="estimate.training.predictions:drift",
        made_of="training",
        price=4.0,
    ),
)  # fmt: skip

#: Quantities with coefficients of 1/n, fitted over a sweep of widths: without what the motion of
#: kernels adds, and with it.
FROZEN = ("frozen_mean", "frozen_variance")
MOVING = (
    "prediction_mean", "prediction_variance", "training_loss", "motion_mean", "kernel_drift",
)  # fmt: skip

#: Figures of these by their names.
FIGURES = {
    "training": FigureEntry(
        "training.predictions",
        ("predictions",),
        "Predictions of trained networks along a line of inputs: measured means and spreads at"
        " several widths, on the mean and the band of two standard deviations at infinite width.",
    ),
    "training_loss": FigureEntry(
        "training.loss",
        ("training_errors",),
        "Mean training loss against steps or time, at several widths and at infinite width.",
    ),
    "training_corrections": FigureEntry(
        "training.corrections",
        ("predictions", "training_errors", "frozen_predictions", "kernel_drift"),
        "What finite width adds to trained networks, times the width, against 1/n: mean prediction"
        " with kernels that stand still and by their motion, variance, loss, and the kernel's"
        " drift, with theory to first order and what the widths are extrapolated to.",
    ),
    "kernel_drift": FigureEntry(
        "training.drift",
        ("kernel_drift",),
        "How far the mean tangent kernel of a training input moves: along training and with width;"
        " against depth; and, divided by what the first order in 1/n says, against L^2 y^2/n (y is"
        " the size of the targets).",
    ),
    "relu_drift": FigureEntry(
        "training.relu_drift",
        ("frozen_predictions", "kernel_drift"),
        "Motion of the kernel and of the prediction against width: of order n^(-1/2) where gates"
        " close for good, of order 1/n for smooth activations.",
    ),
}
