"""Whether what islands say of a moment is to be believed, and how large its error is at least.

Neither looks at how islands scatter, which goes with the estimate: an ensemble that has not met
its rarest networks has a small estimate, and islands that agree. Within an island families tell.
Members that descend from one network of the first layer share its luck; the share of each family
in the island's estimate, squared and added up, is the relative variance of the island (Chan and Lai
2013, Annals of Statistics 41, 2877; Lee and Whiteley 2018, Biometrika 105, 609), of which every
island is a witness of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.core.log_normal import skewness
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate

Array = np.ndarray

#: Largest believable standard deviation of an island, relative to the moment.
MOST_SPREAD = 0.3
#: Largest believable skewness of the mean over all members of all islands, as for plain networks
#: (:mod:`finitewidth.estimate.errors.look_ahead`).
MOST_SKEWNESS = 0.35


@dataclass(frozen=True)
class Grown:
    """A population at one layer.

    Attributes
    ----------
    mean, square, families : array, shape (island, product)
        Means over members of what each adds, and of its square; the sum over families of the square
        of what a family adds, over the members. A family descends from one member of the first
        layer.
    power : float
    members : int
    exact : bool
        Whether the tilted law itself was drawn from.
    """

    mean: Array
    square: Array
    families: Array
    power: float
    members: int
    exact: bool

    @property
    def words(self) -> str:
        """What it is, for tables."""
        kind = "law tilted by" if self.exact else "population of"
        return f"{kind} power {self.power:g}, {len(self.mean)} islands of {self.members}"

    @property
    def spread(self) -> Array:
        """Standard deviation of an island relative to its expectation, by families, (product,)."""
        share = self._relative(self.families) / self.members
        variance = (share - 1 / self.members) * self.members / (self.members - 1)
        return np.sqrt(np.maximum(variance, 0.0))

    @property
    def skewness(self) -> Array:
        """Of the mean over all members, as if what they add were log-normal, (product,)."""
        variance = np.log(self._relative(self.square))
        return skewness(np.maximum(variance, 0.0)) / np.sqrt(len(self.mean) * self.members)

    def _relative(self, square: Array) -> Array:
        """Means over islands of their own ratios: no island counts for more than it has members."""
        with np.errstate(all="ignore"):
            ratio = square / self.mean**2
        # Of an island where nobody counts nothing is known: as if of one member alone.
        return np.mean(np.where(self.mean == 0, float(self.members), ratio), axis=0)


def trusted(found: Estimate, grown: Grown, places: Array) -> Estimate:
    """The same, doubted where islands do not bear it, with an error that families bear out.

    Parameters
    ----------
    found : Estimate, shape (number,)
        With errors from how islands scatter.
    grown : Grown
        What its highest moment comes from.
    places : array of int, shape (number, factor)
        The products that tell each number's trust: the worst of them counts.
    """
    spread = grown.spread[places].max(axis=1)
    ahead = grown.skewness[places].max(axis=1)
    islands = len(grown.mean)
    with np.errstate(all="ignore"):
        seen = np.std(grown.mean, axis=0, ddof=1) / np.abs(np.mean(grown.mean, axis=0))
        # Of few islands their scatter is known badly; errors are multiplied by Student's factor.
        seen *= np.sqrt((islands - 1) / max(1, islands - 3))
        # Both estimate one variance: where families tell more, their mean is taken. A scatter that
        # is large by luck is left as it is.
        wider = np.sqrt((1 + np.fmax(1.0, grown.spread / seen)[places].max(axis=1) ** 2) / 2)
    found = Estimate(found.value, found.stderr * wider, found.reason, found.diagnostic)
    found = found.doubted(found.trusted & ~(spread <= MOST_SPREAD), Reason.ISLANDS, spread)
    few = found.trusted & ~(ahead < MOST_SKEWNESS)
    return found.doubted(few, Reason.FEW_MEMBERS, ahead)
