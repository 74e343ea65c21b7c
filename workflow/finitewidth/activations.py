"""The table of activations: to add one, add one entry to ``TABLE`` (or one family to ``FAMILIES``).

An entry holds the function and its derivatives for numpy arrays, the fastest equivalent for torch
tensors, and the two slopes of a positively homogeneous function. Everything else (Gaussian moments,
kernels, critical points) is computed from these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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
    on_tensor_, derivative_on_tensor_ : callable
        For z that nobody reads any more: ``on_tensor_(torch, z)`` is sigma(z) of a torch tensor of
        any shape, ``derivative_on_tensor_(torch, z, s)`` is sigma'(z), given s = sigma(z) as well,
        and 0 at a kink. Both may overwrite z, and their result may be z itself; hence the
        underscore, as in torch. Whoever still reads z calls the methods of the same names without
        it. They take the module as an argument so that this table can be read without importing
        torch.
    second_on_tensor : callable
        ``second_on_tensor(torch, z)`` is sigma''(z), 0 at a kink, in memory of its own.
    slopes : tuple of float, optional
        ``(a_plus, a_minus)`` where sigma(z) = a_plus z for z > 0 and a_minus z for z < 0.
    derivatives : callable, optional
        The function and its first five derivatives, stacked: shape (6, *z.shape). None where the
        function has a kink.
    strip : float, optional
        Half-width of a strip around the real axis in which the function is analytic and not much
        larger than on the axis: it fixes how fine a lattice has to be. None where there is a kink.
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    on_tensor_: Callable
    derivative_on_tensor_: Callable
    second_on_tensor: Callable
    slopes: tuple[float, float] | None = None
    derivatives: Callable[[Array], Array] | None = None
    strip: float | None = None

    def on_tensor(self, torch, z):
        """sigma(z) in memory of its own: ``z`` stays as it is, whatever shares its memory."""
        return self.on_tensor_(torch, z.clone())

    def derivative_on_tensor(self, torch, z, s):
        """sigma'(z), given s = sigma(z), in memory of its own: both stay as they are."""
        return self.derivative_on_tensor_(torch, z.clone(), s)

    @property
    def is_scale_invariant(self) -> bool:
        """Whether sigma(c z) = c sigma(z) for every c > 0."""
        return self.slopes is not None

    @property
    def is_linear(self) -> bool:
        """Whether sigma is the identity."""
        return self.slopes == (1.0, 1.0)


def _two_slopes(name: str, plus: float, minus: float, on_tensor_: Callable) -> Activation:
    return Activation(
        name=name,
        function=lambda z: np.where(z > 0, plus * z, minus * z),
        derivative=lambda z: np.where(z > 0, plus, np.where(z < 0, minus, 0.0)),
        on_tensor_=on_tensor_,
        derivative_on_tensor_=_gate(plus, minus),
        second_on_tensor=lambda torch, z: torch.zeros_like(z),
        slopes=(plus, minus),
    )


def _gate(plus: float, minus: float) -> Callable:
    """The slope on the side where z lies, in place of z."""
    if (plus, minus) == (1.0, 0.0):
        return lambda torch, z, s: torch.sign(s, out=z)

    def gate(torch, z, s):
        z.sign_()
        # Exactly 0 at the kink, where the sign is.
        return torch.add(z.abs().mul_((plus + minus) / 2), z, alpha=(plus - minus) / 2, out=z)

    return gate


def _leaky_relu(slope: float) -> Activation:
    return _two_slopes(
        f"leaky_relu({slope!r})",
        1.0,
        slope,
        lambda torch, z: torch.nn.functional.leaky_relu_(z, slope),
    )


def _erf(z: Array) -> Array:
    # SciPy is imported by those who compute: a plan, a table and many a job want names alone.
    from scipy import special

    return special.erf(z)


def _ndtr(z: Array) -> Array:
    from scipy import special

    return special.ndtr(z)


def _expit(z: Array) -> Array:
    from scipy import special

    return special.expit(z)


_ROOT_2PI = float(np.sqrt(2 * np.pi))


