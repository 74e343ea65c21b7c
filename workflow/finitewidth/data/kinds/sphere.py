"""Vectors of one norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import Count, Positive, Real, key
from finitewidth.data.kinds.kind import Kind


class Inputs(Kind):
    """Vectors of one norm in a random direction, or at one given overlap."""

    kind: Literal["sphere"] = key("sphere")
    dimension: Count = key("a whole number of at least 1: n_0")
    count: Count = key("a whole number of at least 1: how many vectors")
    norm: Positive = key("a number above 0 (1e-9 to 1e9): the norm |x| of each vector", 1.0)
    overlap: Annotated[Real, Field(ge=-1, le=1)] | None = key(
        "a number from -1 to 1: the cosine between each two vectors (random where left out)", None
    )

    def check(self, path: str) -> None:
        """Vectors at one pairwise overlap exist only if their Gram matrix is positive and fits."""
        if self.overlap is None or self.count == 1:
            return
        lowest = -1 / (self.count - 1)
        if self.overlap < lowest - 1e-12:
            raise ConfigError.at(
                f"{path}.overlap", self.overlap, f"at least {lowest:.4g} for {self.count} vectors"
            )
        at_lowest = math.isclose(self.overlap, lowest, abs_tol=1e-12)
        rank = 1 if self.overlap == 1 else self.count - at_lowest
        if self.dimension < rank:
            raise ConfigError.at(
                f"{path}.dimension",
                self.dimension,
                f"at least {rank} for {self.count} vectors at overlap {self.overlap:g}",
            )


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0): vectors of one norm, each two at ``overlap`` where it is given."""
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
