"""What a block of pairs is on its way through the layers, and the step that each kind takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Protocol

import numpy as np

from finitewidth.models.layers.layer import Layer, Shape
from finitewidth.theory.pairs.sites import Site

#: (lambda_b, lambda_W) of the maps still to come.
RatesLeft = Iterator[tuple[float, float]]


class Sides(Protocol):
    """Where the variances of the inputs of a block come from."""

    def next(self, state: Pairs) -> tuple[Site, Site]:
        """Those of rows and of columns at the activation or norm that ``state`` has come to."""
        ...


@dataclass(frozen=True)
class Pairs:
    """Covariances and tangent kernels of one channel, for pairs of inputs a and b.

    Arrays have one of four layouts; P counts the places of an image, 1 of a vector:

    - ``all``: (a, P, b, P), each place of one input with each of the other;
    - ``same``: (P, a, b), each place with the same one of the other;
    - ``own``: (a, P, P), of an input with itself;
    - ``diagonal``: (P, a), the variances of places.

    Attributes
    ----------
    shape : tuple of int
        Of one input here: channels, and rows and columns where it has any.
    layout : str
    nngp : ndarray
    ntk : ndarray or None
        None where it is not wanted.
    sides : Sides
    """

    shape: Shape
    layout: str
    nngp: np.ndarray
    ntk: np.ndarray | None
    sides: Sides

    @property
    def place_axes(self) -> tuple[int, ...]:
        """The axes along which places lie."""
        return {"all": (1, 3), "same": (0,), "own": (1, 2), "diagonal": (0,)}[self.layout]

    def with_kernels(
        self, nngp: np.ndarray, ntk: np.ndarray | None, shape: Shape | None = None
    ) -> Pairs:
        """The same pairs with other kernels."""
        return replace(self, nngp=nngp, ntk=ntk, shape=self.shape if shape is None else shape)

    def narrowed(self) -> Pairs:
        """The same of equal places alone, where all pairs of places stand."""
        if self.layout not in ("all", "own"):
            return self
        layout, axes = {"all": ("same", "apbp->pab"), "own": ("diagonal", "app->pa")}[self.layout]
        nngp = np.einsum(axes, self.nngp)
        ntk = None if self.ntk is None else np.einsum(axes, self.ntk)
        return replace(self, layout=layout, nngp=nngp, ntk=ntk)

    def matrices(self, kernel: np.ndarray) -> np.ndarray:
        """A kernel as matrices of rows and columns, one after another: a view, (., rows, .)."""
        if self.layout != "all":
            return kernel
        a, p, b, q = kernel.shape
        return kernel.reshape(1, a * p, b * q)

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the row inputs, (a, P), as they stand against these matrices."""
        return self._by_matrix(values)[:, :, None]

    def columns(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the column inputs, (b, P), as they stand against these matrices."""
        return self._by_matrix(values)[:, None, :]

    def _by_matrix(self, values: np.ndarray) -> np.ndarray:
        if self.layout == "all":
            return values.reshape(1, -1)
        return values if self.layout == "own" else values.T

    def variances(self) -> np.ndarray:
        """Of an input with itself, (a, P); of the layouts ``own`` and ``diagonal``."""
        diagonal = self.nngp.T if self.layout == "diagonal" else np.einsum("app->ap", self.nngp)
        return np.ascontiguousarray(diagonal)


@singledispatch
def step(layer: Layer, before: Pairs, rates: RatesLeft) -> Pairs:
    """What follows ``layer``, for pairs that come into it; registered for each kind of layer."""
    raise NotImplementedError(f"no pairs go through {type(layer).__name__}")


def has_step(layer: Layer) -> bool:
    """Whether the kind of layer has a step here."""
    return step.dispatch(type(layer)) is not step.dispatch(object)
