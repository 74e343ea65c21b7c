"""Figures: theory as lines, measurement as points with error bars."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from finitewidth.config.style_file import read_style
from finitewidth.quantities.description import look_up
from finitewidth.quantities.vocabulary import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from finitewidth.comparison.results import Study


def settings(*, width: float | None, font_size: float | None, file: str | None) -> dict:
    """What a study sets of the look: ``width`` in inches, and settings of matplotlib (``rc``).

    Raises ``ConfigError`` where its style file cannot be read.
    """
    rc = read_style(file) if file else {}
    return {"width": width, "rc": rc | ({"font.size": font_size} if font_size else {})}


def draw(name: str, study: Study, look: Mapping | None = None) -> Figure:
    """Draw the figure called ``name`` of a :class:`finitewidth.comparison.results.Study`.

    ``look`` is what :func:`settings` gives; without it the figure looks as the project sets.

    Returns
    -------
    matplotlib.figure.Figure

    Each figure is a function of its own name in the module that ``vocabulary.FIGURES`` gives, and
    sees those members of the study alone that estimate all it needs.
    """
    place = FIGURES[name].module
    drawn = look_up(f"figures.{place}:{name}" if isinstance(place, str) else place)
    style = import_module("finitewidth.figures.common.style")
    look = look or settings(width=None, font_size=None, file=None)
    with style.own(look["rc"], look["width"]):
        figure = drawn(study.estimating(FIGURES[name].families))
    import_module("finitewidth.figures.common.notes").finish(figure)
    # Laid out once, which takes as long as drawing, and not again for every format.
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    return figure
