"""Targets of input vectors, one row of outputs each: what an ensemble is trained towards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import LARGEST, Line, Model, Place, Positive, Real, Variance, key
from finitewidth.core.random import numpy_stream
from finitewidth.data.arrays import ArrayError, from_netcdf, from_npy, is_real

_Number = Annotated[Real, Field(ge=-LARGEST, le=LARGEST)]


class Values(Model):
    """Targets as they stand here."""

    kind: Literal["values"] = key("values")
    values: Annotated[
        list[_Number] | list[Annotated[list[_Number], Field(min_length=1)]], Field(min_length=1)
    ] = key("a list of numbers, one a vector, or of lists of them, a number an output")


class ArrayTargets(Model):
    """Targets from a user's array of shape (vectors,) or (vectors, outputs)."""

    kind: Literal["array"] = key("array")
    file: Place = key("the path of a netCDF (.nc) or numpy (.npy) file, without braces")
    variable: Line | None = key("the name of a variable of the netCDF file", None)


class Labels(Model):
    """The classes of inputs of kind digits as numbers."""

    kind: Literal["labels"] = key("labels")
    code: Literal["one_hot", "sign"] = key(
        "one_hot (an output for each class, 1 or 0) or sign (one output: 1 for the first of two"
        " classes, -1 for the other)"
    )


class Sine(Model):
    """A teacher: the sine of the first component, times a frequency, with noise."""

    kind: Literal["sine"] = key("sine")
    frequency: Positive = key("a number above 0 (1e-9 to 1e9): the factor of the component", 1.0)
    noise: Variance = key(
        "a number of at least 0 (0, or 1e-9 to 1e9): standard deviation of Gaussian noise", 0.0
    )


#: An entry ``targets`` of a set of input vectors.
Targets = Annotated[Values | ArrayTargets | Labels | Sine, Field(discriminator="kind")]


def outputs_of(spec: Targets, classes: int) -> int | None:
    """How many outputs targets have; None where only a user's file tells."""
    if isinstance(spec, Values):
        first = spec.values[0]
        return len(first) if isinstance(first, list) else 1
    if isinstance(spec, Labels):
        return classes if spec.code == "one_hot" else 1
    return 1 if isinstance(spec, Sine) else None


def check_targets(path: str, spec: Targets, count: int | None, classes: list[int] | None) -> None:
    """Raise a ``ConfigError`` for targets that do not fit their vectors.

    ``count`` is how many vectors there are, None where that is not known yet; ``classes`` are those
    of digits, None of vectors that have none.
    """
    if isinstance(spec, Labels):
        if classes is None:
            allowed = "labels for inputs of kind digits only"
            raise ConfigError.at(f"{path}.kind", "labels", allowed)
        if spec.code == "sign" and len(classes) != 2:
            raise ConfigError.at(f"{path}.code", "sign", "one_hot unless there are two classes")
    if isinstance(spec, Values):
        if count is not None and len(spec.values) != count:
            given = f"{len(spec.values)} targets"
            raise ConfigError.at(f"{path}.values", given, f"{count}, one a vector")
        widths = {len(row) for row in spec.values if isinstance(row, list)}
        if len(widths) > 1:
            given = f"rows of {' and '.join(map(str, sorted(widths)))} numbers"
            raise ConfigError.at(f"{path}.values", given, "rows of one length")


def targets(name: str, spec: Mapping[str, Any], x: np.ndarray, seed: int) -> np.ndarray | None:
    """The targets of input vectors x; ``spec`` is one entry of the config's ``inputs``.

    Returns
    -------
    array, shape (inputs, outputs), float64, or None where the entry has none

    Raises
    ------
    ConfigError
        Where a file is not what the config says, or does not fit the vectors.
    """
    of = spec.get("targets")
    if of is None:
        return None
    path = f"inputs.{name}.targets"
    if of["kind"] == "sine":
        noise = numpy_stream(seed, "targets", name).standard_normal(len(x))
        return (np.sin(of["frequency"] * x[:, 0]) + of["noise"] * noise)[:, None]
    if of["kind"] == "labels":
        turn = np.arange(len(x)) % len(spec["classes"])
        if of["code"] == "sign":
            return np.where(turn == 0, 1.0, -1.0)[:, None]
        return np.eye(len(spec["classes"]))[turn]
    found = _array(path, of) if of["kind"] == "array" else np.array(of["values"], float)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != len(x) or not found.shape[1]:
        where = f"{path}.{'file' if of['kind'] == 'array' else 'values'}"
        allowed = f"({len(x)},) or ({len(x)}, outputs), a row a vector"
        raise ConfigError.at(where, f"an array of shape {found.shape}", allowed)
    if not np.isfinite(found).all():
        raise ConfigError.at(f"{path}.file", "an array with NaN or infinity", "finite numbers")
    return found


def _array(path: str, of: Mapping[str, Any]) -> np.ndarray:
    file = Path(of["file"])
    try:
        if file.suffix == ".npy":
            found = from_npy(file)
        else:
            (found,) = from_netcdf(file, [of["variable"]])
            found = np.ma.filled(found.astype(float), np.nan)
    except ArrayError as error:
        if error.words:
            raise ConfigError.of_words(f"{path}.variable", of["variable"], error.words) from error
        raise ConfigError.at(f"{path}.file", of["file"], str(error)) from error
    if not is_real(found):
        raise ConfigError.at(f"{path}.file", f"an array of {found.dtype}", "real numbers")
    return np.asarray(found, dtype=np.float64)
