"""How much each order of theory leaves out: the next term where it is known, else its likely size.

What is not known is taken from what is: how much the kernel, or the tangent kernel, of one network
fluctuates, and by how much the second order of its variance is smaller than the first.
docs/theory.md 6.5 has the rules and what they were held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from finitewidth.bins import EDGES, PROBABILITIES, QUANTILE_U
from finitewidth.law import Law
from finitewidth.rates import Rates
from finitewidth.theory import expansions, ntk_chain
from finitewidth.theory.case import Case
from finitewidth.theory.ntk import infinite_width_ntk
from finitewidth.vocabulary import COEFFICIENTS

#: Orders of the expansion with their power of 1/n.
_POWERS = {"infinite_width": 0, "1/n": 1, "1/n^2": 2}
#: A term that happens to be small does not make the next one small: that is taken to be this share
#: at least of what spread and step make of the quantity's own unit; of kernels, and of tangents.
_LEAST = {False: 1 / 8, True: 1 / 2}
#: The spread where no fluctuations are known, in units of the sum of 1/n: that of ReLU.
_STEEP = 5.0
#: Quantity -> its unit: exponents of sqrt(K) and of sqrt(Theta), index by index of its inputs, as
#: far as it has indices. What is not listed is a pure number.
_UNITS: dict[str, tuple[tuple[int, int], ...]] = {
    **dict.fromkeys(("covariance", "neuron_covariance", "four_point", "four_point_same",
                     "kernel_mean", "kernel_covariance"), ((1, 0),) * 4),
    "intralayer": ((4, 0),),
    "six_point": ((6, 0),),
    "kernel_third": ((6, 0),),
    "inverse_kernel_mean": ((-2, 0),),
    **dict.fromkeys(("ntk", "ntk_mean", "ntk_variance", "ntk_A", "ntk_B", "dntk_P", "dntk_Q"),
                    ((0, 1),) * 4),
    "ntk_D": ((1, 0), (1, 0), (0, 1), (0, 1)),
    "ntk_F": ((1, 0), (1, 0), (0, 1), (0, 1)),
}  # fmt: skip
#: What tangent kernels enter.
_OF_TANGENTS = ("ntk", "dntk")
#: What no step describes: how often a test rejects depends on the networks that it is given.
_NOT_KNOWN = ("rejection_rate",)


def with_neglected(
    theory: xr.Dataset,
    laws: Sequence[Law],
    x: np.ndarray,
    rates: Sequence[Rates] | None = None,
) -> xr.Dataset:
    """The same dataset with ``<name>_neglected`` beside each variable, and of its dimensions.

    Parameters
    ----------
    theory : xarray.Dataset
        Predictions of a member or, with the dimension ``rung``, of a ladder.
    laws : sequence of Law
        The member's, or one a rung.
    x : ndarray, shape (N, n_0)
    rates : sequence of Rates, optional
        One a law, where there are tangent kernels.

    Returns
    -------
    xarray.Dataset
        What an order leaves out, as an absolute value: 0 where it is exact, NaN where theory says
        nothing or nothing is known of what is left out.
    """
    sizes = _Sizes(theory, laws, np.asarray(x, dtype=float), rates)
    return theory.assign(
        {f"{name}_neglected": _of_variable(values, sizes) for name, values in theory.items()}
    )


def _of_variable(values: xr.DataArray, sizes: _Sizes) -> xr.DataArray:
    name = values.name
    about = {"long_name": f"what an order leaves out of the {values.attrs['long_name']}"}
    found = xr.full_like(values, np.nan).assign_attrs(about | {"units": "1"})
    found.attrs.pop("references", None)
    found.attrs["equation"] = "docs/theory.md 6.5"
    if name in COEFFICIENTS:
        # The coefficient itself is what theory gives, and not a sum that is cut off.
        return found.where(values.isnull(), 0.0)
    orders = {str(order): values.sel(order=order, drop=True) for order in values["order"].values}
    exact = orders.get("exact", xr.full_like(values.isel(order=0, drop=True), np.nan))
    known = exact.notnull()
    everywhere = all((known | terms.isnull()).all() for terms in orders.values())
    left = xr.zeros_like(exact)
    best = exact
    if not everywhere and name not in _NOT_KNOWN:
        best, left = _best(orders, exact, *sizes.of(values))
    elif not everywhere:
        left = left.where(known)
    for order, terms in orders.items():
        off = np.abs(best - terms) + left
        if order not in _POWERS:
            # An order that is no expansion in 1/n is held against exact values alone.
            off = xr.zeros_like(exact) if order == "exact" else np.abs(exact - terms)
        found.loc[{"order": order}] = off.where(terms.notnull()).transpose(*terms.dims)
    return found


def _best(orders, exact, first, least, step) -> tuple[xr.DataArray, xr.DataArray]:
    """What is known best of a number, and the likely size of what even that leaves out.

    ``first`` is the size of a first order, ``least`` that of a first order which is small by
    chance, as seen in the next one; further orders are smaller by ``step`` each.
    """
    best = last = None
    left = xr.full_like(exact, np.nan)
    for order, power in _POWERS.items():
        if order not in orders:
            continue
        terms = orders[order]
        if best is None:
            # Nothing but the limit.
            best, last, left = terms, terms, first.where(terms.notnull())
            continue
        here = terms.notnull()
        size = np.maximum(step * np.abs(terms - last), least * step**power)
        left = xr.where(here, size, left)
        best, last = xr.where(here, terms, best), xr.where(here, terms, last)
    if best is None:
        best = exact
    known = exact.notnull()
    return xr.where(known, exact, best), xr.where(known, 0.0, left)


class _Sizes:
    """Steps and units of the variables of one dataset, each computed once."""

    def __init__(self, theory, laws, x, rates):
        self.theory, self.laws, self.x, self.rates = theory, laws, x, rates
        self.layers = [int(layer) for layer in theory["layer"].values] if "layer" in theory else []
        self._fields: dict[str, xr.DataArray] = {}

    def of(self, values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        """Of a variable: the first order's size, and that if it is small by chance; the step."""
        tangent = values.name.startswith(_OF_TANGENTS)
        spread, step = self._steps(tangent, "rung" in values.dims)
        step, unit = self._step_and_unit(values, spread, step)
        return spread * unit, _LEAST[tangent] * spread * unit, step

    def _step_and_unit(self, values, spread, step) -> tuple[xr.DataArray, xr.DataArray]:
        name = values.name
        if name in ("ntk_eigenvalue", "ntk_log_condition"):
            value = self.theory["ntk_eigenvalue"].sel(order="infinite_width", drop=True)
            step = step * _closeness(value)
            return step, np.abs(value) if name == "ntk_eigenvalue" else xr.ones_like(step)
        if name in ("histogram", "quantile"):
            return step, _edgeworth(name, spread)
        if name in ("quadruple", "excess_kurtosis"):
            # Three times the variance of the kernel makes a kurtosis; E[Ghat^4] is 1 + 6 of it,
            # and the noise of quadruples its root.
            limit = values.sel(order="infinite_width", drop=True)
            return step, 3 * (np.abs(limit) if name == "quadruple" else xr.ones_like(step))
        return step, self._unit(values)

    def _unit(self, values: xr.DataArray) -> xr.DataArray:
        unit = xr.ones_like(self._steps(False, False)[0])
        powers = _UNITS.get(values.name)
        if powers is None:
            return unit
        for dim, (of_kernel, of_tangent) in zip(_slots(values.dims), powers, strict=False):
            name, _, letter = dim.partition(":")
            for field, power in (("kernel", of_kernel), ("tangent", of_tangent)):
                if not power:
                    continue
                root = np.sqrt(self._field(field))
                if letter:
                    place = self.theory[f"{name.rstrip('_')}_{letter}"].values
                    root = root.isel(input=xr.DataArray(place, dims=name))
                else:
                    root = root.rename(input=name)
                unit = unit * root**power
        return unit

    def _field(self, name: str) -> xr.DataArray:
        """K or Theta at infinite width, (layer, input)."""
        if name not in self._fields:
            law = self.laws[0]
            if name == "kernel":
                values = Case(law, self.x, self.layers, 0, None).K
            else:
                whole = infinite_width_ntk(law, self.rates[0], self.x, self.layers)
                values = np.diagonal(whole, axis1=1, axis2=2)
            self._fields[name] = self._array(np.abs(values), "input")
        return self._fields[name]

    def _steps(self, tangent: bool, ladder: bool) -> tuple[xr.DataArray, ...]:
        """Spread and step of the first law, (layer,), or of all of them, (rung, layer)."""
        names = [f"{part} {tangent}" for part in Steps._fields]
        if names[0] not in self._fields:
            rates = self.rates[0] if tangent else None
            found = steps(self.laws[0], self.x, self.layers, rates)
            self._fields |= {n: self._array(v) for n, v in zip(names, found, strict=True)}
        width = np.array([law.widths[1] for law in self.laws])
        scale = xr.DataArray(width[0] / width, dims="rung") if ladder else 1.0
        return tuple(self._fields[name] * scale for name in names)

    def _array(self, values: np.ndarray, *dims: str) -> xr.DataArray:
        return xr.DataArray(values, dims=("layer", *dims), coords={"layer": self.theory["layer"]})


