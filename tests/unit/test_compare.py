"""The table: joins, counts, formats."""

import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from finitewidth.comparison.compare import table
from finitewidth.comparison.results import MemberResults, Study
from finitewidth.comparison.tables import side_by_side, to_csv, to_markdown, to_tex, with_error
from finitewidth.core.reasons import Reason
from small_members import results

pytestmark = pytest.mark.fast


def member(width):
    shape, dims = (2, 2, 2), ("layer", "input", "input_")
    value = np.arange(8.0).reshape(shape) + 1
    coordinates = {"layer": [1, 3], "input": [0, 1], "input_": [0, 1]}
    estimates = xr.Dataset(
        {
            "covariance": (dims, value),
            "covariance_stderr": (dims, np.full(shape, 0.5)),
            "covariance_reason": (dims, np.zeros(shape, np.int8)),
            "covariance_diagnostic": (dims, np.full(shape, np.nan, np.float32)),
        },
        coords=coordinates,
    )
    theory = np.stack([value - 1, np.full(shape, np.nan)])
    theory[1, 0] = value[0]
    # Infinite width is off by as much as it is known to be; of input 1 it is off by little.
    neglected = np.where(np.isnan(theory), np.nan, [[[[1.0]]], [[[0.0]]]])
    neglected[0, :, 1, 1] = 0.2
    about = {"equation": "docs/theory.md 1"}
    predicted = xr.Dataset(
        {
            "covariance": (("order", *dims), theory, about),
            "covariance_neglected": (("order", *dims), neglected),
        },
        coords={"order": ["infinite_width", "exact"], **coordinates},
    )
    estimates["covariance_reason"][1, 1, 1] = Reason.ONE_BLOCK
    estimates["covariance_diagnostic"][1, 1, 1] = 0.634
    return results(estimates, predicted, {"width": width}, width=width)


@pytest.fixture
def rows():
    return table(Study("s", None, None, [member(8), member(16)]))


def test_each_number_stands_once_for_each_order_that_theory_knows(rows):
    # 2 members, 3 symmetric pairs, infinite width on 2 layers and exact on 1.
    assert len(rows) == 2 * 3 * (2 + 1)
    one = rows[(rows["width"] == 16) & (rows["layer"] == 3) & (rows["inputs"] == "0 1")]
    assert one[["order", "estimate", "theory", "z"]].values.tolist() == [
        ["infinite_width", 6.0, 5.0, 2.0]
    ]
    assert one["relative_difference"].item() == pytest.approx(0.2)
    assert one["equation"].item() == "docs/theory.md 1"


def test_an_order_holds_where_it_leaves_out_little_beside_a_trusted_error(rows):
    assert (rows.loc[rows["order"] == "exact", "neglected"] == 0).all()
    # Of input 1 the second number is not trusted: whether 0.2 is little beside 0.5 is not known.
    holds = rows[rows["holds"]]
    found = set(zip(holds["order"], holds["layer"], holds["inputs"], strict=True))
    exact = {("exact", 1, inputs) for inputs in ("0 0", "0 1", "1 1")}
    assert found == exact | {("infinite_width", 1, "1 1")}
    assert (holds["neglected"] <= holds["standard_error"] / 2).all()


def test_nothing_holds_of_which_it_is_not_known_what_it_leaves_out():
    m = member(8)
    bare = m.theory.drop_vars("covariance_neglected")
    rows = table(Study("s", None, None, [MemberResults(m.about, m.swept, m.estimates, bare)]))
    assert not rows["holds"].any()
    assert rows["neglected"].isna().all()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_not_trusted_has_no_residual_in_any_format(seed):
    rng = np.random.default_rng(seed)
    m = member(8)
    shape = m.estimates["covariance"].shape
    estimates = m.estimates.copy()
    estimates["covariance"] = m.estimates["covariance"] * rng.lognormal(0, 3, shape)
    estimates["covariance_stderr"] = m.estimates["covariance"] * rng.lognormal(0, 3, shape)
    reasons = rng.choice([r.value for r in Reason if r != Reason.NOT_MEASURED], shape)
    estimates["covariance_reason"] = (m.estimates["covariance"].dims, reasons)
    rows = table(Study("s", None, None, [MemberResults(m.about, m.swept, estimates, m.theory)]))
    untrusted = ~rows["trusted"]
    assert untrusted.sum() > 0
    assert rows.loc[untrusted, ["z", "relative_difference"]].isna().all(axis=None)
    assert not rows.loc[untrusted, "holds"].any()
    assert rows.loc[~untrusted, "z"].notna().all()
    again = read_back(rows)
    assert again.loc[~again["trusted"], ["z", "relative_difference"]].isna().all(axis=None)
    shown = side_by_side(rows)
    marked = shown["measured"].str.endswith("*")
    orders = shown.loc[marked, [o for o in ("infinite_width", "exact") if o in shown]]
    assert not orders.map(lambda text: "[" in text or "(" in text).any(axis=None)


