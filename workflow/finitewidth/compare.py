"""Theory beside estimate: one tidy table a study, and the same side by side for reading."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import xarray as xr

from finitewidth.results import MemberResults, Study
from finitewidth.vocabulary import QUANTITIES

#: From the crudest to the best: the last that a number has is the one to judge it by.
ORDERS = ("infinite_width", "double_scaling", "1/n", "1/n^2", "exact")
#: Pairs of dimensions under whose exchange a quantity is symmetric: each number stands once.
_SYMMETRIC = (("pair", "pair_"), ("neuron", "neuron_"), ("input", "input_"))
_TAIL = (
    "quantity", "layer", "inputs", "component", "order", "theory", "estimate", "standard_error",
    "z", "relative_difference", "trusted", "reason", "equation",
)  # fmt: skip
#: Dimensions of distributions: hundreds of rows that a person would rather see drawn.
_DISTRIBUTIONS = ("histogram", "quantile", "log_norm_histogram")


def table(study: Study) -> pd.DataFrame:
    """Every measured number of a study beside every order of theory.

    Returns
    -------
    pandas.DataFrame
        One row a number and order. Columns: study, ensemble, one a swept key, quantity, layer,
        inputs (indices of the inputs), component (bin, sample, neurons, where there are any),
        order (``none`` where theory says nothing), theory, estimate, standard_error,
        z = (estimate - theory)/standard_error, relative_difference = (estimate - theory)/theory,
        trusted, reason (why not), equation (where the formula stands).
    """
    swept = list(dict.fromkeys(key for m in study.members for key in m.swept))
    parts = []
    for m in study.members:
        for quantity in study.quantities or QUANTITIES:
            if quantity in m.estimates:
                rows = _quantity_rows(m, quantity)
                rows.insert(0, "study", study.name)
                rows.insert(1, "ensemble", m.about["ensemble"])
                for place, key in enumerate(swept):
                    rows.insert(2 + place, key, m.swept.get(key, np.nan))
                parts.append(rows)
    columns = ["study", "ensemble", *swept, *_TAIL]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _quantity_rows(m: MemberResults, quantity: str) -> pd.DataFrame:
    estimate = m.estimates[quantity]
    measured = xr.Dataset(
        {
            "estimate": estimate,
            "standard_error": m.estimates[f"{quantity}_stderr"],
            "trusted": m.estimates[f"{quantity}_trusted"],
        }
    ).reset_coords(drop=True)
    for dimension in estimate.dims:
        if dimension not in measured.coords:
            measured = measured.assign_coords({dimension: np.arange(measured.sizes[dimension])})
    wide = measured.to_dataframe().reset_index()
    for one, other in _SYMMETRIC:
        if {one, other} <= set(estimate.dims) and (one, "neuron") != ("input", *estimate.dims[1:2]):
            wide = wide[wide[one] <= wide[other]]
    wide["layer"] = wide["layer"].astype(int)
    wide["inputs"] = _inputs(m.estimates, wide)
    wide["component"] = _component(m.estimates, wide, estimate.dims)
    wide["trusted"] = wide["trusted"].astype(bool)
    wide["reason"] = np.where(wide["trusted"], "", _reason(wide))
    wide["quantity"] = quantity
    tall = _with_theory(m, quantity, wide, list(estimate.dims))
    difference = tall["estimate"] - tall["theory"]
    with np.errstate(divide="ignore", invalid="ignore"):
        # No spread and no difference (a number that is exactly 0, say) tell nothing: no z.
        tall["z"] = difference / tall["standard_error"].where(tall["standard_error"] > 0)
        tall["relative_difference"] = difference / tall["theory"].where(tall["theory"] != 0)
    return tall


def _with_theory(m: MemberResults, quantity: str, wide: pd.DataFrame, dims: list) -> pd.DataFrame:
    if quantity not in m.theory:
        return wide.assign(order="none", theory=np.nan, equation="")
    theory = m.theory[quantity].reset_coords(drop=True)
    for dimension in dims:
        if dimension not in theory.coords:
            theory = theory.assign_coords({dimension: np.arange(theory.sizes[dimension])})
    said = theory.to_dataframe(name="theory").reset_index().dropna(subset="theory")
    tall = wide.merge(said, on=dims, how="left", sort=False)
    tall["equation"] = np.where(tall["order"].isna(), "", theory.attrs.get("equation", ""))
    tall["order"] = tall["order"].fillna("none")
    return tall


def _reason(wide: pd.DataFrame) -> np.ndarray:
    finite = np.isfinite(wide["estimate"]) & np.isfinite(wide["standard_error"])
    return np.where(finite, "heavy tail or few counts: the error may be too small", "not finite")


def _inputs(estimates: xr.Dataset, wide: pd.DataFrame) -> pd.Series:
    """Which inputs a number belongs to: "0", "0 1", or "0 0, 0 1" for a pair of pairs."""

    def of_pair(column: str) -> pd.Series:
        place = wide[column].to_numpy()
        a, b = estimates["pair_a"].values[place], estimates["pair_b"].values[place]
        return pd.Series([f"{i} {j}" for i, j in zip(a, b, strict=True)], index=wide.index)

    if "pair" in wide:
        return of_pair("pair") + ", " + of_pair("pair_")
    if "quad" in wide:
        columns = [estimates[f"quad_{x}"].values[wide["quad"].to_numpy()] for x in "abcd"]
        text = [" ".join(map(str, q)) for q in zip(*columns, strict=True)]
        return pd.Series(text, index=wide.index)
    names = [name for name in ("input", "input_") if name in wide]
    return wide[names].astype(str).agg(" ".join, axis=1)


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
    for dimension in ("test", "sample"):
        if dimension in dims:
            text = (text + " " + wide[dimension].astype(str)).str.strip()
    return text


def to_csv(rows: pd.DataFrame) -> str:
    """The tidy table as CSV; numbers as short as they can be without loss."""
    buffer = io.StringIO()
    rows.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def read_csv(path) -> pd.DataFrame:
    """Read a ``comparison.csv``, skipping its stamp."""
    return pd.read_csv(path, comment="#", keep_default_na=True, dtype={"component": str})


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a number: measured with its error, then every order of theory, as text."""
    rows = rows[~rows["quantity"].isin(_DISTRIBUTIONS)]
    if rows.empty:
        return pd.DataFrame()
    first = rows.columns.get_loc("order")
    keys = [c for c in rows.columns[1:first] if not _is_blank(rows[c])]
    orders = [o for o in ORDERS if o in set(rows["order"])]
    lines = []
    for values, group in rows.groupby(keys, sort=False, dropna=False):
        line = {key: _text(v) for key, v in zip(keys, values, strict=True)}
        one = group.iloc[0]
        line["measured"] = with_error(one["estimate"], one["standard_error"])
        by_order = group.set_index("order")
        for order in orders:
            present = order in by_order.index
            line[order] = f"{by_order.loc[order, 'theory']:.6g}" if present else ""
        best = [o for o in orders if o in by_order.index]
        z = by_order.loc[best[-1], "z"] if best else math.nan
        line["z"] = f"{z:+.1f}" if np.isfinite(z) else ""
        line["trusted"] = "yes" if one["trusted"] else "no"
        lines.append(line)
    return pd.DataFrame(lines)


