"""A run's results on one page: pictures to look at, tables to open, how numbers turned out."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import pandas as pd

from finitewidth.comparison.by_number import (
    AGREES,
    DIFFERS,
    FAR_IN_WORDS,
    NO_THEORY,
    NONE_HOLDS,
    NOT_TRUSTED,
    by_number,
)
from finitewidth.comparison.gallery import shown_by_browsers
from finitewidth.comparison.page_colours import COLOURS
from finitewidth.comparison.published import ORDER
from finitewidth.comparison.tables import short, with_error
from finitewidth.core.places import DEFAULT
from finitewidth.quantities.vocabulary import FIGURES

_ARXIV, _LINKED = (
    re.compile(r"arXiv:(\d{4}\.\d{4,5})"),
    r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>',
)
#: Endings of a study's table, and what its links are called.
_TABLES = {"html": "table", "csv": "CSV", "parquet": "Parquet", "md": "text", "tex": "TeX"}
_VERDICTS = {AGREES: "good", DIFFERS: "bad", NONE_HOLDS: "", NO_THEORY: "", NOT_TRUSTED: "doubt"}


def index_page(
    studies: Sequence[Mapping],
    formats: Sequence[str],
    tables: Mapping[str, pd.DataFrame],
    run: str = DEFAULT,
    about: str = "",
) -> str:
    """The page, in HTML that needs nothing but the pictures beside it.

    Parameters
    ----------
    studies : sequence of mappings
        Each with a ``name``, a ``title`` (or None) and ``figures`` (or None), in their order; with
        ``parameters``, the entries of its networks as plain data, these are shown.
    formats : sequence of str
        Endings of the files that each figure is written to.
    tables : mapping from names of studies to data frames
        As :func:`finitewidth.comparison.compare.table` has them.
    run : str
        The run's name.
    about : str
        What the study file is about; an empty line ends a paragraph.

    Returns
    -------
    str
        Links lead on from the folder of the run. Texts of a user's are escaped.
    """
    name = "All results" if run == DEFAULT else f"Results of the run {run}"
    shown = shown_by_browsers(formats)
    tallies, doubts = {}, {}
    for study in studies:
        one = study["name"]
        numbers = by_number(tables[one]) if len(tables[one]) else None
        tallies[one], doubts[one] = _tally(numbers), _doubts(numbers)
    parts = [
        _study(study, formats, shown, tables[one], tallies[one], doubts[one])
        for study in studies
        for one in [study["name"]]
    ]
    contents = "".join(
        f'<li><a href="#{_link(name)}">{_text(name)}</a> {tally}</li>'
        for name, tally in tallies.items()
    )
    return _PAGE.format(
        name=_text(name),
        style=_STYLE,
        about=_about(about),
        contents=contents,
        parts="".join(parts),
        far=FAR_IN_WORDS,
    )


def _about(words: str) -> str:
    """Paragraphs, in which numbers of arXiv are links."""
    paragraphs = (" ".join(each.split()) for each in re.split(r"\n\s*\n", words))
    return "".join(f"<p>{_ARXIV.sub(_LINKED, _text(each))}</p>" for each in paragraphs if each)


def _study(
    study: Mapping,
    formats: Sequence[str],
    shown: str | None,
    table: pd.DataFrame,
    tally: str,
    doubts: str,
) -> str:
    folder = f"studies/{_link(study['name'])}"
    title = _text(study["title"] or study["name"])
    files = ", ".join(
        f'<a href="{folder}/comparison.{ending}">{words}</a>' for ending, words in _TABLES.items()
    )
    pictures = "".join(_figure(folder, name, formats, shown) for name in study["figures"] or ())
    return (
        f'<section id="{_link(study["name"])}"><h2>{title}</h2>'
        f"<p>{_text(study['name'])}: {files} {tally}</p>{doubts}{_parameters(study)}"
        f'{_published(table)}<div class="figures">{pictures}</div></section>'
    )


def _parameters(study: Mapping) -> str:
    """The keys of its networks, to be opened."""
    if not study.get("parameters"):
        return ""
    import yaml

    text = yaml.safe_dump(dict(study["parameters"]), sort_keys=False, allow_unicode=True)
    return f"<details><summary>Parameters</summary><pre>{_text(text)}</pre></details>"


def _figure(folder: str, name: str, formats: Sequence[str], shown: str | None) -> str:
    path = f"{folder}/figures/{_link(name)}"
    links = ", ".join(f'<a href="{path}.{ending}">{ending}</a>' for ending in formats)
    about = _text(FIGURES[name].caption)
    image = f'<img src="{path}.{shown}" alt="{_text(name)}" loading="lazy">'
    picture = f'<a href="{path}.{shown}">{image}</a>'
    return (
        f"<figure>{picture if shown else ''}<figcaption><b>{_text(name)}</b> {about} ({links})"
        "</figcaption></figure>"
    )


def _published(table: pd.DataFrame) -> str:
    """Published numbers beside ours."""
    rows = table[table["order"] == ORDER]
    if rows.empty:
        return ""
    place = [c for c in rows.columns[2 : rows.columns.get_loc("order")] if rows[c].nunique() > 1]
    heads = [*place, "published", "here", "difference in errors", "source"]
    lines = "".join(
        _line([
            *(_text(short(row[c])) for c in place),
            # A table may hold what was published without its error.
            _text(with_error(row["theory"], row.get("theory_error", math.nan))),
            _text(with_error(row["estimate"], row["standard_error"])),
            f"{row['z']:+.1f}" if row["z"] == row["z"] else "not trusted",
            _text(row["equation"]),
        ])
        for row in rows.to_dict("records")
    )  # fmt: skip
    head = "".join(f"<th>{_text(c)}</th>" for c in heads)
    return f'<table class="published"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _line(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _tally(numbers: pd.DataFrame | None) -> str:
    """How many numbers have which verdict."""
    counts = {} if numbers is None else numbers["verdict"].value_counts()
    said = [
        f'<span class="{look}">{verdict}: {counts[verdict]}</span>'
        for verdict, look in _VERDICTS.items()
        if verdict in counts
    ]
    return f'<small class="tally">{" · ".join(said)}</small>'


def _doubts(numbers: pd.DataFrame | None) -> str:
    """Why numbers are not trusted, and how many for each reason; the commonest reason first."""
    if numbers is None or not (numbers["verdict"] == NOT_TRUSTED).any():
        return ""
    reasons = numbers.loc[numbers["verdict"] == NOT_TRUSTED, "reason"]
    # Behind the colon or comma stands the number that the reason was read off, or more of it.
    kinds = reasons.map(lambda reason: re.split("[:,]", str(reason))[0].strip())
    said = " · ".join(f"{_text(kind)}: {count}" for kind, count in kinds.value_counts().items())
    return f'<p class="tally">Why not trusted: {said}. The table tells it of each number.</p>'


def _text(words: object) -> str:
    return html.escape(str(words))


def _link(name: str) -> str:
    return quote(name, safe="")


_STYLE = (
    COLOURS
    + """body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  margin: 1.2rem auto; max-width: 80rem; padding: 0 1rem; }
