"""Draws that random study files are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def some(rng: np.random.Generator, values, least: int = 1) -> list:
    """Some of several values, each once, in their order."""
    count = int(rng.integers(least, len(values) + 1))
    return [values[k] for k in sorted(rng.choice(len(values), size=count, replace=False))]


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, small ones as often as large ones."""
    return int(np.floor(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))


def sweep(rng: np.random.Generator, draw: Callable[[], object], most: int = 3):
    """One value, or a list of different ones."""
    if rng.random() < 0.6:
        return draw()
    return list(dict.fromkeys(draw() for _ in range(int(rng.integers(1, most + 1)))))
