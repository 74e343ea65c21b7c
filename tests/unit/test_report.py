"""Captions and front page as files: a user's text is text to jinja2 and reStructuredText alike."""

import json
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from docutils.core import publish_parts
from jinja2 import Environment
from PIL import Image

from finitewidth.comparison import report
from finitewidth.provenance import projections
from finitewidth.study.study_file import content, validate
from running import TINY
from tables import write_rows

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
        write_rows(rows, folder / "comparison.csv")
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


def test_the_front_page_of_a_report_shows_every_figure_small(config):
    path = Path(report.front_page(config))
    alone = path.read_text()
    shown = {"covariance": "histograms", "trained": "alignment"}
    for study, figure in shown.items():
        file = Path(f"results/studies/{study}/figures/{figure}.svg")
        file.parent.mkdir()
        # Noise takes more letters than a line of reStructuredText may have.
        Image.effect_noise((1600, 800), 99).save(file.with_suffix(".png"))
        report.figure_labels(projections.study(config, study), figure, str(file))
    body = rendered(path)
    assert TITLE in body
    found = re.findall(r'<img alt="(.*?)" src="data:image/png;base64,(.*?)">', body, re.DOTALL)
    assert dict(found).keys() == {f"{study}: {figure}" for study, figure in shown.items()}
    for _, held in found:
        assert len(held) > 10_000
        with Image.open(BytesIO(b64decode(held))) as picture:
            assert picture.size == (320, 160)
    # Where no report is made, and in a figure without a picture, nothing is there.
    (file.parent / f"{figure}.png").unlink()
    report.figure_labels(projections.study(config, study), figure, str(file))
    assert report.front_page(config) == str(path)
    assert path.read_text() == alone


def test_no_parameter_of_what_is_shown_ends_a_script(config):
    for about in (projections.figures(config, "covariance"), projections.study(config, "trained")):
        text = projections.as_text(about)
        assert "<" not in text
        assert json.loads(text) == json.loads(json.dumps(about))
