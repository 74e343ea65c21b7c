"""Figures written as files, with their stamp in the file's own metadata."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from finitewidth import __version__
from finitewidth.core.files import replacing
from finitewidth.provenance.digests import sealed
from finitewidth.provenance.stamps import open_stamp

#: What of matplotlib draws each kind of figure.
_BACKENDS = {"pdf": "pdf", "png": "agg", "svg": "svg"}
#: Where each kind of figure holds its stamp, and what matplotlib would otherwise say of the day.
_STAMP_IN = {"pdf": "Keywords", "png": "provenance", "svg": "Description"}
_NO_DATES = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}


def write_figure(figure: Any, path: str | Path, stamp: Mapping, *, title: str) -> None:
    """Write a matplotlib figure as PDF, PNG or SVG, the stamp in the file's metadata.

    The lines of the figure's label are sentences for its caption; the stamp has them as ``notes``.
    """
    ending = Path(path).suffix[1:]
    notes = figure.get_label().splitlines()
    stamp = {**stamp, "notes": notes} if notes else stamp
    # None leaves out what would differ from run to run, or tell of the machine.
    fields = {"Title": title, "Creator": f"finitewidth {__version__}", **_NO_DATES[ending]}
    content = _printed(figure, ending, fields | {_STAMP_IN[ending]: open_stamp(stamp)})
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(content))


def _printed(figure: Any, ending: str, fields: Mapping) -> bytes:
    """A figure as a file of one kind, drawn once.

    ``savefig`` draws it twice, first for a layout that may come of it. Ours are laid out before,
    any other is when it is drawn.
    """
    # By name, since only who has a figure needs matplotlib.
    canvas = import_module(f"matplotlib.backends.backend_{_BACKENDS[ending]}").FigureCanvas(figure)
    wanted = import_module("matplotlib").rcParams["savefig.dpi"]
    content, before = io.BytesIO(), figure.dpi
    figure.dpi = before if wanted == "figure" else wanted
    try:
        getattr(canvas, f"print_{ending}")(content, metadata=fields)
    finally:
        figure.dpi = before
    return content.getvalue()
