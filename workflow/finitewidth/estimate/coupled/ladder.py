"""A ladder's samples as its estimators see them, read when they are first wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.estimate.samples import Samples
from finitewidth.quantities.held import sizes

Array = np.ndarray


@dataclass(frozen=True)
class Ladder:
    """All networks of a ladder.

    Attributes
    ----------
    samples : Samples
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    """

    samples: Samples
    bounds: Array

    @cached_property
    def kernel(self) -> Array:
        """Conditional kernels, shape (network, rung, layer, pair)."""
        return self.samples.values("conditional_kernel")

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the dimensions of its quantities."""
        whole = self.samples
        return sizes(whole.size("input"), rung=len(whole.widths), layer=len(whole.layers))

    @cached_property
    def diagonal(self) -> Array:
        """Those of single inputs, shape (network, rung, layer, input)."""
        return self.kernel[..., [a == b for a, b in pairs(self.samples.size("input"))]]
