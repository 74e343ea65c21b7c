"""A bar of progress, in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What samplers call with the networks done and to be done.
Told = Callable[[int, int], None]


@contextmanager
def bar(words: str, shown: bool, unit: str = " networks") -> Iterator[Told]:
    """A function for samplers to call; it draws a bar where one is ``shown``."""
    if not shown:
        yield lambda done, total: None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=words, unit=unit, unit_scale=True) as drawn:

        def told(done: int, total: int) -> None:
            drawn.total = total
            drawn.update(done - drawn.n)

        yield told
