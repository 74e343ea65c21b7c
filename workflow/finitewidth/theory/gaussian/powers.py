"""Means of powers of an activation, <sigma(z)^p> for z ~ N(0, K), and their derivatives in K.

These are all that the fluctuations of a network on one input are made of.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import ArrayLike

from finitewidth.models.activations.activation import Activation
from finitewidth.theory.gaussian.expectations import expectation

#: sin(z)^p and cos(z)^p as sums over q of c_q cos(sqrt(2q) z), whose means are exp(-q K).
_WAVES = {
    2: ((0, 2, 8, 18), (1 / 2, 1 / 2, 0.0, 0.0)),
    4: ((0, 2, 8, 18), (3 / 8, 4 / 8, 1 / 8, 0.0)),
    6: ((0, 2, 8, 18), (10 / 32, 15 / 32, 6 / 32, 1 / 32)),
}


def power_derivatives(activation: Activation, K: ArrayLike, power: int, count: int) -> np.ndarray:
    """d^j/dK^j <sigma(z)^power>_K for j = 0 to ``count``.

    Closed forms for two slopes, sin and cos. Else d^j <f>/dK^j = <f He_2j(u)>/(2K)^j with
    u = z/sqrt(K), which takes no derivative of f. Rounding is of order 1e-16 <|f|>/K^j: next to
    what K^j multiplies in an expansion, always negligible.

    Parameters
    ----------
    activation : Activation
    K : array_like, shape (...)
        Variances, each >= 0. At K = 0 nothing fluctuates, and derivatives of an activation that is
        not integrated in closed form are given as 0.
    power : int
        2, 4 or 6.
    count : int

    Returns
    -------
    ndarray, shape (count + 1, ...)

    Raises
    ------
    ValueError
        If a variance is negative or not finite.
    """
    K = np.asarray(K, dtype=float)
    if activation.slopes is not None:
        return _of_slopes(activation.slope_pair, K, power, count)
    if activation.name in ("sin", "cos"):
        return _of_trigonometric(activation.name, K, power, count)
    positive = np.where(K > 0, K, 1.0)
    root = np.sqrt(positive)[..., None]
    f = activation.function

    def weighted(z: np.ndarray) -> np.ndarray:
        value, u = f(z) ** power, z / root
        return np.stack([value * hermite_e.hermeval(u, _unit(2 * j)) for j in range(count + 1)])

    scale = np.stack([(2 * positive) ** -float(j) for j in range(count + 1)])
    result = expectation(weighted, positive) * scale
    result[0] = np.where(K > 0, result[0], f(np.zeros(())) ** power)
    result[1:, K == 0] = 0.0
    return result


def _unit(degree: int) -> list[int]:
    return [0] * degree + [1]


def _of_slopes(slopes: tuple[float, float], K: np.ndarray, power: int, count: int) -> np.ndarray:
    """A_p (p - 1)!! K^(p/2), with A_p the mean of the slopes' powers."""
    half = power // 2
    factor = sum(a**power for a in slopes) / 2 * prod(range(1, power, 2))
    rows = [
        factor * prod(range(half - j + 1, half + 1)) * K ** (half - j) if j <= half else 0 * K
        for j in range(count + 1)
    ]
    return np.stack(rows)


def _of_trigonometric(name: str, K: np.ndarray, power: int, count: int) -> np.ndarray:
    q, c = (np.array(x) for x in _WAVES[power])
    # sin(z) = cos(z - pi/2): frequencies 2, 6 (q = 2, 18) change their sign.
    sign = np.array([1, -1, 1, -1]) if name == "sin" else 1
    exponent = np.exp(-q * K[..., None])
    return np.stack([exponent @ (c * sign * (-q.astype(float)) ** j) for j in range(count + 1)])
