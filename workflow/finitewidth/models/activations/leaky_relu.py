"""The rectified linear unit with a slope of its own for z < 0, ``leaky_relu(slope)``."""

from __future__ import annotations

from finitewidth.models.activations.activation import Activation, two_slopes


def with_argument(slope: float) -> Activation:
    """The activation of that slope."""
    return two_slopes(
        f"leaky_relu({slope!r})",
        1.0,
        slope,
        lambda torch, z: torch.nn.functional.leaky_relu_(z, slope),
    )
