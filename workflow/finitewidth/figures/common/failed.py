"""The page that stands in place of a figure that could not be drawn."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from finitewidth.figures.common import style


def sentence(error: Exception) -> str:
    """What an error says, on one line; where it is none that was written for people, its kind too.

    Python's own words for a missing key or a wrong shape tell nobody what went wrong.
    """
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError) and words else f"{type(error).__name__}: {words}"


def page(study: str, figure: str, words: str) -> Figure:
    """A page that says that ``figure`` of ``study`` could not be drawn, and why."""
    drawn, axes = style.grid(1, 1, width=6.0, height=3.0)
    axes[0, 0].set_axis_off()
    lines = textwrap.wrap(f"{study}: the figure {figure} could not be drawn.", 70)
    lines += ["", *textwrap.wrap(words, 70)]
    # What a user wrote is no formula, dollar signs or not.
    axes[0, 0].text(0.5, 0.5, "\n".join(lines), ha="center", va="center", parse_math=False)
    return drawn
