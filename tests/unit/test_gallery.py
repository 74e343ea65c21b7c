"""The page of all figures: each stands there once, and a user's title stays text. The pictures of
the pages are whole files of results.
"""

import re

import pytest

from finitewidth.comparison.gallery import gallery
from finitewidth.provenance.digests import is_sealed
from finitewidth.provenance.projections import gallery as told
from finitewidth.study.study_file import load
from running import ROOT, TINY

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(("formats", "shown"), [(["pdf", "svg", "png"], "svg"), (["pdf"], None)])
def test_each_figure_stands_there_once(formats, shown):
    studies = told(load([TINY]))["studies"]
    page = gallery(studies, formats)
    figures = [f"studies/{s['name']}/figures/{f}" for s in studies for f in s["figures"]]
    assert len(figures) > 5
    for ending in formats:
        assert re.findall(rf"(?<!!)\[{ending}\]\((.*?)\)", page) == [
            f"{f}.{ending}" for f in figures
        ]
    assert re.findall(r"!\[\w+\]\((.*?)\)", page) == [f"{f}.{shown}" for f in figures if shown]


def test_a_title_is_text():
    study = {"name": "one", "title": "![x](http://a.b) <script> $y$", "figures": ["covariance"]}
    page = gallery([study], ["png"])
    assert r"!\[x\](http" not in page
    assert r"![x]\(http" in page
    assert r"\<script\> \$y\$" in page


@pytest.mark.parametrize("path", sorted((ROOT / "docs/images").glob("*.png")), ids=lambda p: p.stem)
def test_a_picture_of_the_pages_is_as_the_study_drew_it(path):
    # A picture that was made smaller loses its stamp, and colours that two series differ by.
    assert is_sealed(path.read_bytes())
