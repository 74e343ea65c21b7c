"""Named sets of input vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from finitewidth.core.errors import ConfigError
from finitewidth.core.random import numpy_stream
from finitewidth.data.arrays import ArrayError, from_netcdf, from_npy, is_real, shape_of


def vectors(name: str, spec: Mapping, seed: int) -> np.ndarray:
    """The input vectors that ``spec`` (one entry of the config's ``inputs``) describes.

    Returns
    -------
    array, shape (inputs, n_0), float64

    Raises
    ------
    ConfigError
        Where a file or the data in it is not what the config says.
    """
    stream = numpy_stream(seed, "inputs", name)
    make = {"sphere": _sphere, "arc": _arc, "digits": _digits, "array": _array}[spec["kind"]]
    return make(f"inputs.{name}", spec, stream)


def _sphere(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    count, dimension, overlap = spec["count"], spec["dimension"], spec["overlap"]
    if overlap is None:
        x = stream.standard_normal((count, dimension))
        return spec["norm"] * x / np.linalg.norm(x, axis=1, keepdims=True)
    gram = np.full((count, count), float(overlap))
    np.fill_diagonal(gram, 1.0)
    values, frame = np.linalg.eigh(gram)
    kept = values > 1e-12
    root = frame[:, kept] * np.sqrt(values[kept])
    # A random frame of as many directions as the Gram matrix has rank.
    directions, _ = np.linalg.qr(stream.standard_normal((dimension, kept.sum())))
    return spec["norm"] * root @ directions.T


def _arc(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    plane, _ = np.linalg.qr(stream.standard_normal((spec["dimension"], 2)))
    angles = np.deg2rad(spec["angles"])
    turned = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Quarter turns are meant exactly: an opposite vector is minus the first one, to the last bit.
    turned[np.abs(turned) < 1e-15] = 0.0
    return spec["norm"] * turned @ plane.T


def _digits(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    classes = spec["classes"]
    queues = [stream.permutation(np.flatnonzero(labels == c)) for c in classes]
    chosen = []
    for k in range(spec["count"]):
        queue, turn = queues[k % len(classes)], k // len(classes)
        if turn >= len(queue):
            raise ConfigError.at(
                f"{path}.count", spec["count"], f"at most {k}: there are no more such images"
            )
        chosen.append(queue[turn])
    x = images[chosen]
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def _array(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
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


#: What a user's array has to be.
_ARRAY = "an array of shape (inputs, n_0), of real numbers, n_0 at least 1"


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
