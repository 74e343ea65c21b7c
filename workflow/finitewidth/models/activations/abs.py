"""The absolute value."""

from finitewidth.models.activations.activation import two_slopes

ACTIVATION = two_slopes("abs", 1.0, -1.0, lambda torch, z: torch.abs_(z))
