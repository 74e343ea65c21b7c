"""Code that pages show runs as it stands: YAML is a study, and Python a program."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

import finitewidth as fw
from extending import OWN, said
from finitewidth.comparison.by_number import by_number
from finitewidth.planning.describe import networks_of
from finitewidth.study.study_file import merged, read_yaml, validate
from printed import differences
from running import ROOT

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "*/README.md", "docs/*.md")
    for path in ROOT.glob(pattern)
)
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
#: A block that shows a file says so in its first line.
_SHOWN = re.compile(r"# ((?:docs|workflow)/\S+)\n")

#: Blocks that no test here runs, by a word of theirs, and why.
NOT_RUN = {
    "docs/neural-tangents.md": {"stax.serial": "is code of JAX, to compare with the next block"},
    "docs/module.md": {"use rule *": "is a Snakefile: tests/workflow/test_module.py"},
    "docs/library.md": {"fw.read_study": "reads a run: tests/workflow/test_default_study.py"},
    "docs/extensions.md": {"import use": "names an extension: the last test of this file"},
}
#: YAML that is a part of a study: it is laid on top of the first block of its page.
PARTS = {"docs/own-ensemble.md": ["style:"]}


@dataclass(frozen=True)
class Block:
    """A block of code, and the file that it shows, if it does."""

    page: str
    language: str
    text: str

    @property
    def shows(self) -> str | None:
        found = _SHOWN.match(self.text)
        return found[1] if found else None

    @property
    def is_run(self) -> bool:
        return not self.shows and not any(w in self.text for w in NOT_RUN.get(self.page, {}))


def blocks(page: str, *languages: str) -> list[Block]:
    """Those of some languages, in order, without the indentation of a list."""
    found = _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    return [Block(page, word, textwrap.dedent(text)) for _, word, text in found
            if word in languages]  # fmt: skip


def programs(page: str) -> list[tuple[str, str | None]]:
    """Each block of Python that is run, and what the page says that it prints."""
    found: list[tuple[str, str | None]] = []
    for block in blocks(page, "python", "text"):
        if block.language == "text":
            found[-1] = (found[-1][0], block.text)
        elif block.is_run:
            found.append((block.text, None))
    return found


STUDIES = [(page, block) for page in PAGES for block in blocks(page, "yaml")]
PROGRAMS = [page for page in PAGES if programs(page)]


def test_pages_have_blocks_of_known_languages_alone():
    words = {word for page in PAGES for _, word, _ in _BLOCK.findall((ROOT / page).read_text())}
    assert words <= {"", "python", "text", "toml", "yaml"}, words
    assert len(STUDIES) > 8
    assert len(PROGRAMS) > 5


def test_each_exception_is_one_block():
    for page, words in NOT_RUN.items():
        for word in words:
            assert sum(word in b.text for b in blocks(page, "python")) == 1, (page, word)
    for page, words in PARTS.items():
        for word in words:
            assert sum(b.text.startswith(word) for b in blocks(page, "yaml")) == 1, (page, word)


def test_a_block_that_shows_a_file_is_in_it():
    shown = [b for page in PAGES for b in blocks(page, "python", "yaml") if b.shows]
    assert len(shown) > 8
    for block in shown:
        there = (ROOT / block.shows).read_text(encoding="utf-8")
        # Definitions between those that are shown may be left out.
        for part in block.text.split("\n", 1)[1].strip().split("\n\n\n"):
            assert part in there, (block.page, part)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout as far as pages read it: what they write stays here."""
    for name in ("config", "papers"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.fast
@pytest.mark.parametrize(
    ("page", "block"), STUDIES, ids=[f"{p}-{n}" for n, (p, _) in enumerate(STUDIES)]
)
def test_a_block_of_yaml_is_a_study_that_can_be_planned(page, block, folder):
    if block.shows:  # by a test of that file, which names its extension
        return
    # Files that a page has its reader write.
    np.save("my_vectors.npy", np.ones((2, 3)))
    Path("journal.mplstyle").write_text("axes.spines.top: false\n")
    Path("study.yaml").write_text(block.text)
    content = read_yaml("study.yaml")
    if any(block.text.startswith(word) for word in PARTS.get(page, [])):
        content = merged(yaml.safe_load(blocks(page, "yaml")[0].text), content)
    assert networks_of(validate(content)) or content["trained"]


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_programs_of_a_page_run_and_print_what_stands_there(page, folder):
    """One after another: each brings its own imports, and may read files of those before it."""
    each = []
    for text, wanted in programs(page):
        names: dict = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, page, "exec"), names)
        assert wanted is None or not differences(wanted, printed.getvalue())
        each.append(names | {"printed": printed.getvalue()})
    if page in CHECKS:
        CHECKS[page](*each)


