"""The rows of a table that one quantity of one member has, as plain arrays.

A study has hundreds of pairs of a member and a quantity with a few rows each, for which data frames
would cost more than all that is computed.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from finitewidth.comparison.results import MemberResults, TrainedResults
from finitewidth.core.reasons import Reason, sentence
from finitewidth.quantities.description import Quantity
from finitewidth.quantities.vocabulary import COEFFICIENTS, DESCRIBED

Array = np.ndarray
Columns = dict[str, Array]

#: Pairs of dimensions that exchange with each other: each number stands once.
_EXCHANGED = (("pair", "pair_"), ("neuron", "neuron_"), ("input", "input_"))
#: Dimensions that are spelt out in the column ``component``.
_SPELT = (
    "test", "sample", "state", "split", "centring", "basis", "aligned", "drawn", "source",
)  # fmt: skip
_NUMBERED = ("rank", "way", "widening", "epoch", "rank_a", "rank_b", "output")


def quantity_rows(m: MemberResults | TrainedResults, quantity: str) -> Columns:
    """Every measured number of a quantity beside every order of theory.

    Returns
    -------
    dict of array
        Columns of the same length, a row a number and order: quantity, width (of ladders alone),
        layer, inputs, component, order, theory, estimate, standard_error, neglected, trusted,
        reason, estimator, equation as :func:`finitewidth.comparison.compare.table` has them; number
        (which number of this quantity a row is about); degrees_of_freedom of the standard errors,
        NaN where these come from many blocks.
    """
    estimate, error = m.estimates[quantity], m.estimates[f"{quantity}_stderr"]
    place = _places(estimate)
    every = _columns(estimate, place)
    measured = m.estimates[f"{quantity}_reason"]
    # Tangent kernels stand at the last layer alone, images have no weights, and so on.
    kept = _distinct(every, quantity, m.estimates.sizes)
    kept &= _at(measured, place) != Reason.NOT_MEASURED
    place = {dimension: x[kept] for dimension, x in place.items()}
    wide = {dimension: x[kept] for dimension, x in every.items()}
    count = int(np.count_nonzero(kept))
    reason, diagnostic = _at(measured, place), _at(m.estimates[f"{quantity}_diagnostic"], place)
    theory, row = _with_theory(m, quantity, wide, count)
    if "rung" in wide:
        theory["width"] = m.estimates["width"].values[wide["rung"]][row]
    # A number of whole networks has no layer.
    layer = wide["layer"].astype(int) if "layer" in wide else np.full(count, "")
    each = {
        "layer": layer,
        "inputs": _inputs(m.estimates, wide, count),
        "component": _component(m.estimates, wide, count),
        "estimate": _at(estimate, place),
        "standard_error": _at(error, place),
        "trusted": reason == Reason.NONE,
        "reason": _sentences(m.estimates, quantity, wide, reason, diagnostic),
        "estimator": _estimators(m.estimates, quantity, place, count),
        "number": np.arange(count),
    }
    same = {
        "quantity": quantity,
        "degrees_of_freedom": float(error.attrs.get("degrees_of_freedom", np.nan)),
    }
    return {
        **theory,
        **{name: column[row] for name, column in each.items()},
        **{name: np.full(len(row), value) for name, value in same.items()},
    }


def _places(values: xr.DataArray) -> Columns:
    """Where each number stands along each dimension; numbers in the order in which a data frame of
    the estimate has them, whose dimensions are in the order in which its coordinates name them."""
    named = [dimension for x in values.coords.variables.values() for dimension in x.dims]
    if any(dimension not in values.coords for dimension in values.dims):
        named = [name for name in values.coords.variables if name in values.dims]
    order = [name for name in dict.fromkeys((*named, *values.dims)) if name in values.dims]
    grid = np.indices([values.sizes[dimension] for dimension in order])
    return {str(dimension): x.ravel() for dimension, x in zip(order, grid, strict=True)}


def _columns(values: xr.DataArray, place: Columns) -> Columns:
    """The same as values of the coordinates, where there are any."""
    known = values.coords.variables
    return {name: known[name].values[x] if name in known else x for name, x in place.items()}


def _at(values: xr.DataArray, place: Columns) -> Array:
    return values.values[tuple(place[str(dimension)] for dimension in values.dims)]


def _distinct(wide: Columns, quantity: str, sizes: Mapping[Hashable, int]) -> Array:
    """Which rows are not another row by symmetry, nor known without being measured."""
    # What is measured of trained networks is not described one by one.
    about = DESCRIBED.get(quantity, Quantity(quantity, (), ""))
    kept = np.ones(len(next(iter(wide.values()), np.zeros(1))), bool)
    for one, other in _EXCHANGED if about.exchanged else ():
        # Neurons i, j on inputs a, b are those of j, i on b, a: ordering the neurons is enough.
        done = one == "input" and "neuron" in wide
        if other in wide and not done:
            kept &= wide[one] <= wide[other]
    if about.symmetries:
        inputs = round(sizes["couple"] ** 0.5)
        powers = inputs ** np.arange(4)[::-1]
        digits = (wide["couple"] * inputs**2 + wide["couple_"])[:, None] // powers % inputs
        for order in about.symmetries:
            kept &= digits @ powers <= digits[:, order] @ powers
    if about.known_diagonal:
        kept &= wide["input"] < wide["input_"]
    return kept


def _with_theory(
    m: MemberResults | TrainedResults, quantity: str, wide: Columns, count: int
) -> tuple[Columns, Array]:
    """What each order says, and of which number: one row an order, or one that says nothing."""
    if quantity not in m.theory:
        words = {"order": np.full(count, "none"), "equation": np.full(count, "")}
        nothing = np.full(count, np.nan)
        return {**words, "theory": nothing, "neglected": nothing}, np.arange(count)
    values = m.theory[quantity]
    known = values.coords.variables
    at: list[Array] = []
    there = np.ones(count, bool)
    for dimension in (str(name) for name in values.dims if name != "order"):
        place = wide[dimension]
        if dimension in known:
            # Theory may have been asked for other layers.
            place = values.get_index(dimension).get_indexer(place)
        there &= (place >= 0) & (place < values.sizes[dimension])
        at.append(place)
    orders = values["order"].values

    def numbers(array: xr.DataArray) -> Array:
        """Shape (count, orders); NaN where theory has no such place."""
        found = np.full((count, len(orders)), np.nan)
        found[there] = array.transpose(..., "order").values[tuple(x[there] for x in at)]
        return found

    said = numbers(values)
    about = f"{quantity}_neglected"
    neglected = numbers(m.theory[about]) if about in m.theory else np.full_like(said, np.nan)
    silent = np.isnan(said).all(axis=1, keepdims=True)
    row, column = np.nonzero(np.hstack([silent, ~np.isnan(said)]))
    # The column before the first order is that of numbers of which none says anything.
    at_all, text = column > 0, values.attrs.get("equation", "")
    return {
        "order": np.concatenate([["none"], orders])[column],
        "theory": np.where(at_all, said[row, column - 1], np.nan),
        "neglected": np.where(at_all, neglected[row, column - 1], np.nan),
        "equation": np.where(at_all, text, ""),
    }, row


def _estimators(estimates: xr.Dataset, quantity: str, place: Columns, count: int) -> Array:
    """How each number was estimated, in words: number by number where some are of populations."""
    about = f"{quantity}_estimator"
    if about not in estimates:
        return np.full(count, estimates[quantity].attrs.get("estimator", ""), object)
    words = np.array(estimates[about].attrs["estimators"].split("\n"), object)
    return words[_at(estimates[about], place)]


def _sentences(
    estimates: xr.Dataset, quantity: str, wide: Columns, reasons: Array, diagnostics: Array
) -> Array:
    """Why each number is not trusted, with the number that tells; empty where it is."""
    found = np.full(len(reasons), "", object)
    not_finite = functools.cache(functools.partial(_networks_not_finite, estimates))
    for k in np.flatnonzero(reasons != Reason.NONE):
        reason, diagnostic = int(reasons[k]), float(diagnostics[k])
        words = sentence(reason, diagnostic)
        if reason == Reason.NOT_FINITE and np.isfinite(diagnostic):
            words = f"not finite in {diagnostic:.0f} replicas or pairs of them"
        elif reason == Reason.NOT_FINITE:
            layer, rung = (int(wide[x][k]) if x in wide else None for x in ("layer", "rung"))
            words = not_finite(layer, rung) or words
        if words and quantity in COEFFICIENTS and reason != Reason.NO_FIT:
            words = f"of a width in the fit: {words}"
        found[k] = words
    return found


def _networks_not_finite(estimates: xr.Dataset, layer: int | None, rung: int | None) -> str:
    """How many networks hold such a number, and the first of them; empty where none does."""
    if "not_finite_networks" not in estimates or layer is None:
        return ""
    number, first = (estimates[f"not_finite_{x}"].sel(layer=layer) for x in ("networks", "first"))
    if "rung" in number.dims and rung is not None:
        number, first = number.isel(rung=rung), first.isel(rung=rung)
    # What is fitted over the widths of a ladder has all of them.
    if not number.any():
        return ""
    index = int(first.where(number > 0).min())
    return f"not finite in {int(number.max())} networks, the first of index {index}"


def _inputs(estimates: xr.Dataset, wide: Columns, count: int) -> Array:
    """Which inputs a number belongs to: "0", "0 1", or "0 0, 0 1" for two pairs or couples.

    Empty where it belongs to all of them together.
    """

    def of_two(kind: str, column: str) -> list[str]:
        place = wide[column]
        a, b = estimates[f"{kind}_a"].values[place], estimates[f"{kind}_b"].values[place]
        return [f"{i} {j}" for i, j in zip(a, b, strict=True)]

    for kind in ("pair", "couple"):
        if f"{kind}_" in wide:
            two = zip(of_two(kind, kind), of_two(kind, f"{kind}_"), strict=True)
            return np.array([f"{one}, {other}" for one, other in two], object)
    if "pair" in wide:
        return np.array(of_two("pair", "pair"), object)
    if "quad" in wide:
        columns = [estimates[f"quad_{x}"].values[wide["quad"]] for x in "abcd"]
        return np.array([" ".join(map(str, q)) for q in zip(*columns, strict=True)], object)
    named = [wide[name].tolist() for name in ("input", "input_") if name in wide]
    return _joined(*([str(value) for value in column] for column in named), count=count)


def _component(estimates: xr.Dataset, wide: Columns, count: int) -> Array:
    """What else singles a number out, in words."""
    words: list[list[str]] = []
    if "neuron" in wide:
        pairs = zip(wide["neuron"], wide["neuron_"], strict=True)
        words = [[f"neurons {i} {j}" for i, j in pairs]]
    for dimension in ("bin", "standard_bin"):
        if dimension in wide:
            left = estimates[f"{dimension}_left"].values[wide[dimension]]
            right = estimates[f"{dimension}_right"].values[wide[dimension]]
            words = [[f"from {a:g} to {b:g}" for a, b in zip(left, right, strict=True)]]
    if "probability" in wide:
        words = [[f"probability {x:.4g}" for x in wide["probability"]]]
    if "moment" in wide:
        # Steps are whole numbers among times.
        words.append([f"moment {x:g}" for x in wide["moment"]])
    for dimension in _NUMBERED:
        if dimension in wide:
            words.append([f"{dimension} {x}" for x in wide[dimension]])
    for dimension in _SPELT:
        if dimension in wide:
            words.append([str(x) for x in wide[dimension]])
    return _joined(*words, count=count)


def _joined(*words: list[str], count: int) -> Array:
    """Texts with a blank between them; empty ones where there are none."""
    if not words:
        return np.full(count, "", object)
    found = np.empty(count, object)
    found[:] = [" ".join(each) for each in zip(*words, strict=True)]
    return found