def _normal_density(torch, z):
    return torch.exp(-0.5 * z * z) / _ROOT_2PI


def _silu_second(torch, z):
    gate = torch.sigmoid(z)
    return gate * (1 - gate) * (2 + z * (1 - 2 * gate))


def _sigmoid_second(torch, z):
    gate = torch.sigmoid(z)
    return gate * (1 - gate) * (1 - 2 * gate)


def _silu_slope(torch, z, s):
    gate = torch.sigmoid(z)
    return gate * (1 + z - s)


def _erf_slope(torch, z, s=None):
    return 2 / float(np.sqrt(np.pi)) * torch.exp(-z * z)


def _gelu_derivative(z: Array) -> Array:
    return _ndtr(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def _silu_derivative(z: Array) -> Array:
    gate = _expit(z)
    return gate * (1 + z * (1 - gate))


def _sigmoid_derivative(z: Array) -> Array:
    return _expit(z) * _expit(-z)


def _erf_derivative(z: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-z * z)


def _sech_squared(z: Array) -> Array:
    # 1 - tanh^2 cancels for large |z|, and cosh overflows; this form does neither.
    e = np.exp(-2 * np.abs(z))
    return 4 * e / (1 + e) ** 2


def _linear_derivatives(z: Array) -> Array:
    zero = np.zeros_like(z, dtype=float)
    return np.stack([zero + z, zero + 1, zero, zero, zero, zero])


def _tanh_derivatives(z: Array) -> Array:
    t, d1 = np.tanh(z), _sech_squared(z)
    d2 = -2 * t * d1
    d3 = -2 * (d1 * d1 + t * d2)
    d4 = -2 * (3 * d1 * d2 + t * d3)
    return np.stack([t, d1, d2, d3, d4, -2 * (3 * d2 * d2 + 4 * d1 * d3 + t * d4)])


def _erf_derivatives(z: Array) -> Array:
    g, q = _erf_derivative(z), z * z
    fourth, fifth = (12 - 8 * q) * z * g, ((16 * q - 48) * q + 12) * g
    return np.stack([_erf(z), g, -2 * z * g, (4 * q - 2) * g, fourth, fifth])


def _arctan_derivatives(z: Array) -> Array:
    q = 1 / (1 + z * z)
    v, w = z * q, z * z * q
    third, fourth = (6 * w - 2 * q) * q * q, 24 * v * (q - w) * q * q
    fifth = 24 * (5 * w * w - 10 * w * q + q * q) * q**3
    return np.stack([np.arctan(z), q, -2 * v * q, third, fourth, fifth])


def _sin_derivatives(z: Array) -> Array:
    s, c = np.sin(z), np.cos(z)
    return np.stack([s, c, -s, -c, s, c])


def _cos_derivatives(z: Array) -> Array:
    s, c = np.sin(z), np.cos(z)
    return np.stack([c, -s, -c, s, c, -s])


def _gelu_derivatives(z: Array) -> Array:
    phi, cdf = np.exp(-z * z / 2) / np.sqrt(2 * np.pi), _ndtr(z)
    q = z * z
    fourth, fifth = ((7 - q) * q - 4) * phi, ((q - 11) * q + 18) * z * phi
    return np.stack([z * cdf, cdf + z * phi, (2 - q) * phi, (q - 4) * z * phi, fourth, fifth])


def _sigmoid_derivatives(z: Array) -> Array:
    p, q = _expit(z), _expit(-z)
    pq, r = p * q, q - p
    third, fourth = pq * (r * r - 2 * pq), pq * r * (r * r - 8 * pq)
    fifth = pq * (r**4 - 22 * pq * r * r + 16 * pq * pq)
    return np.stack([p, pq, pq * r, third, fourth, fifth])


def _softplus_derivatives(z: Array) -> Array:
    return np.concatenate([np.logaddexp(0.0, z)[None], _sigmoid_derivatives(z)[:5]])


def _silu_derivatives(z: Array) -> Array:
    gate = _sigmoid_derivatives(z)
    return np.stack([z * gate[0], *(z * gate[k] + k * gate[k - 1] for k in range(1, 6))])


TABLE: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation(
            "linear",
            lambda z: np.asarray(z, dtype=float),
            lambda z: np.ones_like(z, dtype=float),
            lambda torch, z: z,
            derivative_on_tensor_=lambda torch, z, s: torch.ones_like(s),
            second_on_tensor=lambda torch, z: torch.zeros_like(z),
            slopes=(1.0, 1.0),
            derivatives=_linear_derivatives,
            strip=3.0,
        ),
        _two_slopes("relu", 1.0, 0.0, lambda torch, z: torch.relu_(z)),
        _two_slopes("abs", 1.0, -1.0, lambda torch, z: torch.abs_(z)),
        Activation(
            "tanh",
            np.tanh,
            _sech_squared,
            lambda torch, z: torch.tanh_(z),
            derivative_on_tensor_=lambda torch, z, s: torch.mul(s, s, out=z).neg_().add_(1),
            second_on_tensor=lambda torch, z: -2 * torch.tanh(z) / torch.cosh(z) ** 2,
            derivatives=_tanh_derivatives,
            strip=np.pi / 2,
        ),
        Activation(
            "erf",
            _erf,
            _erf_derivative,
            lambda torch, z: torch.erf_(z),
            derivative_on_tensor_=_erf_slope,
            second_on_tensor=lambda torch, z: -2 * z * _erf_slope(torch, z),
            derivatives=_erf_derivatives,
            strip=1.5,
        ),
        Activation(
            "arctan",
            np.arctan,
            lambda z: 1 / (1 + z * z),
            lambda torch, z: torch.atan_(z),
            derivative_on_tensor_=lambda torch, z, s: 1 / (1 + z * z),
            second_on_tensor=lambda torch, z: -2 * z / (1 + z * z) ** 2,
            derivatives=_arctan_derivatives,
            strip=1.0,
        ),
        Activation(
            "sin",
            np.sin,
            np.cos,
            lambda torch, z: torch.sin_(z),
            derivative_on_tensor_=lambda torch, z, s: z.cos_(),
            second_on_tensor=lambda torch, z: -torch.sin(z),
            derivatives=_sin_derivatives,
            strip=3.0,
        ),
        Activation(
            "cos",
            np.cos,
            lambda z: -np.sin(z),
            lambda torch, z: torch.cos_(z),
            derivative_on_tensor_=lambda torch, z, s: z.sin_().neg_(),
            second_on_tensor=lambda torch, z: -torch.cos(z),
            derivatives=_cos_derivatives,
            strip=3.0,
        ),
        Activation(
            "gelu",
            lambda z: z * _ndtr(z),
            _gelu_derivative,
            lambda torch, z: torch.nn.functional.gelu(z),
            derivative_on_tensor_=lambda torch, z, s: (
                torch.special.ndtr(z) + z * _normal_density(torch, z)
            ),
            second_on_tensor=lambda torch, z: (2 - z * z) * _normal_density(torch, z),
            derivatives=_gelu_derivatives,
            strip=2.0,
        ),
        Activation(
            "silu",
            lambda z: z * _expit(z),
            _silu_derivative,
            lambda torch, z: torch.nn.functional.silu(z, inplace=True),
            derivative_on_tensor_=_silu_slope,
            second_on_tensor=_silu_second,
            derivatives=_silu_derivatives,
            strip=np.pi,
        ),
        Activation(
            "softplus",
            lambda z: np.logaddexp(0.0, z),
            _expit,
            lambda torch, z: torch.nn.functional.softplus(z),
            derivative_on_tensor_=lambda torch, z, s: torch.sigmoid(z),
            second_on_tensor=lambda torch, z: torch.sigmoid(z) * torch.sigmoid(-z),
            derivatives=_softplus_derivatives,
            strip=np.pi,
        ),
        Activation(
            "sigmoid",
            _expit,
            _sigmoid_derivative,
            lambda torch, z: torch.sigmoid_(z),
            derivative_on_tensor_=lambda torch, z, s: s * (1 - s),
            second_on_tensor=_sigmoid_second,
            derivatives=_sigmoid_derivatives,
            strip=np.pi,
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
