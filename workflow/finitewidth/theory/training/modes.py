"""Modes of a kernel over training inputs, and what is asked of kernels and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.theory.training.moments import Moment

#: What rounding may move a null mode before it counts as one that stands still.
_DRIFT = 1e-8


@dataclass(frozen=True)
class Modes:
    """Eigenvectors of a kernel over training inputs, shape (p, p), and their rates, (p,).

    Rates that rounding does not tell from 0 are 0: ``rounding`` is how large those may be.
    """

    rates: np.ndarray
    vectors: np.ndarray
    rounding: float

    @classmethod
    def of(cls, kernel: np.ndarray, precision: float) -> Modes:
        """Those of a kernel, shape (p, p), of numbers of a relative precision."""
        rates, vectors = np.linalg.eigh(kernel)
        rounding = len(kernel) * precision * max(rates[-1], 0.0)
        if rates[0] < -100 * rounding or rates[-1] < 0:
            raise ValueError(
                f"the kernel of the training inputs has the eigenvalue {rates[0]:.3g}, and a kernel"
                " has none below 0"
            )
        return cls(np.where(rates <= rounding, 0.0, rates), vectors, rounding)

    def progress(self, moment: Moment, ridge: float) -> np.ndarray:
        """phi of each mode, 0 of a null mode that only rounding would move; shape (p,)."""
        found = moment.progress(self.rates + ridge)
        return np.where((self.rates == 0) & (found * self.rounding > _DRIFT), 0.0, found)


def columns(y: np.ndarray) -> np.ndarray:
    """Targets as floats of shape (inputs, outputs); raises ``ValueError`` for other shapes."""
    values = np.asarray(y, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"y: given targets of shape {values.shape}, allowed is (inputs,) or (inputs, outputs)"
        )
    return values


def square(name: str, kernel: np.ndarray, least: int) -> np.ndarray:
    """A kernel of finite numbers over at least so many inputs; ``ValueError`` otherwise."""
    values = np.asarray(kernel, dtype=float)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < least:
        raise ValueError(
            f"{name}: given the shape {values.shape}, allowed is (inputs, inputs) with at least the"
            f" {least} training inputs"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: given numbers that are not finite, allowed are finite ones")
    return values


def finite_columns(y: np.ndarray) -> np.ndarray:
    """The same of targets that are trained towards, which are finite; ``ValueError`` otherwise."""
    values = columns(y)
    if not np.isfinite(values).all():
        raise ValueError("y: given targets that are not finite, allowed are finite ones")
    return values


def not_negative(key: str, given: float) -> float:
    """A finite number of at least 0; ``ValueError`` in one sentence otherwise."""
    if not 0 <= given < float("inf"):
        raise ValueError(f"{key}: given {given}, allowed is a finite number of at least 0")
    return float(given)


def precision_of(kernel: np.ndarray) -> float:
    """Of the numbers as they were given: single precision leaves larger eigenvalues in doubt."""
    kind = np.asarray(kernel).dtype
    return float(np.finfo(kind if kind.kind == "f" else float).eps)
