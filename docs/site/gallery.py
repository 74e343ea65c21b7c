"""Pages of the gallery: each study's figures, its table, and the config that makes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from finitewidth.quantities.vocabulary import FIGURES

#: Sections of a study file whose entries a study names, and the keys by which entries name others.
SECTIONS = ("inputs", "ensembles", "data", "trained")


def write(docs: Path, config: Path, results: Path) -> list[str]:
    """Write a page for each study of a study file into ``docs/gallery``, and pictures that lead to
    them below ``docs/gallery.md``; returns the names of the pages.

    Figures and tables are copied from ``results``, as far as they stand there.
    """
    text = config.read_text(encoding="utf-8")
    studies = yaml.safe_load(text)["studies"]
    cards = []
    for name, study in studies.items():
        made = results / "studies" / name
        folder = docs / "gallery" / name
        folder.mkdir(parents=True)
        shown = [figure for figure in study["figures"] if (made / f"figures/{figure}.png").exists()]
        for figure in shown:
            shutil.copy(made / f"figures/{figure}.png", folder)
        # Browsers open this one; the others are for programs and papers.
        tables = [p for p in sorted(made.glob("comparison.*")) if p.suffix in (".html", ".csv")]
        for table in tables:
            shutil.copy(table, folder)
        links = [f"{{download}}`{p.suffix[1:]} <{name}/{p.name}>`" for p in tables]
        told = f" Its table: {', '.join(links)}." if links else ""
        page = [f"# {study['title']}", "", f"The study `{name}` of the default study file.{told}"]
        page += [""]
        for figure in study["figures"]:
            page += [f"## {figure.replace('_', ' ')}", ""]
            page += [f"![{figure}]({name}/{figure}.png)", ""] if figure in shown else []
            page += [FIGURES[figure].caption, ""]
        page += ["## The config that makes it", ""]
        page += ["A study file of its own: save it and run `make CONFIG=` with its name.", ""]
        page += ["```yaml", study_file(text, name).rstrip(), "```", ""]
        (docs / f"gallery/{name}.md").write_text("\n".join(page), encoding="utf-8")
        card = [f":::{{grid-item-card}} {study['title']}", f":link: gallery/{name}",
                ":link-type: doc", ":text-align: center"]  # fmt: skip
        card += [f":img-bottom: gallery/{name}/{shown[0]}.png"] if shown else []
        cards += [*card, ":::", ""]
    with (docs / "gallery.md").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", "::::{grid} 1 2 3 3", ":gutter: 3", "", *cards, "::::", ""]))
    return [f"gallery/{name}" for name in studies]


def study_file(text: str, study: str) -> str:
    """A study file that holds one study of another one, and all that this names, word for word."""
    config = yaml.safe_load(text)
    named = set(config["studies"][study].get("ensembles", []))
    named |= set(config["studies"][study].get("trained", []))
    for section in reversed(SECTIONS):
        for name in named & set(config.get(section, {})):
            named |= set(_words(config[section][name]))
    lines = [f"seed: {config['seed']}"]
    for section in SECTIONS:
        entries = [_entry(text, section, name) for name in config.get(section, {}) if name in named]
        # Short entries stand line by line, longer ones apart.
        apart = "\n" if section == "inputs" else "\n\n"
        lines += ["", f"{section}:", apart.join(entries)] if entries else []
    return "\n".join([*lines, "", "studies:", _entry(text, "studies", study), ""])


def _words(entry: object) -> list[str]:
    """Every word of an entry's keys that name other entries."""
    if not isinstance(entry, dict):
        return []
    found = [v for key in ("inputs", "data") for v in _listed(entry.get(key))]
    return [*found, *_words(entry.get("train"))]


def _listed(value: object) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def _entry(text: str, section: str, name: str) -> str:
    """The lines of one entry of a section, as they stand."""
    body = re.search(rf"^{section}:\n(.*?)(?=^\S|\Z)", text, re.M | re.S)
    found = re.search(rf"^  {name}:.*?(?=^  \S|\Z)", body[1], re.M | re.S) if body else None
    if found is None:
        raise ValueError(f"{section} has no entry {name} with lines of its own")
    return found[0].rstrip()
