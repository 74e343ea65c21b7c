"""Predictions of an ensemble in training, their errors, their motion, and drift of its kernels."""

from __future__ import annotations

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.cumulant_errors import without_symptoms
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.errors.look_ahead import doubt_unseen, skewness_ahead
from finitewidth.estimate.training.recorded import Recorded, root_mean_square

Array = np.ndarray
Estimates = dict[str, Estimate]

#: The tail of squares of predictions is thinner than a log-normal one, and less so than that of one
#: neuron: the scale of a network's predictions varies.
_THIN = 0.75
#: The skewness of the square x of a network's motion over the logarithm of E[x]/E[x^(1/2)]^2. Of
#: 32 numbers (eight laws, 10,000 starts or more) it is 9 to 24, but for three of 29 to 42.
_OF_MOTION = 20.0
#: From how many errors on a mean its square is about normal.
_CLEAR = 10.0


def predictions(of: Recorded) -> Estimates:
    """Mean and variance (moment, output, input), and covariance (moment, output, pair)."""
    f = of.values("prediction")
    a, b = of.pairs.T
    known = (of.start[..., a], of.start[..., b])
    control = of.control(a, b, "wide_covariance")
    covariance = of.covariance(f[..., a], f[..., b], known, control)
    off = _centred(f)
    ahead, left = _ahead(off**2), of.left((off[..., a] * off[..., b]).mean(axis=1), control)
    ahead = np.maximum(ahead[..., a], ahead[..., b]) * left
    return {
        "prediction_mean": of.mean(f, of.start),
        "prediction_variance": _variance(of, f),
        "prediction_covariance": doubt_unseen(covariance, ahead),
    }


def errors(of: Recorded) -> Estimates:
    """Training loss (moment,), squared errors and their bias (moment, output, input)."""
    f, loss = of.values("prediction"), of.values("loss")
    off = f - of.targets
    known = np.maximum(of.start, root_mean_square(f))
    control = _own(of)
    square = _mean_square(of, off, known, control)
    tail = _ahead(off**2, thin=1.0) * of.left((off**2).mean(axis=1), control)
    mean, bias = of.mean(off, known), of.square_of_mean(off, known)
    # Not far from 0 beside its error, the square of a mean is not normal.
    near = mean.trusted & (np.abs(mean.value) < _CLEAR * mean.stderr)
    bias = bias.doubted(bias.trusted & near, Reason.SKEW)
    taught = control[..., of.training].sum(axis=(2, 3)) / 2
    ahead = _ahead(loss, thin=1.0) * of.left(loss.mean(axis=1), taught)
    lacking = np.broadcast_to(np.isnan(of.targets), f.shape[2:])
    return {
        "training_loss": doubt_unseen(of.mean(loss, control=taught), ahead),
        "squared_error": _unmeasured(doubt_unseen(square, tail), lacking),
        "squared_bias": _unmeasured(bias, lacking),
    }


def motion(of: Recorded) -> Estimates:
    """Frozen predictions, and what predictions differ from them by, (moment, output, input)."""
    f, frozen = of.values("prediction"), of.values("frozen_prediction")
    off = f - frozen
    known = np.maximum(of.start, root_mean_square(f))
    square = _mean_square(of, off, known)
    return {
        "frozen_mean": of.mean(frozen, of.start),
        "frozen_variance": _variance(of, frozen),
        "motion_mean": _unseen(of.mean(off, known), off**2, 0.5),
        "motion_square": _of_motion(square, off**2),
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
    control, squares = _own(of), _centred(f) ** 2
    found = of.covariance(f, f, (of.start, of.start), control)
    return doubt_unseen(found, _ahead(squares) * of.left(squares.mean(axis=1), control))


def _own(of: Recorded) -> Array:
    """The control of squares of predictions, (network, moment, output, input)."""
    every = np.arange(of.targets.shape[1])
    return of.control(every, every, "wide_variance")


def _mean_square(of: Recorded, off: Array, known: Array, control: Array | None = None) -> Estimate:
    """Of differences of numbers of ``known`` size."""
    return of.mean(off**2, 2 * root_mean_square(off) * known, control)


def _of_motion(square: Estimate, squares: Array) -> Estimate:
    """The mean of squared motions, trusted by its tail ahead alone.

    A motion is a polynomial in nearly Gaussian numbers, often next to 0, so that the logarithm of
    its square says little of the tail; but means of lower powers tell it well, and hardly depend on
    which rare networks were met. Symptoms would pick ensembles that met none.
    """
    x = squares.mean(axis=1)
    heavy = np.log(x.mean(axis=0) / np.sqrt(x).mean(axis=0) ** 2)
    found = without_symptoms(square, square.stderr)
    return doubt_unseen(found, _OF_MOTION * heavy / np.sqrt(len(x)))


def _centred(f: Array) -> Array:
    """What f (network, sign, ...) differs from its mean by."""
    return f - f.mean(axis=(0, 1))


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
