"""Which place of an image, or which token, is recorded of layers that have several.

A row of a layer is an input at a place. What is recorded of a layer is that of one place, whatever
its grid, so that it has a number for each input and channel as a layer without places has.
"""

from __future__ import annotations

from finitewidth.models.layers.layer import Shape

#: What a study file calls them.
PLACES_READ = ("centre", "first", "last", "all")
#: The last of them: every place, each as an input of its own.
ALL = PLACES_READ[-1]


def place_index(shape: Shape, read: str) -> int:
    """The number of the place among all of a shape, rows slowest; 0 where there is but one.

    Parameters
    ----------
    shape : tuple of int
        Channels, and how many places along each axis.
    read : str
        ``first`` (the top left corner), ``last`` (the bottom right one), or ``centre`` (half of
        each axis, rounded up).

    Raises
    ------
    ValueError
        For any other word.
    """
    if read not in PLACES_READ or read == ALL:
        raise ValueError(f"place {read!r} is none of {', '.join(PLACES_READ[:-1])}")
    index = 0
    for size in shape[1:]:
        index = index * size + {"first": 0, "centre": size // 2, "last": size - 1}[read]
    return index
