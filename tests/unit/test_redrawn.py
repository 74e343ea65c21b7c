"""Figures drawn from a study's table alone, as somebody does who was sent the CSV: pandas and
nothing else reads it, and every point with its bar is where the workflow's figure has it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.compare import table
from finitewidth.figures import draw
from small_studies import run
from tables import write_rows

INPUTS = {"one": {"kind": "sphere", "dimension": 3, "count": 1}}
LADDER = {"init": "critical", "ladder": [16, 24, 32, 48], "depth": 4, "inputs": "one",
          "networks": 400, "estimate": ["kernel_moments"]}  # fmt: skip
#: No key that says what networks are is swept in all of them, so none has a column for that.
LADDERS = {
    "of_relu": LADDER | {"activation": "relu"},
    "of_two": LADDER | {"activation": ["tanh", "linear"]},
}
WIDTHS = {
    "wide": {"activation": "linear", "init": "critical", "width": [12, 24], "depth": 5,
             "inputs": "one", "networks": 3000, "estimate": ["covariance", "four_point"]},
    "narrow": {"activation": "linear", "init": "critical", "width": 6, "depth": 5,
               "inputs": "one", "networks": 3000, "estimate": ["covariance", "four_point"]},
}  # fmt: skip


def points(axes):
    """Every point that has an error bar: x, y and the length of the bar, sorted."""
    found = []
    for ax in axes:
        for line, _, (bars,) in ax.containers:
            heights = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
            found += zip(*line.get_data(), heights, strict=True)
    assert found
    return np.array(sorted(found), float)


def same(axes, x, y, error):
    # A bar's length is the difference of its ends, and as exact as these.
    theirs = pd.DataFrame({"x": x, "y": y, "error": error.abs()}).sort_values(["x", "y", "error"])
    np.testing.assert_allclose(points(axes), theirs.to_numpy(float), rtol=1e-6)


def measured(rows, quantity, inputs):
    """The trusted numbers of a quantity, each once, with what infinite width and exact theory
    say."""
    here = rows[(rows["quantity"] == quantity) & (rows["inputs"] == inputs)]
    keys = ["ensemble", "activation", "width", "layer"]
    each = here.drop_duplicates(keys).set_index(keys)
    for order in ("infinite_width", "exact"):
        each[order] = here[here["order"] == order].set_index(keys)["theory"]
    return each[each["trusted"]]


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """A study's own figure, and its table as it is read by whoever was sent it."""
    monkeypatch.chdir(tmp_path)

    def of(ensembles, name):
        study = run({"inputs": INPUTS, "ensembles": ensembles})
        write_rows(table(study), tmp_path / "comparison.csv")
        return draw(name, study).axes, pd.read_csv(tmp_path / "comparison.csv")

    yield of
    plt.close("all")


def test_universality(sent):
    axes, rows = sent(LADDERS, "universality")
    variance = measured(rows, "kernel_covariance", "0 0, 0 0")
    K = measured(rows, "kernel_mean", "0 0")["infinite_width"].reindex(variance.index)
    hidden = variance.index.get_level_values("layer").to_numpy() - 1
    n = variance.index.get_level_values("width")
    at = hidden > 0
    scaled = variance[["estimate", "standard_error"]].div(K**2, axis=0)[at]
    same(axes, (hidden / n)[at], scaled["estimate"].array, scaled["standard_error"])


def test_corrections(sent):
    axes, rows = sent(LADDERS, "corrections")
    parts = []
    for quantity, inputs in (("kernel_mean", "0 0"), ("kernel_covariance", "0 0, 0 0")):
        last = measured(rows, quantity, inputs).query("layer == 4").reset_index()
        above = last["estimate"] - last["infinite_width"]
        parts.append((1 / last["width"], last["width"] * above,
                      last["width"] * last["standard_error"]))  # fmt: skip
        ends = measured(rows, f"{quantity}_1", inputs).query("layer == 4").reset_index()
        # A coefficient is of no width.
        assert ends["width"].isna().all()
        parts.append((0 * ends["estimate"], ends["estimate"], ends["standard_error"]))
    same(axes, *(pd.concat(columns, ignore_index=True) for columns in zip(*parts, strict=True)))


def test_intralayer(sent):
    axes, rows = sent(WIDTHS, "intralayer")
    found = measured(rows, "intralayer", "0")
    G = measured(rows, "covariance", "0 0")["infinite_width"].reindex(found.index)
    layer = found.index.get_level_values("layer").to_numpy()
    at = layer > 1
    scaled = found[["estimate", "standard_error"]].div(G**2, axis=0)[at]
    same(axes[:1], layer[at], scaled["estimate"].array, scaled["standard_error"])
    ratio = found[["estimate", "standard_error"]].div(found["exact"], axis=0)[at]
    same(axes[1:], layer[at], ratio["estimate"].array, ratio["standard_error"])


def test_every_row_says_what_its_networks_are(sent):
    """Whether or not anything is swept."""
    _, rows = sent({**LADDERS, **WIDTHS}, "universality")
    each = rows.groupby("ensemble")
    assert (rows["network"] == "perceptron").all()
    assert each["activation"].unique().map(list).to_dict() == {
        "of_relu": ["relu"], "of_two": ["tanh", "linear"], "wide": ["linear"], "narrow": ["linear"],
    }  # fmt: skip
    assert each["depth"].unique().map(list).to_dict()["narrow"] == [5]
    assert set(rows.loc[rows["ensemble"] == "narrow", "width"]) == {6}
    assert rows[["C_b", "C_W"]].notna().all(axis=None)
    assert set(rows.loc[rows["activation"] == "relu", "C_W"]) == {2.0}
