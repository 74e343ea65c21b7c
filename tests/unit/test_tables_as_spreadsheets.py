"""No text of a table becomes a formula where the table is opened in a spreadsheet."""

import csv
import io
import json
import random
import re

import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.tables import read_csv, to_csv
from tables import write_rows

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
    given = [text for text in [*texts(), "NA", "None", "# a", " "] if "\r" not in text]
    rows = pd.DataFrame({"quantity": given, "estimate": np.linspace(-1, 1, len(given))})
    write_rows(rows, tmp_path / "a.csv")
    read = read_csv(tmp_path / "a.csv")
    assert read["quantity"].tolist() == given
    assert np.array_equal(read["estimate"], rows["estimate"])
    plain = pd.DataFrame(
        {"quantity": ["covariance", "a-b", "(0, 1)"], "estimate": [-1.0, 2.0, 3.0]}
    )
    assert to_csv(plain) == plain.to_csv(index=False, lineterminator="\n")


def test_a_copy_in_parquet_keeps_datatypes(tmp_path):
    rows = pd.DataFrame({
        "study": ["a", "NA", "=1"], "width": [8, 16, 32], "C_W": [2.0, np.nan, 1 / 3],
        "z": [np.inf, -np.inf, np.nan], "layer": [3, "", 1], "holds": [True, False, True],
        "lazy": [True, None, False], "beta": [1.0, "1/sqrt(L)", ""], "none": ["", "", ""],
    })  # fmt: skip
    write_rows(rows, tmp_path / "a.parquet")
    read = pd.read_parquet(tmp_path / "a.parquet")
    assert read.dtypes.astype(str).to_dict() == {
        "study": "object", "width": "int64", "C_W": "float64", "z": "float64", "layer": "Int64",
        "holds": "bool", "lazy": "boolean", "beta": "object", "none": "object",
    }  # fmt: skip
    for name in ("study", "width", "C_W", "z", "holds"):
        assert read[name].equals(rows[name].astype(read[name].dtype))
    assert read["layer"].isna().tolist() == [False, True, False]
    assert read["lazy"].tolist()[::2] == [True, False]
    assert read["beta"].tolist() == ["1.0", "1/sqrt(L)", ""]
    assert read["none"].tolist() == ["", "", ""]


def test_columns_are_described_as_the_standard_has_it(tmp_path):
    """CSV on the Web: names, titles, meanings and datatypes; infinity is INF, nothing is empty."""
    rows = pd.DataFrame({
        "study": ["a", "b"], "width": [8, 16], "C_W": [2.0, np.nan], "z": [np.inf, -np.inf],
        "layer": [3, ""], "holds": [True, False], "own key": ["x", np.nan], "_odd": [1, 2],
    })  # fmt: skip
    write_rows(rows, tmp_path / "a.csv")
    about = json.loads((tmp_path / "a.csv-metadata.json").read_text())
    assert about["@context"] == "http://www.w3.org/ns/csvw"
    assert about["url"] == "a.csv"
    columns = {c["titles"]: c for c in about["tableSchema"]["columns"]}
    kinds = {title: c["datatype"] for title, c in columns.items()}
    assert kinds == {
        "study": "string", "width": "integer", "C_W": "double", "z": "double", "layer": "integer",
        "holds": {"base": "boolean", "format": "True|False"}, "own key": "string",
        "_odd": "integer",
    }  # fmt: skip
    for c in columns.values():
        # Names are parts of addresses, and none begins with a stroke.
        assert re.fullmatch(r"[A-Za-z0-9][\w.%]*", c["name"], re.ASCII)
        assert c["dc:description"]
    # Of that standard's own keys and prefixes alone.
    assert all(key in ("@context", "url", "tableSchema") or ":" in key for key in about)
    assert (tmp_path / "a.csv").read_text().splitlines()[1:] == [
        "a,8,2.0,INF,3,True,x,1", "b,16,,-INF,,False,,2",
    ]  # fmt: skip
    for read in (read_csv, pd.read_csv):
        found = read(tmp_path / "a.csv")
        assert found["z"].tolist() == [np.inf, -np.inf]
        assert found["holds"].tolist() == [True, False]
        assert found["width"].tolist() == [8, 16]
    # A column of texts is one of texts where all are missing, too.
    rows = rows.assign(reason="", **{"own key": "x"})
    write_rows(rows, tmp_path / "b.csv")
    assert read_csv(tmp_path / "b.csv")["reason"].tolist() == ["", ""]
    assert (
        read_csv(tmp_path / "b.csv")["reason"].dtype == read_csv(tmp_path / "b.csv")["study"].dtype
    )
