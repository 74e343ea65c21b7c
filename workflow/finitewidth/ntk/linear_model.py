"""A torch module as a linear function of its parameters around where they are.

z(x, w) = z(x) + J(x) w, w the displacement of all parameters, J their Jacobian; by Jacobian-vector
and vector-Jacobian products, so that J itself is never formed.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call, jvp, vjp

from finitewidth.ntk.network import tangent_kernel
from finitewidth.ntk.supported import check_is_module, check_model

Displacement = dict[str, torch.Tensor]


class LinearModel:
    """The parameters that a model has now, and what is linear in their displacement.

    Parameters
    ----------
    model : torch.nn.Module
        As :func:`finitewidth.ntk.network.tangent_kernel` takes it, in the mode (training or not)
        that it is to be read in. Its parameters are copied: it may change later on.
    """

    def __init__(self, model: nn.Module):
        check_is_module(model)
        self._model = model
        self.parameters = {name: p.detach().clone() for name, p in model.named_parameters()}

    def start(self, x: torch.Tensor) -> torch.Tensor:
        """z(x), shape (inputs, outputs)."""
        check_model(self._model, x)
        with torch.no_grad():
            return self._outputs(self.parameters, x)

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """J J^T, shape (outputs inputs, outputs inputs), inputs fastest; refuses what
        :func:`finitewidth.ntk.network.tangent_kernel` refuses.

        Raises ``ValueError`` where the model's parameters are no longer those that were copied.
        """
        now = dict(self._model.named_parameters())
        if any(not torch.equal(p, now[name]) for name, p in self.parameters.items()):
            raise ValueError("the model has changed since it was linearized: linearize it again")
        return tangent_kernel(self._model, x).matrix

    def pull(self, x: torch.Tensor, weights: torch.Tensor) -> Displacement:
        """J^T of ``weights`` (inputs, outputs): a displacement of the parameters."""
        back = vjp(lambda p: self._outputs(p, x), self.parameters)[1]
        return {name: moved.detach() for name, moved in back(weights)[0].items()}

    def at(self, x: torch.Tensor, displacement: Displacement) -> torch.Tensor:
        """z(x) + J(x) w, shape (inputs, outputs)."""
        z, moved = jvp(lambda p: self._outputs(p, x), (self.parameters,), (displacement,))[:2]
        return (z + moved).detach()

    def _outputs(self, parameters: Displacement, x: torch.Tensor) -> torch.Tensor:
        """Buffers are copied at each call: running means and the like stay as they are."""
        buffers = {name: value.clone() for name, value in self._model.named_buffers()}
        return functional_call(self._model, (parameters, buffers), (x,))
