"""What goes from layer to layer in drawn networks, and the steps that each kind of layer takes.

Given everything before it, what comes out of a random matrix is the only thing that is drawn; all
else is a function of what was drawn. So a kind of layer says what it does with numbers, and leaves
its matrix to whoever draws (`draws.py`): with its weights, or without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

import torch

from finitewidth.models.layers.layer import Layer, Map, Shape
from finitewidth.sampling.layers.patches import Seen


@dataclass(frozen=True)
class Rows:
    """What inputs are on their way through the networks of a tile.

    Attributes
    ----------
    values : tensor, shape (networks, rows, channels)
        A row is an input at a place (a pixel; vectors have one place), inputs slowest. Of one
        network where all have the same.
    shape : tuple of int
        Of one input here: channels, and its tokens, or rows and columns, where it has any.
    owned : bool
        Whether the values stand in memory of their own, which no draw overwrites.
    scores : tuple of tensor, shape (networks, inputs, heads, tokens, tokens) each
        What tokens were weighted by, of each softmax of the layer that was gone through last.
    """

    values: torch.Tensor
    shape: Shape
    owned: bool = False
    scores: tuple[torch.Tensor, ...] = ()

    @property
    def by_place(self) -> torch.Tensor:
        """The values by input and place, shape (networks, inputs, places, channels)."""
        networks, _, channels = self.values.shape
        places = torch.Size(self.shape[1:]).numel()
        return self.values.reshape(networks, -1, places, channels)


#: What comes out of a map, (networks, rows, fan-out), for what its matrix multiplies.
Draw = Callable[[Map, Seen], torch.Tensor]


@singledispatch
def forward(layer: Layer, before: Rows, draw: Draw) -> Rows:
    """What follows ``layer``; may overwrite what comes into it.

    Registered for each kind of layer in a module of its own, which ``networks.py`` imports.
    """
    raise NotImplementedError(f"no sampler knows {type(layer).__name__}")


@singledispatch
def pull_back(layer: Layer, before: Rows, after: Rows, back: torch.Tensor) -> torch.Tensor:
    """Derivatives of outputs by what came into ``layer``.

    Parameters
    ----------
    layer : Layer
        Of one with weights only what stands before its matrix is gone through (patches are folded);
        the matrix itself belongs to whoever drew it.
    before, after : Rows
        What came in and what came out, the same places that ``back`` has.
    back : tensor, shape (networks, outputs, rows, channels)
        Derivatives of the outputs of a row's own input by what the layer gives; by what its matrix
        multiplies where it has one.
    """
    raise NotImplementedError(f"no tangent kernel knows {type(layer).__name__}")
