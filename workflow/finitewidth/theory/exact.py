"""Exact moments at finite width of networks with a two-slope activation, on one input.

The activation is sigma(z) = a_+ z for z > 0 and a_- z for z < 0 (linear, ReLU, leaky ReLU, abs),
with A_2k = (a_+^2k + a_-^2k)/2; each layer has its own width, C_b and C_W. Moments are kept as
ratios to powers of G = E[z^2], which neither overflow nor underflow while G does, and are inf
where they exceed the range of a float. Arrays are (len(layers), N): every input on its own.

Given a layer's activations the next preactivations are independent with conditional variance Ghat,
so that E[Ghat^k] = E[z_1^2 ... z_k^2] over k different neurons (PDLT sections 3.3 and 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finitewidth.law import Law
from finitewidth.theory.kernel import check_layers, log_gain, overlaps


class LeadingOrder(NamedTuple):
    """First non-trivial orders, each of shape (len(layers), N)."""

    four_point: np.ndarray  #: Var(Ghat)/G^2, order 1/n
    kurtosis: np.ndarray  #: E[z^4]/G^2 - 3, orders 1 and 1/n together
    kurtosis_infinite: np.ndarray  #: its order 1: zero unless the biases are not Gaussian
    six_point: np.ndarray  #: kappa_3(Ghat)/G^3, order 1/n^2; NaN unless the weights are normal


def log_mean_square(law: Law, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """log G, with G^(l) = C_b + C_W A2 G^(l-1): exact for every symmetric law of the weights.

    Parameters
    ----------
    law : Law
        Its activation has two slopes.
    x : ndarray, shape (N, n_0)
    layers : sequence of int

    Returns
    -------
    ndarray, shape (len(layers), N)
        -inf where the network is zero.

    Raises
    ------
    ValueError
        If the activation has no two slopes, a layer does not exist, or x has another shape.
    """
    _require_slopes(law)
    layers = check_layers(law, layers)
    with np.errstate(divide="ignore"):
        if law.is_scale_invariant:
            return np.log(_norms(x)) + log_gain(law)[np.array(layers) - 1, None]
        G, _ = _flow(law, x, max(layers))
        return np.log(G[np.array(layers) - 1])


def moment_ratios(law: Law, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """E[Ghat^k]/G^k for k = 1, 2, 3, 4, normal weights.

    Ghat^(l+1) = C_b + C_W Ghat^(l) X with X the mean over the layer's n neurons of sigma(g)^2, g
    standard normal: a Markov chain whose moments close (Hanin and Nica 2018; Zavatone-Veth and
    Pehlevan 2021 for the linear network).

    Returns
    -------
    ndarray, shape (4, len(layers), N)

    Raises
    ------
    ValueError
        As :func:`log_mean_square`, and if the weights are not normal.
    """
    if law.weights != "normal":
        raise ValueError("the chain of conditional variances needs normal weights")
    _require_slopes(law)
    layers = check_layers(law, layers)
    depth, inputs = max(layers), len(x)
    gains = gain_moments(law.activation.slopes, np.array(law.widths[1:depth], dtype=float))
    r = np.ones((4, depth, inputs))
    with np.errstate(over="ignore", invalid="ignore"):
        if law.is_scale_invariant:
            r[:, 1:] = np.cumprod(gains, axis=1)[..., None]
        else:
            _, share = _flow(law, x, depth)
            for k in range(1, depth):
                w = share[k]
                one, two, three, four = gains[:, k - 1, None] * r[:, k - 1]
                v = 1 - w
                r[1, k] = v**2 + 2 * v * w * one + w**2 * two
                r[2, k] = v**3 + 3 * v**2 * w * one + 3 * v * w**2 * two + w**3 * three
                r[3, k] = (
                    v**4
                    + 4 * v**3 * w * one
                    + 6 * v**2 * w**2 * two
                    + 4 * v * w**3 * three
                    + w**4 * four
                )
    return r[:, np.array(layers) - 1]


def gain_moments(slopes: tuple[float, float], n: np.ndarray) -> np.ndarray:
    """E[X^k]/A2^k, k = 1 to 4, of the mean X of n squares sigma(g)^2: shape (4, *n.shape)."""
    k2, k3, k4 = _square_cumulants(slopes)
    e = 1 / np.asarray(n, dtype=float)
    return np.stack(
        [
            np.ones_like(e),
            1 + k2 * e,
            1 + 3 * k2 * e + k3 * e**2,
            1 + 6 * k2 * e + (4 * k3 + 3 * k2**2) * e**2 + k4 * e**3,
        ]
    )


def growth(law: Law) -> float:
    """c = 3 A4/A2^2 - 1, the relative variance of sigma(g)^2: 2 linear, 5 ReLU."""
    return _square_cumulants(law.activation.slopes)[0]


def pair_ratios(law: Law, x: np.ndarray, layers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """E[z_i^2 z_j^2]/G^2 for i != j and E[z^4]/G^2, whatever symmetric law the weights have.

    Changing the sign of all weights into one neuron leaves the law as it is, which decouples the
    gates: E[sigma(z)^4] = A4 E[z^4], E[sigma(z_i)^2 sigma(z_j)^2] = A2^2 E[z_i^2 z_j^2]. Given the
    layer before, E[z^4] = 3 Ghat^2 + k (C_b^2 + (C_W/n)^2 sum_j sigma(z_j)^4), k the excess
    kurtosis of one weight. Both together close.

    Returns
    -------
    pair, same : ndarray, shape (len(layers), N)

    Raises
    ------
    ValueError
        As :func:`log_mean_square`.
    """
    _require_slopes(law)
    layers = check_layers(law, layers)
    if law.weights == "normal":
        pair = moment_ratios(law, x, layers)[1]
        return pair, 3 * pair
    kurtosis, spread = law.excess_kurtosis, (growth(law) + 1) / 3
    found = {}
    pair, same = np.ones(len(x)), 3 + _first_layer_cumulant(law, x)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, w, n in _hidden(law, x, max(layers)):
            if layer > 1:
                local = w**2 * spread * same / n
                pair = 1 - w**2 + local + w**2 * (1 - 1 / n) * pair
                same = 3 * pair + kurtosis * (local + (1 - w) ** 2)
            if layer in layers:
                found[layer] = pair, same
    pair, same = zip(*(found[layer] for layer in layers), strict=True)
    return np.stack(pair), np.stack(same)


def leading_order(law: Law, x: np.ndarray, layers: Sequence[int]) -> LeadingOrder:
    """The first non-trivial order in 1/n of four-point, kurtosis and six-point ratios.

    The expansion of the exact recursions at fixed depth, C_b and C_W, for every symmetric law of
    the weights (PDLT section 4.3; kurtosis of the weights: Yaida 2019 for its order).

    Raises
    ------
    ValueError
        As :func:`log_mean_square`.
    """
    _require_slopes(law)
    layers = check_layers(law, layers)
    kurtosis, spread = law.excess_kurtosis, (growth(law) + 1) / 3
    c, k3, _ = _square_cumulants(law.activation.slopes)
    four = six = np.zeros(len(x))
    infinite = first = _first_layer_cumulant(law, x)
    found = {}
    for layer, w, n in _hidden(law, x, max(layers)):
        if layer > 1:
            local = w**2 * spread * (3 + infinite) / n
            six = w**3 * (six + 6 * c * four / n + k3 / n**2)
            four = w**2 * (four - 1 / n) + local
            infinite = kurtosis * (1 - w) ** 2
            first = infinite + 3 * four + kurtosis * local
        if layer in layers:
            found[layer] = four, first, infinite, six
    four, first, infinite, six = (
        np.stack(parts) for parts in zip(*(found[layer] for layer in layers), strict=True)
    )
    return LeadingOrder(four, first, infinite, six if kurtosis == 0 else np.full_like(six, np.nan))


def log_growth(law: Law, layers: Sequence[int]) -> np.ndarray:
    """c tau, tau the sum of 1/n over the hidden layers before each: shape (len(layers),).

    In the limit of depth and width together log(Ghat/G) is normal with variance c tau and mean
    -c tau/2, for every scale-invariant network without bias (Hanin and Nica 2018), so that
    E[Ghat^k]/G^k = exp(c tau k (k - 1)/2).
    """
    tau = np.concatenate([[0.0], np.cumsum(1 / np.array(law.widths[1:-1], dtype=float))])
    return growth(law) * tau[np.array(check_layers(law, layers)) - 1]


def dead_fraction(law: Law, x: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Probability that all of z^(l) is zero, for a two-slope activation: (len(layers), N).

    Without bias and with a slope of 0 (ReLU) it is 1 - prod(1 - 2^-n) over the hidden layers
    before; a network without bias is dead on a zero input; every other one never is.

    Raises
    ------
    ValueError
        As :func:`log_mean_square`.
    """
    zero = np.isneginf(log_mean_square(law, x, layers))
    if any(law.C_b) or 0 not in law.activation.slopes:
        return zero.astype(float)
    alive = np.cumsum(np.log1p(-(2.0 ** -np.array(law.widths[1:-1], dtype=float))))
    alive = np.concatenate([[0.0], alive])[np.array(layers) - 1]
    return np.where(zero, 1.0, -np.expm1(alive)[:, None])


