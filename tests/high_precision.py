"""Every activation as mpmath has it: the one list of tests that a new activation is added to."""

from __future__ import annotations

import mpmath

from finitewidth.models.activations.table import TABLE

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: max(z, 0),
    "abs": abs,
    "leaky_relu(0.1)": lambda z: z if z > 0 else z / 10,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "arctan": mpmath.atan,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "gelu": lambda z: z * mpmath.ncdf(z),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
}


def check_listed() -> None:
    """Fail for an activation of the library that is not in the list."""
    missing = sorted(set(TABLE) - set(ACTIVATIONS))
    assert not missing, f"add {', '.join(missing)} to ACTIVATIONS in tests/high_precision.py"
