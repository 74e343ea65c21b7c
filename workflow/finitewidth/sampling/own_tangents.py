"""Tangent kernels of a person's own modules, by automatic differentiation."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from finitewidth.models.own_networks import refused
from finitewidth.ntk.network import tangent_kernel
from finitewidth.sampling.own_checks import Making

#: The ways that take modules of any kind, the fastest first.
_WAYS = ("jacobian", "backward", "jvp")


class Tangents:
    """Theta of the first outputs of the modules of one ensemble, all parameters at rate 1.

    The way is the first that takes the ensemble's first network, where it is held against one
    backward pass (:mod:`finitewidth.ntk.trial`); others are then taken without.

    Raises ``ConfigError`` in one sentence where no way does.
    """

    def __init__(self, making: Making, x: torch.Tensor, outputs: int) -> None:
        self._x, self._outputs = x, outputs
        first, problem = making(0), ""
        with torch.no_grad():
            self._all = first(x[:1].clone()).shape[-1]
        for way in _WAYS:
            try:
                tangent_kernel(self._taken(first), x, way=way)
            except ValueError as error:
                problem = problem or str(error)
                continue
            self._way = way
            return
        given = f"whose tangent kernel cannot be computed ({problem})"
        raise refused(making.own.name, given, "one that torch differentiates")

    def __call__(self, model: nn.Module) -> np.ndarray:
        """Of one network, (outputs, outputs, inputs, inputs)."""
        found = tangent_kernel(self._taken(model), self._x, way=self._way, check=False)
        return found.total.double().cpu().numpy()

    def _taken(self, model: nn.Module) -> nn.Module:
        return model if self._all == self._outputs else _First(model, self._outputs)


class _First(nn.Module):
    """The first outputs of a module."""

    def __init__(self, model: nn.Module, outputs: int) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Those alone."""
        found: torch.Tensor = self.model(x)
        return found[:, : self.outputs]
