"""How much each order of theory leaves out: the next term where it is known, else its likely size.

An expansion in 1/n is one in a number of a law and a layer, here called its step: how much the
kernel, or the tangent kernel, of one network fluctuates, relative to its mean and squared. Each
order is smaller than the one before by about that. docs/theory.md 6.5 has the rules and what they
were held against.
"""

from __future__ import annotations

from collections.abc import Sequence

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
#: A term of an expansion that happens to be small does not make the next one small: that is taken
#: to be this share at least of (step)^(its power) in the quantity's own unit.
_LEAST = 1 / 8
#: The step where no fluctuations are known, in units of the sum of 1/n: that of ReLU.
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


def _best(orders, exact, step, scale) -> tuple[xr.DataArray, xr.DataArray]:
    """What is known best of a number, and the likely size of what even that leaves out."""
    best = last = None
    left = xr.full_like(exact, np.nan)
    for order, power in _POWERS.items():
        if order not in orders:
            continue
        terms = orders[order]
        least = scale * step ** (power + 1)
        if best is None:
            # Nothing but the limit: as far as its unit goes.
            best, last, left = terms, terms, least.where(terms.notnull())
            continue
        here = terms.notnull()
        size = np.maximum(step * np.abs(terms - last), _LEAST * least)
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

    def of(self, values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        """Step and unit of a variable."""
        name = values.name
        step = self._step(name.startswith(_OF_TANGENTS), "rung" in values.dims)
        if name in ("ntk_eigenvalue", "ntk_log_condition"):
            value = self.theory["ntk_eigenvalue"].sel(order="infinite_width", drop=True)
            step = step * _closeness(value)
            return step, np.abs(value) if name == "ntk_eigenvalue" else xr.ones_like(step)
        if name in ("histogram", "quantile"):
            return step, _edgeworth(name, step)
        if name in ("quadruple", "excess_kurtosis"):
            # Three times the variance of the kernel makes a kurtosis; E[Ghat^4] is 1 + 6 of it,
            # and the noise of quadruples its root.
            limit = values.sel(order="infinite_width", drop=True)
            return step, 3 * (np.abs(limit) if name == "quadruple" else xr.ones_like(step))
        return step, self._unit(values)

    def _unit(self, values: xr.DataArray) -> xr.DataArray:
        unit = xr.ones_like(self._step(False, False))
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

    def _step(self, tangent: bool, ladder: bool) -> xr.DataArray:
        """Of the first law, (layer,), or of all of them, (rung, layer)."""
        key = f"step {tangent}"
        if key not in self._fields:
            rates = self.rates[0] if tangent else None
            self._fields[key] = self._array(steps(self.laws[0], self.x, self.layers, rates))
        width = np.array([law.widths[1] for law in self.laws])
        scale = xr.DataArray(width[0] / width, dims="rung") if ladder else 1.0
        return self._fields[key] * scale

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


def _edgeworth(name: str, step: xr.DataArray) -> xr.DataArray:
    """What an excess kurtosis of 3 step does to bins and quantiles, over the step.

    Edgeworth's first term: -kurtosis/24 He_3(u) phi(u) in the distribution function; |He_3| is
    replaced by |u|^3 + 3|u|, which does not cross zero.
    """
    u = EDGES if name == "histogram" else QUANTILE_U
    with np.errstate(invalid="ignore"):
        size = (np.abs(u) ** 3 + 3 * np.abs(u)) / 8
    if name == "quantile":
        place = xr.DataArray(size, dims="probability", coords={"probability": PROBABILITIES})
        return place * (1 + step)
    density = np.where(np.isinf(u), 0.0, np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi))
    edges = np.where(np.isinf(u), 0.0, size) * density
    return xr.DataArray(edges[1:] + edges[:-1], dims="bin") * (1 + step)


def steps(
    law: Law, x: np.ndarray, layers: Sequence[int], rates: Rates | None = None
) -> np.ndarray:
    """By how much an order of 1/n is smaller than the one before it, about.

    Of kernels Var(Ghat)/K^2 to first order, or the ratio of its second order to the first where
    that is known and larger; of tangent kernels that, Var(Theta)/Theta^2 and the sum of 1/n over
    the hidden layers together.

    Parameters
    ----------
    law : Law
    x : ndarray, shape (N, n_0)
        The largest of all inputs counts.
    layers : sequence of int
    rates : Rates, optional
        For the step of tangent kernels.

    Returns
    -------
    ndarray, shape (len(layers),)
    """
    case = Case(law, np.asarray(x, dtype=float), list(layers), 0, None)
    inverse = np.cumsum([0.0, *(1 / np.array(law.widths[1:-1]))])
    tau = inverse[np.array(layers) - 1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if case.is_normal:
            one = case.relative_orders
            ratio = np.abs(one.variance_2 / one.variance_1)
            kernel = np.fmax(np.abs(one.variance_1), np.where(one.variance_1 > 0, ratio, 0))
        elif case.has_slopes:
            kernel = np.abs(expansions.leading_order(law, case.x, layers).four_point)
        else:
            # The first layer is not Gaussian, as if it had come out of few neurons.
            few = np.sum(case.x**4, axis=1) / np.sum(case.x**2, axis=1) ** 2
            kernel = _STEEP * (tau[:, None] + np.where(np.isfinite(few), few, 0.0))
        kernel = _largest(kernel, _STEEP * tau)
        if rates is None:
            return kernel
        spread = np.full((len(layers), 1), np.nan)
        if case.is_normal:
            first = ntk_chain.first_order(law, rates, case.x, layers)
            theta = infinite_width_ntk(law, rates, case.x, layers)
            theta = np.diagonal(theta, axis1=1, axis2=2)
            spread = (first.A + 2 * first.B) / theta**2
    return kernel + _largest(np.abs(spread), kernel) + tau


def _largest(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """The largest of each row's finite numbers; where there is none, that of ``otherwise``."""
    finite = np.where(np.isfinite(values), values, -np.inf).max(axis=1)
    return np.where(np.isneginf(finite), otherwise, finite)
