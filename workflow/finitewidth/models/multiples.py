"""Widths that are multiples of n, as a text says them: 4n, n/2, 3n/2."""

from __future__ import annotations

import re


def multiple_of(n: int, text: str) -> int:
    """``text``, such as 4n, n/2 or 3n/2, as a number.

    Raises
    ------
    ValueError
        If it is no such text, or no whole number at this n.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,2})?n(?:/([1-9][0-9]{0,5}))?", text)
    if found is None:
        raise ValueError("a multiple of n is written as 4n, n/2 or 3n/2")
    times, over = (int(part or 1) for part in found.groups())
    if n * times % over:
        raise ValueError(f"{text} is no whole number at n = {n}")
    return n * times // over
