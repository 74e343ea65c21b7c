"""Captions and front page as files: a user's text is text to jinja2 and reStructuredText alike."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Environment

from finitewidth.comparison import report
from finitewidth.comparison.tables import to_csv
from finitewidth.provenance import projections
from finitewidth.study.study_file import content, validate
from running import TINY

pytestmark = pytest.mark.fast

TITLE = "</script><b>x</b> {{ 7 * 7 }} {% raw %} {# gone #} `a <javascript:1>`_ |b| \\ end"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    titles = {study: {"title": TITLE} for study in ("covariance", "trained")}
    config = validate(content([TINY], {"studies": titles}))
    rows = pd.DataFrame(
        {"order": ["exact"], "z": [1.0], "trusted": [True], "holds": [True], "component": ""}
    )
    for study in titles:
        folder = tmp_path / "results/studies" / study
        folder.mkdir(parents=True)
        (folder / "comparison.csv").write_text("# stamp\n" + to_csv(rows))
    return config


def rendered(path, **given):
    """As Snakemake renders a caption."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(text).render(**given)
    parts = publish_parts(text, writer="html")
    body = parts["html_body"].partition("<style>")[0]
    assert "System Message" not in body
    assert "<b>" not in body
    assert "<script" not in body
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        body = body.replace(entity, sign)
    return body


def test_titles_are_text_in_every_caption(config, monkeypatch):
    monkeypatch.setattr(report, "notes", lambda file: ["An open symbol: {{ 6 * 7 }}."])
    for study, figure in (("covariance", "histograms"), ("trained", "alignment")):
        about = projections.study(config, study)
        file = f"results/studies/{study}/figures/{figure}.png"
        assert report.figure_labels(about, figure, file) == {"result": f"figure: {figure}"}
        said = rendered(report.caption(f"{study}/{figure}"))
        assert TITLE in said
        assert "An open symbol: {{ 6 * 7 }}." in said
        assert f"{figure}.pdf" in said
        table = f"results/studies/{study}/comparison.html"
        assert report.table_labels(about, table)["result"].startswith("table: ")
    for study in ("covariance", "trained"):
        wildcards = SimpleNamespace(study=study)
        said = rendered(report.caption("tables"), snakemake=SimpleNamespace(wildcards=wildcards))
        assert said.count("1 rows: ") == 1
        assert f"<em>{study}</em>" in said
        assert TITLE in said
    front = report.front_page(config)
    assert rendered(front).count(TITLE) == 2


def test_the_front_page_is_written_where_it_differs(config):
    path = Path(report.front_page(config))
    text = path.read_text()
    path.write_text(text + "more")
    report.front_page(config)
    assert path.read_text() == text
    made = path.stat().st_mtime_ns
    report.front_page(config)
    assert path.stat().st_mtime_ns == made


def test_no_parameter_of_what_is_shown_ends_a_script(config):
    for about in (projections.figures(config, "covariance"), projections.study(config, "trained")):
        text = projections.as_text(about)
        assert "<" not in text
        assert json.loads(text) == json.loads(json.dumps(about))
