"""How much each order of theory leaves out: the next term if it is known, else its likely size.

What is not known is taken from what is: how much the kernel, or the tangent kernel, of one network
fluctuates, and by how much the second order of its variance is smaller than the first.
docs/theory.md 6.5 has the rules and what they were held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from finitewidth.core.bins import EDGES, QUANTILE_U
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import COEFFICIENTS, DESCRIBED
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.predict.case import Case, Orders
from finitewidth.theory.predict.steps import Steps, steps

if TYPE_CHECKING:
    from finitewidth.theory.predict.block_case import BlockCase

#: Orders of the expansion with their power of 1/n.
_POWERS = {"infinite_width": 0, "1/n": 1, "1/n^2": 2}
#: A term that happens to be small does not make the next one small. The next one is taken to be at
#: least spread times step in the quantity's own unit; half as much for tangent kernels; and an
#: eighth for means of kernels, which fluctuations move through second derivatives alone.
_LEAST_OF_MEANS, _LEAST_OF_TANGENTS = 1 / 8, 1 / 2
_MEANS = ("covariance", "neuron_covariance", "correlation", "kernel_mean", "active_share")
#: The largest change of the share of open gates, in units of the variance of the kernel: that of
#: streams of ReLU is a hundredth.
_OF_SIGNS = 0.1
#: How much the square of a derivative fluctuates in one layer, in units of 1/n: with slopes s it is
#: 3<s^4>/<s^2>^2 - 1, 5 of ReLU, and 8 where slopes are normal, as those of cos on a small kernel.
_OF_SLOPES = 8.0
#: What tangent kernels enter.
_OF_TANGENTS = ("ntk", "dntk")


def with_neglected(
    theory: xr.Dataset,
    mlps: Sequence[Perceptron],
    x: np.ndarray,
    rates: Sequence[LearningRates] | None = None,
    blocks: BlockCase | None = None,
) -> xr.Dataset:
    """The same dataset with ``<name>_neglected`` beside each variable, and of its dimensions.

    Parameters
    ----------
    theory : xarray.Dataset
        Predictions of a member or, with the dimension ``rung``, of a ladder.
    mlps : sequence of Perceptron
        The member's, or one a rung.
    x : ndarray, shape (N, n_0)
    rates : sequence of LearningRates, optional
        One for each, where there are tangent kernels.
    blocks : BlockCase, optional
        Of a member made of blocks, in place of perceptrons.

    Returns
    -------
    xarray.Dataset
        What an order leaves out, as an absolute value: 0 where it is exact, NaN where theory says
        nothing or nothing is known of what is left out.
    """
    if not theory.data_vars:
        return theory
    sizes = _Sizes(theory, mlps, np.asarray(x, dtype=float), rates, blocks)
    names = [str(order) for order in theory["order"].values]
    found = {}
    for name, values in theory.data_vars.items():
        orders = dict(zip(names, values.values, strict=True))
        about = {"long_name": f"what an order leaves out of the {values.attrs['long_name']}",
                 "units": "1", "equation": "docs/theory.md 6.5"}  # fmt: skip
        left = _neglected(str(name), tuple(map(str, values.dims[1:])), orders, sizes)
        found[f"{name}_neglected"] = (values.dims, np.stack([left[o] for o in names]), about)
    return theory.assign(found)


def _neglected(name: str, dims: tuple[str, ...], orders: Orders, sizes: _Sizes) -> Orders:
    if name in COEFFICIENTS:
        # The coefficient itself is what theory gives, and not a sum that is cut off.
        return {order: np.where(np.isnan(terms), np.nan, 0.0) for order, terms in orders.items()}
    exact = orders.get("exact", np.full_like(next(iter(orders.values())), np.nan))
    known = ~np.isnan(exact)
    best, left = exact, np.where(known, 0.0, np.nan)
    everywhere = all((known | np.isnan(terms)).all() for terms in orders.values())
    if not everywhere and DESCRIBED[name].unit is not None:
        # A matrix that is singular, and a layer that is zero, have infinities and no number.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            best, left = _best(orders, exact, *sizes.of(name, dims, orders))
    found = {}
    with np.errstate(invalid="ignore"):
        for order, terms in orders.items():
            # An order that is no expansion in 1/n is held against exact values alone.
            off = np.abs(best - terms) + left if order in _POWERS else np.abs(exact - terms)
            off = np.zeros_like(exact) if order == "exact" else off
            found[order] = np.where(np.isnan(terms), np.nan, off)
    return found


def _best(
    orders: Orders, exact: np.ndarray, first: np.ndarray, least: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best value known of a number, and the likely size of what even that leaves out.

    ``first`` is the size of a first order. ``least`` is the size that a first order counts with at
    least where the next order is told from it, in case it is small by chance. Each further order is
    smaller by ``step``.
    """
    best: np.ndarray | None = None
    last = left = np.full_like(exact, np.nan)
    for order, power in _POWERS.items():
        if order not in orders:
            continue
        terms = orders[order]
        here = ~np.isnan(terms)
        if best is None:
            # Nothing but the limit.
            best, last, left = terms, terms, np.where(here, first, np.nan)
            continue
        size = np.maximum(step * np.abs(terms - last), least * step**power)
        left = np.where(here, size, left)
        last = np.where(here, terms, last)
        best = np.where(here, terms, best)
    if best is None:
        return exact, np.where(np.isnan(exact), np.nan, 0.0)
    known = ~np.isnan(exact)
    return np.where(known, exact, best), np.where(known, 0.0, left)


