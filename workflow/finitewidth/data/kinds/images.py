"""Random images, smooth over their places or not."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import Count, Real, key
from finitewidth.data.kinds.kind import Kind

#: Numbers of one image, at most.
_LARGEST = 10**7


class Inputs(Kind):
    """Random images: normal numbers, smoothed over places, each standardised to mean 0 and
    variance 1; the image goes round."""

    kind: Literal["images"] = key("images")
    count: Count = key("a whole number of at least 1: how many images")
    positions: Annotated[list[Count], Field(min_length=1, max_length=2)] = key(
        "a list of one or two whole numbers of at least 1: places along a line, or rows and columns"
    )
    channels: Count = key("a whole number of at least 1: numbers at each place", 1)
    smooth: Annotated[Real, Field(ge=0, le=1000)] = key(
        "a number from 0 to 1000: standard deviation, in places, of the Gaussian that smooths"
        " images",
        0.0,
    )

    @property
    def dimension(self) -> int:
        """n_0, the numbers of an image."""
        return self.channels * prod(self.positions)

    @property
    def image(self) -> tuple[int, ...]:
        """Channels and places."""
        return self.channels, *self.positions

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for an image of one number, which cannot be standardised."""
        if not 2 <= self.dimension <= _LARGEST:
            allowed = f"positions and channels of 2 to {_LARGEST} numbers together"
            raise ConfigError.at(f"{path}.positions", self.positions, allowed)


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0), each in the order (channel, row, column)."""
    from scipy.ndimage import gaussian_filter

    shape = (spec["count"], spec["channels"], *spec["positions"])
    widths = (0.0, 0.0, *[spec["smooth"]] * len(spec["positions"]))
    smooth = gaussian_filter(stream.standard_normal(shape), widths, mode="wrap")
    x = smooth.reshape(spec["count"], -1)
    centred = x - x.mean(axis=1, keepdims=True)
    scale = centred.std(axis=1, keepdims=True)
    # Images that smoothing leaves one number of do not vary.
    if not (scale > 1e-9).all():
        allowed = "less (so much smoothing leaves an image without contrast)"
        raise ConfigError.at(f"{path}.smooth", spec["smooth"], allowed)
    return centred / scale
