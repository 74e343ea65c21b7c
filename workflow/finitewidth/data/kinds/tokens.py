"""Sequences of Gaussian tokens, at random or at given overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import Count, Real, key
from finitewidth.data.kinds.kind import Kind

#: Numbers of one sequence, at most, and tokens of all whose overlaps are given.
_LARGEST, _MOST = 10**7, 2000
_ROUNDING = 1e-12
_Overlap = Annotated[Real, Field(ge=-1, le=1)]


class Inputs(Kind):
    """Sequences of tokens: normal numbers of variance 1, or tokens whose mean squares are 1 and
    whose overlaps are given."""

    kind: Literal["tokens"] = key("tokens")
    count: Count = key("a whole number of at least 1: how many sequences")
    length: Count = key("a whole number of at least 1: tokens of a sequence")
    channels: Count = key("a whole number of at least 1: numbers of a token")
    overlap: _Overlap | None = key(
        "a number from -1 to 1: the cosine between each two tokens of a sequence (random tokens"
        " where left out)",
        None,
    )
    between: _Overlap | None = key(
        "a number from -1 to 1: the cosine between tokens of different sequences, with overlap only"
        " (0 where left out)",
        None,
    )

    @property
    def dimension(self) -> int:
        """n_0, the numbers of a sequence."""
        return self.channels * self.length

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens, and channels of each."""
        return self.length, self.channels

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for overlaps that no tokens have, or none of so few channels."""
        if self.dimension > _LARGEST:
            allowed = f"length and channels of at most {_LARGEST} numbers together"
            raise ConfigError.at(f"{path}.length", self.length, allowed)
        if self.overlap is None:
            if self.between is not None:
                raise ConfigError.at(f"{path}.between", self.between, "nothing without overlap")
            return
        rows = self.count * self.length
        if rows > _MOST:
            allowed = f"at most {_MOST} tokens in all where their overlaps are given"
            raise ConfigError.at(f"{path}.length", self.length, allowed)
        values = np.linalg.eigvalsh(_gram(self.count, self.length, self.overlap, self.between))
        if values[0] < -_ROUNDING * rows:
            given = f"{self.overlap:g} and {self.between or 0:g} between sequences"
            raise ConfigError.at(f"{path}.overlap", given, "overlaps that tokens can have together")
        rank = int((values > _ROUNDING * rows).sum())
        if rank > self.channels:
            allowed = f"at least {rank} for {rows} tokens with these overlaps"
            raise ConfigError.at(f"{path}.channels", self.channels, allowed)


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, n_0), token by token."""
    count, length, channels = spec["count"], spec["length"], spec["channels"]
    if spec["overlap"] is None:
        return stream.standard_normal((count, length * channels))
    gram = _gram(count, length, spec["overlap"], spec["between"])
    values, frame = np.linalg.eigh(gram)
    kept = values > _ROUNDING * len(gram)
    root = frame[:, kept] * np.sqrt(values[kept])
    directions, _ = np.linalg.qr(stream.standard_normal((channels, kept.sum())))
    x = np.sqrt(channels) * root @ directions.T
    return x.reshape(count, length * channels)


def _gram(count: int, length: int, within: float, between: float | None) -> np.ndarray:
    """Cosines of all tokens, (rows, rows)."""
    own = np.full((length, length), within)
    np.fill_diagonal(own, 1.0)
    same = np.eye(count)
    return np.kron(same, own) + np.kron(1 - same, np.full((length, length), between or 0.0))
