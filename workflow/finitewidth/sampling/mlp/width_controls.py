"""Control variates of a ladder's layers: means over neurons of functions with known expectation.

Either of the neurons, whose expectations given the layer's kernel stand in tables beside the
samples, or of the standard normals that made them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from finitewidth.models.activations.activation import Activation
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.neuron_tables import KERNEL, TANGENT, moment_names, neuron_moments
from finitewidth.sampling.mlp.pair_tables import PAIR_KERNEL, pair_moments

#: Highest degree of the polynomials that control several inputs, and the most polynomials there may
#: be. Where the degree would give more, it is lowered, to 2 at the least.
DEGREE, MOST_CONTROLS = 6, 50
_KNOWN = {
    "log_kernel": "logarithm of a layer's kernel",
    "angle": "angle between two inputs by a layer's kernels",
    "moment": "functions multiplied",
    "neuron_moments": "means, covariances and third central moments of functions of one neuron",
    "beyond": "what a finite series may miss, in units of what is allowed",
    "pair_moments": "means of products of a neuron's powers for two inputs, or their coefficients",
}


def control_names(activation: Activation, inputs: int, *, tangent: bool = False) -> tuple[str, ...]:
    """The controls for an activation: functions of neurons, of known expectation.

    One input: what enters the next kernel, the square ``s2`` of s = sigma(z), and for ``tangent``
    kernels ``d2``, ``z1s1d1`` and so on, d = sigma'(z); of two slopes functions of the standard
    normal u that make these up, ``He2`` (u^2 - 1), ``odd2`` (u|u|) and for ``tangent`` kernels
    ``sgn0``, the sign of u. Two inputs: again what enters the next kernel, ``s1.1`` the product of
    both sigma. More inputs, or ``tangent`` kernels of two: ``He1.0.2`` is a product of Hermite
    polynomials, a factor an input, without those that products of sigma cannot feel, odd ones for a
    sigma that is odd or even.
    """
    if inputs == 1 and not activation.is_scale_invariant:
        return TANGENT if tangent else KERNEL
    if inputs == 1:
        even = _is_even(activation)
        return ("He2",) if even else ("He2", "odd2", *(("sgn0",) if tangent else ()))
    if inputs == 2 and not tangent:
        return PAIR_KERNEL
    return polynomials(activation, inputs)


def _is_even(activation: Activation) -> bool:
    """Whether the square of sigma is an even function."""
    z = np.linspace(0.1, 4, 40)
    one, other = (activation.function(side) ** 2 for side in (z, -z))
    return np.allclose(one, other, rtol=1e-12)


def polynomials(activation: Activation, inputs: int) -> tuple[str, ...]:
    """Products of Hermite polynomials of the standard normals."""
    step = 2 if _is_even(activation) else 1
    top = 2 if activation.is_linear else DEGREE
    while top > 2 and _count(inputs, top, step) > MOST_CONTROLS:
        top -= 1
    names = []
    for degree in range(step, top + 1, step):
        for factors in combinations_with_replacement(range(inputs), degree):
            powers = (factors.count(a) for a in range(inputs))
            names.append("He" + ".".join(map(str, powers)))
    return tuple(names)


def of_neurons(names: Sequence[str]) -> bool:
    """Whether controls are functions of neurons, not of their normals."""
    return bool(names) and names[0] in (KERNEL[0], PAIR_KERNEL[0])


def _count(inputs: int, top: int, step: int) -> int:
    """How many monomials there are of the degrees step, 2 step, ... up to ``top``."""
    return sum(math.comb(inputs + k - 1, k) for k in range(step, top + 1, step))


def controls_of(
    mlp: Perceptron, x: np.ndarray, *, tangent: bool = False
) -> tuple[tuple[str, ...], dict[str, tuple]]:
    """The controls on inputs x (input, n_0), and the coordinates that tell what is known
    of them."""
    names = control_names(mlp.activation, len(x), tangent=tangent)
    if not of_neurons(names):
        return names, {}
    first = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * (x @ x.T)
    if names == PAIR_KERNEL:
        found = pair_moments(mlp.activation, first, mlp.C_b, mlp.C_W)
        if found is None:
            return polynomials(mlp.activation, len(x)), {}
    else:
        nodes, values = neuron_moments(mlp.activation, first[0, 0], mlp.C_b, mlp.C_W, names)
        found = {
            "log_kernel": (("log_kernel",), nodes),
            "moment": (("moment",), np.array(moment_names(names))),
            "neuron_moments": (("log_kernel", "moment"), values),
        }
    return names, {
        name: (*value, {"long_name": _KNOWN[name], "units": "1"}) for name, value in found.items()
    }
