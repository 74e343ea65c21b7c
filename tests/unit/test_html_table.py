"""The table as a page: what it holds, and that no text of a user's becomes markup."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.html_table import to_html
from finitewidth.provenance.artifacts import check, make_stamp, read_stamp, write_text
from finitewidth.provenance.code import used

pytestmark = pytest.mark.fast

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" -->'
ROWS = pd.DataFrame(
    {
        "study": "s",
        "ensemble": ["a", "a", HOSTILE],
        "width": [8, 16, np.nan],
        "component": "",
        "order": ["exact", "1/n", "none"],
        "theory": [1.0, 1 / 3, np.nan],
        "z": [np.inf, -4.25, np.nan],
        "holds": False,
        "trusted": [True, True, False],
        "reason": ["", "", "too few replicas for an error"],
        "a column of tomorrow": [1e-300, 2.5e17, 3.0],
    }
)


def held(page):
    """The columns that a page holds, each with its values as the page would show them."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    data = json.loads(text)
    assert data["rows"] == len(ROWS)
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


def test_every_column_is_held_without_loss_but_for_empty_ones():
    page = to_html(ROWS, name="s", title="A title")
    columns = held(page)
    assert list(columns) == [c for c in ROWS if c not in ("study", "component")]
    assert columns["width"] == [8, 16, None]
    assert columns["theory"] == [1, 1 / 3, None]
    assert columns["a column of tomorrow"] == [1e-300, 2.5e17, 3]
    assert columns["z"] == ["inf", "-4.25", ""]
    assert columns["trusted"] == ["yes", "yes", "no"]
    # By this column rows are drawn: it stays though it says the same in every row.
    assert columns["holds"] == ["no"] * 3
    assert columns["reason"][2] == "too few replicas for an error"
    assert columns["ensemble"] == ["a", "a", HOSTILE]
    # What is the same in every row stands above the table.
    assert "<li>study: <b>s</b></li>" in page


def test_no_text_becomes_markup():
    page = to_html(ROWS.assign(study=HOSTILE), name="s", title=HOSTILE)
    harmless = to_html(ROWS.assign(study="x", ensemble=list("abc")), name="s", title="y")
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
        assert path.read_text().count("-->") == 1
