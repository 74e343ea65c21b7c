"""Vectors of one norm at given angles in a plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.fields import Positive, Real, key
from finitewidth.data.kinds.kind import Kind


class Inputs(Kind):
    """Vectors of one norm in a plane of random direction, at given angles from the first axis."""

    kind: Literal["arc"] = key("arc")
    dimension: Annotated[int, Field(ge=2, le=10**9)] = key("a whole number of at least 2: n_0")
    angles: Annotated[list[Annotated[Real, Field(ge=-360, le=360)]], Field(min_length=1)] = key(
        "a list of angles in degrees, one a vector (equal ones make equal vectors)"
    )
    norm: Positive = key("a number above 0 (1e-9 to 1e9): the norm |x| of each vector", 1.0)

    @property
    def count(self) -> int:
        """How many vectors."""
        return len(self.angles)


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0): vectors at these angles in a plane of random direction."""
    plane, _ = np.linalg.qr(stream.standard_normal((spec["dimension"], 2)))
    angles = np.deg2rad(spec["angles"])
    turned = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Quarter turns are meant exactly: an opposite vector is minus the first one, to the last bit.
    turned[np.abs(turned) < 1e-15] = 0.0
    return spec["norm"] * turned @ plane.T