def _slots(dims: Sequence[str]) -> list[str]:
    """The inputs of a number, one entry an index: a dimension, or ``dimension:letter`` of it."""
    found = []
    for dim in dims:
        if dim in ("input", "input_"):
            found.append(dim)
        elif dim in ("pair", "pair_", "couple", "couple_"):
            found += [f"{dim}:a", f"{dim}:b"]
        elif dim == "quad":
            found += [f"{dim}:{letter}" for letter in "abcd"]
    return found


def _closeness(value: xr.DataArray) -> xr.DataArray:
    """Fluctuations of a matrix beside the gaps between its eigenvalues, in units of the largest."""
    each = value.values
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = [*np.moveaxis(np.abs(np.diff(each, axis=-1)), -1, 0), np.abs(each[..., -1])]
        worst = np.abs(each[..., 0]) / np.min(gaps, axis=0)
    return xr.DataArray(worst**2, dims=value.dims[:-1], coords={"layer": value["layer"]})


def _edgeworth(name: str, spread: xr.DataArray) -> xr.DataArray:
    """What an excess kurtosis of 3 spread does to bins and quantiles, over the spread.

    Edgeworth's first term: -kurtosis/24 He_3(u) phi(u) in the distribution function; |He_3| is
    replaced by |u|^3 + 3|u|, which does not cross zero.
    """
    u = EDGES if name == "histogram" else QUANTILE_U
    with np.errstate(invalid="ignore"):
        size = (np.abs(u) ** 3 + 3 * np.abs(u)) / 8
    if name == "quantile":
        place = xr.DataArray(size, dims="probability", coords={"probability": PROBABILITIES})
        return place * (1 + spread)
    density = np.where(np.isinf(u), 0.0, np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi))
    edges = np.where(np.isinf(u), 0.0, size) * density
    return xr.DataArray(edges[1:] + edges[:-1], dims="bin") * (1 + spread)


