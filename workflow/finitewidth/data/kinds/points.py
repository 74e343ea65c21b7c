"""Vectors as they stand in the study file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import LARGEST, Real, key
from finitewidth.data.kinds.kind import Kind

_Number = Annotated[Real, Field(ge=-LARGEST, le=LARGEST)]


class Inputs(Kind):
    """Vectors as they stand here; a number is a vector of one component."""

    kind: Literal["points"] = key("points")
    points: Annotated[
        list[_Number] | list[Annotated[list[_Number], Field(min_length=1)]], Field(min_length=1)
    ] = key("a list of numbers, or of lists of them of one length (-1e9 to 1e9): a vector each")

    @property
    def count(self) -> int:
        """How many vectors."""
        return len(self.points)

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for vectors of different lengths."""
        lengths = {len(point) for point in self.points if isinstance(point, list)}
        if len(lengths) > 1:
            given = f"vectors of {' and '.join(map(str, sorted(lengths)))} components"
            raise ConfigError.at(f"{path}.points", given, "vectors of one length")


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0): the numbers as they stand there."""
    x = np.array(spec["points"], dtype=np.float64)
    return x[:, None] if x.ndim == 1 else x