def _is_blank(column: pd.Series) -> bool:
    return bool((column.isna() | (column.astype(str) == "")).all())


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)


def with_error(value: float, error: float) -> str:
    """A number with its standard error in parentheses: two digits of it, as in 1.234(56)."""
    if not (np.isfinite(value) and np.isfinite(error)) or error <= 0:
        return f"{value:.6g}"
    size = math.floor(math.log10(max(abs(value), error)))
    digits = 1 - math.floor(math.log10(error))
    if -4 <= size < 6 and digits >= 0:
        return (
            f"{value:.{digits}f}({error:.{digits}f})"
            if digits == 0
            else _compact(value, error, digits)
        )
    scaled = with_error(value / 10.0**size, error / 10.0**size)
    return f"{scaled}e{size:+d}"


def _compact(value: float, error: float, digits: int) -> str:
    last = round(error * 10**digits)
    shown = f"{last}" if error < 1 else f"{error:.{digits}f}"
    return f"{value:.{digits}f}({shown})"


_EXPLAINED = (
    "Measured values with their standard errors in parentheses (last digits), beside every order"
    " of theory; z is the distance from the best order in standard errors. Distributions stand in"
    " comparison.csv."
)


def to_markdown(rows: pd.DataFrame) -> str:
    """The table side by side, as Markdown."""
    shown = side_by_side(rows)
    lines = [_EXPLAINED, ""]
    if not shown.empty:
        lines.append("| " + " | ".join(map(str, shown.columns)) + " |")
        lines.append("|" + "---|" * len(shown.columns))
        lines.extend("| " + " | ".join(row) + " |" for row in shown.itertuples(index=False))
    return "\n".join(lines) + "\n"


def to_tex(rows: pd.DataFrame) -> str:
    """The table side by side, as a TeX longtable (packages longtable and booktabs)."""
    shown = side_by_side(rows)
    lines = [f"% {_EXPLAINED}"]
    if not shown.empty:
        columns = "l" * len(shown.columns)
        header = " & ".join(_escape(str(c)) for c in shown.columns) + r" \\"
        lines += [rf"\begin{{longtable}}{{{columns}}}", r"\toprule", header, r"\midrule"]
        lines += [r"\endhead", r"\bottomrule", r"\endfoot"]
        lines.extend(
            " & ".join(_escape(cell) for cell in row) + r" \\"
            for row in shown.itertuples(index=False)
        )
        lines.append(r"\end{longtable}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    for special in "_%&#$":
        text = text.replace(special, f"\\{special}")
    return text.replace("^", r"\textasciicircum{}")
