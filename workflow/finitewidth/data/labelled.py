"""Labelled sets of images as the config describes them, divided in two parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from finitewidth.core.errors import ConfigError
from finitewidth.core.random import numpy_stream
from finitewidth.data import cifar10
from finitewidth.data.arrays import ArrayError, from_netcdf, is_real
from finitewidth.data.images import Labelled

#: Labels are stored as int16.
MOST_CLASSES = 2**15


def labelled(name: str, spec: Mapping, seed: int) -> Labelled:
    """The labelled images that ``spec`` (one entry of the config's ``data``) describes.

    Where ``normalise`` is false, pixels are numbers from 0 to 1, or what the user's file holds.

    Raises
    ------
    ConfigError
        Where a file or the data in it is not what the config says.
    """
    make = {"digits": _digits, "array": _array, "cifar10": _cifar10}[spec["kind"]]
    return make(f"data.{name}", spec, numpy_stream(seed, "data", name))


def _cifar10(path: str, spec: Mapping, stream: np.random.Generator) -> Labelled:
    return Labelled(*cifar10.arrays(path, spec), classes=cifar10.CLASSES)


def _digits(path: str, spec: Mapping, stream: np.random.Generator) -> Labelled:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8)
    if not spec["normalise"]:
        images = images / 16
    return _parted(path, spec, stream, images, labels, classes=10)


def _array(path: str, spec: Mapping, stream: np.random.Generator) -> Labelled:
    x, y = _load(path, spec)
    images = _checked_images(path, spec, x)
    labels = _checked_labels(path, spec, y, len(images))
    classes = _checked_classes(path, spec, labels)
    return _parted(path, spec, stream, images, labels, classes)


def _load(path: str, spec: Mapping) -> list[np.ma.MaskedArray]:
    """The two variables of the file."""
    try:
        return from_netcdf(spec["file"], [spec["images"], spec["labels"]])
    except ArrayError as error:
        key = next((k for k in ("images", "labels") if spec[k] == error.variable), "file")
        if error.words:
            raise ConfigError.of_words(f"{path}.{key}", spec[key], error.words) from error
        raise ConfigError.at(f"{path}.{key}", spec[key], str(error)) from error


def _checked_images(path: str, spec: Mapping, images: np.ndarray) -> np.ndarray:
    """``images`` with all four dimensions, in their own type; finite when cast to float32."""

    def refused(allowed: str) -> ConfigError:
        return ConfigError.at(f"{path}.images", spec["images"], allowed)

    if images.ndim not in (2, 3, 4) or 0 in images.shape or not is_real(images):
        raise refused(
            "a variable of numbers with dimensions (sample, component), (sample, row, column) or "
            f"(sample, channel, row, column), none of length 0 (this one has shape {images.shape} "
            f"and type {images.dtype})"
        )
    # A missing value is masked, NaN fails the comparison, and a number beyond float32 would become
    # infinite: one test for all of them.
    most = np.float64(np.finfo(np.float32).max)
    for sample, image in enumerate(images):
        if not np.ma.filled(np.abs(image) <= most, False).all():
            raise refused(
                "a variable of finite numbers in single precision "
                f"(sample {sample}, counted from 0, has one that is not)"
            )
    images = np.ma.getdata(images)
    shape = {2: (*images.shape, 1, 1), 3: (len(images), 1, *images.shape[1:])}
    return images.reshape(shape.get(images.ndim, images.shape))


def _checked_labels(path: str, spec: Mapping, labels: np.ndarray, images: int) -> np.ndarray:
    """``labels`` as int64, each in its range."""

    def refused(allowed: str) -> ConfigError:
        return ConfigError.at(f"{path}.labels", spec["labels"], allowed)

    if labels.ndim != 1 or not is_real(labels):
        raise refused(
            "a variable of whole numbers with one dimension, the sample "
            f"(this one has shape {labels.shape} and type {labels.dtype})"
        )
    if len(labels) != images:
        raise refused(f"a label for each of the {images} images (there are {len(labels)} labels)")
    whole = np.ma.filled(np.isfinite(labels) & (np.floor(labels) == labels), False)
    most = min(spec.get("classes") or MOST_CLASSES, MOST_CLASSES) - 1
    for good, allowed in (
        (whole, "whole numbers"),
        (labels >= 0, "labels that are not negative"),
        (labels <= most, f"labels of at most {most}"),
    ):
        if not np.all(good):
            sample = int(np.flatnonzero(~np.asarray(good))[0])
            is_missing = np.ma.getmaskarray(labels)[sample]
            given = "nothing" if is_missing else f"{labels[sample]:.12g}"
            raise refused(f"{allowed} (sample {sample}, counted from 0, has {given})")
    return np.ma.getdata(labels).astype(np.int64)


def _checked_classes(path: str, spec: Mapping, labels: np.ndarray) -> int:
    """How many classes there are; each that occurs can be split in two."""

    def refused(allowed: str) -> ConfigError:
        return ConfigError.at(f"{path}.labels", spec["labels"], allowed)

    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        raise refused(f"labels of at least 2 classes (these are of {len(present)})")
    if counts.min() < 2:
        lonely = present[counts.argmin()]
        raise refused(
            "labels with at least 2 images a class, one for each part "
            f"(class {lonely} has {counts.min()})"
        )
    if spec.get("classes") is not None:
        # Who says how many classes there are may have data that lacks some of them.
        return spec["classes"]
    if present[-1] != len(present) - 1:
        absent = np.flatnonzero(present != np.arange(len(present)))[0]
        raise refused(
            f"labels 0 to {present[-1]} in which each class occurs, where classes is not given "
            f"(class {absent} does not occur)"
        )
    return len(present)


def _parted(
    path: str,
    spec: Mapping,
    stream: np.random.Generator,
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
) -> Labelled:
    """Split in two and, where ``spec`` says so, normalised by what the training part alone tells.

    Parameters
    ----------
    images : array, shape (sample, channel, row, column), real numbers
    labels : array, shape (sample,), whole numbers; each that occurs does so twice at least
    """
    train, validation = _split(labels, spec["validation"], stream)
    mean, deviation = 0.0, 1.0
    if spec["normalise"]:
        pixels = images[train]
        if pixels.min() == pixels.max():
            raise ConfigError.at(
                f"{path}.normalise", True, "false: all pixels for training are the same number"
            )
        mean = pixels.mean(dtype=np.float64)
        # Image by image, as below, so that no second copy of all images is made in float64.
        deviation = np.sqrt(np.mean([np.mean((image - mean) ** 2) for image in pixels]))

    def normalised(part: np.ndarray) -> np.ndarray:
        x = np.empty((len(part), *images.shape[1:]), dtype=np.float32)
        for k, sample in enumerate(part):
            x[k] = (images[sample] - mean) / deviation
        return x

    labels = labels.astype(np.int64)
    return Labelled(
        train_x=normalised(train),
        train_y=labels[train],
        validation_x=normalised(validation),
        validation_y=labels[validation],
        classes=classes,
    )


def _split(
    labels: np.ndarray, share: float, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of the training and of the validation part, each in random order.

    The validation part gets ``share`` of each class, rounded, but neither part gets nothing.
    """
    order = stream.permutation(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held_out[members[:count]] = True
    # Shuffled once more: in `order` the training part would begin with the classes whose share for
    # validation was complete first.
    train, validation = (stream.permutation(np.flatnonzero(part)) for part in (~held_out, held_out))
    return train, validation
