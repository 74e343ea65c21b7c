"""Rows of your own array."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import Count, Line, Place, key
from finitewidth.data.arrays import ArrayError, from_netcdf, from_npy, is_real, shape_of
from finitewidth.data.kinds.kind import Kind

#: What a user's array has to be.
_ARRAY = "an array of shape (inputs, n_0), of real numbers, n_0 at least 1"


class Inputs(Kind):
    """Rows of a user's array: a variable of a netCDF file, or an .npy file."""

    kind: Literal["array"] = key("array")
    file: Place = key("the path of a netCDF (.nc) or numpy (.npy) file, without braces")
    variable: Line | None = key("the name of a two-dimensional variable of the netCDF file", None)
    count: Count | None = key("a whole number of at least 1: the first rows only", None)


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0): the first ``count`` rows of the array."""
    x = _load(path, Path(spec["file"]), spec["variable"])
    check_shape(path, x.shape, spec["count"], f"{x.dtype} ")
    if not (is_real(x) or np.iscomplexobj(x)):
        raise ConfigError.at(f"{path}.file", f"an array of {x.dtype}", _ARRAY)
    if np.iscomplexobj(x) or not np.isfinite(x).all():
        raise ConfigError.at(f"{path}.file", "an array with NaN or infinity", "finite real numbers")
    with np.errstate(over="ignore"):
        x = np.asarray(x[: spec["count"]], dtype=np.float64)
    if not np.isfinite(x).all():
        raise ConfigError.at(
            f"{path}.file", "an array with a number beyond 1.8e308", "numbers of double precision"
        )
    return x


def array_shape(path: str, spec: Mapping, folder: str | Path = ".") -> tuple[int, int]:
    """Rows and components of a user's array, from what its file says of it: no number is read.

    Raises
    ------
    ConfigError
        Where the file is none, or its array has another shape than input vectors.
    """
    file, variable = Path(folder) / spec["file"], spec["variable"]
    with _told(path, spec["file"], variable):
        shape = shape_of(file, variable)
    check_shape(path, shape, spec["count"])
    return shape[0] if spec["count"] is None else spec["count"], shape[1]


def check_shape(path: str, shape: tuple[int, ...], count: int | None, kind: str = "") -> None:
    """Raise a :class:`ConfigError` for an array that does not hold so many input vectors."""
    if len(shape) != 2 or min(shape) < 1:
        raise ConfigError.at(f"{path}.file", f"{kind}array of shape {shape}", _ARRAY)
    if count is not None and count > shape[0]:
        raise ConfigError.at(f"{path}.count", count, f"at most {shape[0]}, the array's rows")


def _load(path: str, file: Path, variable: str | None) -> np.ndarray:
    with _told(path, str(file), variable):
        if file.suffix == ".npy":
            return from_npy(file)
        (x,) = from_netcdf(file, [variable])
    if np.ma.is_masked(x):
        raise ConfigError.at(
            f"{path}.file", "an array with missing values",
            "numbers (one counts as missing that is the variable's _FillValue, stated or not)",
        )  # fmt: skip
    return np.ma.getdata(x)


@contextlib.contextmanager
def _told(path: str, file: str, variable: str | None) -> Iterator[None]:
    """What is wrong with an array, told of the key that names it."""
    try:
        yield
    except ArrayError as error:
        if error.words:
            raise ConfigError.of_words(f"{path}.variable", variable, error.words) from error
        if error.variable is not None:
            raise ConfigError.at(f"{path}.variable", variable, str(error)) from error
        allowed = str(error).replace("a netCDF file", "a netCDF or .npy file")
        raise ConfigError.at(f"{path}.file", file, allowed) from error
