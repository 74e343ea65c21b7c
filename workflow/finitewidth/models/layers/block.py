"""A block of a stream: what came in, and beside it a branch of other layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finitewidth.models.layers.layer import Layer, Map, Shape, written


@dataclass(frozen=True)
class Block(Layer):
    """z' = gamma z + beta F(z), where the branch F is a list of layers.

    A norm before the branch is its first layer; one after the sum is a layer after the block.

    Attributes
    ----------
    branch : tuple of Layer
    gamma : float
        Of the skip. At 0 there is none, and the branch may change the number of channels.
    beta : float
        Of the branch.
    name : str
        What the study file calls it; "" where it has no name.

    Raises
    ------
    ValueError
        If nothing stands in the branch.
    """

    branch: tuple[Layer, ...]
    gamma: float = 1.0
    beta: float = 1.0
    name: str = ""

    def __init__(
        self, branch: Iterable[Layer], gamma: float = 1.0, beta: float = 1.0, name: str = ""
    ) -> None:
        # Frozen, and lists are as good as tuples.
        for key, value in (("branch", tuple(branch)), ("gamma", gamma), ("beta", beta),
                           ("name", name)):  # fmt: skip
            object.__setattr__(self, key, value)
        if not self.branch:
            raise ValueError("a block needs a layer in its branch")

    def shape_after(self, shape: Shape) -> Shape:
        """That after the branch, which a skip must fit."""
        after = self.shapes(shape)[-1]
        if self.gamma and after != shape:
            raise ValueError(
                f"a skip of {written(shape)} cannot be added to a branch that ends with"
                f" {written(after)}"
            )
        return after

    def shapes(self, shape: Shape) -> list[Shape]:
        """Before the branch, and after each of its layers; raises as these do."""
        found = [shape]
        for layer in self.branch:
            found.append(layer.shape_after(found[-1]))
        return found

    def describe(self) -> str:
        """What is added to what."""
        branch = ", ".join(layer.describe() for layer in self.branch)
        times = f"{self.beta:g} " if self.beta != 1 else ""
        skip = f"{self.gamma:g} z + " if self.gamma not in (0, 1) else "z + " if self.gamma else ""
        return f"{skip}{times}({branch})" if skip or times else branch

    @property
    def maps(self) -> Iterator[Map]:
        """Those of the branch."""
        for layer in self.branch:
            yield from layer.maps
