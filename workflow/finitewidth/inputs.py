"""Named sets of input vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finitewidth.errors import ConfigError
from finitewidth.netcdf import values
from finitewidth.random import numpy_stream


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
    file = Path(spec["file"])
    if not file.is_file():
        raise ConfigError.at(f"{path}.file", spec["file"], "a file that exists")
    x = _load(path, file, spec["variable"])
    if x.ndim != 2 or x.shape[0] < 1 or not np.issubdtype(x.dtype, np.number):
        raise ConfigError.at(
            f"{path}.file", f"{x.dtype} array of shape {x.shape}", "an array of shape (inputs, n_0)"
        )
    if np.iscomplexobj(x) or not np.isfinite(x).all():
        raise ConfigError.at(f"{path}.file", "an array with NaN or infinity", "finite real numbers")
    if spec["count"] is not None and spec["count"] > len(x):
        raise ConfigError.at(f"{path}.count", spec["count"], f"at most {len(x)}, the array's rows")
    return np.asarray(x[: spec["count"]], dtype=np.float64)


def _load(path: str, file: Path, variable: str | None) -> np.ndarray:
    if file.suffix == ".npy":
        try:
            # Of this format alone: numpy.load would open archives and pickles by this name, too.
            with open(file, "rb") as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, MemoryError, OSError) as error:
            raise ConfigError.at(f"{path}.file", str(file), "an .npy array") from error
    import netCDF4

    try:
        with netCDF4.Dataset(file) as dataset:
            if variable not in dataset.variables:
                names = ", ".join(dataset.variables)
                raise ConfigError.at(f"{path}.variable", variable, f"one of {names}")
            x = values(dataset.variables[variable])
    except (OSError, RuntimeError) as error:
        raise ConfigError.at(f"{path}.file", str(file), "a netCDF or .npy file") from error
    if np.ma.is_masked(x):
        raise ConfigError.at(
            f"{path}.file", "an array with missing values",
            "numbers (one counts as missing that is the variable's _FillValue, stated or not)",
        )  # fmt: skip
    return np.ma.getdata(x)
