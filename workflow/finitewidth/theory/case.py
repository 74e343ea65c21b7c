"""One member as the predictions see it, with what several families of them share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.law import Law
from finitewidth.theory import exact, expansions, flow, kernel, laws

#: Order -> values.
Orders = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One member's law, its inputs x (N, n_0), the layers (T of them), and sizes of the sample."""

    law: Law
    x: np.ndarray
    layers: list[int]
    neurons: int
    networks: int | None

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return len(self.layers), len(self.x)

    @cached_property
    def has_slopes(self) -> bool:
        """Whether the finite-width results of :mod:`finitewidth.theory.exact` apply."""
        return self.law.activation.slopes is not None

    @cached_property
    def is_normal(self) -> bool:
        """Whether the weights are normal."""
        return self.law.weights == "normal"

    @cached_property
    def log_K(self) -> np.ndarray:
        """Logarithm of the infinite-width variance, which a two-slope network has exactly."""
        if self.has_slopes:
            return flow.log_mean_square(self.law, self.x, self.layers)
        with np.errstate(divide="ignore"):
            return np.log(kernel.variances(self.law, self.x, self.layers))

    @cached_property
    def K(self) -> np.ndarray:
        """Infinite-width variance, (T, N)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_K)

    @cached_property
    def moment_ratios(self) -> np.ndarray:
        """E[Ghat^k]/G^k, k = 1 to 4, (4, T, N); two slopes and normal weights only."""
        return exact.moment_ratios(self.law, self.x, self.layers)

    @cached_property
    def pair_ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """E[z_i^2 z_j^2]/G^2 and E[z^4]/G^2, (T, N) each; two slopes only."""
        return exact.pair_ratios(self.law, self.x, self.layers)

    @cached_property
    def leading_order(self) -> expansions.LeadingOrder:
        """First non-trivial orders in 1/n, (T, N) each; two slopes only."""
        return expansions.leading_order(self.law, self.x, self.layers)

    @cached_property
    def log_growth(self) -> np.ndarray | None:
        """c tau of each layer, (T, 1), where the double-scaling limit is known; else None."""
        if not laws.has_exact_law(self.law):
            return None
        return expansions.log_growth(self.law, self.layers)[:, None]

    def only_in(self, layer: int, values: np.ndarray | float, *shape: int) -> np.ndarray:
        """``values`` where the layer is ``layer``, NaN elsewhere: (T, *shape)."""
        result = np.full((len(self.layers), *shape), np.nan)
        here = np.array(self.layers) == layer
        result[here] = np.broadcast_to(values, result.shape)[here]
        return result
