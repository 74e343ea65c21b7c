"""The layers of a ladder's rung, and what is known of the neurons that drive each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from finitewidth.estimate.coupled.hermite_tails import tails
from finitewidth.estimate.coupled.interpolation import interpolated
from finitewidth.estimate.coupled.pair_expectations import given_kernels
from finitewidth.estimate.preactivations.pooled import root_mean_square
from finitewidth.estimate.samples import Samples

Array = np.ndarray

#: Units outside this range are taken for lost: their cubes neared the ends of float64.
_REPRESENTABLE = (1e-90, 1e90)
#: Nodes of the trapezoidal rule for the expectations of products of controls with a kink at 0.
_HALF_LINE = np.linspace(0, 12, 12001)


@dataclass(frozen=True)
class Chain:
    """The layers of the networks of one rung, as far as they are recorded.

    Attributes
    ----------
    width : int
        Neurons n of every hidden layer.
    state : array, shape (network, driven + 1, column)
        What each layer hands on, from 1 to the last one: its conditional kernels, a column a pair,
        and where they are wanted its tangent kernels.
    drive : array, shape (network, driven, control)
        Means over the neurons of each layer but the last of functions h_k of them, less E[h_k | g].
    second : array, shape (network, driven, control, control)
        E[h_j h_k | g] of the same functions; 1 network and layer where g does not matter.
    third : array, shape (network, driven, control, control, control), or None
        E[h_i h_j h_k | g] of the first few controls; on one input, and on two of kernels alone.
    kurtosis : array, shape (control,)
        Of each control; 0 where it is not limited.
    of_products : array, shape (control, control)
        Kurtosis of the product of two controls' means over n neurons; 0 where it is not limited.
    complete : bool
        Whether the next state is linear in the drive, the same for all networks, so that nothing is
        left of its response.
    """

    width: int
    state: Array
    drive: Array
    second: Array
    third: Array | None
    kurtosis: Array
    of_products: Array
    complete: bool = False


def units(kernel: Array, pair_list: Array) -> Array:
    """The size of each kernel, shape (..., pair); NaN where it is lost, 1 where it is 0."""
    same = np.flatnonzero(pair_list[:, 0] == pair_list[:, 1])
    scale = root_mean_square(kernel[..., same])
    unit = np.prod(scale[..., pair_list], axis=-1)
    low, high = _REPRESENTABLE
    return np.where((unit > low) & (unit < high), unit, np.nan)


def chains(samples: Samples, pair_list: Array, *, tangent: bool = False) -> Iterator[Chain | None]:
    """The layers of one rung after the other with what drives them.

    None without controls, or where a network is out of range.
    """
    rungs = len(samples.widths)
    drive = samples.values("drive") if "drive" in samples else np.zeros((0,))
    if not drive.size:
        yield from [None] * rungs
        return
    states = [_state(samples, "kernel", pair_list)]
    names = [str(name) for name in samples.coordinate("control")]
    if tangent:
        states.append(_state(samples, "ntk", pair_list))
    third: Array | None
    for rung, width in enumerate(samples.widths):
        state = np.concatenate([one[:, rung] for one in states], axis=2)
        means = drive[:, rung].astype(float)
        kurtosis, of_products = np.zeros(len(names)), np.zeros((len(names),) * 2)
        complete = samples.has_coordinate("pair_moments")
        if complete:
            g = samples.values("driven_kernel")[:, rung]
            expected, second, third = given_kernels(samples, g)
            means = means - expected
            # Controls times any function of g are controls: here that of being in the tables.
            unknown = ~np.isfinite(third).all(axis=(2, 3, 4))
            means[unknown], second[unknown], third[unknown] = 0.0, 0.0, 0.0
        elif samples.has_coordinate("neuron_moments"):
            g = samples.values("driven_kernel")[:, rung, :, 0]
            means, second, third = _of_neurons(samples, g, means, names)
        elif "." in names[0]:
            third = None
            second, kurtosis, of_products = _of_polynomials(names, int(width))
        else:
            second, third = _of_two_slopes(names)
        lost = not (np.isfinite(state).all() and np.isfinite(means).all())
        lengths = kurtosis, of_products
        yield None if lost else Chain(int(width), state, means, second, third, *lengths, complete)


def _state(samples: Samples, name: str, pair_list: Array) -> Array:
    """Kernels of every driven layer and of the last: (network, rung, layer, pair), in units."""
    last = int(np.argmax(samples.layers))
    final = samples.values(f"conditional_{name}")[:, :, last : last + 1]
    every = np.concatenate([samples.values(f"driven_{name}"), final], axis=2, dtype=float)
    return every / units(every, pair_list)


def _of_neurons(
    samples: Samples, g: Array, means: Array, names: Sequence[str]
) -> tuple[Array, Array, Array]:
    """Means less their expectations given g, and second and third moments, by the tables."""
    nodes, table = samples.coordinate("log_kernel"), samples.coordinate("neuron_moments")
    place = {str(name): k for k, name in enumerate(samples.coordinate("moment"))}
    columns = range(len(names))

    def of(power: int, few: int) -> Array:
        every = np.ndindex((few,) * power)
        return np.reshape(
            [place[" ".join(names[i] for i in sorted(c))] for c in every], (few,) * power
        )

    with np.errstate(all="ignore"):
        values = interpolated(np.log(g.astype(float)), nodes, table)
    few = 1 + max(k for k in range(min(2, len(names))) if " ".join([names[k]] * 3) in place)
    expected = values[..., [place[names[k]] for k in columns]]
    return means - expected, values[..., of(2, len(names))], values[..., of(3, few)]


def _of_polynomials(names: Sequence[str], width: int) -> tuple[Array, Array, Array]:
    """Hermite polynomials are orthogonal, and E[He_k^2] = k!; and how long their tails are."""
    powers = [[int(k) for k in name.removeprefix("He").split(".")] for name in names]
    norms = [math.prod(map(math.factorial, p)) for p in powers]
    kurtosis, of_products = tails(powers, width)
    # Those of degree two are what the least numbers of networks for order 2 are about.
    short = np.array([sum(p) <= 2 for p in powers])
    of_products[np.ix_(short, short)] = 0.0
    return np.diag(np.array(norms, float))[None, None], kurtosis, of_products


def _of_two_slopes(names: Sequence[str]) -> tuple[Array, Array]:
    density = np.exp(-(_HALF_LINE**2) / 2)
    density[0] /= 2
    weights = np.tile(density / (2 * density.sum()), 2)
    u = np.concatenate([-_HALF_LINE, _HALF_LINE])
    sign = np.repeat([-1.0, 1.0], len(_HALF_LINE))
    h = np.array([{"He2": u * u - 1, "odd2": u * u * sign, "sgn0": sign}[name] for name in names])
    second = np.einsum("iu,ju,u->ij", h, h, weights)
    third = np.einsum("iu,ju,ku,u->ijk", h, h, h, weights, optimize=True)
    return second[None, None], third[None, None]
