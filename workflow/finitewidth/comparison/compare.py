"""Theory beside estimate: one tidy table a study."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtr

from finitewidth.comparison.published import with_published
from finitewidth.comparison.results import MemberResults, Study, TrainedResults
from finitewidth.comparison.rows import Array, Columns, quantity_rows
from finitewidth.members.words import NETWORK, network
from finitewidth.quantities.vocabulary import TABULATED

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
        One row a number and order. Columns: study, ensemble, what the networks are (network,
        activation, depth, width, C_b, C_W, swept or not), one a swept key besides, quantity, layer,
        inputs (indices of the inputs), component (bin, sample, neurons, where there are any),
        order (``none`` where theory says nothing, ``published`` of what somebody published), theory
        (and theory_error, where something is published), estimate, standard_error,
        z = (estimate - theory)/standard_error (of few replicas as :func:`as_normal` has it),
        relative_difference = (estimate - theory)/theory,
        neglected (about how much the order leaves out; NaN where that is not known), holds (whether
        that is little beside the standard error, so that z should be standard normal), trusted,
        reason (why not), estimator (how variance was reduced), equation (where the formula stands).
        What is not trusted has no z nor relative difference, and no order is said to hold there.
        A ladder's rows have the width of their rung; what is fitted over several widths has none.
    """
    keys = dict.fromkeys(key for m in study.every for key in m.swept)
    swept = [key for key in keys if key not in NETWORK]
    parts: list[dict[str, Array]] = []
    numbers = 0
    fitted = set(map(id, study.sweeps))
    for m in (*study.every, *study.sweeps):
        for quantity in study.quantities or TABULATED:
            if quantity in m.estimates:
                rows = quantity_rows(m, quantity)
                count = len(rows["number"])
                about = {
                    "study": study.name,
                    "ensemble": m.about.ensemble,
                    **_network(m, rows, id(m) in fitted),
                }
                about |= {key: m.swept.get(key, np.nan) for key in swept if key not in rows}
                rows |= {key: np.full(count, value) for key, value in about.items()}
                rows["number"] = rows["number"] + numbers
                numbers += count
                parts.append(rows)
    columns = ["study", "ensemble", *NETWORK, *swept, *_TAIL]
    if not parts:
        return pd.DataFrame(columns=columns)
    tall = pd.DataFrame({name: _column([part[name] for part in parts]) for name in parts[0]})
    if study.published:
        tall = with_published(tall, study.published, study.quantities)
        columns.insert(columns.index("theory") + 1, "theory_error")
    return compared(tall)[columns]


def _network(m: MemberResults | TrainedResults, rows: Columns, fitted: bool) -> dict[str, object]:
    """What a member's networks are, but for what its rows say themselves."""
    about = network(m.about)
    if fitted or "rung" in m.estimates.dims:
        # Of a number of several widths; a rung's own stands in its rows.
        about["width"] = None
    return {
        key: np.nan if value is None else value for key, value in about.items() if key not in rows
    }


def _column(parts: Sequence[Array]) -> Array | list:
    """The parts of a column in one; as a list where they are not of one kind."""
    kinds = {part.dtype.kind for part in parts if len(part)}
    if kinds <= set("iuf") or kinds == {"b"}:
        return np.concatenate(parts)
    return list(itertools.chain.from_iterable(part.tolist() for part in parts))


def compared(tall: pd.DataFrame) -> pd.DataFrame:
    """The table with what follows from its numbers: z, relative_difference, and where orders hold.

    Where theory has an error itself (``theory_error``, of what was published), z has both.
    """
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
        spread = tall["standard_error"]
        if "theory_error" in tall:
            spread = np.hypot(spread, tall["theory_error"].fillna(0.0))
        tall["z"] = difference / spread.where(known)
        for freedom, few in tall.groupby("degrees_of_freedom"):
            about = {"degrees_of_freedom": freedom}
            tall.loc[few.index, "z"] = as_normal(few["z"], about)
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
