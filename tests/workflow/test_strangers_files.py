"""What other people wrote into a study file is shown as it stands, and neither run nor followed."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import yaml

from finitewidth.__main__ import main
from finitewidth.provenance.artifacts import SUFFIXES, read_dataset, read_stamp
from finitewidth.study.study_file import load
from running import ROOT, TINY, snakemake

TITLE = (
    r'Var $K$ & 50 % {x} {wildcards.name} \input{a} <b>bold</b> "q" $(touch x) `touch x` | a_b #1'
    r" ~ ^ \ --> ^^M'; touch x; ü 网 ) ]]> &lt; "
    f'"content_sha256":"{64 * "a"}"'
)
FILE = "-v; touch x; $(touch x) `touch x` \"q\" 'q' ü $HOME * ? ~ # & | > x.npy"


def template(folder: Path) -> tuple[Path, Path]:
    """A study file that makes a file where it is evaluated, and that file."""
    sprung = folder / "sprung"
    content = yaml.safe_load(TINY.read_text()) | {"__use_yte__": True}
    content["seed"] = f"?[open({str(sprung)!r}, 'w').close(), 'seven'][1]"
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=True))
    return path, sprung


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("literal")
    np.save(folder / "x", np.eye(4)[:2])
    os.rename(folder / "x.npy", folder / FILE)
    content = {
        "seed": 3,
        "device": "cpu",
        "formats": ["pdf", "png", "svg"],
        "inputs": {"pair": {"kind": "array", "file": FILE}},
        "ensembles": {
            "networks": {"activation": "linear", "init": {"C_W": [1.0, 2.0]}, "width": 4,
                         "depth": 2, "inputs": "pair", "networks": 60, "record": 2,
                         "estimate": ["covariance"]},
        },
        "studies": {"s": {"title": TITLE, "ensembles": ["networks"], "figures": ["covariance"]}},
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    done = snakemake(folder, "--configfile", path, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    return folder


def test_nothing_appears_but_results(ran):
    assert {p.name for p in ran.iterdir()} == {"study.yaml", FILE, "results", ".snakemake"}
    logs = [p for p in (ran / "results/runs/study/logs").rglob("*") if p.is_file()]
    assert all(re.fullmatch(r"[\w/.-]+", str(p.relative_to(ran))) for p in logs)
    assert not (ROOT / "x").exists()


def test_an_array_is_read_whatever_its_name_is(ran):
    assert np.array_equal(
        read_dataset(ran / "results/runs/study/inputs/pair.nc")["x"], np.eye(4)[:2]
    )
    assert FILE in read_stamp(ran / "results/runs/study/inputs/pair.nc")["inputs"]


def test_every_file_says_the_title_as_it_was_given(ran, monkeypatch, capsys):
    files = [
        p for p in (ran / "results/runs/study/studies").rglob("*") if p.name.endswith(SUFFIXES)
    ]
    assert {p.suffix for p in files} == {
        ".csv", ".json", ".parquet", ".html", ".md", ".tex", ".pdf", ".png", ".svg",
    }  # fmt: skip
    for path in files:
        assert read_stamp(path)["config"]["study"]["title"] == TITLE, path
    (kept,) = (ran / "results/runs/study/configs").iterdir()
    assert load([kept]).studies["s"].title == TITLE
    monkeypatch.chdir(ran)
    assert main(["trace", "results"]) == 0, capsys.readouterr()


def test_the_markdown_table_is_whole(ran):
    text = (ran / "results/runs/study/studies/s/comparison.md").read_text(encoding="utf-8")
    said, rest, stamp = re.split(r"\n(?s:(.*))\n(?=<!--)", text.rstrip("\n"))
    for line in (said, stamp):
        assert re.fullmatch(r"<!-- [^<>]* -->", line)
    assert not re.search(r"<|touch|\\input", rest)
    rows = [line for line in rest.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_the_tex_table_is_whole(ran):
    text = (ran / "results/runs/study/studies/s/comparison.tex").read_text(encoding="utf-8")
    said, rest, stamp = re.split(r"\n(?s:(.*))\n(?=% provenance)", text.rstrip("\n"))
    # TeX looks at nothing behind the sign on these lines, not even at ^^M.
    assert said.startswith("% finitewidth ")
    assert re.fullmatch(r"% provenance: \{.*", stamp)
    assert not re.search(r"touch|\\input", rest)
    (columns,) = re.findall(r"\\begin\{longtable\}\{(l+)\}", rest)
    rows = [line for line in rest.splitlines() if line.endswith(r" \\")]
    assert len(rows) > 10
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1
        assert not re.search(r"(?<!\\)[#$_%]", row)


def test_figures_are_drawn(ran):
    folder = ran / "results/runs/study/studies/s/figures"
    assert len(np.unique(matplotlib.image.imread(folder / "covariance.png"))) > 10
    assert ElementTree.parse(folder / "covariance.svg").getroot().tag.endswith("svg")
    content = (folder / "covariance.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")


def test_a_template_is_told_by_looking_and_not_run(tmp_path, capsys):
    path, sprung = template(tmp_path)
    assert main(["check", str(path)]) == 1
    assert re.search("config key seed: given|__use_yte__", capsys.readouterr().err)
    assert main(["estimate", str(path)]) == 1
    assert not sprung.exists()
    assert main(["check", str(TINY)]) == 0
    assert capsys.readouterr().out == f"{TINY}: 26 members, 5 studies, in results/runs/tiny/\n"


@pytest.mark.parametrize(
    "head",
    ["<<: {__use_yte__: true}", "? !!str __use_yte__\n: true", '"\\x5f_use_yte__": 1',
     "&a __use_yte__: true", "__use_yte__: false"],
)  # fmt: skip
def test_no_other_spelling_of_a_template_passes(tmp_path, head, capsys):
    path = tmp_path / "study.yaml"
    path.write_text(f"{head}\n{TINY.read_text()}")
    for over in ([], [str(TINY)]):
        assert main(["check", str(path), *over]) == 1
        assert re.search("__use_yte__|merge|<<|tag", capsys.readouterr().err)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    "behind", ["", ";touch {sprung}", "$$(touch {sprung})", "`touch {sprung}`"]
)
def test_make_runs_neither_a_template_nor_what_stands_behind_its_name(tmp_path, behind):
    path, sprung = template(tmp_path)
    done = subprocess.run(
        ["make", "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}",
         f"CONFIG={path}{behind.format(sprung=sprung)}"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert re.search("config key seed: given|__use_yte__|cannot be read", done.stdout)
    assert "SNAKEMAKE" not in done.stdout
    assert "Traceback" not in done.stdout
    assert not sprung.exists()


@pytest.mark.parametrize("entry", [[], ["-s", ROOT / "Snakefile"], ["-s", "workflow/Snakefile"]])
def test_snakemake_refuses_a_template_that_is_given_by_name(tmp_path, entry):
    path, sprung = template(tmp_path)
    for files in (path, f'["{TINY}", "{path}"]'):
        done = snakemake(tmp_path, "--dry-run", *entry, "--config", f"study={files}")
        assert done.returncode == 1
        assert re.search("config key (__use_yte__|seed): given", done.stdout.splitlines()[-1])
        assert "File" not in done.stdout
        assert not sprung.exists()
        assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("how", [["{}"], ["--configfile", "{}"], ["-n", "--configfiles={}"],
                                 ["-n", "--configfi", str(TINY), "{}"]])  # fmt: skip
def test_finitewidth_run_reads_what_snakemake_would_evaluate(tmp_path, how):
    path, sprung = template(tmp_path)
    words = [*(word.format(path) for word in how), "--directory", tmp_path, "--cores", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "finitewidth", "run", *words],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search("config key (__use_yte__|seed): given", done.stdout.splitlines()[-1])
    assert not sprung.exists()
