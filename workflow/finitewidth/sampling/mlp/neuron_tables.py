"""Moments of one neuron given its layer's kernel g: tables over log g.

The neurons z = sqrt(g) u of a layer are independent given g, so that the mean over n of them of a
function h has E[h(z) | g] for its expectation, and covariances and third moments of the h for its
own. On one input these are functions of the number g alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache, reduce
from itertools import combinations_with_replacement
from operator import mul

import numpy as np

from finitewidth.models.activations.activation import Activation

Array = np.ndarray

#: What enters the next kernel, and what else enters a tangent kernel in the backward pass: powers
#: of z, s = sigma(z) and d = sigma'(z).
KERNEL, TANGENT = ("s2",), ("s2", "d2", "z1s1d1", "z2d2", "s2d2")
#: Nodes of log g are multiples of this, and reach so far beyond its value at infinite width.
STEP, _REACH = 1 / 16, 8.0
#: Of the rule over u = +-exp(v), which resolves every scale; v in steps of the first number.
_RULE = (0.02, -32.0, 2.6)
#: Where all nodes and every second one differ by more than this share, the rule is not believed.
_AGREE = 1e-7


def moment_names(names: Sequence[str]) -> list[str]:
    """What :func:`neuron_moments` holds: means, covariances, and third moments of s2 and d2."""
    few = names[:2]
    return [
        *names,
        *(" ".join(c) for c in combinations_with_replacement(names, 2)),
        *(" ".join(c) for c in combinations_with_replacement(few, 3)),
    ]


def neuron_moments(
    activation: Activation,
    first: float,
    C_b: Sequence[float],
    C_W: Sequence[float],
    names: Sequence[str],
) -> tuple[Array, Array]:
    """Tables for a network on one input.

    Parameters
    ----------
    activation : Activation
    first : float
        Kernel of layer 1.
    C_b, C_W : sequence of float
        Of layers 1, 2, ... .
    names : sequence of str
        Functions of z, as ``KERNEL`` and ``TANGENT`` call them.

    Returns
    -------
    array, shape (node,)
        log g, in steps of 1/16.
    array, shape (node, moment)
        As :func:`moment_names`; covariances and third moments are central. NaN where the quadrature
        does not bear itself out. Not to be written to: equal arguments give the same arrays.
    """
    return _tables(activation, float(first), tuple(C_b), tuple(C_W), tuple(names))


@lru_cache(maxsize=16)
def _tables(
    activation: Activation,
    first: float,
    C_b: tuple[float, ...],
    C_W: tuple[float, ...],
    names: tuple[str, ...],
) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        kernels = [k for k in flow(activation, first, C_b, C_W) if 1e-200 < k < 1e200] or [1.0]
        nodes = nodes_about(kernels)
        values = np.array([_moments(activation, g, names) for g in np.exp(nodes)])
    for array in (nodes, values):
        array.flags.writeable = False
    return nodes, values


def flow(
    activation: Activation, first: float, C_b: Sequence[float], C_W: Sequence[float]
) -> list[float]:
    """The kernels of one input at infinite width, of every layer that drives another."""
    kernels = [float(first)]
    for b, W in zip(C_b[1:-1], C_W[1:-1], strict=True):
        kernels.append(b + W * _moments(activation, kernels[-1], KERNEL)[0])
    return kernels


def nodes_about(kernels: Sequence[float]) -> Array:
    """Nodes of log g that reach far beyond these kernels."""
    low = np.floor((np.log(min(kernels)) - _REACH) / STEP)
    high = np.ceil((np.log(max(kernels)) + _REACH) / STEP)
    return np.arange(low, high + 1) * STEP


def _moments(activation: Activation, g: float, names: Sequence[str]) -> Array:
    """The moments at one g, by two rules that have to agree."""
    u, rules = _rules()
    z = np.sqrt(g) * u
    parts = {"z": z, "s": activation.function(z), "d": activation.derivative(z)}
    powers = ([parts[of] ** k for of, k in _factors(name)] for name in names)
    h = np.array([reduce(np.multiply, factors) for factors in powers])
    (fine, size), (coarse, _) = (_central(h, w) for w in rules)
    return np.where(np.abs(fine - coarse) <= _AGREE * np.maximum(size, 1e-290), fine, np.nan)


@cache
def _rules() -> tuple[Array, tuple[Array, Array]]:
    """Nodes, the weights of them all, and those of every second one."""
    step, start, stop = _RULE
    v = np.arange(start, stop, step)
    u = np.exp(v)
    weights = step * u * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    both = (weights, weights * (np.arange(len(v)) % 2))
    fine, coarse = (np.tile(w / (2 * w.sum()), 2) for w in both)
    return np.concatenate([-u, u]), (fine, coarse)


@cache
def _factors(name: str) -> list[tuple[str, int]]:
    """Which of z, s and d make up a function, with their powers."""
    return [(of, int(k)) for of, k in re.findall(r"([zsd])(\d)", name)]


def _central(h: Array, w: Array) -> tuple[Array, Array]:
    """Means and central moments of h (function, node), and the sizes of what they are sums of."""
    mean = h @ w
    x = h - mean[:, None]
    few, size = range(min(2, len(x))), np.sqrt(x**2 @ w)
    products = [
        *combinations_with_replacement(range(len(x)), 2),
        *combinations_with_replacement(few, 3),
    ]
    moments = [reduce(np.multiply, [x[k] for k in c]) @ w for c in products]
    sizes = [reduce(mul, [size[k] for k in c]) for c in products]
    return np.array([*mean, *moments]), np.array([*np.abs(h) @ w, *sizes])
