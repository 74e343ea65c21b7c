"""One torch module, linearised around its parameters, trained in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finitewidth.core.words import named
from finitewidth.ntk.linear_model import Displacement, LinearModel
from finitewidth.theory.training.modes import Modes, columns, not_negative, precision_of
from finitewidth.theory.training.moments import moment

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrainedLinear:
    """A linearised model at one moment of its training; called with inputs, it predicts.

    Attributes
    ----------
    displacement : dict of tensors
        How far each parameter has moved, by its name.
    """

    displacement: Displacement
    _model: LinearModel

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Predictions at inputs (inputs, ...), shape (inputs, outputs)."""
        return self._model.at(x, self.displacement)


class Linearized:
    """What :func:`linearize` makes of a model; called with inputs, it gives the model's outputs."""

    def __init__(self, model: LinearModel):
        self._model = model

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs at inputs (inputs, ...), shape (inputs, outputs), before any training."""
        return self._model.start(x)

    @named
    def gradient_descent_mse(
        self,
        x: torch.Tensor,
        y: Any,
        *,
        learning_rate: float | None = None,
        steps: int | None = None,
        time: float | None = None,
        ridge: float = 0.0,
    ) -> TrainedLinear:
        """Train on (1/2) sum over inputs and outputs of (z - y)^2, in closed form.

        With the tangent kernel Theta = U diag(r) U^T at the training inputs, over outputs and
        inputs, the displacement is J^T U phi(r + ridge) U^T (y - z) (docs/theory.md 12.1). Every
        parameter counts 1; what does not reach Theta (null modes) stands still.

        Parameters
        ----------
        x : tensor, shape (inputs, ...)
        y : array or tensor, shape (inputs,) or (inputs, outputs)
        learning_rate, steps : float, int
            Gradient descent of so many steps, exactly, also where it overshoots.
        time : float
            Gradient flow until then, instead; ``inf`` for its end.
        ridge : float
            Adds (ridge/2) |displacement|^2 to the loss.

        Raises
        ------
        ValueError
            For targets that do not fit, a moment that is none, a ridge below 0, a model that has
            changed since, and as :func:`finitewidth.tangent_kernel`.
        """
        at, ridge = (
            moment(learning_rate=learning_rate, steps=steps, time=time),
            not_negative("ridge", ridge),
        )
        kernel = self._model.kernel(x).cpu().numpy()
        z = self._model.start(x)
        wanted = columns(y.detach().cpu().numpy() if hasattr(y, "detach") else y)
        if wanted.shape != tuple(z.shape):
            raise ValueError(f"targets of shape {wanted.shape} do not fit outputs {tuple(z.shape)}")
        modes = Modes.of(kernel.astype(float), precision_of(kernel))
        # Compound indices go through the outputs slowest.
        residual = (wanted - z.cpu().numpy()).T.ravel()
        along = modes.vectors.T @ residual
        pull = modes.vectors @ (modes.progress(at, ridge) * along)
        weights = z.new_tensor(np.ascontiguousarray(pull.reshape(wanted.shape[::-1]).T))
        return TrainedLinear(self._model.pull(x, weights), self._model)


@named
def linearize(model: torch.nn.Module) -> Linearized:
    """A torch module as a linear function of its parameters around where they are now.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs (N, ...) to outputs (N, outputs), as :func:`finitewidth.tangent_kernel` takes
        it. It is left as it is.

    Returns
    -------
    Linearized
        With ``gradient_descent_mse(x, y, learning_rate=, steps=)``, or ``time=``, which trains it
        in closed form.
    """
    return Linearized(LinearModel(model))
