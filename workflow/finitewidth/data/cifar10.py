"""CIFAR-10 from the archive of its binary version: checked and read without unpacking."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import IO

import numpy as np

from finitewidth.core import files
from finitewidth.core.errors import ConfigError
from finitewidth.data import tar

#: The official archive. Its page, https://www.cs.toronto.edu/~kriz/cifar.html, states the MD5; size
#: and SHA-256 stand in tensorflow/datasets (tensorflow_datasets/url_checksums/cifar10.txt), the
#: SHA-256 also in JuliaML/MLDatasets.jl (src/datasets/vision/cifar10.jl).
ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ARCHIVE_BYTES = 170_052_171

CLASSES = 10
SIDE = 32
#: Bytes of one image: its label, then a plane each of red, green and blue, row by row.
RECORD = 1 + 3 * SIDE**2
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
VALIDATION = ("test_batch.bin",)

#: Means and standard deviations of ImageNet's channels, as torchvision's models expect them.
CHANNEL_MEANS = (0.485, 0.456, 0.406)
CHANNEL_DEVIATIONS = (0.229, 0.224, 0.225)
#: Luma of ITU-R BT.601, rounded as torchvision does.
LUMA = (0.2989, 0.587, 0.114)

#: Images that are converted at a time.
_IMAGES = 1000


def arrays(path: str, spec: Mapping) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The images of the five data batches, and those of the test batch for validation.

    Pixels are divided by 255, then normalised channel by channel and turned to gray where ``spec``
    says so.

    Parameters
    ----------
    path : str
        The dotted key of ``spec``, for errors.
    spec : mapping
        ``archive`` (its path), ``url`` (where it can be had), ``sha256`` (hexadecimal, or None: not
        checked), ``grayscale``, ``normalise``, ``train`` and ``validation`` (the first so many
        images, or None: all).

    Returns
    -------
    train_x, train_y, validation_x, validation_y : arrays
        Shapes (sample, channel, 32, 32), float32, and (sample,), int64; one channel if gray, else
        red, green and blue.

    Raises
    ------
    ConfigError
        Where the archive is missing, damaged or not of that format, or has too few images.
    """
    key, file = f"{path}.archive", spec["archive"]
    if file is None or not Path(file).is_file():
        raise ConfigError.at(key, file, f"a file that exists, fetched from {spec['url']}")
    if spec["sha256"] is not None:
        verify(key, file, spec["sha256"])
    tables = _tables(spec["normalise"])
    parts, readings = [], []
    with _opened(key, file) as (archive, found):
        members = _batches(key, file, found)
        for part, names in (("train", TRAIN), ("validation", VALIDATION)):
            there = sum(members[name].size // RECORD for name in names)
            count = there if spec[part] is None else spec[part]
            if count > there:
                raise ConfigError.at(f"{path}.{part}", count, f"at most {there}: no more are there")
            x = np.empty((count, 1 if spec["grayscale"] else 3, SIDE, SIDE), dtype=np.float32)
            y = np.empty(count, dtype=np.int64)
            parts += [x, y]
            start = 0
            for name in names:
                stop = min(start + members[name].size // RECORD, count)
                readings.append((name, x[start:stop], y[start:stop]))
                start = stop
        # In the order of the archive, which need not be that of the batches: each step back would
        # decompress all of it once more.
        for name, x, y in sorted(readings, key=lambda reading: members[reading[0]].offset_data):
            batch = archive.extractfile(members[name])
            assert batch is not None, "plain files have content"
            with batch:
                _read(key, file, name, batch, x, y, tables)
    train_x, train_y, validation_x, validation_y = parts
    return train_x, train_y, validation_x, validation_y


def verify(key: str, path: str | Path, sha256: str) -> None:
    """Refuse a file whose SHA-256 is not ``sha256``.

    Raises
    ------
    ConfigError
        At the dotted ``key``.
    """
    found = files.sha256(path)
    if found != sha256.lower():
        raise ConfigError.at(key, str(path), f"a file with SHA-256 {sha256} (this one has {found})")


@contextlib.contextmanager
def _opened(key: str, file: str | Path) -> Iterator[tuple[TarFile, dict[str, TarInfo]]]:
    """The archive; what goes wrong in it while the block reads ends in one sentence."""
    try:
        with tar.opened(file) as found:
            yield found
    except tar.ArchiveError as error:
        raise ConfigError.at(
            key, str(file), f"a whole tar.gz archive (this one is {error})"
        ) from error


def _batches(key: str, file: str | Path, found: dict[str, TarInfo]) -> dict[str, TarInfo]:
    """The six batches by name, each of whole records."""
    for name in (*TRAIN, *VALIDATION):
        if name not in found:
            allowed = f"CIFAR-10's binary version, with {', '.join((*TRAIN, *VALIDATION))}"
            raise ConfigError.at(key, str(file), f"{allowed} (this one has no {name})")
        size = found[name].size
        if size == 0 or size % RECORD:
            raise ConfigError.at(
                key, str(file),
                f"an archive whose batches are whole records of {RECORD} bytes "
                f"({name} has {size} bytes)",
            )  # fmt: skip
    return {name: found[name] for name in (*TRAIN, *VALIDATION)}


def _tables(normalise: bool) -> np.ndarray:
    """What becomes of each byte in each channel: shape (3, 256), float64."""
    values = np.arange(256) / 255
    if not normalise:
        return np.stack([values] * 3)
    return (values - np.c_[list(CHANNEL_MEANS)]) / np.c_[list(CHANNEL_DEVIATIONS)]


def _read(
    key: str,
    file: str | Path,
    name: str,
    batch: IO[bytes],
    x: np.ndarray,
    y: np.ndarray,
    tables: np.ndarray,
) -> None:
    """Fill ``x`` (sample, channel, 32, 32) and ``y`` (sample,) with a batch's first images."""
    for start in range(0, len(x), _IMAGES):
        block = slice(start, min(start + _IMAGES, len(x)))
        raw = batch.read((block.stop - start) * RECORD)
        records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, RECORD)
        wrong = np.flatnonzero(records[:, 0] >= CLASSES)
        if len(wrong):
            raise ConfigError.at(
                key, str(file),
                f"an archive with labels 0 to {CLASSES - 1} (record {start + wrong[0]}, counted "
                f"from 0, of {name} has {records[wrong[0], 0]})",
            )  # fmt: skip
        y[block] = records[:, 0]
        planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
        channels = (table[planes[:, c]] for c, table in enumerate(tables))
        if x.shape[1] == 1:
            x[block, 0] = sum(w * channel for w, channel in zip(LUMA, channels, strict=True))
        else:
            for c, channel in enumerate(channels):
                x[block, c] = channel