def _require_slopes(law: Law) -> None:
    if law.activation.slopes is None:
        raise ValueError(f"{law.activation_name} has no two slopes: nothing exact is known of it")


def _square_cumulants(slopes: tuple[float, float]) -> tuple[float, float, float]:
    """Second to fourth cumulant of sigma(g)^2/A2, whose mean is 1."""
    a, b = np.array(slopes, dtype=float) ** 2
    mean = (a + b) / 2
    m2, m3, m4 = (
        factorial * (a**k + b**k) / 2 / mean**k for k, factorial in ((2, 3), (3, 15), (4, 105))
    )
    return m2 - 1, m3 - 3 * m2 + 2, m4 - 4 * m3 - 3 * m2**2 + 12 * m2 - 6


def _norms(x: np.ndarray) -> np.ndarray:
    return np.diagonal(overlaps(x))


def _flow(law: Law, x: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """G and the share of G that comes from the layer before, not the bias: (depth, N) each."""
    plus, minus = law.activation.slopes
    C_b, C_W = np.array(law.C_b[:depth]), np.array(law.C_W[:depth])
    G = np.empty((depth, len(x)))
    with np.errstate(over="ignore"):
        G[0] = C_b[0] + C_W[0] * _norms(x)
        for k in range(1, depth):
            G[k] = C_b[k] + C_W[k] * (plus**2 + minus**2) / 2 * G[k - 1]
    return G, 1 - np.divide(C_b[:, None], G, out=np.zeros_like(G), where=G > 0)


def _hidden(law: Law, x: np.ndarray, depth: int) -> Iterator[tuple[int, np.ndarray, float]]:
    """For each layer up to ``depth``: its number, its share w (N,), the width before it."""
    if law.is_scale_invariant:
        share = np.ones((depth, len(x)))
    else:
        _, share = _flow(law, x, depth)
    for layer in range(1, depth + 1):
        yield layer, share[layer - 1], float(law.widths[layer - 1])


def _first_layer_cumulant(law: Law, x: np.ndarray) -> np.ndarray:
    """Excess kurtosis of z^(1), a finite sum of independent terms: shape (N,)."""
    x = np.asarray(x, dtype=float)
    scale = law.C_W[0] / x.shape[1]
    G = law.C_b[0] + law.C_W[0] * _norms(x)
    fourth = law.excess_kurtosis * (law.C_b[0] ** 2 + scale**2 * np.sum(x**4, axis=1))
    return np.divide(fourth, G**2, out=np.zeros_like(G), where=G > 0)
