"""The words of the report: its front page, and a caption for each table and figure, as files.

Snakemake's templates know neither which file a caption belongs to nor how its table turned out. So
each caption is a file of its own, written when Snakemake asks for the labels of the result, which
it does for a report alone and before it reads captions. The front page follows from the config, and
is written where it is not there yet.
"""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from textwrap import wrap

from finitewidth.comparison.captions import ensembles, notes, outcome, plain
from finitewidth.config.model import Config
from finitewidth.core.places import DEFAULT, root_of
from finitewidth.members.listed import listed
from finitewidth.quantities.vocabulary import FIGURES
from finitewidth.runtime.folder import OURS, write_whole

FOLDER = OURS / "report"
#: What tables have in common, by study: they are made by one rule, which has one caption.
_tables: dict[str, str] = {}
#: The last part of the front page.
_ORIGIN = "Where it comes from"
#: The front page's text; and small pictures of the figures, by study and figure.
_fronts: dict[str, str] = {}
_pictures: dict[tuple[str, str], str] = {}
#: Pixels that a small picture is wide.
_SMALL = 320
_FROM = """::

  config --> inputs --> sample --> estimate --+
                  |                           +--> compare (tables), figures
                  +---------------> theory ---+
         --> data --> train --> measure, generate, predict --> the same
"""

#: The front page from its top and at a width to read, without the graph of a hundred rules.
_FRONT_STYLE = """.. raw:: html

   <style>
   .h-screen.overflow-auto:has(#brand) { align-items: flex-start; justify-content: flex-start; }
   .prose.max-w-lg { max-width: 56rem; padding: 0 1.5rem; }
   div:has(> div > #brand) > :not(:first-child) { display: none; }
   .all-figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr));
     gap: 1rem; }
   .all-figures figure { margin: 0; border: 1px solid #cfd6dd; border-radius: 0.4rem;
     padding: 0.4rem; background: #fff; }
   .all-figures img { width: 100%; height: 9rem; object-fit: contain; margin: 0; }
   .all-figures figcaption { font-size: 0.75rem; color: #444; text-align: center; }
   </style>"""
#: A result without the parameters of its job, which fill screens and stand in its stamp.
_CAPTION_STYLE = """.. raw:: html

   <style>
   ul:has(> li.prose) > li:last-child,
   ul:has(> li.prose) > li.uppercase:nth-last-child(2) { display: none; }
   </style>"""


def caption(name: str) -> str:
    """Where the caption of a figure (``study/figure``), of all tables (``tables``) or of the whole
    report (``front``) is written: an absolute path, since Snakemake seeks others beside its
    rules."""
    return str((FOLDER / f"{name}.rst").absolute())


def front_page(config: Config, run: str = DEFAULT) -> str:
    """Write the front page of a run where it is another than stands there; returns its path."""
    path, text = Path(caption("front")), _front(config, run)
    _fronts["front"] = text
    if not path.exists() or path.read_bytes() != text.encode():
        write_whole(path, text)
    return str(path)


def table_labels(about: Mapping, table: str) -> dict[str, str]:
    """What the report calls a study's table; writes its caption.

    ``about`` is what ``projections.study`` says of the study, ``table`` the path of one of its
    tables.
    """
    name = about["study"]["name"]
    _tables[name] = f"{{% if snakemake.wildcards.study == '{name}' %}}\n{_table(about, table)}\n"
    write_whole(
        Path(caption("tables")), "".join(f"{text}{{% endif %}}\n" for text in _tables.values())
    )
    return {"result": "table: theory beside estimate"}


def figure_labels(about: Mapping, figure: str, file: str) -> dict[str, str]:
    """What the report calls the ``file`` of a figure; writes its caption, and a small picture of it
    into the front page."""
    name = about["study"]["name"]
    write_whole(Path(caption(f"{name}/{figure}")), _figure(about, figure, Path(file)))
    picture = Path(file).with_suffix(".png")
    if "front" in _fronts and picture.exists():
        _pictures[name, figure] = small(picture, f"{name}: {figure}")
        before, origin, after = _fronts["front"].partition(_headed(_ORIGIN))
        shown = _shown(_pictures)
        write_whole(Path(caption("front")), f"{before}{shown}\n{origin}{after}")
    return {"result": f"figure: {figure.replace('_', ' ')}"}


def small(picture: Path, words: str) -> str:
    """A picture as an element of a page, small, with its bytes inside: pages are sent alone."""
    from PIL import Image

    with Image.open(picture) as whole:
        image = whole.convert("RGB")
    image.thumbnail((_SMALL, _SMALL))
    held = BytesIO()
    image.quantize(64).save(held, "PNG", optimize=True)
    # A line of reStructuredText has at most 10,000 letters; browsers pass over ends of lines.
    lines = "\n   ".join(wrap(b64encode(held.getvalue()).decode(), 5000))
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{lines}">'