class _Sizes:
    """Steps and units of the variables of one dataset, each computed once."""

    def __init__(
        self,
        theory: xr.Dataset,
        mlps: Sequence[Perceptron],
        x: np.ndarray,
        rates: Sequence[LearningRates] | None,
        blocks: BlockCase | None,
    ) -> None:
        self.mlps, self.x, self.rates, self.blocks = mlps, x, rates or (), blocks
        self.layers = [int(layer) for layer in theory["layer"].values] if "layer" in theory else []
        self.limit = np.empty(0)
        if "ntk_eigenvalue" in theory:
            self.limit = theory["ntk_eigenvalue"].sel(order="infinite_width").values
        # The inputs of a pair, say, are pair_a and pair_b.
        self.places = {
            dim: [theory[f"{dim}_{letter}"].values for letter in letters]
            for dim, letters in (("pair", "ab"), ("couple", "ab"), ("quad", "abcd"))
            if f"{dim}_a" in theory
        }
        self._fields: dict[str, np.ndarray] = {}

    def of(self, name: str, dims: tuple[str, ...], orders: Orders) -> tuple[np.ndarray, ...]:
        """Of a variable: the first order's size, and that if it is small by chance; the step."""
        tangent = name.startswith(_OF_TANGENTS)
        spread, step = self._steps(tangent, dims)
        if name in ("ntk_eigenvalue", "ntk_log_condition"):
            unit: np.ndarray | float
            close, unit = _closeness(self.limit), np.abs(self.limit)
            if name == "ntk_log_condition":
                close, unit = close.max(1), np.ones(len(close))
            own = ("layer", "rank")[: close.ndim]
            # Bent functions of a matrix have all orders, however few its own mean has.
            step = np.maximum(step, spread) * _placed(close, own, dims)
            unit = _placed(unit, own, dims)
        elif name.startswith("gradient"):
            hidden = sum(1 / n for mlp in self.mlps[:1] for n in mlp.widths[1:-1])
            deep = hidden if self.blocks is None else self.blocks.maps_over_width
            spread = np.full_like(spread, spread.max(initial=_OF_SLOPES * deep))
            unit = np.abs(orders["infinite_width"]) if name == "gradient_norm" else 1.0
            # In units of itself, but for a limit of 0. No norm or flat sigma stops what goes back.
            unit = np.where((unit == 0) & (self.blocks is not None), np.nan, unit)
        elif name.startswith("jacobian"):
            # A square in units of itself; of logarithms also what n_0 tangents have of n_l neurons.
            if name == "jacobian_square":
                unit = np.abs(orders["infinite_width"])
            else:
                spread, unit = spread + _placed(self._shared(), ("layer",), dims), 1.0
        elif name == "mean_cosine":
            # Of the kernel of one network's own neurons, which fluctuates in the first layer, too.
            spread, unit = spread + _placed(self._own(), ("layer",), dims), 1.0
        elif name == "active_share":
            # Of what a kernel fluctuates by a small share turns the sign of a neuron.
            unit = _OF_SIGNS
        elif name in ("histogram", "quantile"):
            unit = _placed(_edgeworth(name), dims[-1:], dims) * (1 + spread)
        elif name in ("quadruple", "excess_kurtosis"):
            # A kurtosis is 3 variances of the kernel, E[Ghat^4] is 1 + 6, a quadruple its root.
            unit = 3 * (np.abs(orders["infinite_width"]) if name == "quadruple" else 1.0)
        else:
            unit = self._unit(name, dims)
            if name == "six_point" and self.blocks is not None:
                # Nothing but the limit is known: where depth is comparable to width, the third
                # cumulant of a log-normal kernel, (e^s - 1)^2 (e^s + 2), is far more than s.
                s = np.minimum(spread, 20.0)
                unit = unit * np.maximum(1.0, np.expm1(s) * (np.exp(s) + 2))
        least = _LEAST_OF_TANGENTS if tangent else _LEAST_OF_MEANS if name in _MEANS else 1.0
        return spread * unit, least * spread * unit, step

    def _shared(self) -> np.ndarray:
        """n_0/n_l summed over the layers up to each, (layer,)."""
        widths = self.mlps[0].widths if self.mlps else [self.x[0].size]
        shares = np.cumsum([0.0, *(widths[0] / n for n in widths[1:])])
        return shares[self.layers] if self.mlps else np.full(len(self.layers), np.nan)

    def _own(self) -> np.ndarray:
        """1/n of each layer, (layer,)."""
        if self.blocks is not None:
            return 1 / np.array(self.blocks.widths)
        return np.array([1 / self.mlps[0].widths[layer] for layer in self.layers])

    def _unit(self, name: str, dims: tuple[str, ...]) -> np.ndarray | float:
        # None of a pure number; else one for each index of its inputs.
        powers = iter(DESCRIBED[name].unit or ())
        unit: np.ndarray | float = 1.0
        for dim in dims if DESCRIBED[name].unit else ():
            places: list = self.places.get(dim.rstrip("_"), [])
            if dim in ("input", "input_"):
                places = [slice(None)]
            for place in places:
                for field, power in zip(("kernel", "tangent"), next(powers), strict=True):
                    if power:
                        root = np.sqrt(self._field(field)[..., place])
                        own = ("rung", "layer", dim)[-root.ndim :]
                        unit = unit * _placed(root, own, dims) ** power
        return unit

    def _field(self, name: str) -> np.ndarray:
        """K or Theta at infinite width, (layer, input); (rung, layer, input) if rates differ."""
        if name not in self._fields:
            if self.blocks is not None:
                values = self.blocks.K
                if name != "kernel":
                    values = 0 * values + np.diagonal(self.blocks.theta)
            elif name == "kernel":
                values = Case(self.mlps[0], self.x, self.layers, 0, None).K
            else:
                values = self._all_tangents()
            self._fields[name] = np.abs(values)
        return self._fields[name]

    def _all_tangents(self) -> np.ndarray:
        """Theta of each input with itself, (layer, input); (rung, layer, input) if rates differ."""
        if len(set(self.rates)) == 1:
            return self._tangents(self.mlps[0], self.rates[0])
        every = zip(self.mlps, self.rates, strict=True)
        return np.stack([self._tangents(*one) for one in every])

    def _tangents(self, mlp: Perceptron, rates: LearningRates) -> np.ndarray:
        """Theta of each input with itself, (layer, input)."""
        # A size: that of normal weights, of which alone all is known.
        whole = infinite_width_ntk(replace(mlp, weights="normal"), rates, self.x, self.layers)
        return np.diagonal(whole, axis1=1, axis2=2)

    def _steps(self, tangent: bool, dims: tuple[str, ...]) -> list[np.ndarray]:
        """Spread and step, shaped for dimensions that have layers, and rungs in a ladder."""
        names = [f"{part} {tangent}" for part in Steps._fields]
        if names[0] not in self._fields:
            rates = self.rates[0] if tangent else None
            if self.blocks is not None:
                found = self.blocks.steps(tangent)
            else:
                found = steps(self.mlps[0], self.x, self.layers, rates)
            self._fields |= dict(zip(names, found, strict=True))
        if self.blocks is not None:
            return [_placed(self._fields[name], ("layer",), dims) for name in names]
        width = np.array([mlp.widths[1] for mlp in self.mlps])
        scale = _placed(width[0] / width, ("rung",), dims) if "rung" in dims else 1.0
        return [_placed(self._fields[name], ("layer",), dims) * scale for name in names]


