"""A study's own style in every figure of the tiny study, and in a run."""

import shutil

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from finitewidth.comparison.results import Study
from finitewidth.core.files import sha256
from finitewidth.figures import draw, settings
from finitewidth.provenance.artifacts import read_stamp
from finitewidth.provenance.projections import study
from finitewidth.study.study_file import load
from running import KINDS, TINY, TINYS, planned, snakemake, together

NAMES = [(name, f) for name, s in load([TINY]).studies.items() for f in s.figures or []]


@pytest.fixture(scope="module")
def studies(tiny):
    config = load([TINY])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny)
        return {name: Study.read(study(config, name)["study"], TINYS) for name, _ in NAMES}


@pytest.mark.parametrize(("name", "figure"), NAMES)
def test_every_figure_takes_width_and_size_of_text(studies, tiny, name, figure):
    look = settings(width=12.0, font_size=20.0, file=None)
    with pytest.MonkeyPatch.context() as patch:
        # Times are read when they are drawn.
        patch.chdir(tiny)
        found = draw(figure, studies[name], look)
    sizes = [text.get_fontsize() for text in found.findobj(Text) if text.get_text()]
    # No text is smaller than 5 points where the size is 9; one with a size of its own would be.
    assert min(sizes) >= 20 * 5 / 9
    assert found.get_size_inches()[0] == pytest.approx(12)
    plt.close(found)


def test_a_run_with_a_style_file(kinds, tmp_path):
    shutil.copytree(kinds, tmp_path, dirs_exist_ok=True)
    own = tmp_path / "own.mplstyle"
    own.write_text("font.family: serif\n")
    config = tmp_path / "styled.yaml"
    config.write_text(KINDS.read_text() + "style: {width: 4.0, file: own.mplstyle}\n")
    # Another file than the one that made the results: which run it is, is said.
    words = ["--configfile", config, "--config", "run=default"]
    done = snakemake(tmp_path, *words, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert {stage for stage, _ in planned(done.stdout)} == {"figures"}
    stamp = read_stamp(tmp_path / "results/studies/kinds/figures/quadruple.pdf")
    assert stamp["inputs"]["own.mplstyle"] == sha256(own)
    assert stamp["config"]["style"]["width"] == 4
    own.write_text("font.family: monospace\n")
    ((_, said),) = together([[tmp_path, "--dry-run", *words]])
    assert {stage for stage, _ in planned(said)} == {"figures"}
    own.write_text("text.usetex: True\n")
    ((status, said),) = together([[tmp_path, "--dry-run", *words]])
    assert status == 1
    assert "style.file, own.mplstyle line 1: given text.usetex" in said