def read_back(rows):
    return pd.read_csv(io.StringIO(to_csv(rows)), keep_default_na=True)


def test_what_is_not_trusted_says_why(rows):
    untrusted = rows[~rows["trusted"]]
    assert set(untrusted["inputs"]) == {"1 1"}
    words = "heavy tail: one block of networks carries 63% of the variance"
    assert set(untrusted["reason"]) == {words}
    assert (rows.loc[rows["trusted"], "reason"] == "").all()


def test_the_csv_holds_the_numbers_without_loss(rows):
    again = pd.read_csv(io.StringIO(to_csv(rows)), keep_default_na=True)
    assert np.array_equal(again["estimate"], rows["estimate"])
    assert np.array_equal(again["z"], rows["z"], equal_nan=True)
    assert np.array_equal(again["holds"], rows["holds"])


def test_side_by_side_has_one_row_a_number(rows):
    shown = side_by_side(rows)
    assert len(shown) == 2 * 6
    assert shown.loc[0, "measured"] == "1.00(50)"
    assert shown.loc[0, ["infinite_width", "exact"]].tolist() == ["0 (+2.0)", "1 [+0.0]"]
    markdown, tex = to_markdown(rows), to_tex(rows)
    assert markdown.count("\n|") == 2 + 12
    assert tex.count(r"\\") == 1 + 12
    assert "infinite\\_width" in tex


def test_text_for_people_marks_what_is_not_trusted_and_says_why(rows):
    shown = side_by_side(rows)
    marked = shown["measured"].str.endswith("*")
    assert marked.sum() == 2
    assert (shown.loc[marked, "inputs"] == "1 1").all()
    assert not shown.loc[marked, ["infinite_width", "exact"]].map(lambda t: "[" in t).any(axis=None)
    words = "heavy tail: one block of networks carries 63% of the variance"
    assert ((shown["not trusted, because"] == words) == marked).all()
    assert (shown.loc[~marked, "not trusted, because"] == "").all()
    assert to_markdown(rows).count(words) == 2
    assert to_tex(rows).count(words.replace("%", r"\%")) == 2
    assert "asterisk" in to_markdown(rows)


def test_a_quantity_without_theory_is_not_lost():
    m = member(8)
    alone = MemberResults(m.about, m.swept, m.estimates, xr.Dataset())
    rows = table(Study("s", None, None, [alone]))
    assert set(rows["order"]) == {"none"}
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0123, "1.235(12)"),
        (-0.00123456, 0.0000456, "-0.001235(46)"),
        (12345.6, 78.9, "12346(79)"),
        (1.5, 2.5, "1.5(2.5)"),
        (1.23e9, 4.5e7, "1.230(45)e+9"),
        (1.23e-7, 4.5e-9, "1.230(45)e-7"),
        (0.25, 0.0, "0.25"),
        (float("nan"), 1.0, "nan"),
    ],
)
def test_a_number_carries_two_digits_of_its_error(value, error, text):
    assert with_error(value, error) == text


def test_the_widths_of_a_ladder_stand_in_the_column_width():
    dims, coordinates = ("rung", "layer", "pair"), {"layer": [3], "width": ("rung", [8, 16])}
    pairs = {"pair_a": ("pair", [0, 0, 1]), "pair_b": ("pair", [0, 1, 1])}
    value = np.arange(6.0).reshape(2, 1, 3)
    about = {"estimator": "conditional kernels"}
    estimates = xr.Dataset(
        {
            "kernel_mean": (dims, value, about),
            "kernel_mean_stderr": (dims, np.ones_like(value)),
            "kernel_mean_reason": (dims, np.zeros(value.shape, np.int8)),
            "kernel_mean_diagnostic": (dims, np.full(value.shape, np.nan)),
        },
        coords={**coordinates, **pairs},
    )
    theory = xr.Dataset(
        {"kernel_mean": (("order", *dims), value[None])},
        coords={"order": ["exact"], **coordinates, **pairs},
    )
    rows = table(Study("s", None, None, [results(estimates, theory)]))
    assert rows[["width", "inputs", "estimate"]].values.tolist() == [
        [8, "0 0", 0], [8, "0 1", 1], [8, "1 1", 2], [16, "0 0", 3], [16, "0 1", 4], [16, "1 1", 5],
    ]  # fmt: skip
    assert set(rows["estimator"]) == {"conditional kernels"}
    assert (rows["z"] == 0).all()


