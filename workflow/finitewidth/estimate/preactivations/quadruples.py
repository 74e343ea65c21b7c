"""The mean absolute connected correlator of random quadruples of neurons, and its Gaussian control.

|E[z_i z_j z_k z_l] connected|/K^2, averaged over quadruples of different neurons, is what one first
thinks of to see whether a layer is Gaussian. But an absolute value does not average out: for
exactly Gaussian samples of N networks each correlator has the standard deviation K^2/sqrt(N), hence
the statistic the mean sqrt(2/(pi N)) = 0.798/sqrt(N). Below that floor it measures its own noise,
which the control shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.core.random import numpy_stream
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, Sums, jackknife, stack
from finitewidth.estimate.preactivations.layer import Layer

Array = np.ndarray

#: How many random quadruples are drawn.
QUADRUPLES = 1000
#: Relative error of the noise's variance above which the statistic's error is not believed.
#: Gaussian samples of 8 neurons have 0.1 with 1000 networks, 0.13 with 500: sqrt(10/N).
_KNOWN_NOISE, _GAUSSIAN = 0.25, 10.0
_CHUNK_FLOATS = 2**21


@dataclass(frozen=True)
class Quadruples:
    """Sets of four neurons, each once with how often it was drawn, and the pairs within them.

    Attributes
    ----------
    members : array of int, shape (set, 4)
        Increasing.
    weights : array, shape (set,)
        Sum to 1.
    pairs : array of int, shape (pair, 2)
        Every pair that occurs in a set.
    splits : array of int, shape (set, 3, 2)
        The three ways to split a set into two pairs, as positions in ``pairs``.
    """

    members: Array
    weights: Array
    pairs: Array
    splits: Array


def draw_quadruples(neurons: int, rng: np.random.Generator, number: int = QUADRUPLES) -> Quadruples:
    """Draw quadruples of four different neurons, uniformly, with replacement between quadruples.

    Raises
    ------
    ValueError
        With fewer than four neurons.
    """
    if neurons < 4:
        raise ValueError(f"quadruples of neurons need at least 4 recorded neurons, not {neurons}")
    drawn = rng.integers(neurons, size=(number, 4))
    # Draw again where neurons coincide: every quadruple of different neurons stays equally likely.
    while (again := _coincide(drawn)).any():
        drawn[again] = rng.integers(neurons, size=(again.sum(), 4))
    members, counts = np.unique(np.sort(drawn, axis=1), axis=0, return_counts=True)
    split = members[:, [[[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]]]
    pairs, place = np.unique(split.reshape(-1, 2), axis=0, return_inverse=True)
    return Quadruples(members, counts / number, pairs, place.reshape(-1, 3, 2))


def quadruple(z: Array, quadruples: Quadruples, bounds: Array) -> Estimate:
    """The statistic, in units of K^2, K the mean of z^2 over networks and recorded neurons.

    The correlator of a quadruple is the mean over networks of the product of its four z, minus the
    three products of sample covariances (about the known mean zero). Where it is all noise the
    jackknife takes the absolute value for linear and makes the error too large, by a factor of
    1.66 for independent quadruples, never too small.

    Parameters
    ----------
    z : array, shape (network, neuron)
    quadruples : Quadruples
    bounds : array of int, shape (block + 1,)

    Returns
    -------
    Estimate, shape ()
        NaN where z is not finite or all zero.
    """
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.mean(np.square(z, dtype=float)))
        if not (np.isfinite(scale) and scale > 1e4 * np.finfo(z.dtype).tiny):
            return Estimate.unknown((), Reason.NOT_FINITE)
    # Neurons first: products then run over contiguous memory.
    x = np.ascontiguousarray((z / scale).T)
    sums = {
        "four": _block_sums_of_products(x, quadruples.members, bounds),
        "two": _block_sums_of_products(x, quadruples.pairs, bounds),
        "K": np.add.reduceat(np.mean(x**2, axis=0), bounds[:-1])[:, None],
    }

    def estimator(s: Sums, count: Array) -> Array:
        covariance = s["two"] / count
        one, other = (covariance[..., quadruples.splits[:, :, side]] for side in (0, 1))
        connected = s["four"] / count - np.sum(one * other, axis=-1)
        size = np.sum(quadruples.weights * np.abs(connected), axis=-1, keepdims=True)
        return size / (s["K"] / count) ** 2

    estimate = jackknife(sums, bounds, estimator).take(0)
    # Noise of either sign hides a long tail from pseudo-values. But the statistic is the size of
    # that noise. If few blocks decide the variance of the noise, its size may be another in the
    # next ensemble.
    noise = np.sum(quadruples.weights * sums["four"] ** 2, axis=-1)
    uncertainty = np.sqrt(np.sum((noise - noise.mean()) ** 2)) / np.sum(noise)
    # Samples that lack the large networks of their law look quiet. What the logarithm of the kernel
    # says of these has no tail to lack. Half of it is taken: kernels of activations that saturate
    # have a shorter tail than log-normal ones.
    uncertainty = max(uncertainty, _expected(x) / 2)
    return estimate.doubted(~(uncertainty < _KNOWN_NOISE), Reason.UNKNOWN_VARIANCE, uncertainty)


def _expected(x: Array) -> float:
    """The relative error of the noise's variance of networks whose kernels are log-normal.

    That variance is a mean of the fourth power of the kernel G of a network, and its error of the
    eighth. With s^2 = Var log G, E[G^8]/E[G^4]^2 = exp(16 s^2). ``x`` has shape (neuron, network).
    """
    from scipy.special import polygamma

    square = np.mean(x**2, axis=0)
    alive = np.log(square[square > 0])
    # Neurons are normal given G: their mean square is chi-squared.
    spread = max(0.0, float(alive.var()) - float(polygamma(1, len(x) / 2)))
    return float(np.sqrt(_GAUSSIAN / x.shape[1]) * np.exp(min(8 * spread, 100.0)))


def gaussian_control(z: Array, rng: np.random.Generator) -> Array:
    """Independent normal samples of the shape and the pooled variance of z.

    Parameters
    ----------
    z : array, shape (network, input, neuron)

    Returns
    -------
    array of the same shape
        Variance, for each input, the mean of z^2 over networks and neurons.
    """
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.mean(np.square(z, dtype=float), axis=(0, 2)))
        return rng.standard_normal(z.shape) * scale[:, None]


def _coincide(drawn: Array) -> Array:
    return np.any(np.diff(np.sort(drawn, axis=1), axis=1) == 0, axis=1)


def _block_sums_of_products(x: Array, index: Array, bounds: Array) -> Array:
    """Sums over each block of products of rows of x, shape (block, product).

    Parameters
    ----------
    x : array, shape (neuron, network)
    index : array of int, shape (product, factors)
        Taken in chunks, to bound memory.
    """
    step = max(1, _CHUNK_FLOATS // x.shape[1])
    parts = []
    for start in range(0, len(index), step):
        rows = index[start : start + step].T
        product = x[rows[0]]
        for row in rows[1:]:
            product *= x[row]
        parts.append(np.add.reduceat(product, bounds[:-1], axis=1))
    return np.concatenate(parts).T


def quadruples(layer: Layer) -> dict[str, Estimate]:
    """The family ``quadruple``: of the networks, and of Gaussian samples beside them."""
    number = int(layer.samples.layers[layer.place])
    drawn = draw_quadruples(layer.samples.size("neuron"), numpy_stream(*layer.stream, "quadruples"))
    control = gaussian_control(layer.z, numpy_stream(*layer.stream, "gaussian control", number))
    both = [
        stack([quadruple(z[:, a], drawn, layer.bounds) for a in layer.inputs])
        for z in (layer.z, control)
    ]
    return {"quadruple": stack(both)}
