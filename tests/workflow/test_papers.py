"""Every study of `papers/` runs, and its published numbers stand beside ours."""

import re

import pandas as pd
import pytest

import finitewidth as fw
from finitewidth.comparison.published import ORDER
from finitewidth.comparison.tables import read_csv
from finitewidth.study.study_file import load
from running import ROOT, snakemake

PAPERS = sorted((ROOT / "papers").glob("*.yaml"))
#: The paper that goes through the workflow, which a page ends.
WHOLE = ROOT / "papers" / "hanin_nica2020.yaml"
#: What published numbers differ in, where that is not the width.
ALONG = {
    ("guillen2026", "figure1"): "depth, $L$",
    ("hanin_nica2018", "products"): "layer, $l$",
    ("li_nica_roy2022", "cosine"): "layer, $l$",
    ("poole2016", "correlation"): "layer, $l$",
    ("poole2016", "length"): "layer, $l$",
    ("schoenholz2017", "depth_scale"): "layer, $l$",
}
#: A paper whose networks learn for minutes, however few there are: a part of it.
SHORTER = {
    "novak2020": {
        "inputs": {"axis": {"count": 3}},
        "ensembles": {"cookbook": {"train": {"steps": [10]}}},
    },
}
#: Studies of networks as narrow as they have tokens: far from infinite width.
NARROW = {("naderi2025", "stable_rank"), ("naderi2025", "gradients")}
#: With so few networks errors are large; numbers have to agree all the same.
SCALE = 0.01


def held(rows: pd.DataFrame, numbers: int) -> None:
    """All published numbers stand in a table, and those whose error is trusted agree."""
    rows = rows[rows["order"] == ORDER]
    assert len(rows) == numbers
    # 164 numbers in all beyond 4.5 standard errors: one false alarm in 900 sets of papers.
    z = rows.loc[rows["trusted"], "z"]
    assert len(z) >= numbers / 2
    assert z.abs().max() < 4.5


def numbers(study) -> int:
    return sum(len(each.numbers) for each in study.published or [])


@pytest.mark.parametrize("file", PAPERS, ids=lambda path: path.stem)
def test_published_numbers_agree_with_ours(file):
    paper = fw.load_study(file, scale=SCALE, **SHORTER.get(file.stem, {}))
    for name in paper.studies:
        study = paper.config.studies[name]
        run = paper.run(name, progress=False)
        if not study.published:
            # A paper of pictures alone: where theory is meant to hold it agrees.
            rows = fw.compare(run)
            sound = rows["trusted"] & rows["theory"].notna()
            held_rows = sound & (rows["holds"] == True)  # noqa: E712
            # Of entropies and of few heads it is not known what the limit leaves out, and so they
            # never hold; with so few networks the limit is near enough.
            limit = sound & (rows["order"] == "infinite_width")
            limit &= rows["quantity"] != "stable_rank"
            z = rows.loc[held_rows if held_rows.any() else limit, "z"]
            assert (file.stem, name) in NARROW or z.abs().max() < 4.5
            for figure in study.figures or []:
                assert fw.draw(run, figure).axes
            continue
        held(fw.compare(run), numbers(study))
        drawn = fw.draw(run, "published")
        labels = {ax.get_xlabel() for ax in drawn.axes if ax.get_visible()} - {""}
        assert labels == {ALONG.get((file.stem, name), "width, $n$")}


def test_a_paper_ends_with_a_page_of_published_numbers_beside_ours(tmp_path):
    done = snakemake(
        tmp_path, "--configfile", WHOLE, "--config", f"scale={SCALE}", "run=paper", "--cores", "2"
    )
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/runs/paper"
    page = (results / "index.html").read_text(encoding="utf-8")
    for name, study in load([WHOLE]).studies.items():
        rows = read_csv(results / f"studies/{name}/comparison.csv")
        held(rows, numbers(study))
        for source in rows.loc[rows["order"] == ORDER, "equation"].unique():
            assert source in page
    # What the page shows is there.
    for shown in re.findall(r'(?:src|href)="(studies/[^"]+)"', page):
        assert (results / shown).exists(), shown
