"""Build the documentation site from the pages of this repository, without a network.

    python docs/site/build.py build/site --results results

A copy of all pages is laid out beside the target, with lists of contents below those that lead on,
the pages of the gallery, of papers and those of the library's reference. Sphinx makes the site of
it; every warning, such as a link that leads nowhere, ends the build.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import gallery
import library
import papers
from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).resolve().parents[2]
#: Files and folders that pages stand in, or that they link to.
PARTS = (
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "Snakefile",
    "benchmarks", "config", "config.yaml", "docs", "envs", "pyproject.toml", "results/README.md",
    "workflow/profiles", "workflow/rules", "workflow/Snakefile",
)  # fmt: skip
#: Pages that others stand below, in this order.
BELOW = {
    "index.md": ["docs/why", "docs/ten-minutes", "docs/tutorials", "docs/how-to",
                 "docs/neural-tangents", "docs/theory", "docs/gallery", "docs/papers",
                 "docs/reference"],
    "docs/how-to.md": ["own-ensemble", "extensions", "own-networks", "architectures", "cluster",
                       "module", "provenance", "security", "pitfalls"],
    "docs/theory.md": ["glossary", "estimates"],
    "docs/reference.md": ["library", "files", "../config/README", "architecture",
                          "../benchmarks/README", "../benchmarks/calibrate/index", "../CHANGELOG",
                          "../CONTRIBUTING"],
}  # fmt: skip


def main(words: list[str] | None = None) -> int:
    """Build the site; returns the exit status of Sphinx."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="the folder of the site")
    about = "a folder of results of the default study, for figures and tables"
    parser.add_argument("--results", type=Path, default=ROOT / "results", help=about)
    parser.add_argument("--jobs", default="1", help="processes")
    options = parser.parse_args(words)
    source = options.target.with_name(f"{options.target.name}-source")
    lay_out(source, options.results)
    shutil.rmtree(options.target, ignore_errors=True)
    arguments = ["-b", "html", "-c", str(ROOT / "docs/site"), "-W", "--keep-going", "-q",
                 "-j", options.jobs, "-d", f"{source}/.doctrees",
                 str(source), str(options.target)]  # fmt: skip
    return sphinx(arguments)


def lay_out(source: Path, results: Path) -> None:
    """All pages as Sphinx reads them, in a fresh folder."""
    shutil.rmtree(source, ignore_errors=True)
    leave = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "site")
    for part in PARTS:
        (source / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=leave)
        else:
            shutil.copy(ROOT / part, source / part)
    # The first page is the README, under the name that a server looks for.
    shutil.copy(ROOT / "README.md", source / "index.md")
    for page in source.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("](../README.md", "](../index.md"), encoding="utf-8")
    below = {page: list(pages) for page, pages in BELOW.items()}
    notebooks = sorted((source / "docs/tutorials").glob("*.ipynb"))
    below["docs/tutorials.md"] = [f"tutorials/{path.stem}" for path in notebooks]
    below["docs/gallery.md"] = gallery.write(source / "docs", ROOT / "config.yaml", results)
    papers.write(source / "docs", ROOT / "papers")
    below["docs/reference.md"] += library.write(source / "docs")
    tables = sorted((source / "benchmarks/calibrate").glob("*.md"))
    index = "# How well errors keep what they promise\n\nTables that `make calibrate` writes.\n"
    (source / "benchmarks/calibrate/index.md").write_text(index, encoding="utf-8")
    below["benchmarks/calibrate/index.md"] = [path.stem for path in tables]
    for page, pages in below.items():
        with (source / page).open("a", encoding="utf-8") as file:
            # The gallery has its own list, with pictures.
            hidden = [] if page.endswith("index.md") and "/" in page else [":hidden:"]
            file.write("\n".join(["", "```{toctree}", *hidden, "", *pages, "```", ""]))


if __name__ == "__main__":
    sys.exit(main())
