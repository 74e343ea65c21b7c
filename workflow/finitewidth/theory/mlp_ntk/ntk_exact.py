"""Exact second moments of the tangent kernel at finite width: two slopes, one input.

sigma(z) = a_+ z for z > 0 and a_- z for z < 0, A_2k = (a_+^2k + a_-^2k)/2. The sign of all weights
into a neuron and of its bias does not change the law of a network, nor the NTK of two inputs that
are one; so the gates sigma'(z) decouple from everything even, and second moments of Ghat and Theta
close among themselves (docs/theory.md 9). They are followed as ratios to powers of G and H and
as shares of G and H, so that nothing overflows but what is itself beyond a float. A layer of ReLU
that is dead, all z of it 0, has closed gates; its kernel Theta is then the rate of its biases, and
this is taken out of what goes on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.exact import dead_fraction
from finitewidth.theory.mlp.mean_squares import log_mean_square, norms, require_slopes, shares
from finitewidth.theory.mlp_ntk.infinite_width_ntk import check_rates

#: Ratios of moments of one layer, (N,) each: see :func:`_next`.
_State = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class SecondMoments(NamedTuple):
    """Exact moments of T layers on each of N inputs, (T, N); i != j."""

    G: np.ndarray  #: E[Ghat]
    g: np.ndarray  #: E[Ghat^2]
    H: np.ndarray  #: E[Theta_ii]
    aa: np.ndarray  #: E[Theta_ii Theta_jj]
    bb: np.ndarray  #: E[Theta_ij^2]
    dd: np.ndarray  #: E[z_i^2 Theta_jj] = E[Ghat Theta_jj]
    ff: np.ndarray  #: E[z_i z_j Theta_ij]
    ratio: np.ndarray  #: E[Theta_ii^2]/H^2; NaN where H is 0


def second_moments(
    mlp: Perceptron, rates: LearningRates, x: np.ndarray, layers: Sequence[int]
) -> SecondMoments:
    """All of :class:`SecondMoments`, at the widths of ``mlp``.

    Cov(Theta_ii, Theta_jj) is aa - H^2, Cov(Ghat, Theta_ii) is dd - G H, and
    E[Theta_ii^2] = aa + 2 bb.

    Parameters
    ----------
    mlp : Perceptron
        Of two slopes, with normal weights; any widths, C_b and C_W.
    rates : LearningRates
    x : ndarray, shape (N, n_0)
    layers : sequence of int
        Which layers, from 1 to the depth, in any order.

    Raises
    ------
    ValueError
        If the activation has no two slopes, the weights are not normal, the rates are for another
        depth, a layer is not between 1 and the depth, or x has another shape.
    """
    require_slopes(mlp)
    layers = check_rates(mlp, rates, layers)
    depth = max(layers)
    A2, A4 = (sum(a**p for a in mlp.activation.slope_pair) / 2 for p in (2, 4))
    spread = A4 / A2**2 if A2 else 0.0
    log_G = log_mean_square(mlp, x, range(1, depth + 1))
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        dead = _dead(mlp, x, log_G)
        log_H, parts, living = _log_mean(mlp, rates, norms(x), log_G, A2, dead)
        one = np.ones(log_G.shape[1])
        state = one, one, 0 * one, one, 0 * one
        wanted = {}
        for layer, w, n in shares(mlp, x, depth):
            if layer > 1:
                p, q, r = parts[layer - 1]
                gone = np.exp(np.log(dead[layer - 2]) + 2 * np.log(rates.lambda_b[layer - 2]))
                state = _alive(state, gone, log_H[layer - 2], living[layer - 2])
                state = _next(state, w, p, q, r, n, spread)
            if layer in layers:
                wanted[layer] = state
        rows = np.array(layers) - 1
        g, aa, bb, dd, ff = np.stack([np.stack(wanted[layer]) for layer in layers], axis=1)
        G, H = np.exp(log_G[rows]), np.exp(log_H[rows])
        return SecondMoments(
            G,
            _times(g, 2 * log_G[rows]),
            H,
            _times(aa, 2 * log_H[rows]),
            _times(bb, 2 * log_H[rows]),
            _times(dd, log_G[rows] + log_H[rows]),
            _times(ff, log_G[rows] + log_H[rows]),
            np.where(log_H[rows] > -np.inf, aa + 2 * bb, np.nan),
        )


def _times(ratio: np.ndarray, log_scale: np.ndarray) -> np.ndarray:
    return np.where(log_scale == -np.inf, 0.0, np.exp(np.log(ratio) + log_scale))


def mean(mlp: Perceptron, rates: LearningRates, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """E[Theta_ii] of each input with itself at the widths of ``mlp``, (T, N); two slopes.

    Parameters and ``ValueError`` as of :func:`second_moments`; weights of any symmetric law.
    """
    layers = check_rates(mlp, rates, layers)
    log_G = log_mean_square(mlp, x, range(1, max(layers) + 1))
    A2 = sum(a * a for a in mlp.activation.slope_pair) / 2
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        log_H, _, _ = _log_mean(mlp, rates, norms(x), log_G, A2, _dead(mlp, x, log_G))
        return np.exp(log_H[np.array(layers) - 1])


def _dead(mlp: Perceptron, x: np.ndarray, log_G: np.ndarray) -> np.ndarray:
    """How often a layer is dead that need not be, (L, N); 0 where no slope is 0."""
    if 0 not in mlp.activation.slope_pair or mlp.activation.slopes == (0, 0):
        return np.zeros_like(log_G)
    return np.where(log_G > -np.inf, dead_fraction(mlp, x, range(1, len(log_G) + 1)), 0.0)


def _alive(state: _State, gone: np.ndarray, log_H: np.ndarray, living: np.ndarray) -> _State:
    """Moments of where a layer is not dead, over powers of the mean of Theta there.

    ``gone`` is E[Theta^2] of where it is dead. Ghat is 0 there, and so is Theta_ij.
    """
    g, aa, bb, dd, ff = state
    if not gone.any():
        return state
    f = np.exp(log_H - living)
    return g, (aa - gone * np.exp(-2 * log_H)) * f**2, bb * f**2, dd * f, ff * f


def _log_mean(
    mlp: Perceptron,
    rates: LearningRates,
    norm: np.ndarray,
    log_G: np.ndarray,
    A2: float,
    dead: np.ndarray,
) -> tuple[np.ndarray, list, np.ndarray]:
    """log H, (L, N); the shares of H from biases, from weights and from the layer before; and the
    log of what of H is not of dead layers, (L, N)."""
    depth = len(log_G)
    log_b, log_W = np.log(rates.lambda_b), np.log(rates.lambda_W)
    log_up = np.log(mlp.C_W) + np.log(A2)
    # A kink passes nothing back from a preactivation that is exactly 0.
    passes = np.log(np.where(log_G > -np.inf, 1.0, mlp.activation.derivative(np.zeros(())) ** 2))
    log_H, living = np.empty_like(log_G), np.empty_like(log_G)
    log_H[0] = np.logaddexp(log_b[0], log_W[0] + np.log(norm))
    nothing = np.zeros_like(log_G[0])
    parts = [(nothing, nothing, nothing)]
    living[0] = log_H[0]
    for k in range(1, depth):
        new = log_W[k] + np.log(A2) + log_G[k - 1]
        old = log_up[k] + living[k - 1] + passes[k - 1]
        log_H[k] = np.logaddexp(np.logaddexp(log_b[k], new), old)
        lost = np.exp(np.log(dead[k]) + log_b[k] - log_H[k])
        living[k] = log_H[k] + np.where(lost > 0, np.log1p(-lost), 0.0)
        size = np.where(log_H[k] > -np.inf, log_H[k], 0.0)
        parts.append((np.exp(log_b[k] - size), np.exp(new - size), np.exp(old - size)))
    return log_H, parts, living


def _next(
    state: _State,
    w: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    r: np.ndarray,
    n: float,
    spread: float,
) -> _State:
    """g/G^2, aa/H^2, bb/H^2, dd/(G H), ff/(G H) of the next layer.

    ``w`` is the share of G that comes from the layer before; ``p``, ``q``, ``r`` are the shares of
    H from the biases, from the weights, and from the layer before.
    """
    g, aa, bb, dd, ff = state
    # Two neurons of the layer before are the same one in n.
    same_H, same_mixed, other = spread * (aa + 2 * bb) / n, spread * (dd + 2 * ff) / n, 1 - 1 / n
    squares = (3 * spread / n + other) * g
    mixed, slopes = same_mixed + other * dd, same_H + other * aa
    return (
        (1 - w) * (1 + w) + w**2 * squares,
        p**2 + q**2 * squares + r**2 * slopes + 2 * (p * q + p * r + q * r * mixed),
        r**2 * (same_H + other * bb),
        (1 - w) * (p + q + r) + w * (p + q * squares + r * mixed),
        w * r * (same_mixed + other * ff),
    )
