"""Theory beside estimate: one tidy table a study."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri, stdtr

from finitewidth.comparison.results import MemberResults, Study, TrainedResults
from finitewidth.core.reasons import Reason, sentence
from finitewidth.quantities.description import Quantity
from finitewidth.quantities.vocabulary import COEFFICIENTS, DESCRIBED, TABULATED

#: Pairs of dimensions that exchange with each other: each number stands once.
_EXCHANGED = (("pair", "pair_"), ("neuron", "neuron_"), ("input", "input_"))
#: Dimensions that are spelt out in the column ``component``.
_SPELT = (
    "test", "sample", "state", "split", "centring", "basis", "aligned", "drawn", "source",
)  # fmt: skip
#: Why a number is not trusted whose mean does not exist.
_INFINITE = "infinite: its exact expectation is"
_TAIL = (
    "quantity", "layer", "inputs", "component", "order", "theory", "estimate", "standard_error",
    "z", "relative_difference", "neglected", "holds", "trusted", "reason", "estimator", "equation",
)  # fmt: skip
#: An order is meant to hold where what it leaves out is at most this share of the standard error: a
#: z off by so much lies beyond 3 in 0.64 % of cases instead of 0.27 %.
_SEEN = 1 / 2


def table(study: Study) -> pd.DataFrame:
    """Every measured number of a study beside every order of theory.

    Returns
    -------
    pandas.DataFrame
        One row a number and order. Columns: study, ensemble, one a swept key, quantity, layer,
        inputs (indices of the inputs), component (bin, sample, neurons, where there are any),
        order (``none`` where theory says nothing), theory, estimate, standard_error,
        z = (estimate - theory)/standard_error (of few replicas as :func:`as_normal` has it),
        relative_difference = (estimate - theory)/theory,
        neglected (about how much the order leaves out; NaN where that is not known), holds (whether
        that is little beside the standard error, so that z should be standard normal), trusted,
        reason (why not), estimator (how variance was reduced), equation (where the formula stands).
        What is not trusted has no z nor relative difference, and no order is said to hold there.
        The widths of a ladder stand in the column width like swept ones.
    """
    swept = list(dict.fromkeys(key for m in study.every for key in m.swept))
    if any("rung" in m.estimates.dims for m in study.members) and "width" not in swept:
        swept.append("width")
    parts = []
    for m in (*study.every, *study.sweeps):
        for quantity in study.quantities or TABULATED:
            if quantity in m.estimates:
                rows = _quantity_rows(m, quantity)
                rows.insert(0, "study", study.name)
                rows.insert(1, "ensemble", m.about.ensemble)
                for place, key in enumerate(swept):
                    if key not in rows:
                        rows.insert(2 + place, key, m.swept.get(key, np.nan))
                parts.append(rows)
    columns = ["study", "ensemble", *swept, *_TAIL]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _quantity_rows(m: MemberResults | TrainedResults, quantity: str) -> pd.DataFrame:
    estimate = m.estimates[quantity]
    measured = xr.Dataset(
        {
            "estimate": estimate,
            "standard_error": m.estimates[f"{quantity}_stderr"],
            "reason": m.estimates[f"{quantity}_reason"],
            "diagnostic": m.estimates[f"{quantity}_diagnostic"],
        }
    ).reset_coords(drop=True)
    for dimension in estimate.dims:
        if dimension not in measured.coords:
            measured = measured.assign_coords({dimension: np.arange(measured.sizes[dimension])})
    wide = _distinct(measured.to_dataframe().reset_index(), quantity, m.estimates.sizes)
    # Tangent kernels stand at the last layer alone, images have no weights, and so on.
    wide = wide[wide["reason"] != Reason.NOT_MEASURED].copy()
    if "rung" in wide:
        wide["width"] = m.estimates["width"].values[wide["rung"].to_numpy()]
    # A number of whole networks has no layer.
    wide["layer"] = wide["layer"].astype(int) if "layer" in wide else ""
    wide["inputs"] = _inputs(m.estimates, wide)
    wide["component"] = _component(m.estimates, wide, estimate.dims)
    wide["trusted"] = wide["reason"] == Reason.NONE
    wide["reason"] = _sentences(m.estimates, quantity, wide)
    wide["quantity"] = quantity
    wide["estimator"] = estimate.attrs.get("estimator", "")
    wide["number"] = np.arange(len(wide))
    tall = _with_theory(m, quantity, wide, list(estimate.dims))
    # No average comes to an infinite mean, however its blocks look.
    infinite = tall.loc[np.isinf(tall["theory"]) & (tall["order"] == "exact"), "number"]
    diverges = tall["number"].isin(infinite)
    tall["trusted"] &= ~diverges
    tall.loc[diverges, "reason"] = _INFINITE
    # In units of an error that is not believed a difference says nothing.
    difference = (tall["estimate"] - tall["theory"]).where(tall["trusted"])
    with np.errstate(divide="ignore", invalid="ignore"):
        # No spread and no difference (a number that is exactly 0, say) tell nothing: no z.
        rounding = 1e-13 * tall["estimate"].abs()
        known = (tall["standard_error"] > rounding) & np.isfinite(difference)
        ratio = difference / tall["standard_error"].where(known)
        tall["z"] = as_normal(ratio, m.estimates[f"{quantity}_stderr"].attrs)
        tall["relative_difference"] = difference / tall["theory"].where(tall["theory"] != 0)
    tall["holds"] = tall["z"].notna() & (tall["neglected"] <= _SEEN * tall["standard_error"])
    return tall


def as_normal(ratio: pd.Series, about: Mapping) -> pd.Series:
    """z, standard normal where theory is right, from differences in units of their standard errors.

    The error of few replicas is known badly. The ratio then follows Student's t, with the
    ``degrees_of_freedom`` among the error's attributes, and z is the normal number that is as rare
    (Student 1908). An error without that attribute comes from so many blocks that z is the ratio
    itself.
    """
    if "degrees_of_freedom" not in about:
        return ratio
    tail = stdtr(float(about["degrees_of_freedom"]), -np.abs(ratio))
    return -np.sign(ratio) * ndtri(np.maximum(tail, 1e-300))


def _distinct(wide: pd.DataFrame, quantity: str, sizes: Mapping[Hashable, int]) -> pd.DataFrame:
    """The rows that are not another row by symmetry, nor known without being measured."""
    # What is measured of trained networks is not described one by one.
    about = DESCRIBED.get(quantity, Quantity(quantity, (), ""))
    for one, other in _EXCHANGED if about.exchanged else ():
        # Neurons i, j on inputs a, b are those of j, i on b, a: ordering the neurons is enough.
        done = one == "input" and "neuron" in wide
        if other in wide and not done:
            wide = wide[wide[one] <= wide[other]]
    if about.symmetries:
        inputs = round(sizes["couple"] ** 0.5)
        powers = inputs ** np.arange(4)[::-1]
        digits = (wide["couple"] * inputs**2 + wide["couple_"]).to_numpy()[:, None] // powers
        digits %= inputs
        for order in about.symmetries:
            keep = digits @ powers <= digits[:, order] @ powers
            wide, digits = wide[keep], digits[keep]
    if about.known_diagonal:
        wide = wide[wide["input"] < wide["input_"]]
    return wide


def _with_theory(
    m: MemberResults | TrainedResults, quantity: str, wide: pd.DataFrame, dims: list
) -> pd.DataFrame:
    if quantity not in m.theory:
        return wide.assign(order="none", theory=np.nan, neglected=np.nan, equation="")
    values = m.theory[quantity]
    neglected = m.theory.get(f"{quantity}_neglected", values * np.nan)
    # Coordinates that are not dimensions, such as the width of a layer, are no columns.
    theory = xr.Dataset({"theory": values, "neglected": neglected}).reset_coords(drop=True)
    for dimension in dims:
        if dimension not in theory.coords:
            theory = theory.assign_coords({dimension: np.arange(theory.sizes[dimension])})
    said = theory.to_dataframe().reset_index().dropna(subset="theory")
    tall = wide.merge(said, on=dims, how="left", sort=False)
    equation = values.attrs.get("equation", "")
    tall["equation"] = np.where(tall["order"].isna(), "", equation)
    tall["order"] = tall["order"].fillna("none")
    return tall


def _sentences(estimates: xr.Dataset, quantity: str, wide: pd.DataFrame) -> list[str]:
    """Why each number is not trusted, with the number that tells; empty where it is."""
    found = []
    not_finite = functools.cache(functools.partial(_networks_not_finite, estimates))
    for row in wide.to_dict("records"):
        reason, diagnostic = row["reason"], row["diagnostic"]
        words = sentence(reason, diagnostic)
        if reason == Reason.NOT_FINITE and np.isfinite(diagnostic):
            words = f"not finite in {diagnostic:.0f} replicas or pairs of them"
        elif reason == Reason.NOT_FINITE:
            words = not_finite(row.get("layer"), row.get("rung")) or words
        if words and quantity in COEFFICIENTS and reason != Reason.NO_FIT:
            words = f"of a width in the fit: {words}"
        found.append(words)
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


def _inputs(estimates: xr.Dataset, wide: pd.DataFrame) -> pd.Series:
    """Which inputs a number belongs to: "0", "0 1", or "0 0, 0 1" for two pairs or couples.

    Empty where it belongs to all of them together.
    """

    def of_two(kind: str, column: str) -> pd.Series:
        place = wide[column].to_numpy()
        a, b = estimates[f"{kind}_a"].values[place], estimates[f"{kind}_b"].values[place]
        return pd.Series([f"{i} {j}" for i, j in zip(a, b, strict=True)], index=wide.index)

    for kind in ("pair", "couple"):
        if f"{kind}_" in wide:
            return of_two(kind, kind) + ", " + of_two(kind, f"{kind}_")
    if "pair" in wide:
        return of_two("pair", "pair")
    if "quad" in wide:
        columns = [estimates[f"quad_{x}"].values[wide["quad"].to_numpy()] for x in "abcd"]
        text = [" ".join(map(str, q)) for q in zip(*columns, strict=True)]
        return pd.Series(text, index=wide.index)
    names = [name for name in ("input", "input_") if name in wide]
    # Row by row, which pandas would make a table of where there is none.
    each = [" ".join(map(str, row)) for row in wide[names].to_numpy().tolist()]
    return pd.Series(each, index=wide.index, dtype=object)


def _component(estimates: xr.Dataset, wide: pd.DataFrame, dims: tuple) -> pd.Series:
    """What else singles a number out, in words."""
    text = pd.Series("", index=wide.index)
    if "neuron" in dims:
        text = "neurons " + wide["neuron"].astype(str) + " " + wide["neuron_"].astype(str)
    for dimension in ("bin", "standard_bin"):
        if dimension in dims:
            place = wide[dimension].to_numpy()
            left = estimates[f"{dimension}_left"].values[place]
            right = estimates[f"{dimension}_right"].values[place]
            edges = [f"from {a:g} to {b:g}" for a, b in zip(left, right, strict=True)]
            text = pd.Series(edges, index=wide.index)
    if "probability" in dims:
        text = "probability " + wide["probability"].map("{:.4g}".format)
    for dimension in ("rank", "way", "widening", "epoch", "rank_a", "rank_b"):
        if dimension in dims:
            text = (text + f" {dimension} " + wide[dimension].astype(str)).str.strip()
    for dimension in _SPELT:
        if dimension in dims:
            text = (text + " " + wide[dimension].astype(str)).str.strip()
    return text