def _placed(values: np.ndarray, own: tuple[str, ...], dims: tuple[str, ...]) -> np.ndarray:
    """An array of the dimensions ``own`` with axes of length 1 for the others of ``dims``."""
    order = sorted(range(len(own)), key=lambda k: dims.index(own[k]))
    shape = [values.shape[own.index(dim)] if dim in own else 1 for dim in dims]
    return values.transpose(order).reshape(shape)


def _closeness(value: np.ndarray) -> np.ndarray:
    """Fluctuations of a matrix beside the gaps of each eigenvalue, in units of the largest.

    An eigenvalue moves by what it exchanges with its neighbours; the smallest has 0 for one, too.
    ``value`` is (layer, rank), largest first, and so is the result.
    """
    gaps = np.abs(np.diff(value, axis=1))
    beyond = np.full((len(value), 1), np.inf)
    below = np.concatenate([gaps, np.abs(value[:, -1:])], axis=1)
    nearest = np.minimum(np.concatenate([beyond, gaps], axis=1), below)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.abs(value[:, :1]) / nearest) ** 2


def _edgeworth(name: str) -> np.ndarray:
    """What an excess kurtosis of 3 spread does to bins and quantiles, over the spread.

    Edgeworth's first term: -kurtosis/24 He_3(u) phi(u) in the distribution function; |He_3| is
    replaced by |u|^3 + 3|u|, which does not cross zero.
    """
    if name == "quantile":
        return (np.abs(QUANTILE_U) ** 3 + 3 * np.abs(QUANTILE_U)) / 8
    u = np.where(np.isinf(EDGES), 0.0, EDGES)
    size = (np.abs(u) ** 3 + 3 * np.abs(u)) / 8 * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    return size[1:] + size[:-1]
