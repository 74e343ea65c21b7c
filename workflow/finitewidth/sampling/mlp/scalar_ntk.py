"""Tangent kernels of two-slope networks on one input, at a cost that does not grow with width.

By numpy; :mod:`finitewidth.sampling.fused.scalars` does the same in compiled code.

Without bias, a layer enters the next only by its sums of squares q_+ and q_- over neurons on either
side of the kink, which are chi-square variables of random numbers of degrees of freedom. The way
back is as short: derivatives delta of the output have delta . z = z_out at every layer (Euler's
theorem), so that the weights act on them along the span of the activations as z_out says, across it
as fresh normals do, and only the squared norm |delta|^2 is wanted (derived here from
:mod:`finitewidth.sampling.mlp.marginal_ntk`).
"""

from __future__ import annotations

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron


def check(mlp: Perceptron, inputs: int) -> None:
    """Raise a ``ValueError`` where it is something else than the scalar sampler takes."""
    given = None
    if mlp.activation.slopes is None:
        given = f"activation {mlp.activation_name}"
    elif any(mlp.C_b):
        given = "C_b above 0"
    elif mlp.weights != "normal":
        given = f"{mlp.weights} weights"
    elif inputs != 1:
        given = f"{inputs} inputs"
    if given:
        raise ValueError(
            f"the scalar sampler takes two slopes, no bias, normal weights and one input, not"
            f" {given}: use the marginal sampler"
        )


def sample(
    mlp: Perceptron,
    rates: LearningRates,
    squared_norm: float,
    networks: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw ``networks`` networks on one input, and their first output.

    Parameters
    ----------
    mlp : Perceptron
    rates : LearningRates
    squared_norm : float
        |x|^2 of the input.
    rng : numpy.random.Generator

    Returns
    -------
    dict of arrays, shape (networks,)
        ``ntk`` Theta, ``output_preactivation`` z^(L), ``conditional_kernel`` Ghat^(L).

    Raises
    ------
    ValueError
        As :func:`check`.
    """
    check(mlp, 1)
    plus, minus = mlp.activation.slope_pair
    hidden = range(1, mlp.depth)
    kernel = np.full(networks, mlp.C_W[0] / mlp.widths[0] * squared_norm)
    on: list[np.ndarray | None] = []
    squares: list[tuple[np.ndarray | float, np.ndarray | float]] = []
    for layer in hidden:
        n = mlp.widths[layer]
        if plus**2 == minus**2:
            on.append(None)
            squares.append((plus**2 * kernel * _chi_square(rng, np.full(networks, n)), 0.0))
        else:
            count = rng.binomial(n, 0.5, networks)
            on.append(count)
            one, other = (
                slope**2 * kernel * _chi_square(rng, k) if slope else 0.0
                for slope, k in ((plus, count), (minus, n - count))
            )
            squares.append((one, other))
        kernel = mlp.C_W[layer] / n * np.asarray(sum(squares[-1]))
    output = np.sqrt(kernel) * rng.standard_normal(networks)
    squared = np.ones(networks)
    total = np.zeros(networks)
    for layer in range(mlp.depth, 0, -1):
        before = squared_norm if layer == 1 else sum(squares[layer - 2])
        rate = rates.lambda_W[layer - 1] / mlp.widths[layer - 1]
        total += (rates.lambda_b[layer - 1] + rate * before) * squared
        if layer > 1:
            fresh = mlp.C_W[layer - 1] / mlp.widths[layer - 1] * squared
            n, slopes = mlp.widths[layer - 1], (plus, minus)
            squared = _back(slopes, n, on[layer - 2], squares[layer - 2], output, fresh, rng)
    return {"ntk": total, "output_preactivation": output, "conditional_kernel": kernel}


def _back(
    slopes: tuple[float, float],
    n: int,
    on: np.ndarray | None,
    squares: tuple[np.ndarray | float, np.ndarray | float],
    output: np.ndarray,
    fresh: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """|delta|^2 one layer down.

    Along the activations, W^T delta has the length z_out/sqrt(q) whatever the weights; across them
    it is normal of variance ``fresh``. Of that, one direction lies in the plane that the two blocks
    of activations span, the others within the blocks.
    """
    one, other = squares
    whole = one + other
    alive = whole > 0
    safe = np.where(alive, whole, 1.0)
    along = np.where(alive, output / safe, 0.0)
    plus, minus = slopes
    if on is None:
        rest = _chi_square(rng, np.full(len(output), n - 1))
        return np.where(alive, plus**2 * (along * output + fresh * rest), 0.0)
    off = n - on
    if minus == 0.0:
        return np.where(alive, plus**2 * (along * output + fresh * _chi_square(rng, on - 1)), 0.0)
    if plus == 0.0:
        return np.where(alive, minus**2 * (along * output + fresh * _chi_square(rng, off - 1)), 0.0)
    # With an empty block there is no direction between them.
    both = (on > 0) & (off > 0)
    between = np.where(both, np.sqrt(fresh) * rng.standard_normal(len(output)), 0.0)
    root_one, root_other, root = np.sqrt(one), np.sqrt(other), np.sqrt(safe)
    result = plus**2 * (along * root_one + between * root_other / root) ** 2
    result += minus**2 * (along * root_other - between * root_one / root) ** 2
    result += plus**2 * fresh * _chi_square(rng, on - 1)
    result += minus**2 * fresh * _chi_square(rng, off - 1)
    return result


def _chi_square(rng: np.random.Generator, freedom: np.ndarray) -> np.ndarray:
    """Chi-square variables; 0 where there is no degree of freedom."""
    return 2 * rng.standard_gamma(np.maximum(freedom, 0) / 2)
