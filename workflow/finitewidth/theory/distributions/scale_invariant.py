"""Distributions at finite width: scale-invariant networks without bias, one input, normal weights.

With G = E[z^2] and independent gains X_k of the hidden layers k < l,

    Ghat^(l) = G prod_k X_k/A2,   z = sqrt(Ghat) g,   (1/n) sum_i z_i^2 = Ghat chi^2_n/n

(Hanin and Nica 2018; Zavatone-Veth and Pehlevan 2021 for the linear network), so that logarithms
are sums of independent variables. All is given that the network is not dead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions.fourier import LogLaw, total
from finitewidth.theory.distributions.gains import log_chi_square, log_gain


def has_exact_law(mlp: Perceptron) -> bool:
    """Whether the functions of this module apply to ``mlp``."""
    return mlp.is_scale_invariant and mlp.weights == "normal"


def log_kernel(mlp: Perceptron, layer: int) -> LogLaw:
    """Law of log(Ghat/G) at ``layer`` >= 2, G being the mean over all networks, dead ones too.

    Raises
    ------
    ValueError
        If ``mlp`` is not scale-invariant or its weights are not normal.
    """
    if not has_exact_law(mlp):
        raise ValueError("the exact law needs a scale-invariant network and normal weights")
    widths, counts = np.unique(mlp.widths[1:layer], return_counts=True)
    slopes = mlp.activation.slopes
    return total((int(c), log_gain(slopes, int(n))) for n, c in zip(widths, counts, strict=True))


def log_norm(mlp: Perceptron, layer: int, log_G: float = 0.0) -> LogLaw:
    """Law of log sqrt(mean_i z_i^2) at ``layer``, given that it is not dead.

    Parameters
    ----------
    mlp : Perceptron
    layer : int
    log_G : float
        log E[z^2] (:func:`finitewidth.theory.mlp.exact.log_mean_square`), which only shifts it.

    Raises
    ------
    ValueError
        As :func:`log_kernel`.
    """
    parts = [log_kernel(mlp, layer), log_chi_square(mlp.widths[layer])]
    return total((1, p) for p in parts).shifted(log_G).scaled(0.5)


def log_square(mlp: Perceptron, layer: int) -> LogLaw:
    """Law of log(z^2/G) of one preactivation, given that the network is not dead.

    Raises
    ------
    ValueError
        As :func:`log_kernel`.
    """
    return total([(1, log_kernel(mlp, layer)), (1, log_chi_square(1))])


def gaussian_log_norm(n: int, log_K: float = 0.0) -> LogLaw:
    """Law of log sqrt(K chi^2_n/n): the log-norm of n independent neurons of variance K."""
    return log_chi_square(n).shifted(log_K).scaled(0.5)


def log_normal(log_growth: float) -> LogLaw:
    """The limit law of log(Ghat/G): normal, variance c tau and mean -c tau/2.

    ``log_growth`` is c tau > 0 (:func:`finitewidth.theory.mlp.exact.log_growth`).
    """
    return LogLaw(-log_growth / 2, log_growth, lambda u: log_growth * np.asarray(u) ** 2 / 2)


def log_normal_square(log_growth: float) -> LogLaw:
    """Law of log(z^2/G) with Ghat log-normal; ``log_growth`` = c tau >= 0."""
    return total([(1, log_normal(log_growth)), (1, log_chi_square(1))])


def symmetric_cdf(squares: LogLaw, x: ArrayLike, dead: float = 0.0) -> np.ndarray:
    """P(z/sqrt(G) < x) from the law of log(z^2/G) of a symmetric z, any shape.

    ``dead`` is the probability of z = 0, an atom that is not below x = 0: bins closed on the left
    have it in the bin that begins with 0.
    """
    x = np.asarray(x, dtype=float)
    with np.errstate(divide="ignore"):
        size = squares.cdf(2 * np.log(np.abs(x)))
    below = 0.5 + np.sign(x) * (dead + (1 - dead) * size) / 2
    return np.where(x == 0, (1 - dead) / 2, below)


def symmetric_quantile(squares: LogLaw, p: ArrayLike, dead: float = 0.0) -> np.ndarray:
    """Quantile of z/sqrt(G) at p from the law of log(z^2/G); 0 where p falls on the atom."""
    side = 2 * np.asarray(p, dtype=float) - 1
    within = (np.abs(side) - dead) / (1 - dead) if dead < 1 else np.zeros_like(side)
    return np.sign(side) * np.exp(squares.quantile(np.clip(within, 0, 1)) / 2)


def normal_plus_uniform_cdf(x: ArrayLike, share: float) -> np.ndarray:
    """P(Y <= x) of Y of variance 1, the sum of a normal and a uniform variable of variance share.

    The law of z/sqrt(K) at infinite width where biases are uniform: C_b/K is the share.
    """
    x = np.asarray(x, dtype=float)
    half, sd = np.sqrt(3 * share), np.sqrt(max(1 - share, 0.0))
    if half < 1e-4:
        return special.ndtr(x)
    if sd < 1e-12:
        return np.clip((x / half + 1) / 2, 0, 1)

    def primitive(v: np.ndarray) -> np.ndarray:
        return v * special.ndtr(v) + np.exp(-v * v / 2) / np.sqrt(2 * np.pi)

    # Both primitives are asymptotes out there, and would be infinite at infinity.
    inner = np.clip(x, -half - 40 * sd, half + 40 * sd)
    return sd / (2 * half) * (primitive((inner + half) / sd) - primitive((inner - half) / sd))


def normal_plus_uniform_quantile(p: ArrayLike, share: float) -> np.ndarray:
    """Inverse of :func:`normal_plus_uniform_cdf`, by bisection."""
    p = np.asarray(p, dtype=float)
    low, high = np.full(p.shape, -40.0), np.full(p.shape, 40.0)
    for _ in range(64):
        middle = (low + high) / 2
        below = normal_plus_uniform_cdf(middle, share) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def standard_bins(law: LogLaw, edges: np.ndarray) -> np.ndarray:
    """Probability that (Y - mean)/sd falls between consecutive ``edges`` (m,): shape (m - 1,)."""
    return np.maximum(np.diff(law.cdf(law.mean + law.sd * np.asarray(edges))), 0.0)


def standard_density(law: LogLaw, u: ArrayLike) -> np.ndarray:
    """Density of (Y - mean)/sd at u, any shape: the curve behind a standardised histogram."""
    return law.sd * law.density(law.mean + law.sd * np.asarray(u, dtype=float))


def preactivation_density(squares: LogLaw, x: ArrayLike, dead: float = 0.0) -> np.ndarray:
    """Density of z/sqrt(G) at x != 0 from the law of log(z^2/G), without the atom at 0."""
    size = np.abs(np.asarray(x, dtype=float))
    return (1 - dead) * squares.density(2 * np.log(size)) / size
