"""The figure of numbers that others published; it is made of a study's table."""

from __future__ import annotations

from finitewidth.quantities.description import FigureEntry

#: No quantity of its own.
FAMILIES = ()
#: Figures by their names.
FIGURES = {
    "published": FigureEntry(
        "published_numbers.published",
        (),
        "Published numbers against width, depth or layer, beside those measured here and every"
        " order of theory.",
    ),
}
