"""How far two files are apart: rounding, more than rounding, and other things that differ."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.provenance.artifacts import make_stamp, write_dataset
from finitewidth.provenance.roundings import FEW, UNITS, apart
from tables import write_csv

STAMP = make_stamp(
    rule="estimate",
    wildcards={},
    config={},
    inputs=[],
    used={"sha256": "", "modules": {}, "packages": []},
)
#: A variable whose largest number is 5, its errors, and whole numbers.
DATA = xr.Dataset({
    "covariance": ("layer", np.array([1e-9, 2.0, -5.0, np.nan])),
    "covariance_stderr": ("layer", np.array([1e-3, 1e-3, 0.0, np.nan])),
    "covariance_trusted": ("layer", np.array([1, 1, 0, 0], np.int8)),
})  # fmt: skip
TABLE = """quantity,layer,theory,estimate,standard_error,z,reason
a,1,1.0,2.0,0.1,10.0,
a,2,,4.0,,,no error
"""


def datasets(folder, change):
    """DATA, and DATA with something changed, as files."""
    other = DATA.copy(deep=True)
    change(other)
    for name, data in (("one", DATA), ("other", other)):
        write_dataset(data, folder / f"{name}.nc", STAMP, title="")
    return folder / "one.nc", folder / "other.nc"


def add(size, place=0):
    def change(data):
        data["covariance"][place] += size

    return change


@pytest.mark.parametrize("precision", UNITS)
@pytest.mark.parametrize("roundings", [1, 100, FEW * 1.01])
def test_numbers_are_apart_by_roundings_of_the_largest_and_by_standard_errors(
    tmp_path, precision, roundings
):
    size = roundings * 5 * UNITS[precision]
    far = apart(*datasets(tmp_path, add(size)), precision)
    assert far.roundings == pytest.approx(roundings, rel=1e-3)
    assert far.errors == pytest.approx(size / 1e-3, rel=1e-3)
    assert far.few == (roundings <= FEW)
    assert f"roundings of {precision} precision" in far.said(precision)
    assert "standard errors" in far.said(precision)


def test_the_same_numbers_are_not_apart(tmp_path):
    far = apart(*datasets(tmp_path, lambda data: None), "double")
    assert (far.roundings, far.errors, far.other) == (0, 0, "")
    # Where the error is 0 or not known, nothing is measured by it.
    assert apart(*datasets(tmp_path, add(1e-3, place=2)), "double").errors == 0


WHOLE = {"covariance_trusted": ("layer", np.array([1, 0, 0, 0], np.int8))}
OTHER = {
    "1 of 4 entries of covariance_trusted differ": lambda data: data.update(WHOLE),
    "other numbers of covariance are not finite": add(np.inf),
    "it holds other variables": lambda data: data.update({"more": 1.0}),
}  # fmt: skip


@pytest.mark.parametrize("said", OTHER)
def test_what_is_no_difference_of_numbers_is_never_rounding(tmp_path, said):
    far = apart(*datasets(tmp_path, OTHER[said]), "single")
    assert not far.few
    assert far.said("single") == said


@pytest.mark.parametrize(
    ("old", "new", "few", "said"),
    [
        ("2.0", "2.0000000000000004", True, "at most 1 roundings"),
        ("1.0", "1.5", False, "standard errors"),
        ("no error", "another", False, "1 of 2 entries of reason differ"),
        ("a,2,,4.0,,,no error\n", "", False, "it has 2 rows | 1"),
        ("0.1", "", False, "not finite"),
    ],
)
def test_tables_are_compared_by_their_numbers(tmp_path, old, new, few, said):
    for name, text in (("one", TABLE), ("other", TABLE.replace(old, new, 1))):
        write_csv(text, tmp_path / f"{name}.csv", STAMP)
    far = apart(tmp_path / "one.csv", tmp_path / "other.csv", "double")
    assert far.few == few, far
    assert said in far.said("double")


def test_figures_have_no_numbers(tmp_path):
    assert apart(tmp_path / "a.png", tmp_path / "b.png", "double") is None
