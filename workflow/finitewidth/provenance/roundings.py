"""How far two files of results are apart: in roundings, and in standard errors.

A rounding is the relative spacing of floating-point numbers, of single precision where networks
were computed in it, times the largest number of a variable: what is smaller by cancellation is
known no better than what it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finitewidth.provenance.artifacts import read_dataset

Array = np.ndarray

#: Numbers that are no more roundings apart came from the same computation: libraries of another
#: processor or version add in another order. A sum of 10^5 numbers has some hundred.
FEW = 1024.0
#: Spacing of floating-point numbers.
UNITS = {"single": 2.0**-24, "double": 2.0**-53}
#: Columns of a table that numbers stand in; others follow from these.
_COLUMNS = ("theory", "estimate", "standard_error")


@dataclass(frozen=True)
class Apart:
    """How far two files are apart.

    Attributes
    ----------
    roundings : float
        The largest difference of two numbers, in roundings.
    errors : float or None
        The same in standard errors, where there are any.
    other : str
        What differs that is no such difference, in words; "" where nothing does.
    """

    roundings: float = 0.0
    errors: float | None = None
    other: str = ""

    @property
    def few(self) -> bool:
        """Whether it is no more than rounding."""
        return not self.other and self.roundings <= FEW

    def said(self, precision: str) -> str:
        """In words; ``precision`` is a key of ``UNITS``."""
        if self.other:
            return self.other
        text = f"at most {self.roundings:.3g} roundings of {precision} precision"
        return text if self.errors is None else f"{text}, {self.errors:.2g} standard errors"


def apart(one: Path, other: Path, precision: str) -> Apart | None:
    """How far two datasets or two tables (CSV) are apart; None of other kinds of files.

    Raises ``ArtifactError`` where one cannot be read.
    """
    readers = {".nc": _of_dataset, ".csv": _of_table}
    if one.suffix not in readers:
        return None
    pairs = list(readers[one.suffix](one, other))
    said = [pair for pair in pairs if isinstance(pair, str)]
    if said:
        return Apart(other=said[0])
    unit = UNITS[precision]
    each = [_of_numbers(*pair, unit) for pair in pairs if not isinstance(pair, str)]
    words = [found.other for found in each if found.other]
    errors = [found.errors for found in each if found.errors is not None]
    return Apart(
        max((found.roundings for found in each), default=0.0),
        max(errors, default=None),
        words[0] if words else "",
    )


#: What is compared: a name, numbers of both, and standard errors of the first, where it has some.
_Pair = tuple[str, Array, Array, Array | None]


def _of_dataset(one: Path, other: Path) -> Iterator[_Pair | str]:
    a, b = read_dataset(one), read_dataset(other)
    if set(a.variables) != set(b.variables):
        yield "it holds other variables"
        return
    for name in map(str, a.variables):
        x, y = a[name], b[name]
        if x.dims != y.dims or x.shape != y.shape:
            yield f"{name} is of shape {dict(x.sizes)} | {dict(y.sizes)}"
        elif x.dtype.kind != "f":
            if different := int(np.sum(x.values != y.values)):
                yield f"{different} of {x.size} entries of {name} differ"
        else:
            error = f"{name}_stderr"
            yield name, x.values, y.values, a[error].values if error in a.variables else None


def _of_table(one: Path, other: Path) -> Iterator[_Pair | str]:
    import pandas as pd

    a, b = (pd.read_csv(path, low_memory=False) for path in (one, other))
    if list(a.columns) != list(b.columns) or len(a) != len(b):
        yield f"it has {len(a)} rows | {len(b)}, or other columns"
        return
    words = [c for c in a.columns if a[c].dtype.kind not in "fiu" or b[c].dtype.kind not in "fiu"]
    for column in words:
        if different := int(np.sum(a[column].fillna("") != b[column].fillna(""))):
            yield f"{different} of {len(a)} entries of {column} differ"
    for quantity, rows in a.groupby("quantity").groups.items():
        for column in _COLUMNS:
            error = a.loc[rows, "standard_error"].to_numpy() if column == "estimate" else None
            x, y = a.loc[rows, column].to_numpy(float), b.loc[rows, column].to_numpy(float)
            yield f"{column} of {quantity}", x, y, error


def _of_numbers(name: str, x: Array, y: Array, error: Array | None, unit: float) -> Apart:
    finite = np.isfinite(x)
    if not np.array_equal(np.where(finite, 0.0, x), np.where(np.isfinite(y), 0.0, y), True):
        return Apart(other=f"other numbers of {name} are not finite")
    off = np.abs(np.where(finite, x, 0.0) - np.where(finite, y, 0.0))
    scale = np.max(np.abs(np.where(finite, x, 0.0)), initial=0.0) * unit
    largest = float(np.max(off, initial=0.0))
    roundings = largest / scale if scale else (np.inf if largest else 0.0)
    if error is None:
        return Apart(float(roundings))
    known = np.isfinite(error) & (error > 0)
    return Apart(float(roundings), float(np.max(off[known] / error[known], initial=0.0)))
