"""The page of papers: what each file of `papers/` says of itself, and its published numbers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml


def write(docs: Path, papers: Path) -> None:
    """Add a section for each study file of ``papers`` to ``docs/papers.md``, the file beside it."""
    lines: list[str] = []
    (docs / "papers").mkdir()
    for file in sorted(papers.glob("*.yaml")):
        shutil.copy(file, docs / "papers")
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        head = re.match(r"(?:#.*\n)*", text)
        commands = [line[1:].strip() for line in head[0].splitlines()] if head else []
        lines += ["", f"## {file.stem}", "", *about(content["about"])]
        lines += ["", "```sh", *commands, "```", ""]
        for study in content["studies"].values():
            if "published" in study:
                lines += [f"````{{dropdown}} {study['title']}", "", *_table(study["published"])]
                lines += ["````", ""]
        lines += ["````{dropdown} The study file", "", f"```{{literalinclude}} papers/{file.name}",
                  ":language: yaml", "```", "````"]  # fmt: skip
    with (docs / "papers.md").open("a", encoding="utf-8") as page:
        page.write("\n".join([*lines, ""]))


def about(words: str) -> list[str]:
    """What a study file says of itself, as lines of Markdown: its paragraphs, with links."""
    words = re.sub(r"(?<!\n)\n(?!\n)", " ", words.strip())
    words = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", words)
    words = re.sub(r"(?<!\w)(Reproduced|Not reproduced):", r"**\1**:", words)
    return words.split("\n")


def _table(published: list[dict]) -> list[str]:
    lines = []
    for each in published:
        lines += [f"{each['source']}:", "", "| quantity | where | published |", "|---|---|---|"]
        for number in each["numbers"]:
            where = ", ".join(f"{key} {value}" for key, value in number.get("at", {}).items())
            error = f" ± {number['error']:g}" if number.get("error") else ""
            cells = [f"`{number['quantity']}`", where, f"{number['value']:.7g}{error}"]
            lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        lines.append("")
    return lines
