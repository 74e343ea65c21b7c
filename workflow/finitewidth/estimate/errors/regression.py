"""Least squares from sums over networks, with as many features as pay.

Polynomials of long-tailed numbers are dangerous features: fitted to too few networks they add more
variance than they take away. So how many of them to use is itself settled by cross-validation: a
fit to one half of the networks is tried on the other, which the sums over both halves can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

#: Share of a feature that others must leave unexplained for it to be told from them.
_DEPENDENT = 1e-11
#: Networks whose features stand in memory together.
_CHUNK = 4096


@dataclass(frozen=True)
class Sums:
    """Sums over networks of features x, targets y and their products.

    Attributes
    ----------
    count : int
    x, y : array, shape (feature,) and (target,)
    xx, xy : array, shape (feature, feature) and (feature, target)
    yy : array, shape (target,)
        Of the squares of y.
    """

    count: int
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array

    @classmethod
    def of(cls, design: Callable[[slice], tuple[Array, Array]], at: slice) -> Sums:
        """Over the networks ``at``; ``design`` gives x and y, (network, ...), of slices of them."""
        total: Sums | None = None
        for start in range(at.start, at.stop, _CHUNK):
            x, y = design(slice(start, min(start + _CHUNK, at.stop)))
            part = cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, np.sum(y * y, axis=0))
            total = part if total is None else total + part
        if total is None:
            raise ValueError("there are no networks to sum over")
        return total

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*(a + b for a, b in pairs))

    def of_targets(self, at: slice) -> Sums:
        """The same for some of the targets."""
        return Sums(self.count, self.x, self.y[at], self.xx, self.xy[:, at], self.yy[at])

    def solve(self, columns: Array) -> Array:
        """Coefficients of some of the features, shape (columns, target), least squares.

        Features that are constant or depend on others do no harm.
        """
        xx, xy, _ = self._centred(columns)
        size = np.sqrt(np.maximum(np.diagonal(xx), 0))
        size = np.where(size > 0, size, np.inf)
        values, vectors = np.linalg.eigh(xx / np.outer(size, size))
        kept = values > _DEPENDENT * values[-1:]
        vectors = vectors[:, kept]
        back = (vectors.T @ (xy / size[:, None])) / values[kept, None]
        return (vectors / size[:, None]) @ back

    def left(self, columns: Array, coefficients: Array) -> Array:
        """Variance of what the coefficients leave of each target, shape (target,)."""
        xx, xy, yy = self._centred(columns)
        return yy + np.sum(coefficients * (xx @ coefficients - 2 * xy), axis=0)

    def _centred(self, columns: Array) -> tuple[Array, Array, Array]:
        x, y = self.x[columns] / self.count, self.y / self.count
        xx = self.xx[np.ix_(columns, columns)] / self.count - np.outer(x, x)
        return xx, self.xy[columns] / self.count - np.outer(x, y), self.yy / self.count - y**2


def regress(halves: tuple[Sums, Sums], choices: Sequence[Array]) -> tuple[Array, Array]:
    """Fit each target by the features that predict it best on networks not fitted to.

    Parameters
    ----------
    halves : pair of Sums
        Over two halves of the networks.
    choices : sequence of arrays of int
        Columns of features to choose among; an empty one leaves the target as it is.

    Returns
    -------
    coefficients : array, shape (feature, target)
    chosen : array of int, shape (target,)
        The choice made for each target.
    """
    left = np.zeros((len(choices), len(halves[0].y)))
    for k, columns in enumerate(choices):
        for fitted, tried in (halves, halves[::-1]):
            left[k] += tried.left(columns, fitted.solve(columns))
    chosen = np.argmin(left, axis=0)
    whole, coefficients = halves[0] + halves[1], np.zeros(halves[0].xy.shape)
    for k in np.unique(chosen):
        at = chosen == k
        coefficients[np.ix_(choices[k], at)] = whole.solve(choices[k])[:, at]
    return coefficients, chosen
