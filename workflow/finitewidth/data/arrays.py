"""Arrays of numbers in files that somebody else wrote: .npy, and variables of netCDF files."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finitewidth.core.files import BACKSLASH, MISSING, unreadable

if TYPE_CHECKING:
    import netCDF4

#: Attributes by which ``netCDF4`` changes values or takes them for missing, and how many numbers
#: each has; it passes over what it cannot use.
_SCALES = ("scale_factor", "add_offset")
_LIMITS = {"_FillValue": 1, "missing_value": None, "valid_min": 1, "valid_max": 1, "valid_range": 2}
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class ArrayError(Exception):
    """A file that does not hold what it should; the message says what is allowed instead.

    ``variable`` is the wrong variable, None if the whole file is wrong. If there is no such
    variable, ``words`` are the names of those that the file has.
    """

    def __init__(
        self, allowed: str, variable: str | None = None, words: list[str] | None = None
    ) -> None:
        super().__init__(allowed)
        self.variable, self.words = variable, words


def is_real(x: np.ndarray) -> bool:
    """Whether an array holds real numbers: no durations, which numpy counts among whole ones."""
    return x.dtype.kind in "iuf"


def check_readable(path: str | Path) -> None:
    """Raise ``ArrayError`` where a path is none of a file that can be read to its end."""
    problem = unreadable(path)
    if problem == MISSING:
        raise ArrayError("a file that exists")
    if problem:
        raise ArrayError(f"a file that can be read ({problem})")


def shape_of(path: str | Path, variable: str | None) -> tuple[int, ...]:
    """The shape of an .npy array, or of a variable of a netCDF file: its numbers are not read.

    Raises ``ArrayError`` like :func:`from_npy` and :func:`from_netcdf`, for what the shape alone
    can tell.
    """
    if Path(path).suffix == ".npy":
        with _npy(path) as (_, shape, _):
            return shape
    with _netcdf(path, [variable]) as dataset:
        return dataset.variables[variable].shape


def from_npy(path: str | Path) -> np.ndarray:
    """The array of an .npy file; raises ``ArrayError`` where it is anything else.

    Of this format alone: ``numpy.load`` would open archives and pickles by that name, too.
    """
    with _npy(path) as (stream, _, _):
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)


@contextlib.contextmanager
def _npy(path: str | Path) -> Iterator[tuple]:
    """An .npy file, open behind its header; its shape and type."""
    check_readable(path)
    try:
        with open(path, "rb") as stream:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
            # Before memory is taken for what a header of some bytes says.
            there = os.fstat(stream.fileno()).st_size - stream.tell()
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > there:
                raise ValueError("the file ends before its numbers do")
            yield stream, shape, dtype
    except Exception as error:  # whatever a damaged header makes of numpy and of Python's parser
        raise ArrayError("an .npy array") from error


def from_netcdf(path: str | Path, names: Sequence[str | None]) -> list[np.ma.MaskedArray]:
    """Variables of a netCDF file, each in its own type, unpacked, the missing values masked.

    Raises
    ------
    ArrayError
        Where the file cannot be read, lacks one of ``names``, or says of one how it is packed in
        words that no number follows from.
    """
    with _netcdf(path, names) as dataset:
        return [_values(name, dataset.variables[name]) for name in names]


@contextlib.contextmanager
def _netcdf(path: str | Path, names: Sequence[str | None]) -> Iterator:
    """A netCDF file, open, that has these variables."""
    import netCDF4

    check_readable(path)
    # A name that begins like a URL would be one to the library.
    path = os.path.abspath(path)
    if "\\" in path:
        raise ArrayError(f"a file of another name ({BACKSLASH})")
    try:
        with netCDF4.Dataset(path) as dataset:
            for name in names:
                if name not in dataset.variables:
                    allowed = "one of the file's variables, but it has none"
                    raise ArrayError(allowed, name, list(dataset.variables))
            yield dataset
    except ArrayError:
        raise
    except Exception as error:  # whatever a damaged file makes of the library
        raise ArrayError("a netCDF file") from error


def _values(name: str | None, variable: netCDF4.Variable) -> np.ma.MaskedArray:
    said = {key: variable.getncattr(key) for key in variable.ncattrs()}
    for key in said:
        if (key in _SCALES or key in _LIMITS) and not _is_usable(key, said[key], variable.dtype):
            wanted = f"a variable whose attribute {key} is {_wanted(key)} (this one's is not)"
            raise ArrayError(wanted, name)
    if np.dtype(variable.dtype).itemsize == 1 and _LIMITS.keys().isdisjoint(said):
        # netCDF4 takes 255 for a missing value where nothing says so; in an image it is white.
        variable.set_auto_mask(False)
    with warnings.catch_warnings():
        # What else it passes over.
        warnings.simplefilter("error")
        return np.ma.asarray(variable[...])


def _is_usable(key: str, value: object, dtype: np.dtype | type) -> bool:
    """Whether an attribute is what ``netCDF4`` can use: finite, or of the variable's own type."""
    numbers = np.asarray(value)
    if dtype is str or not is_real(numbers):
        return False
    if key in _SCALES:
        return numbers.ndim == 0 and bool(np.isfinite(numbers))
    if _LIMITS[key] not in (None, numbers.size):
        return False
    with np.errstate(all="ignore"):
        cast = numbers.astype(dtype)
    return bool(np.all((cast == numbers) | (np.isnan(cast) & np.isnan(numbers))))


def _wanted(key: str) -> str:
    if key in _SCALES:
        return "one finite number"
    count = {1: "one number", 2: "two numbers", None: "numbers"}[_LIMITS[key]]
    return f"{count} of the variable's type"
