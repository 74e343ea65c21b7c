"""Every figure of a run on one page, in Markdown; and which of them could not be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from finitewidth.comparison.tables import literal
from finitewidth.core.places import DEFAULT, RESULTS
from finitewidth.provenance.artifacts import read_stamp
from finitewidth.quantities.vocabulary import FIGURES


def undrawn(paths: Iterable[str], place: str = RESULTS) -> list[str]:
    """A sentence for each figure whose file is a page that says why it could not be drawn.

    ``place`` is the folder of the run (:func:`finitewidth.runtime.job.place`).

    Raises ``ArtifactError`` where a file cannot be read.
    """
    found = []
    for stamp in map(read_stamp, paths):
        if problem := stamp.get("problem"):
            study, figure = stamp["wildcards"]["study"], stamp["wildcards"]["figure"]
            log = f"{place}/logs/figures/{study}.log"
            found.append(f"studies.{study}: {figure} could not be drawn ({problem}; log: {log})")
    return found


def shown_by_browsers(formats: Sequence[str]) -> str | None:
    """Which of the endings of a figure's files a page takes: the first one that is no PDF."""
    return next((ending for ending in formats if ending != "pdf"), None)


def gallery(studies: Sequence[Mapping], formats: Sequence[str], run: str = DEFAULT) -> str:
    """The page: for each study its figures, each with what it shows, and its files.

    ``studies`` have a ``name``, a ``title`` (or None) and ``figures``; ``formats`` are the endings
    of the files that each figure is written to. Links lead on from the folder of the run.
    """
    lines = ["# Figures" if run == DEFAULT else f"# Figures of the run {run}"]
    shown = shown_by_browsers(formats)
    for study in studies:
        lines += ["", f"## {literal(study['name'])}"]
        lines += ["", literal(study["title"])] if study["title"] else []
        for name in study["figures"]:
            path = f"studies/{study['name']}/figures/{name}"
            links = ", ".join(f"[{ending}]({path}.{ending})" for ending in formats)
            lines += ["", f"### {name}", ""]
            lines += [f"![{name}]({path}.{shown})", ""] if shown else []
            lines += [f"{FIGURES[name].caption} ({links})"]
    return "\n".join(lines) + "\n"
