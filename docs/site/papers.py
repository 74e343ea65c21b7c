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
        words, commands = about(text)
        lines += ["", f"## {file.stem}", "", *words, "", "```sh", *commands, "```", ""]
        for study in yaml.safe_load(text)["studies"].values():
            if "published" in study:
                lines += [f"````{{dropdown}} {study['title']}", "", *_table(study["published"])]
                lines += ["````", ""]
        lines += ["````{dropdown} The study file", "", f"```{{literalinclude}} papers/{file.name}",
                  ":language: yaml", "```", "````"]  # fmt: skip
    with (docs / "papers.md").open("a", encoding="utf-8") as page:
        page.write("\n".join([*lines, ""]))


def about(text: str) -> tuple[list[str], list[str]]:
    """What the comment at the top of a study file says: lines of text, and commands.

    An empty line of the comment ends a paragraph, and a sentence that begins with *Reproduced* or
    *Not reproduced* begins one.
    """
    head = re.match(r"(?:#.*\n)+", text)
    lines = [line[1:].removeprefix(" ") for line in head[0].splitlines()] if head else []
    commands = [line.strip() for line in lines if line.startswith("  ")]
    words = "\n".join(line for line in lines if not line.startswith("  ")).strip()
    words = re.sub(r"(?<!\n)\n(?!\n)", " ", words)
    words = re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", words)
    words = re.sub(r"\s+(?=(?:Reproduced|Not reproduced): )", "\n\n", words)
    words = re.sub(r"(?<!\w)(Reproduced|Not reproduced):", r"**\1**:", words)
    return words.split("\n"), commands


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
