"""Published numbers beside measured ones: in tables, on the page of results, in study files."""

import numpy as np
import pandas as pd
import pytest

from finitewidth.comparison.by_number import by_number
from finitewidth.comparison.index_page import index_page
from finitewidth.comparison.published import with_published
from finitewidth.core.errors import ConfigError
from finitewidth.study.study_file import load
from running import ROOT

pytestmark = pytest.mark.fast

PAPERS = sorted((ROOT / "papers").glob("*.yaml"))
ROWS = pd.DataFrame(
    {
        "study": "s", "ensemble": "e", "width": [8.0, 8.0, 16.0, 16.0], "quantity": "ntk",
        "layer": [2, 2, 2, 2], "inputs": ["0 0", "0 0", "0 1", "0 1"],
        "order": ["infinite_width", "1/n"] * 2, "theory": [1.0, 1.1, 2.0, 2.1],
        "estimate": [1.08, 1.08, 2.2, 2.2], "standard_error": 0.03, "neglected": 1.0,
        "trusted": True, "equation": "here", "number": [0, 0, 1, 1],
    }
)  # fmt: skip


def published(at, value=1.0, error=0.04, quantity="ntk"):
    number = {"quantity": quantity, "at": at, "value": value, "error": error}
    return [{"source": "a paper", "numbers": [number]}]


@pytest.mark.parametrize("at", [{"width": 16}, {"inputs": "0 1"}, {"width": 16.0, "layer": 2}])
def test_a_published_number_is_one_more_order_of_its_number(at):
    rows = with_published(ROWS, published(at))
    assert list(rows["number"]) == [0, 0, 1, 1, 1]
    added = rows.iloc[-1]
    assert (added["order"], added["theory"], added["theory_error"]) == ("published", 1.0, 0.04)
    assert (added["estimate"], added["equation"], added["width"]) == (2.2, "a paper", 16)
    assert rows["theory_error"].isna().sum() == 4


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ({"width": 17}, "nothing has width 17, there is 8.0, 16.0"),
        ({"widht": 16}, "there is no column"),
        ({"layer": 2}, "2 measured numbers are such, which differ in width, inputs"),
        ({"number": 1}, "there is no column"),
    ],
)
def test_what_belongs_to_no_number_or_to_several_is_told_in_one_sentence(at, said):
    with pytest.raises(ValueError, match=said) as refused:
        with_published(ROWS, published(at))
    assert "\n" not in str(refused.value)


def test_the_page_of_results_shows_them_and_how_numbers_turned_out():
    rows = with_published(ROWS, published({"width": 16}, value=2.0))
    rows["z"] = (rows["estimate"] - rows["theory"]) / 0.05
    rows["holds"] = rows["order"] == "published"
    hostile = "<script>alert(1)</script>"
    given = {"ensembles": {"e": {"width": [8, 16], "activation": hostile}}}
    study = {"name": "s", "title": hostile, "figures": ["covariance"], "parameters": given}
    page = index_page([study], ["pdf", "svg"], {"s": rows})
    assert hostile not in page
    assert "<summary>Parameters</summary><pre>ensembles:" in page
    assert "- 16" in page
    assert 'src="studies/s/figures/covariance.svg"' in page
    assert "<td>2.000(40)</td><td>2.200(30)</td><td>+4.0</td><td>a paper</td>" in page
    assert '<span class="bad">differs: 1</span>' in page
    assert by_number(rows)["verdict"].tolist() == ["no order holds", "differs"]
    without = index_page([study], ["svg"], {"s": rows.drop(columns="theory_error")})
    assert "<td>2</td><td>2.200(30)</td>" in without
    empty = index_page([study | {"figures": None}], ["pdf"], {"s": rows.iloc[:0]})
    assert "<img" not in empty


def test_the_page_of_results_says_why_numbers_are_not_trusted():
    reasons = ["few counts: 3 networks on one side of the event", "few counts: 0 networks on one"
               " side of the event", "heavy tail, not met by so few networks"]  # fmt: skip
    rows = pd.concat([ROWS.iloc[[0]].assign(layer=k, number=k) for k in range(4)])
    rows = rows.assign(z=0.0, holds=True, trusted=[False, False, False, True])
    rows["reason"] = [*reasons, ""]
    page = index_page([{"name": "s", "title": None, "figures": None}], ["svg"], {"s": rows})
    assert '<span class="doubt">not trusted: 3</span>' in page
    assert "Why not trusted: few counts: 2 · heavy tail: 1." in page
    sound = index_page(
        [{"name": "s", "title": None, "figures": None}], ["svg"], {"s": rows.iloc[3:]}
    )
    assert "Why not trusted" not in sound


def test_the_page_begins_with_what_the_study_file_is_about():
    about = "A paper\n(arXiv:2106.10165).\n\n<b>Not</b> reproduced: x & y.\n"
    page = index_page([], ["svg"], {}, about=about)
    link = '<a href="https://arxiv.org/abs/2106.10165">arXiv:2106.10165</a>'
    assert f"<p>A paper ({link}).</p><p>&lt;b&gt;Not&lt;/b&gt; reproduced: x &amp; y.</p>" in page
    assert load([ROOT / "papers" / "dong2021.yaml"]).about.startswith("Dong, Cordonnier and Loukas")


def test_a_scale_multiplies_networks():
    file = ROOT / "papers" / "guillen2026.yaml"
    one, ten, none = (load([file], {"scale": scale}) for scale in (1, 10, 1e-9))
    for name, ensemble in one.ensembles.items():
        assert ten.ensembles[name].networks == 10 * ensemble.networks
        assert none.ensembles[name].networks == 50


@pytest.mark.parametrize("file", PAPERS, ids=lambda path: path.stem)
def test_every_paper_is_a_study_file_that_names_its_sources(file):
    config = load([file])
    words = " ".join(config.about.split())
    assert "arXiv:" in words[:300]
    assert "Reproduced: " in words
    assert "Not reproduced: " in words
    # A paper that printed no number has its ensemble here all the same, and says so.
    none = not any(study.published for study in config.studies.values())
    assert none == ("No number is published." in words)
    assert all(len(each.source) > 10 for s in config.studies.values() for each in s.published or [])


def test_a_published_quantity_that_is_not_in_the_table_is_refused():
    published_ntk = {"figure2": {"published": published({"width": 32}, quantity="covariance")}}
    with pytest.raises(ConfigError, match=r"published\.numbers\.quantity: given"):
        load([ROOT / "papers" / "guillen2026.yaml"], {"studies": published_ntk})


def test_errors_of_both_sides_count():
    from finitewidth.comparison.compare import compared

    rows = with_published(ROWS, published({"width": 16}, value=2.0))
    rows = rows.assign(reason="", degrees_of_freedom=np.nan)
    z = compared(rows)["z"]
    assert z.iloc[-1] == pytest.approx(0.2 / 0.05)
    assert z.iloc[0] == pytest.approx(0.08 / 0.03)