a { color: var(--link); } h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
ul { columns: 22rem; column-gap: 2.5rem; padding-left: 1.2rem; } li { break-inside: avoid; }
.tally { color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.doubt { color: var(--doubt); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr));
  gap: 1rem; align-items: start; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
figure img { width: 100%; max-height: 20rem; object-fit: contain; background: #fff; }
figcaption { font-size: .88rem; color: var(--faint); } figcaption b { color: var(--text); }
summary { cursor: pointer; } pre { font-size: .85rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .8rem 0; display: block;
  overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
"""
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file: data:">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<h1>{name}</h1>
{about}
<p>Measured numbers of each study stand beside every order of theory: infinite width, orders in
1/n, exact at finite width, and others. An order is meant to hold where it leaves out little beside
the standard error. A number <span class="good">agrees</span> if it lies within {far} standard
errors of every order that is meant to hold, and <span class="bad">differs</span> if it does not.
Nothing is judged where no order is meant to hold (no order holds), or where theory says nothing of
the number (no theory). Where its standard error is not to be believed it is <span class="doubt">\
not trusted</span>, and the reasons are listed. <i>Few counts</i> is a probability that few
networks, or all but a few, have met; a <i>heavy tail</i> is a mean that a few networks decide;
<i>no spread</i> is a number that is the same in all networks.</p>
<ul>{contents}</ul>
{parts}
</body>
</html>
"""
