"""What is kept of each input where its variances are asked for: before activations and norms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.dual_pairs import has_closed_form
from finitewidth.theory.gaussian.expectations import second_moment
from finitewidth.theory.gaussian.many_pairs import Series


@dataclass(frozen=True)
class Site:
    """One activation or norm, for some inputs.

    Attributes
    ----------
    variance : ndarray, shape (inputs, places)
        K_aa of what comes in.
    square : ndarray, shape (inputs, places), or None
        <s^2> of the activation; None at a norm.
    series, slope_series : Series or None
        The same functions as sums of Hermite polynomials, where there is no closed form.
    """

    variance: np.ndarray
    square: np.ndarray | None = None
    series: Series | None = None
    slope_series: Series | None = None

    @classmethod
    def of(cls, sigma: Activation, variance: np.ndarray, slopes: bool) -> Site:
        """Before an activation; with ``slopes`` also what tangent kernels want."""
        square = second_moment(sigma, variance)
        if has_closed_form(sigma):
            return cls(variance, square)
        deviation = np.sqrt(variance)
        return cls(
            variance,
            square,
            Series.of(sigma.function, deviation),
            Series.of(sigma.derivative, deviation) if slopes else None,
        )

    @property
    def bytes(self) -> int:
        """The memory that it holds."""
        arrays = [self.variance, self.square]
        each = [0 if a is None else a.nbytes for a in arrays]
        return sum(each) + sum(s.bytes for s in (self.series, self.slope_series) if s is not None)
