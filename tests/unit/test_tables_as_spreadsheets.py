"""No text of a table becomes a formula where the table is opened in a spreadsheet."""

import csv
import io
import random

import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.tables import read_csv, to_csv

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
PARTS = [*SIGNS, "'", "''", ",", ";", "\t", "|", " ", "a", "cmd|' /C calc'!A1", '"', "1+1", "a-b"]


def texts():
    chance = random.Random(4)
    return ["".join(chance.choices(PARTS, k=chance.randint(1, 8))) for _ in range(500)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_cell_begins_a_formula_however_lines_are_cut(separator):
    rows = pd.DataFrame({"reason": texts(), "number": np.arange(500) - 250.5})
    for line in csv.reader(io.StringIO(to_csv(rows)), delimiter=separator):
        for cell in line:
            start = cell.lstrip(' \t"')
            number = start[:1] == "-" and start[1:].split(",")[0].replace(".", "").isdigit()
            assert number or not start.startswith(SIGNS), cell


def test_what_is_written_is_read_again(tmp_path):
    given = [text for text in texts() if text.strip() and "#" not in text]
    rows = pd.DataFrame({"quantity": given, "estimate": np.linspace(-1, 1, len(given))})
    (tmp_path / "a.csv").write_text(to_csv(rows), newline="")
    read = read_csv(tmp_path / "a.csv")
    assert read["quantity"].tolist() == given
    assert np.array_equal(read["estimate"], rows["estimate"])
    plain = pd.DataFrame(
        {"quantity": ["covariance", "a-b", "(0, 1)"], "estimate": [-1.0, 2.0, 3.0]}
    )
    assert to_csv(plain) == plain.to_csv(index=False, lineterminator="\n")
