"""What a figure's caption has to say besides what the figure shows, kept with the figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from finitewidth.figures.common import panels, style
from finitewidth.figures.common.axes import is_empty, say


def note(figure: Figure, words: str) -> None:
    """One sentence more for the caption; nothing of no words, and none twice."""
    said = str(figure.get_label()).splitlines()
    if words and words not in said:
        figure.set_label("\n".join([*said, words]))


def end(figure: Figure, *handles: Artist, words: Sequence[str], **options: Any) -> None:
    """The legend below all panels (``panels.legend``), with ``words`` of what is left out above it
    and in the caption."""
    for line in words:
        note(figure, line and f"{line}; the table has them all.")
    panels.legend(figure, *handles, words=words, **options)


def finish(figure: Figure) -> None:
    """The last touch to any figure: notes on open symbols, and words where a panel stayed empty."""
    marks = {
        artist.get_gid() for ax in figure.axes for artist in (*ax.get_children(), *ax.collections)
    }
    if style.OPEN in marks:
        note(figure, style.OPEN_WORDS)
    if style.BEYOND in marks:
        note(figure, style.BEYOND_WORDS)
    for ax in figure.axes:
        blank = ax.axison and ax.get_visible() and not ax.texts and not ax.patches
        if blank and is_empty(ax):
            say(ax, "nothing here is finite and measured")