def tangents():
    """Estimates of tangent kernels on two inputs at layers 1 and 3, of which the last has them."""
    sizes = {
        "ntk": ("input", "input_"),
        "ntk_A": ("pair", "pair_"),
        "ntk_D": ("pair", "pair_"),
        "ntk_B": ("couple", "couple_"),
        "ntk_F": ("couple", "couple_"),
        "dntk_P": ("couple", "couple_"),
        "dntk_Q": ("couple", "couple_"),
        "ntk_eigenvalue": ("rank",),
        "ntk_log_condition": (),
    }
    length = {"input": 2, "input_": 2, "pair": 3, "pair_": 3, "couple": 4, "couple_": 4, "rank": 2}
    variables = {}
    for name, dims in sizes.items():
        shape = tuple(length[d] for d in dims)
        value = np.stack([np.full(shape, np.nan), np.arange(np.prod(shape)).reshape(shape)])
        variables[name] = (("layer", *dims), value)
        variables[f"{name}_stderr"] = (("layer", *dims), np.ones_like(value))
        reason = np.where(np.isfinite(value), Reason.NONE, Reason.NOT_MEASURED)
        variables[f"{name}_reason"] = (("layer", *dims), reason)
        variables[f"{name}_diagnostic"] = (("layer", *dims), np.full_like(value, np.nan))
    return xr.Dataset(
        variables,
        coords={
            "layer": [1, 3],
            "rank": [1, 2],
            "couple_a": ("couple", [0, 0, 1, 1]),
            "couple_b": ("couple", [0, 1, 0, 1]),
            "pair_a": ("pair", [0, 0, 1]),
            "pair_b": ("pair", [0, 1, 1]),
        },
    )


@pytest.fixture
def of_tangents():
    estimates = tangents()
    theory = estimates[["ntk_B", "ntk_eigenvalue", "ntk_log_condition"]].expand_dims(order=["1/n"])
    return table(Study("s", None, None, [results(estimates, theory)]))


def test_tangent_kernels_have_rows_at_the_last_layer_alone(of_tangents):
    assert set(of_tangents["layer"]) == {3}
    assert of_tangents["estimate"].notna().all()


def test_a_last_layer_that_could_not_be_estimated_is_not_dropped():
    estimates = tangents()
    estimates["ntk"][1] = np.nan
    estimates["ntk_reason"][1] = Reason.NOT_FINITE
    rows = table(Study("s", None, None, [results(estimates, xr.Dataset())]))
    rows = rows[rows["quantity"] == "ntk"]
    assert len(rows) == 3
    assert rows["estimate"].isna().all()


def test_couples_ranks_and_what_has_no_inputs_are_named(of_tangents):
    def of(name):
        return of_tangents[of_tangents["quantity"] == name]

    assert of("ntk_eigenvalue")["component"].tolist() == ["rank 1", "rank 2"]
    assert of("ntk_eigenvalue")["inputs"].tolist() == ["", ""]
    assert of("ntk_log_condition")[["inputs", "component", "z"]].values.tolist() == [["", "", 0.0]]
    assert of("ntk_D")["inputs"].tolist()[:4] == ["0 0, 0 0", "0 0, 0 1", "0 0, 1 1", "0 1, 0 0"]
    named = dict(zip(of("ntk_B")["inputs"], of("ntk_B")["estimate"], strict=True))
    assert named["0 1, 1 0"] == 1 * 4 + 2
    assert (of("ntk_B")["z"] == 0).all()
    assert set(of("ntk_B")["order"]) == {"1/n"}


def test_numbers_that_are_one_by_symmetry_stand_once(of_tangents):
    # Orbits of the 16 index quadruples, counted by hand: B under exchange of its couples and under
    # exchange of the inputs of both; F under the latter; P under exchange of b and c.
    counts = of_tangents["quantity"].value_counts()
    assert counts[["ntk", "ntk_A", "ntk_D"]].tolist() == [3, 6, 9]
    assert counts[["ntk_B", "ntk_F", "dntk_P", "dntk_Q"]].tolist() == [7, 10, 12, 16]
    inputs = of_tangents[of_tangents["quantity"] == "ntk_B"]["inputs"].tolist()
    assert inputs == [
        "0 0, 0 0", "0 0, 0 1", "0 0, 1 1", "0 1, 0 1", "0 1, 1 0", "0 1, 1 1", "1 1, 1 1",
    ]  # fmt: skip
