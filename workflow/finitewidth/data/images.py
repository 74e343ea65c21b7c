"""Labelled sets of images, in a training part and a validation part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

_PARTS = {"train": "training", "validation": "validation"}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images and their labels; pixels are what the config's ``normalise`` made of them."""

    train_x: np.ndarray  #: (sample, channel, height, width), float32
    train_y: np.ndarray  #: (sample,), int64, 0 to classes - 1
    validation_x: np.ndarray  #: (sample, channel, height, width), float32
    validation_y: np.ndarray  #: (sample,), int64, 0 to classes - 1
    classes: int


def to_dataset(data: Labelled) -> xr.Dataset:
    """``data`` as variables with attributes, images in float32 and labels in int16."""
    variables: dict[str, tuple] = {}
    for part, meaning in _PARTS.items():
        images, labels = getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
        about = {"long_name": f"{meaning} images, pixels as the networks get them", "units": "1"}
        variables[f"{part}_x"] = ((part, "channel", "row", "column"), images, about)
        about = {"long_name": f"class of each {meaning} image, from 0", "units": "1"}
        variables[f"{part}_label"] = (part, labels.astype(np.int16), about)
    return xr.Dataset(variables, attrs={"classes": data.classes})


def from_dataset(dataset: xr.Dataset) -> Labelled:
    """What `to_dataset` was given."""
    return Labelled(
        train_x=dataset["train_x"].values,
        train_y=dataset["train_label"].values.astype(np.int64),
        validation_x=dataset["validation_x"].values,
        validation_y=dataset["validation_label"].values.astype(np.int64),
        classes=int(dataset.attrs["classes"]),
    )