def _shown(pictures: Mapping[tuple[str, str], str]) -> str:
    """All small pictures, each with its name, as raw lines of a page."""
    each = [
        f"   <figure>{picture}<figcaption>{escape(study)}: {escape(figure.replace('_', ' '))}"
        "</figcaption></figure>"
        for (study, figure), picture in pictures.items()
    ]
    head = [_headed("All figures"), ".. raw:: html", '   <div class="all-figures">']
    return "\n\n".join([*head[:2], "\n".join([head[2], *each, "   </div>"])]) + "\n"


#: Of a study's files, which share a table.
_outcome = functools.cache(outcome)


def _study(about: Mapping) -> str:
    title = f": {plain(about['title'])}" if about["title"] else ""
    return f"Study *{plain(about['name'])}*{title}."


def _measured(about: Mapping) -> list[str]:
    lines = [
        f"- {plain(line)}" for line in ensembles(listed(member)[0] for member in about["members"])
    ]
    return ["What was measured:", "\n".join(lines)]


def _figure(about: Mapping, figure: str, file: Path) -> str:
    study = about["study"]
    found = _outcome(file.parents[1] / "comparison.csv")
    parts = [f"**{plain(FIGURES[figure].caption)}**", _study(study), *_measured(study)]
    added = "".join(f" {plain(line)}" for line in notes(file))
    if found["orders"]:
        words = ", ".join(plain(order["words"]) for order in found["orders"])
        parts.append(f"Beside it, the orders of theory that say something here: {words}.")
    parts.append(
        "Points with bars are measurements with their standard errors, lines are theory, unless the"
        f" legend says otherwise.{added} The numbers stand in the study's table;"
        f" ``{file.with_suffix('.pdf').as_posix()}`` is the same figure for print."
    )
    return "\n\n".join([*parts, _CAPTION_STYLE]) + "\n"


def _table(about: Mapping, table: str) -> str:
    study = about["study"]
    found = _outcome(Path(table).parent / "comparison.csv")
    said = "every measured number beside every order of theory that says something of it."
    parts = [_study(study), f"{found['rows']} rows: {said}"]
    if found["distrusted"]:
        parts.append(
            f"{found['distrusted']} rows are marked: their standard error is not to be believed"
            " (the column *reason* says why), so neither is their z."
        )
    if found["orders"]:
        parts += [
            "Of the trusted numbers at which an order is meant to hold (what it leaves out is at"
            " most half a standard error), how many lie within two standard errors of it (95 %"
            " would, were the numbers independent):",
            "\n".join(map(_order, found["orders"])),
            "Elsewhere an order leaves out more than the error would hide, and may well miss: the"
            " column *holds* says no, *neglected* how much the order leaves out, and *z* by how"
            " many standard errors it misses.",
        ]
    parts += [
        *_measured(study),
        "Columns: *inputs* are indices of input vectors, *component* what else singles a number"
        " out, *order* the order of theory in that row, *z* = (estimate − theory)/standard error."
        " The same table for machines is ``comparison.csv`` beside it.",
    ]
    return "\n\n".join([*parts, _CAPTION_STYLE])


def _order(order: Mapping) -> str:
    if order["near"] is None:
        how = f"meant to hold at none of {order['beside']}"
    else:
        beside = f"of {order['beside']} that it stands beside"
        how = f"{order['near']} % of {order['numbers']}, {beside}"
    return f"- {plain(order['words'])}: {how}"


def _front(config: Config, run: str) -> str:
    studies = []
    for name, study in config.studies.items():
        count = len(study.figures or [])
        title = f": {plain(study.title)}" if study.title else ""
        figures = f"{count} {'figure' if count == 1 else 'figures'}"
        studies.append(f"- **{plain(name)}**{title} ({figures})")
    heading = "Finite-width neural networks, measured and held against theory"
    parts = [
        f"{heading}\n{'=' * len(heading)}",
        "Ensembles of random networks and replicas of trained ones were sampled, their statistics"
        " estimated with error bars, and every number put beside every order of theory: infinite"
        " width, the expansion in 1/n (n is the width), double scaling, and what is exact at finite"
        " width.",
        _headed("How to read this"),
        "Choose a study on the left. The eye opens its table or a figure; the (i) beside it tells"
        " what is measured there, over how many networks, and beside which orders of theory. In a"
        " table, click on a heading to sort, and narrow it down with the boxes above; marked rows"
        " have an error that is not to be believed.",
        _headed("The studies"),
        "\n".join(studies),
        _headed(_ORIGIN),
        _FROM.rstrip(),
        f"{_of(run)}The config holds {len(config.ensembles)} ensembles, {len(config.trained)} sets"
        f" of trained networks and {len(config.studies)} studies; its seed is {config.seed}. The"
        " same config gives the same bytes. What made a file stands inside it (``python -m"
        f" finitewidth stamp FILE``), and ``{root_of(run)}/ro-crate-metadata.json`` names them"
        " all.",
    ]
    return "\n\n".join([*parts, _FRONT_STYLE]) + "\n"


def _of(run: str) -> str:
    return "" if run == DEFAULT else f"This is the run ``{run}``. "


def _headed(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"
