"""Predictions of an ensemble in training, their errors, their motion, and drift of its kernels."""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead
from finitewidth.estimate.training.recorded import Recorded, root_mean_square

Array = np.ndarray
Estimates = dict[str, Estimate]

#: The tail of squares of predictions is thinner than a log-normal one, and less so than that of one
#: neuron: the scale of a network's predictions varies.
_THIN = 0.75
#: From how many errors on a mean its square is about normal.
_CLEAR = 10.0


def predictions(of: Recorded) -> Estimates:
    """Mean and variance (moment, output, input), and covariance (moment, output, pair)."""
    f = of.values("prediction")
    a, b = of.pairs.T
    covariance = of.covariance(f[..., a], f[..., b], (of.start[..., a], of.start[..., b]))
    ahead = _ahead(_spread(f))
    return {
        "prediction_mean": of.mean(f, of.start),
        "prediction_variance": _variance(of, f),
        "prediction_covariance": doubt_unseen(covariance, np.maximum(ahead[..., a], ahead[..., b])),
    }


def errors(of: Recorded) -> Estimates:
    """Training loss (moment,), squared errors and their bias (moment, output, input)."""
    f, loss = of.values("prediction"), of.values("loss")
    off = f - of.targets
    known = np.maximum(of.start, root_mean_square(f))
    square = _square(of, off, known)
    mean, bias = of.mean(off, known), of.square_of_mean(off, known)
    # Not far from 0 beside its error, the square of a mean is not normal.
    near = mean.trusted & (np.abs(mean.value) < _CLEAR * mean.stderr)
    bias = bias.doubted(bias.trusted & near, Reason.SKEW)
    lacking = np.broadcast_to(np.isnan(of.targets), f.shape[2:])
    return {
        "training_loss": doubt_unseen(of.mean(loss), _ahead(loss, thin=1.0)),
        "squared_error": _unmeasured(square, lacking),
        "squared_bias": _unmeasured(bias, lacking),
    }


def motion(of: Recorded) -> Estimates:
    """Frozen predictions, and what predictions differ from them by, (moment, output, input)."""
    f, frozen = of.values("prediction"), of.values("frozen_prediction")
    off = f - frozen
    known = np.maximum(of.start, root_mean_square(f))
    return {
        "frozen_mean": of.mean(frozen, of.start),
        "frozen_variance": _variance(of, frozen),
        "motion_mean": _unseen(of.mean(off, known), off**2, 0.5),
        "motion_square": _square(of, off, known),
    }


def drift(of: Recorded) -> Estimates:
    """How tangent kernels moved, (moment, output, pair), and layer by layer."""
    kernels = of.values("layer_kernel")
    moved = kernels - kernels[:, :, :1]
    whole, known = moved.sum(axis=3), root_mean_square(kernels)
    return {
        "kernel_drift": _unseen(of.mean(whole, known.sum(axis=1)), whole**2, 0.5),
        "layer_drift": _unseen(of.mean(moved, known), moved**2, 0.5),
    }


def _variance(of: Recorded, f: Array) -> Estimate:
    """Var f, distrusted where the tail of squares has not been met."""
    return doubt_unseen(of.covariance(f, f, (of.start, of.start)), _ahead(_spread(f)))


def _square(of: Recorded, off: Array, known: Array) -> Estimate:
    """Mean square of differences of numbers of ``known`` size."""
    rounded = 2 * root_mean_square(off) * known
    return doubt_unseen(of.mean(off**2, rounded), _ahead(off**2, thin=1.0))


def _spread(f: Array) -> Array:
    """Squares of what f (network, sign, ...) differs from its mean by."""
    return (f - f.mean(axis=(0, 1))) ** 2


def _unseen(estimate: Estimate, squares: Array, order: float = 1.0) -> Estimate:
    """The same, distrusted where the tail of squares^order has not been met."""
    return doubt_unseen(estimate, _ahead(squares, order))


def _ahead(squares: Array, order: float = 1.0, thin: float = _THIN) -> Array:
    """The skewness to be expected of the mean of squares^order, (network, sign, ...) before."""
    return skewness_ahead(squares.mean(axis=1), order, thin)


def _unmeasured(estimate: Estimate, where: Array) -> Estimate:
    nothing = Estimate.unknown(where.shape, Reason.NOT_MEASURED)
    parts = zip(vars(nothing).values(), vars(estimate).values(), strict=True)
    return Estimate(*(np.where(where, none, found) for none, found in parts))
