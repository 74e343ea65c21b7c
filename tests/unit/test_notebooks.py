"""The tutorials: each notebook runs, and prints and draws what stands in it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from printed import differences

FOLDER = Path(__file__).parents[2] / "docs/tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def printed(cell: dict) -> str:
    """All that a cell printed."""
    return "".join(o["text"] for o in cell.get("outputs", []) if o["output_type"] == "stream")


def kinds(cell: dict) -> list[str]:
    """What else it showed: the kinds of the data."""
    shown = [o for o in cell.get("outputs", []) if "data" in o]
    return sorted(kind for o in shown for kind in o["data"] if kind != "text/plain")


def test_there_are_notebooks_and_a_page_names_each():
    page = (FOLDER.parent / "tutorials.md").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) >= 3
    assert [p.name for p in NOTEBOOKS if f"tutorials/{p.name}" not in page] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_gives_what_stands_in_it(path, tmp_path):
    kept = nbformat.read(path, as_version=4)
    nbformat.validate(kept)
    assert path.stat().st_size < 300_000
    fresh = nbformat.from_dict(kept)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [(a, b) for a, b in zip(kept.cells, fresh.cells, strict=True) if a.cell_type == "code"]
    for a, b in code:
        assert differences(printed(a), printed(b)) == [], a.source
        assert kinds(a) == kinds(b), a.source
    assert any(printed(a) for a, _ in code)
    assert any("image/png" in kinds(a) for a, _ in code)


def test_another_number_or_word_is_what_this_looks_for():
    assert differences("K = 0.5012 after 7 steps", "K = 0.5013 after 7 steps") == []
    assert differences("K = 0.5012 after 7 steps", "K = 0.5112 after 7 steps")
    assert differences("K = 0.5012 after 7 steps", "K = 0.5012 after 8 steps")
    assert differences("K = 0.5012 after 7 steps", "G = 0.5012 after 7 steps")
