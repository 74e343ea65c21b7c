"""Captions of the report: a user's text stays text, and members are told in words."""

import re

import pandas as pd
import pytest
from docutils.core import publish_parts

from finitewidth.comparison import captions
from finitewidth.planning.members import members
from finitewidth.planning.trained_members import trained_members
from finitewidth.study.study_file import load
from running import ROOT
from tables import write_rows

pytestmark = pytest.mark.fast

HOSTILE = [
    "</script><script>alert(1)</script>",
    "x\n\n.. raw:: html\n\n   <script>alert(1)</script>\n",
    "{{ 7 * 7 }} {% raw %} {# gone #}",
    "*bold* `role` :math:`x` |sub| link_ [1]_ ``code`` \\ end\\",
    "- one", "1. one", "====", "::", ".. _target: http://example.org", "θ ≤ 1/n²",
]  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_text_to_restructuredtext(title):
    body = publish_parts(f"Before {captions.plain(title)} after.", writer="html")["body"]
    body = body.strip()
    inside = re.fullmatch(r"<p>Before (.*) after\.</p>", body, re.S)[1]
    assert "<" not in inside
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        inside = inside.replace(entity, sign)
    assert inside == " ".join(title.split())


def test_members_in_words():
    config = load([ROOT / "config/tiny.yaml"])

    def lines(*ensembles, trained=()):
        found = [m for e in ensembles for m in members(config, e)]
        found += [m for e in trained for m in trained_members(config, e)]
        return captions.ensembles(found)

    assert lines("linear", "norms") == [
        "linear: 9000 networks each; activation linear; depth 3; C_W 1 and 2; width 8",
        "norms: 2000 networks; activation relu; depth 40; width 5",
    ]
    (ladder,) = lines("ladder")
    assert "widths 8, 12, 16 and 24 on common random numbers" in ladder
    assert "tanh and relu" in ladder
    assert lines(trained=["mlp"]) == ["mlp: 3 trained replicas each; widen 1 and 2"]


def test_the_outcome_counts_what_can_be_trusted_and_is_meant_to_hold(tmp_path):
    nothing = float("nan")
    rows = pd.DataFrame(
        {
            "order": ["exact"] * 4 + ["1/n"] * 2 + ["chance", "none"],
            "z": [1.0, -1.5, 2.5, nothing, 0.5, 93.0, nothing, nothing],
            "trusted": [True, True, True, False, True, True, True, True],
            "holds": [True, True, True, False, True, False, False, False],
            "component": "",
        }
    )
    write_rows(rows, tmp_path / "comparison.csv")
    for name in ("comparison.html", "figures/kurtosis.png"):
        found = captions.outcome(tmp_path / name)
        assert (found["rows"], found["distrusted"]) == (8, 1)
        assert found["orders"] == [
            {"words": "first order in 1/n", "beside": 2, "numbers": 1, "near": 100},
            {"words": "exact at finite width", "beside": 3, "numbers": 3, "near": 67},
            {"words": "what chance gives", "beside": 0, "numbers": 0, "near": None},
        ]
