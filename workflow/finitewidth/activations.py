"""The table of activations: to add one, add one entry to ``TABLE`` (or one family to ``FAMILIES``).

An entry holds the function and its derivative for numpy arrays, the fastest equivalent for torch
tensors, and what is known in advance: the two slopes of a positively homogeneous function and the
critical initialisation. Everything else (Gaussian moments, kernels) has a numerical default.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

Array = np.ndarray


@dataclass(frozen=True)
class Activation:
    """One activation function sigma.

    Attributes
    ----------
    name : str
        As written in the config, for example ``"relu"`` or ``"leaky_relu(0.1)"``.
    function, derivative : callable
        Elementwise on numpy arrays of any shape. At a kink the derivative is 0.
    on_tensor : callable
        ``on_tensor(torch, z)`` applies the function to a torch tensor of any shape and may
        overwrite it; it takes the module as an argument so that this table can be read without
        importing torch.
    slopes : tuple of float, optional
        ``(a_plus, a_minus)`` where sigma(z) = a_plus z for z > 0 and a_minus z for z < 0.
    critical : tuple of float, optional
        ``(C_b, C_W)`` at which both susceptibilities are 1 (PDLT sections 5.1 to 5.3).
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    on_tensor: Callable
    slopes: tuple[float, float] | None = None
    critical: tuple[float, float] | None = None

    @property
    def is_scale_invariant(self) -> bool:
        """Whether sigma(c z) = c sigma(z) for every c > 0."""
        return self.slopes is not None

    @property
    def is_linear(self) -> bool:
        """Whether sigma is the identity."""
        return self.slopes == (1.0, 1.0)


def _two_slopes(name: str, plus: float, minus: float, on_tensor: Callable) -> Activation:
    return Activation(
        name=name,
        function=lambda z: np.where(z > 0, plus * z, minus * z),
        derivative=lambda z: np.where(z > 0, plus, np.where(z < 0, minus, 0.0)),
        on_tensor=on_tensor,
        slopes=(plus, minus),
        critical=(0.0, 2.0 / (plus**2 + minus**2)),
    )


def _leaky_relu(slope: float) -> Activation:
    return _two_slopes(
        f"leaky_relu({slope!r})",
        1.0,
        slope,
        lambda torch, z: torch.nn.functional.leaky_relu_(z, slope),
    )


def _gelu_derivative(z: Array) -> Array:
    return special.ndtr(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def _silu_derivative(z: Array) -> Array:
    gate = special.expit(z)
    return gate * (1 + z * (1 - gate))


def _sigmoid_derivative(z: Array) -> Array:
    return special.expit(z) * special.expit(-z)


def _erf_derivative(z: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-z * z)


def _sech_squared(z: Array) -> Array:
    # 1 - tanh^2 cancels for large |z|, and cosh overflows; this form does neither.
    e = np.exp(-2 * np.abs(z))
    return 4 * e / (1 + e) ** 2


TABLE: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation(
            "linear",
            lambda z: np.asarray(z, dtype=float),
            lambda z: np.ones_like(z, dtype=float),
            lambda torch, z: z,
            slopes=(1.0, 1.0),
            critical=(0.0, 1.0),
        ),
        _two_slopes("relu", 1.0, 0.0, lambda torch, z: torch.relu_(z)),
        _two_slopes("abs", 1.0, -1.0, lambda torch, z: torch.abs_(z)),
        Activation(
            "tanh", np.tanh, _sech_squared, lambda torch, z: torch.tanh_(z), critical=(0.0, 1.0)
        ),
        Activation(
            "erf",
            special.erf,
            _erf_derivative,
            lambda torch, z: torch.erf_(z),
            critical=(0.0, np.pi / 4),
        ),
        Activation(
            "arctan",
            np.arctan,
            lambda z: 1 / (1 + z * z),
            lambda torch, z: torch.atan_(z),
            critical=(0.0, 1.0),
        ),
        Activation("sin", np.sin, np.cos, lambda torch, z: torch.sin_(z), critical=(0.0, 1.0)),
        Activation("cos", np.cos, lambda z: -np.sin(z), lambda torch, z: torch.cos_(z)),
        Activation(
            "gelu",
            lambda z: z * special.ndtr(z),
            _gelu_derivative,
            lambda torch, z: torch.nn.functional.gelu(z),
            critical=(0.17292239, 1.98305826),
        ),
        Activation(
            "silu",
            lambda z: z * special.expit(z),
            _silu_derivative,
            lambda torch, z: torch.nn.functional.silu(z, inplace=True),
            critical=(0.55514317, 1.98800468),
        ),
        Activation(
            "softplus",
            lambda z: np.logaddexp(0.0, z),
            special.expit,
            lambda torch, z: torch.nn.functional.softplus(z),
        ),
        Activation(
            "sigmoid",
            special.expit,
            _sigmoid_derivative,
            lambda torch, z: torch.sigmoid_(z),
        ),
    )
}

FAMILIES: dict[str, Callable[[float], Activation]] = {"leaky_relu": _leaky_relu}

_WITH_ARGUMENT = re.compile(r"(\w+)\((-?[0-9.]+(?:[eE][-+]?[0-9]+)?)\)")


def _argument(text: str) -> float | None:
    """The number that ``text`` writes, if it is one of a size that can be meant."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= 1e3 else None


def names() -> list[str]:
    """Every name that :func:`get` takes, families with their argument spelled out."""
    return sorted([*TABLE, *(f"{family}(slope)" for family in FAMILIES)])


def get(name: str) -> Activation:
    """Return the activation called ``name``, for example ``"tanh"`` or ``"leaky_relu(0.1)"``.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    if name in TABLE:
        return TABLE[name]
    match = _WITH_ARGUMENT.fullmatch(name)
    if match and match[1] in FAMILIES:
        argument = _argument(match[2])
        if argument is not None:
            return FAMILIES[match[1]](argument)
    raise ValueError(f"unknown activation {name!r}; allowed are {', '.join(names())}")
