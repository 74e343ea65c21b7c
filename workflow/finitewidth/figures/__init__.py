"""Figures: theory as lines, measurement as points with error bars."""

from __future__ import annotations

from importlib import import_module

from finitewidth.vocabulary import FIGURES


def draw(name: str, study):
    """Draw the figure called ``name`` of a :class:`finitewidth.results.Study`.

    Returns
    -------
    matplotlib.figure.Figure

    Each figure is a function of its own name in the module that ``vocabulary.FIGURES`` gives.
    """
    module = import_module(f"finitewidth.figures.{FIGURES[name].module}")
    figure = getattr(module, name)(study)
    import_module("finitewidth.figures.style").note_untrusted(figure)
    # Laid out once, which takes as long as drawing, and not again for every format.
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    return figure
