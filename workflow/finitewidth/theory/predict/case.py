"""One member as the predictions see it, with what several families of them share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS
from finitewidth.theory.gaussian.four_activations import has_closed_form
from finitewidth.theory.mlp import chain, exact, expansions, kernel, mean_squares, vertex

#: Order -> values.
Orders = dict[str, np.ndarray]

#: A scale-invariant network deeper than this keeps to what is known without going through it layer
#: by layer: at depth 1e5 that is most of the time, for expansions that say nothing there.
DEEPEST = 1000
#: Largest variance for which products of three or four different activations are summed on
#: grids: beyond it that takes minutes.
STEEPEST = 1000.0
#: Beyond so many inputs no correction to the covariance of different ones: their pairs cost too
#: much.
MOST_PAIRED = 16


@dataclass(frozen=True)
class Case:
    """One member's networks, inputs x (N, n_0), the layers (T of them), and sizes of the sample."""

    mlp: Perceptron
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
        """Whether the finite-width results of :mod:`finitewidth.theory.mlp.exact` apply."""
        return self.mlp.activation.slopes is not None

    @cached_property
    def is_normal(self) -> bool:
        """Whether the weights are normal."""
        return self.mlp.weights == "normal"

    @cached_property
    def has_limit(self) -> np.ndarray:
        """In which layers the kernel recursion is the limit of infinite width, (T,).

        A bias that is not normal stays so at any width, and so does the preactivation of its layer.
        But the recursion of the next layers takes Gaussian means of it. (The width of the input
        counts among those that grow: it makes the first layer Gaussian.)
        """
        if self.is_normal or self.mlp.activation.is_linear:
            return np.ones(len(self.layers), dtype=bool)
        return np.array([not any(self.mlp.C_b[: layer - 1]) for layer in self.layers])

    @cached_property
    def kernel(self) -> np.ndarray:
        """Infinite-width kernel, (T, N, N); NaN where the limit is not known."""
        K = kernel.infinite_width(self.mlp, self.x, self.layers)
        known = self.has_limit[:, None, None]
        if self.has_slopes:
            # On the diagonal it holds whatever the law of the weights.
            known = known | np.eye(len(self.x), dtype=bool)
        return np.where(known, K, np.nan)

    @cached_property
    def log_K(self) -> np.ndarray:
        """Logarithm of the infinite-width variance, which a two-slope network has exactly."""
        if self.has_slopes:
            return mean_squares.log_mean_square(self.mlp, self.x, self.layers)
        with np.errstate(divide="ignore"):
            log_K = np.log(kernel.variances(self.mlp, self.x, self.layers))
        return np.where(self.has_limit[:, None], log_K, np.nan)

    @cached_property
    def K(self) -> np.ndarray:
        """Infinite-width variance, (T, N)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_K)

    @cached_property
    def inverse_flow(self) -> np.ndarray:
        """1/K of every layer up to the last one wanted, NaN where K is 0: (depth, N)."""
        K = kernel.variances(self.mlp, self.x, range(1, max(self.layers) + 1))
        return 1 / np.where(K > 0, K, np.nan)

    @cached_property
    def moment_ratios(self) -> np.ndarray:
        """E[Ghat^k]/G^k, k = 1 to 4, (4, T, N); two slopes and normal weights only."""
        return exact.moment_ratios(self.mlp, self.x, self.layers)

    @cached_property
    def pair_ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """E[z_i^2 z_j^2]/G^2 and E[z^4]/G^2, (T, N) each; two slopes only."""
        return exact.pair_ratios(self.mlp, self.x, self.layers)

    @cached_property
    def leading_order(self) -> expansions.LeadingOrder:
        """First non-trivial orders in 1/n, (T, N) each; two slopes only."""
        return expansions.leading_order(self.mlp, self.x, self.layers)

    @cached_property
    def is_deep(self) -> bool:
        """Whether expansions on several inputs are left out, see :data:`DEEPEST`."""
        return self.mlp.is_scale_invariant and max(self.layers) > DEEPEST

    @cached_property
    def has_vertex(self) -> bool:
        """Whether :func:`finitewidth.theory.mlp.vertex.first_order` covers this member."""
        smooth = self.has_slopes or self.mlp.activation.derivatives is not None
        return self.is_normal and smooth and not self.is_deep

    @cached_property
    def first_order(self) -> vertex.FirstOrder | None:
        """First order in 1/n on all inputs together; None where it is not known."""
        if not self.has_vertex or len(self.x) > FOUR_POINT_MOST_INPUTS:
            return None
        on_lattices = len(self.x) > 2 and not has_closed_form(self.mlp.activation)
        if on_lattices and np.nanmax(self.K, initial=0) > STEEPEST:
            return None
        return vertex.first_order(self.mlp, self.x, self.layers)

    @cached_property
    def second_order(self) -> chain.SecondOrder:
        """Each input alone to second order in 1/n; ``ValueError`` if weights are not normal."""
        self._require_normal()
        if not self.has_slopes:
            return chain.second_order(self.mlp, self.x, self.layers)
        # The same in ratios, which stay in range where G does not.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            one = self.relative_orders
            return chain.SecondOrder(
                self.K,
                one.mean_1,
                one.mean_2,
                one.variance_1 * self.K**2,
                one.variance_2 * self.K**2,
                one.third_2 * self.K**3,
            )

    @cached_property
    def relative_orders(self) -> chain.SecondOrder:
        """:attr:`second_order` in powers of K; NaN where K is 0 and not of two slopes."""
        self._require_normal()
        if self.has_slopes:
            first, zero = self.leading_order, np.zeros(self.shape)
            parts = (zero, zero, first.four_point, first.four_point_second, first.six_point)
            return chain.SecondOrder(np.ones(self.shape), *parts)
        orders = self.second_order
        K = np.where(orders.K > 0, orders.K, np.nan)
        powers = (1, 1, 1, 2, 2, 3)
        return chain.SecondOrder(*(a / K**p for a, p in zip(orders, powers, strict=True)))

    def _require_normal(self) -> None:
        if not self.is_normal:
            raise ValueError("the second order in 1/n needs normal weights")

    @cached_property
    def mean_1(self) -> np.ndarray | None:
        """E[Ghat] - K to order 1/n, (T, N, N), NaN where it is not known; None if nowhere."""
        if not self.is_normal or self.is_deep:
            return None
        N = len(self.x)
        if self.mlp.activation.is_linear:
            return np.zeros((len(self.layers), N, N))
        if self.first_order is not None:
            result = self.first_order.G1.copy()
        else:
            result = np.full((len(self.layers), N, N), np.nan)
            if self.has_vertex and N <= MOST_PAIRED:
                # The correction to a pair of inputs takes no other input.
                for a, b in pairs(N):
                    if a < b:
                        two = vertex.first_order(self.mlp, self.x[[a, b]], self.layers)
                        result[:, a, b] = result[:, b, a] = two.G1[:, 0, 1]
        result[:, range(N), range(N)] = self.second_order.mean_1
        return result

    @cached_property
    def log_growth(self) -> np.ndarray | None:
        """c tau of each layer, (T, 1), where the double-scaling limit is known; else None."""
        from finitewidth.theory.distributions import scale_invariant

        if not scale_invariant.has_exact_law(self.mlp):
            return None
        return expansions.log_growth(self.mlp, self.layers)[:, None]

    def only_in(self, layer: int, values: np.ndarray | float, *shape: int) -> np.ndarray:
        """``values`` where the layer is ``layer``, NaN elsewhere: (T, *shape)."""
        result = np.full((len(self.layers), *shape), np.nan)
        here = np.array(self.layers) == layer
        result[here] = np.broadcast_to(values, result.shape)[here]
        return result


@dataclass(frozen=True)
class Rung(Case):
    """A rung of a ladder: what does not depend on its width is taken from ``reference``, a rung."""

    reference: Case

    @cached_property
    def width(self) -> int:
        """n, of every hidden layer."""
        return self.mlp.widths[1]

    @cached_property
    def scale(self) -> float:
        """1/n of this rung, in units of the reference's."""
        return self.reference.mlp.widths[1] / self.width

    @cached_property
    def kernel(self) -> np.ndarray:
        """See :attr:`Case.kernel`."""
        return self.reference.kernel

    @cached_property
    def log_K(self) -> np.ndarray:
        """See :attr:`Case.log_K`."""
        return self.reference.log_K

    @property
    def inverse_flow(self) -> np.ndarray:
        """1/K of every layer up to the last one wanted, see :attr:`Case.inverse_flow`."""
        return self.reference.inverse_flow

    @cached_property
    def first_order(self) -> vertex.FirstOrder | None:
        """See :attr:`Case.first_order`."""
        found = self.reference.first_order
        if found is None:
            return None
        return vertex.FirstOrder(found.K, found.V * self.scale, found.G1 * self.scale)

    @cached_property
    def second_order(self) -> chain.SecondOrder:
        """See :attr:`Case.second_order`."""
        found = self.reference.second_order
        powers = (0, 1, 2, 1, 2, 2)
        return chain.SecondOrder(*(a * self.scale**p for a, p in zip(found, powers, strict=True)))
