"""The table as a page: what it holds, and that no text of a user's becomes markup."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.by_number import by_number
from finitewidth.comparison.html_table import to_html
from finitewidth.comparison.tables import read_csv
from finitewidth.provenance.artifacts import check, make_stamp, read_stamp, write_text
from finitewidth.provenance.code import used
from tables import write_rows

pytestmark = pytest.mark.fast

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" -->'
ROWS = pd.DataFrame(
    {
        "study": "s",
        "ensemble": ["a", "a", "a", HOSTILE, "b", "c", "d"],
        "width": [8, 8, 16, np.nan, 8, 8, 8],
        "component": "",
        "order": ["infinite_width", "exact", "1/n", "none", "none", "1/n", "published"],
        "theory": [0.5, 1.0, 1 / 3, np.nan, np.nan, 2.0, 2.0],
        "estimate": [1e-300, 1e-300, 2.5e17, 3.0, 4.0, 2.5, 2.0],
        "standard_error": [1.0, 1.0, 2.0, np.nan, 0.1, 0.1, 0.1],
        "z": [np.inf, -1.0, -4.25, np.nan, np.nan, 5.0, 0.5],
        "holds": [False, True, True, False, False, False, True],
        "trusted": [True, True, True, False, True, True, True],
        "reason": ["", "", "", "too few replicas for an error", "", "", ""],
        "a column of tomorrow": ["x", "x", "y", "x", "x", "x", "x"],
    }
)
NUMBERS = 6


def held(page):
    """The columns that a page holds, each with its values as the page would show them."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    data = json.loads(text)
    assert data["rows"] in (0, NUMBERS)
    columns = {}
    for column in data["columns"]:
        texts = column.get("texts")
        columns[column["name"]] = [texts[v] if texts else v for v in column["values"]]
    return columns


def tags(page):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(page)
    return found


def test_a_row_is_a_number_with_every_order_beside_it():
    page = to_html(ROWS, name="s", title="A title")
    columns = held(page)
    assert list(columns) == [
        "ensemble", "width", "estimate", "standard_error", "verdict",
        "infinite_width", "z of infinite_width", "1/n", "z of 1/n", "exact", "z of exact",
        "published", "z of published", "reason", "a column of tomorrow",
    ]  # fmt: skip
    assert columns["ensemble"] == ["a", "a", HOSTILE, "b", "c", "d"]
    assert columns["width"] == [8, 16, None, 8, 8, 8]
    assert columns["estimate"] == [1e-300, 2.5e17, 3, 4, 2.5, 2]
    assert columns["1/n"] == [None, 1 / 3, None, None, 2, None]
    assert columns["z of infinite_width"] == ["inf", "", "", "", "", ""]
    assert columns["z of exact"] == [-1, None, None, None, None, None]
    assert columns["verdict"] == [
        "agrees", "differs", "not trusted", "no theory", "no order holds", "agrees",
    ]  # fmt: skip
    assert columns["reason"][2] == "too few replicas for an error"
    # Telephones show it in their own width.
    viewports = [a["content"] for tag, a in tags(page) if a.get("name") == "viewport"]
    assert viewports == ["width=device-width, initial-scale=1"]
    # What is the same in every row stands above the table.
    assert "<li>study: <b>s</b></li>" in page


def test_no_number_is_lost_or_told_twice():
    """Of random tables: each number stands once, with each of its orders."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        numbers = rng.integers(1, 30)
        of = np.repeat(np.arange(numbers), rng.integers(1, 4, numbers))
        first = np.r_[0, np.flatnonzero(np.diff(of)) + 1]
        order = np.arange(len(of)) - np.repeat(first, np.bincount(of))
        rows = pd.DataFrame({
            "study": "s", "inputs": of, "order": np.array(["1/n", "exact", "of mine"])[order],
            "theory": rng.normal(size=len(of)), "estimate": of * 0.5, "standard_error": 0.1,
            "z": rng.normal(size=len(of)) * 3, "holds": rng.random(len(of)) < 0.5, "trusted": True,
        })  # fmt: skip
        wide = by_number(rows)
        assert list(wide["inputs"]) == list(range(numbers))
        for name in set(rows["order"]):
            mine = rows[rows["order"] == name].set_index("inputs")
            there = wide.set_index("inputs").loc[mine.index]
            assert there[name].equals(mine["theory"].rename(name))
            assert there[f"z of {name}"].equals(mine["z"].rename(f"z of {name}"))
            assert wide[name].count() == len(mine)
        far = rows[rows["holds"] & (rows["z"].abs() > 3)]["inputs"].unique()
        assert list(wide.loc[wide["verdict"] == "differs", "inputs"]) == list(far)


def test_no_text_becomes_markup():
    page = to_html(ROWS.assign(study=HOSTILE), name="s", title=HOSTILE)
    harmless = to_html(ROWS.assign(study="x", ensemble=list("aaabcde")), name="s", title="y")
    assert tags(page) == tags(harmless)
    assert held(page)["ensemble"][2] == HOSTILE


def test_an_empty_table_is_a_page():
    page = to_html(ROWS.iloc[:0], name="s", title=None)
    assert "<h1>s</h1>" in page


def test_the_stamp_of_a_page_is_a_comment_whatever_the_title(tmp_path):
    stamp = make_stamp(rule="compare", wildcards={}, config={"title": HOSTILE}, inputs=[],
                       used=used())  # fmt: skip
    for ending in ("html", "md"):
        path = tmp_path / f"table.{ending}"
        write_text("text", path, stamp)
        assert stamp.items() <= read_stamp(path).items()
        check(path)
        assert tags(path.read_text()) == []
        assert path.read_text().count("-->") == 2


def test_a_table_that_is_read_again_has_the_numbers_of_the_one_written(tmp_path):
    """Texts that are empty, too: what reads a run's tables calls by_number on them."""
    rows = ROWS.assign(equation=["", "2.1", "", "", "", "3", "5"])
    write_rows(rows, tmp_path / "comparison.csv")
    again = read_csv(tmp_path / "comparison.csv")
    pd.testing.assert_frame_equal(by_number(again), by_number(rows), check_dtype=False)
