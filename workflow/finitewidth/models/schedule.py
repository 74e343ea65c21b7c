"""How an ensemble of random networks is trained, as a study file describes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Full-batch gradient descent on half the sum of squared errors, and what is recorded of it.

    Predictions are f = ``scale`` (z - z at the start, where ``centred``), and what is minimised is
    the loss (1/2) sum (f - y)^2 over training inputs and outputs, divided by ``scale`` squared:
    learning rates then mean the same whatever the scale (Chizat, Oyallon, Bach 2019).

    Attributes
    ----------
    inputs : str
        The name of the training inputs, a set of input vectors with targets.
    learning_rate : float or None
        None for gradient flow.
    moments : tuple of float
        When networks are recorded, rising from 0: steps, or times of the flow.
    centred : bool
    scale : float
    kernels : str
        Of which inputs tangent kernels are recorded: ``train`` or ``all``.
    """

    inputs: str
    learning_rate: float | None
    moments: tuple[float, ...]
    centred: bool
    scale: float
    kernels: str

    def recorded_kernels(self, training: int, inputs: int) -> int:
        """How many of the inputs, training inputs first, have their tangent kernels recorded."""
        return training if self.kernels == "train" else inputs