class Steps(NamedTuple):
    """Sizes of the orders of an expansion, (T,) each; powers of 1/n are included."""

    spread: np.ndarray  #: of the first order, in the unit of the quantity
    step: np.ndarray  #: of each further order, in units of the one before


def steps(law: Law, x: np.ndarray, layers: Sequence[int], rates: Rates | None = None) -> Steps:
    """How large orders of 1/n are, about: for kernels, or with ``rates`` for tangent kernels.

    The spread is Var(Ghat)/K^2, or Var(Theta)/Theta^2, to first order. The step of kernels is the
    ratio of the second order of Var(Ghat) to the first, which on one input is known; for curved
    activations no less than their spread, as that ratio may vanish by chance. The step of tangent
    kernels is half the sum of both spreads. Where only layers beyond the second add to a step,
    their share of the sum of 1/n is taken: layer 1 is Gaussian, and layer 2 has one order.

    Parameters
    ----------
    law : Law
    x : ndarray, shape (N, n_0)
        The largest of all inputs counts.
    layers : sequence of int
    rates : Rates, optional
    """
    case = Case(law, np.asarray(x, dtype=float), list(layers), 0, None)
    tau = np.cumsum([0.0, *(1 / np.array(law.widths[1:-1]))])
    first = tau[min(1, len(tau) - 1)] if case.is_normal else 0.0
    tau = tau[np.array(layers) - 1]
    later = np.divide(tau - first, tau, out=np.zeros_like(tau), where=tau > first)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if case.is_normal:
            one = case.relative_orders
            kernel = _largest(np.abs(one.variance_1), _STEEP * tau)
            ratio = np.where(one.variance_1 > 0, np.abs(one.variance_2 / one.variance_1), 0.0)
            step = _largest(ratio, _STEEP * tau)
            if not case.has_slopes:
                step = np.maximum(step, kernel * later)
        else:
            if case.has_slopes:
                kernel = np.abs(expansions.leading_order(law, case.x, layers).four_point)
            else:
                # The first layer is not Gaussian, as if it had come out of few neurons.
                few = np.sum(case.x**4, axis=1) / np.sum(case.x**2, axis=1) ** 2
                kernel = _STEEP * (tau[:, None] + np.where(np.isfinite(few), few, 0.0))
            step = kernel = _largest(kernel, _STEEP * tau)
        if rates is None:
            return Steps(kernel, step)
        spread = np.full((len(layers), 1), np.nan)
        if case.is_normal:
            moments = ntk_chain.first_order(law, rates, case.x, layers)
            theta = infinite_width_ntk(law, rates, case.x, layers)
            theta = np.diagonal(theta, axis1=1, axis2=2)
            spread = (moments.A + 2 * moments.B) / theta**2
    spread = _largest(np.abs(spread), kernel)
    return Steps(spread, np.maximum(step, later * (kernel + spread) / 2))


def _largest(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """The largest of each row's finite numbers; where there is none, that of ``otherwise``."""
    finite = np.where(np.isfinite(values), values, -np.inf).max(axis=1)
    return np.where(np.isneginf(finite), otherwise, finite)
