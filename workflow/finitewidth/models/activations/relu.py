"""The rectified linear unit."""

from finitewidth.models.activations.activation import two_slopes

ACTIVATION = two_slopes("relu", 1.0, 0.0, lambda torch, z: torch.relu_(z))
