"""What the same networks would predict if their tangent kernels stood still.

With H the tangent kernel of one network at its start, over compound indices of an output and an
input, H_AA = U diag(x) U^T, and r its residual z - y there, the linear model of that network ends
at z - H_{.A} U phi(x) U^T r (docs/theory.md 12.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def frozen_predictions(
    kernel: torch.Tensor,
    start: torch.Tensor,
    targets: torch.Tensor,
    moments: Sequence[float],
    learning_rate: float | None,
) -> torch.Tensor:
    """Outputs of linear models at given moments.

    Parameters
    ----------
    kernel : tensor, shape (networks, outputs, outputs, inputs, inputs)
        Training inputs first.
    start : tensor, shape (networks, ways, inputs, outputs)
        Outputs at the start: of each network in as many ways as share its kernel.
    targets : tensor, shape (networks, ways, training inputs, outputs)
    moments : sequence of float
        Steps, or times of gradient flow, all finite.
    learning_rate : float or None
        None for gradient flow.

    Returns
    -------
    tensor, shape (networks, ways, moments, inputs, outputs), float64
    """
    start, targets = start.double(), targets.double()
    networks, ways, inputs, outputs = start.shape
    training = targets.shape[2]
    # A compound index goes through the outputs slowest.
    H = kernel.double().transpose(2, 3).reshape(networks, outputs * inputs, outputs, inputs)
    across = H[..., :training].reshape(networks, outputs, inputs, outputs * training)
    own = across[:, :, :training].reshape(networks, outputs * training, -1)
    rates, U = torch.linalg.eigh(own)
    rates = rates.clamp(min=0)
    residual = start[:, :, :training] - targets
    # (networks, compound index, ways)
    along = U.transpose(1, 2) @ residual.permute(0, 3, 2, 1).reshape(networks, -1, ways)
    beyond = across[:, :, training:].reshape(networks, -1, outputs * training) @ U
    found = []
    for moment in moments:
        left, progress = _mode(rates, moment, learning_rate)
        trained = _by_input(U @ (left[..., None] * along), outputs)
        moved = _by_input(beyond @ (progress[..., None] * along), outputs)
        found.append(torch.cat([targets + trained, start[:, :, training:] - moved], dim=2))
    return torch.stack(found, dim=2)


def _by_input(values: torch.Tensor, outputs: int) -> torch.Tensor:
    """(networks, compound index, ways) to (networks, ways, inputs, outputs)."""
    networks, _, ways = values.shape
    return values.reshape(networks, outputs, -1, ways).permute(0, 3, 2, 1)


def _mode(
    rates: torch.Tensor, moment: float, learning_rate: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which share of a mode's residual is left, and (1 - left)/rate."""
    if learning_rate is None:
        left, small = torch.exp(-rates * moment), rates * moment
        gone, slow = -torch.expm1(-rates * moment), moment
    else:
        small = learning_rate * rates
        left = (1 - small) ** moment
        fine = -torch.expm1(moment * torch.log1p(-small.clamp(max=0.5)))
        gone, slow = torch.where(small < 0.5, fine, 1 - left), learning_rate * moment
    return left, torch.where(small > 0, gone / rates, slow)