def _first_page(names):
    rows = names["rows"]
    assert len(rows) > 10
    assert set(rows["order"]) >= {"infinite_width", "1/n"}
    held = rows[rows["holds"] & rows["trusted"]]
    # Of some dozens of numbers: a false alarm in 1e4 seeds or fewer, and the seed is fixed.
    assert held["z"].abs().max() < 5


def _ensembles(vectors, tangents, notebook):
    assert np.load("my_vectors.npy").shape == vectors["x"].shape
    assert tangents["kernel"].total.shape == (1, 1, 5, 5)
    assert tangents["smaller"].form == "parameters"
    found = notebook["samples"].attrs
    theory = notebook["study"].members["linear/C_W-2"].predict()
    assert found["C_W"] == 2
    assert (theory["covariance"].sel(order="exact") > 0).all()


def _library(one, kernels, study, own):
    held = one["rows"].loc[one["rows"]["holds"], "z"]
    assert len(held) > 100
    # Beyond 4.5 in less than one of 1000 choices of the seed.
    assert held.abs().max() < 4.5
    assert kernels["both"].nngp.shape == (300, 300)
    np.testing.assert_allclose(kernels["across"].ntk, kernels["both"].ntk[:, :200], rtol=1e-12)
    assert study["estimates"]["covariance"].sel(layer=4).shape == (2, 2)
    assert own["estimates"].sizes["layer"] == 2


def _architectures(keys, worked):
    assert "z + (RMS norm, relu, dense 512 -> 512)" in keys["printed"]
    assert keys["cnn"].shapes[-1] == (10,)
    assert keys["samples"].sizes["layer"] == 9
    assert keys["kernels"].ntk.shape == (2, 2)
    assert "attention 512 -> 512, 8 heads of 64): 512 channels of 4 tokens" in worked["printed"]
    kernels = worked["samples"]["kernel"].sel(layer=3)
    error = kernels.std("network").values / 1000**0.5
    # To five errors, and a twentieth that eight heads and 512 channels may leave.
    limit = worked["limit"].nngp
    assert (abs(kernels.mean("network").values - limit) < 5 * error + 0.05 * limit.max()).all()


def _neural_tangents(here):
    kernels = here["kernels"]
    assert kernels.nngp.shape == kernels.ntk.shape == (2, 1)


#: What else the programs of a page have to give.
CHECKS = {
    "README.md": _first_page,
    "docs/own-ensemble.md": _ensembles,
    "docs/library.md": _library,
    "docs/architectures.md": _architectures,
    "docs/neural-tangents.md": _neural_tangents,
}


def test_ten_minutes_end_in_the_numbers_that_the_page_says(folder):
    (block,) = blocks("docs/ten-minutes.md", "yaml")
    rows = fw.compare(fw.load_study(yaml.safe_load(block.text)).run("first", progress=False))
    numbers = by_number(rows)
    verdicts = numbers["verdict"].value_counts().to_dict()
    page = " ".join((ROOT / "docs/ten-minutes.md").read_text().split())
    assert f"Of {len(numbers)} numbers, {verdicts['agrees']} agree and one differs." in page
    assert (verdicts["differs"], verdicts["no order holds"]) == (1, 20)
    last = numbers[(numbers["quantity"] == "intralayer") & (numbers["layer"] == 10)]
    last = last.set_index("width")
    excess = {n: round(100 * last.loc[n, "1/n"] / last.loc[n, "estimate"] - 100) for n in (16, 256)}
    assert f"{excess[256]} % too large at width 256, and {excess[16]} % at width 16" in page
    second = last["z of 1/n^2"].abs()
    assert 2 <= second[64] < 3
    assert 2 <= second[256] < 3
    assert last["1/n^2 holds"].to_dict() == {16: False, 64: True, 256: True}


def test_an_extension_is_named_in_a_notebook_as_the_page_says(tmp_path):
    (named,) = [b.text for b in blocks("docs/extensions.md", "python") if "import use" in b.text]
    shutil.copy(OWN, tmp_path / "my.py")
    used = "print(fw.perceptron('bump', inputs=2, width=4, depth=2, C_W=1.0))"
    code = f"import os\nos.chdir({str(tmp_path)!r})\n{named}\n{used}"
    (answer,) = said([("", code)])
    assert "bump" in answer
