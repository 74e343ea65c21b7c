"""Which estimates come from the populations beside a member's networks, put in place of the plain.

A moment of order m is taken from a population where its pilot says that plain networks are too few
for it (:func:`finitewidth.core.log_normal.asks_for_population`), and where one was grown whose
power is nearer to m than 0. Neither looks at what is then estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.population import cumulants
from finitewidth.estimate.population.known import Moments
from finitewidth.estimate.population.trusted import Grown
from finitewidth.estimate.preactivations.pooled import symmetric_places

Array = np.ndarray


def _of_pairs(found: Estimate, m: Moments) -> Estimate:
    return found.take(symmetric_places(*pairs(m.inputs).T))


def _of_products(found: Estimate, m: Moments) -> Estimate:
    return found.take(symmetric_places(*m.products))


def _own(found: Estimate, m: Moments) -> Estimate:
    return found.take(symmetric_places(*m.products)[m.alone, m.alone])


#: Quantities, each with its highest moment, its estimate, and its place among the axes.
_QUANTITIES: dict[str, tuple[int, Callable, Callable]] = {
    "covariance": (1, cumulants.mean, _of_pairs),
    "correlation": (1, cumulants.correlation, _of_pairs),
    "four_point": (2, cumulants.covariance, _of_products),
    "four_point_same": (2, cumulants.same_neuron, lambda found, m: found),
    "intralayer": (2, cumulants.covariance, _own),
    "six_point": (3, cumulants.third, lambda found, m: found),
    "excess_kurtosis": (2, cumulants.kurtosis, lambda found, m: found),
    "kernel_mean": (1, cumulants.mean, lambda found, m: found),
    "kernel_covariance": (2, cumulants.covariance, _of_products),
    "kernel_third": (3, cumulants.third, lambda found, m: found),
    "inverse_kernel_mean": (-1, cumulants.inverse, lambda found, m: found),
}


@dataclass
class Beside:
    """The populations of a member, and where their estimates were taken.

    Attributes
    ----------
    populations : xarray.Dataset
        As :attr:`finitewidth.estimate.samples.Samples.populations` gives it.
    kernel : callable
        Of a rung and the place of a layer: plain kernels (network, pair), whose means are E[Ghat].
    bounds : array of int, shape (block + 1,)
    inputs : int
    taken : dict
        Filled by :meth:`put`: quantity -> (words, which of them each (rung, layer) has).
    """

    populations: xr.Dataset
    kernel: Callable[[int, int], Array]
    bounds: Array
    inputs: int
    taken: dict[str, tuple[list[str], Array]] = field(default_factory=dict)
    _known: dict[tuple[int, int], Moments] = field(default_factory=dict)

    def put(self, name: str, plain: Estimate, words: str) -> Estimate:
        """The estimates of a quantity, those of populations in place of some.

        Parameters
        ----------
        plain : Estimate, shape (rung, layer, ...)
        words : str
            How it was estimated, for the others.
        """
        if name not in _QUANTITIES or "population_mean" not in self.populations:
            return plain
        order, estimate, placed = _QUANTITIES[name]
        every, which = [words], np.zeros(plain.value.shape[:2], np.int8)
        parts = [np.array(part) for part in _parts(plain)]
        for rung, layer in np.ndindex(which.shape):
            m = self.at(rung, layer)
            if m.nearest(order) is None:
                continue
            found = placed(estimate(m), m)
            for part, new in zip(parts, _parts(found), strict=True):
                part[rung, layer] = new
            said = self._words(m, order)
            every += [said] if said not in every else []
            which[rung, layer] = every.index(said)
        if which.any():
            self.taken[name] = every, which
        return Estimate(*parts)

    def at(self, rung: int, layer: int) -> Moments:
        """What is known of a layer of a rung."""
        if (rung, layer) not in self._known:
            self._known[rung, layer] = self._read(rung, layer)
        return self._known[rung, layer]

    def _read(self, rung: int, layer: int) -> Moments:
        p = self.populations
        mine = np.flatnonzero(p["population_rung"].values == rung)
        grown = tuple(
            Grown(
                p["population_mean"].values[:, k, layer],
                p["population_square"].values[:, k, layer],
                p["population_families"].values[:, k, layer],
                float(p["power"][k]),
                int(p["members"][k]),
                bool(p["exact"][k]),
            )
            for k in mine
        )
        spread = self.populations["population_spread"].isel(of_rung=rung, layer=layer)
        spreads = dict(zip(spread["moment"].values.tolist(), spread.values.tolist(), strict=True))
        return Moments(self.kernel(rung, layer), self.bounds, grown, self.inputs, spreads)

    def _words(self, m: Moments, order: int) -> str:
        parts = [m.part(k, order) for k in range(order, 0, -1)] or [m.nearest(order)]
        return "; ".join(dict.fromkeys(g.words if g else "plain networks" for g in parts))

    def variables(self, dims: Iterable[str]) -> dict:
        """``<name>_estimator``, flags of which words in the attribute ``estimators`` are meant."""
        found = {}
        for name, (words, which) in self.taken.items():
            named = tuple(dims)
            values = which if "rung" in named else which[0]
            found[f"{name}_estimator"] = (named, *flags(name, words, values))
        return found


def flags(name: str, words: list[str], which: Array) -> tuple[Array, dict]:
    """Which of these words say how each number of a quantity was estimated, and its attributes."""
    about = {
        "long_name": f"how {name} was estimated, the place of a word of estimators",
        "estimators": "\n".join(words),
    }
    values = {"flag_values": np.arange(len(words), dtype=np.int8)}
    return np.asarray(which, np.int8), about | values | {"units": "1"}


def _parts(e: Estimate) -> tuple[Array, ...]:
    return e.value, e.stderr, e.reason, e.diagnostic
