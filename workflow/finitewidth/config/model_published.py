"""Numbers that somebody published, which a study's own are held against."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from finitewidth.core.fields import LARGEST, Line, Model, Real, key

_Number = Annotated[Real, Field(ge=-LARGEST, le=LARGEST)]
#: Kernels beside a critical point reach far; the square of one is a number still.
_FARTHEST = 1e100


class PublishedNumber(Model):
    """One number, and which of the study's it is about."""

    quantity: Line = key("a quantity of the study's table")
    at: dict[Annotated[str, Field(max_length=40)], int | _Number | Line] = key(
        "a mapping from columns of comparison.csv (width, layer, inputs, ...) to what stands there:"
        " so many that one measured number is left",
        {},
    )
    value: Annotated[Real, Field(ge=-_FARTHEST, le=_FARTHEST)] = key("the published number")
    error: Annotated[Real, Field(ge=0, le=_FARTHEST)] = key(
        "its standard error, at least 0 (0 where it is not known, or the number was computed)", 0.0
    )


class Published(Model):
    """What one source says."""

    source: Line = key("a line of text: where the numbers were published")
    numbers: Annotated[list[PublishedNumber], Field(min_length=1)] = key(
        "a list of {quantity: , at: {}, value: , error: }, at least one"
    )
