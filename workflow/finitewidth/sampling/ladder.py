"""Ladders: one law at several widths, on common random numbers.

A rung of width n builds its layers from the first n columns of the normals that the widest rung
draws, so that what the widths have in common cancels in their differences. Kept are the conditional
kernels Ghat, which hold all that a layer can tell of the ones before it (the neurons of the next
layer are drawn from them and from nothing else), and, as controls, means of functions of the
normals whose expectations are known to be 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement, pairwise

import numpy as np
import torch
import xarray as xr

from finitewidth.activations import Activation
from finitewidth.blocks import block_size, ladder_tile_size
from finitewidth.indices import pairs
from finitewidth.law import Law
from finitewidth.rates import Rates
from finitewidth.sampling.conditional_ntk import LayerSums, conditional_ntk, layer_sums
from finitewidth.sampling.marginal import correlate, gram_of, unit_diagonal
from finitewidth.sampling.neuron_moments import KERNEL, TANGENT, moment_names, neuron_moments
from finitewidth.sampling.record import Room
from finitewidth.sampling.streams import Streams, tiles
from finitewidth.torch_random import torch_stream

#: Highest degree of the polynomials that control several inputs; less, but 2 at least, where there
#: would be more of them than the second number.
DEGREE, MOST_CONTROLS = 6, 50


def sample_ladder(
    laws: Sequence[Law],
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    controls: bool = True,
    rates: Sequence[Rates] | None = None,
    precision: str = "float32",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample networks of several widths from common normals.

    Parameters
    ----------
    laws : sequence of Law
        One a rung, the same but for the hidden widths; the hidden layers of each are equally wide.
        Weights must be normal.
    x : array, shape (inputs, n_0)
    networks : int
        Networks of each rung in the whole ladder.
    seed, name
        With the number of a block they name its random stream, as for a single ensemble.
    layers : sequence of int, optional
        Layers to record, from 1 to L; all of them where left out.
    controls : bool
        Whether to record what estimators reduce their variance with.
    rates : sequence of Rates, optional
        One a rung: tangent kernels are recorded, averaged over their way back.
    precision : str
        Of neurons; kernels are summed and kept in float64.
    blocks : (int, int), optional
        First block and one past the last: a shard. All of them where left out.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/architecture.md`` describes the samples of a ladder.

    Raises
    ------
    ValueError
        For laws that differ in more than their width or are not normal, inputs of the wrong
        dimension or not finite, and layers that do not exist.
    """
    x = np.asarray(x, dtype=np.float64)
    widths = _check(laws, x)
    layers = tuple(layers or range(1, laws[0].depth + 1))
    if not all(1 <= layer <= laws[0].depth for layer in layers):
        raise ValueError(f"layers {layers} must lie from 1 to the depth, {laws[0].depth}")
    widest, last = max(widths), max(layers)
    size = block_size("marginal", widest)
    first, stop = blocks or (0, -(-networks // size))
    begin, end = first * size, min(stop * size, networks)
    names = control_names(laws[0].activation, len(x), tangent=rates is not None) if controls else ()
    shape = (end - begin, len(laws))
    kept = _Kept(
        np.zeros((*shape, len(layers), len(pairs(len(x))))),
        np.zeros((*shape, last - 1, len(pairs(len(x)))), np.float32) if controls else None,
        np.zeros((*shape, last - 1, len(names)), np.float32) if controls else None,
        np.zeros((*shape, len(layers), len(pairs(len(x))))) if rates else None,
        np.zeros((*shape, last - 1, len(pairs(len(x)))), np.float32)
        if rates and controls
        else None,
    )
    tensor, room = torch.from_numpy(x).to(device), Room()
    summed = last - 1 if rates else 0
    tile = ladder_tile_size(size, widths, len(x), device, kept.numbers, summed)
    stream = partial(torch_stream, seed, *name, "networks", device=device)
    for at, streams in tiles(stream, (first, stop), size, networks, tile):
        found = kept.of_tile(streams.networks, device)
        dtype = getattr(torch, precision)
        _sample_tile(laws, rates, tensor, layers, names, streams, room, dtype, found)
        kept.put(at, found)
        on_tile(at.stop, end - begin)
    found = _dataset(kept, np.arange(begin, end), widths, np.array(layers), names, len(x))
    if _of_neurons(names):
        law, norm = laws[0], float(x[0] @ x[0])
        kernel = law.C_b[0] + law.C_W[0] / law.widths[0] * norm
        nodes, values = neuron_moments(law.activation, kernel, law.C_b, law.C_W, names)
        found = found.assign_coords(
            log_kernel=("log_kernel", nodes, {"long_name": "logarithm of a layer's kernel"}),
            moment=("moment", moment_names(names), {"long_name": "functions multiplied"}),
            neuron_moments=(("log_kernel", "moment"), values, {"long_name": _MOMENTS}),
        )
    return found.assign_attrs(precision=precision)


def control_names(activation: Activation, inputs: int, *, tangent: bool = False) -> tuple[str, ...]:
    """The controls for an activation: functions of neurons, of known expectation.

    One input: what enters the next kernel, the square ``s2`` of s = sigma(z), and for ``tangent``
    kernels ``d2``, ``z1s1d1`` and so on, d = sigma'(z); of two slopes functions of the standard
    normal u that make these up, ``He2`` (u^2 - 1), ``odd2`` (u|u|) and for ``tangent`` kernels
    ``sgn0``, the sign of u. Several inputs: ``He1.0.2`` is a product of Hermite polynomials, a
    factor an input, without those that products of sigma cannot feel, odd ones for a sigma that is
    odd or even.
    """
    if inputs == 1 and not activation.is_scale_invariant:
        return TANGENT if tangent else KERNEL
    z = np.linspace(0.1, 4, 40)
    even = np.allclose(activation.function(z) ** 2, activation.function(-z) ** 2, rtol=1e-12)
    if inputs == 1:
        return ("He2",) if even else ("He2", "odd2", *(("sgn0",) if tangent else ()))
    step = 2 if even else 1
    top = 2 if activation.is_linear else DEGREE
    while top > 2 and _count(inputs, top, step) > MOST_CONTROLS:
        top -= 1
    names = []
    for degree in range(step, top + 1, step):
        for factors in combinations_with_replacement(range(inputs), degree):
            powers = (factors.count(a) for a in range(inputs))
            names.append("He" + ".".join(map(str, powers)))
    return tuple(names)


def _of_neurons(names: Sequence[str]) -> bool:
    """Whether controls are functions of neurons, not of their normals."""
    return bool(names) and names[0] == KERNEL[0]


def _count(inputs: int, top: int, step: int) -> int:
    """How many monomials there are of the degrees step, 2 step, ... up to ``top``."""
    return sum(math.comb(inputs + k - 1, k) for k in range(step, top + 1, step))


@dataclass(frozen=True)
class _Kept:
    """What is recorded: kernels of recorded layers, kernels and means of every driven layer.

    Arrays (network, rung, ...) of the shard, or tensors of the tile under way on its device, from
    where they are fetched once: a GPU that is waited for at every layer does nothing meanwhile.
    """

    kernel: np.ndarray | torch.Tensor
    driven: np.ndarray | torch.Tensor | None
    drive: np.ndarray | torch.Tensor | None
    ntk: np.ndarray | torch.Tensor | None
    driven_ntk: np.ndarray | torch.Tensor | None

    @property
    def numbers(self) -> int:
        """How many are recorded of one network."""
        return sum(math.prod(v.shape[1:]) for v in vars(self).values() if v is not None)

    def of_tile(self, networks: int, device: str) -> _Kept:
        """Room for a tile's own, on its device."""

        def room(array: np.ndarray) -> torch.Tensor:
            dtype = torch.from_numpy(array).dtype
            return torch.empty((networks, *array.shape[1:]), dtype=dtype, device=device)

        return _Kept(**{k: None if v is None else room(v) for k, v in vars(self).items()})

    def put(self, at: slice, tile: _Kept) -> None:
        """Store what was found of a tile as that of the networks ``at``."""
        for name, array in vars(self).items():
            if array is not None:
                array[at] = getattr(tile, name).cpu().numpy()


def _check(laws: Sequence[Law], x: np.ndarray) -> list[int]:
    """The widths of the rungs, from 1 on; raises as :func:`sample_ladder` does."""
    first = laws[0]
    if x.ndim != 2 or x.shape[1] != first.widths[0]:
        raise ValueError(
            f"inputs of shape {x.shape} do not fit a network of {first.widths[0]} inputs"
        )
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    for law in laws:
        if law.weights != "normal":
            raise ValueError(f"a ladder needs normal weights, not {law.weights} ones")
        if (law.activation_name, law.depth) != (first.activation_name, first.depth) or (
            (law.C_b, law.C_W) != (first.C_b, first.C_W)
        ):
            raise ValueError("the rungs of a ladder may differ in their width alone")
        if len(set(law.widths[1:-1])) > 1:
            raise ValueError(f"the hidden layers of a rung must be equally wide, not {law.widths}")
    return [law.widths[1] for law in laws]


def _sample_tile(laws, rates, x, layers, names, streams: Streams, room, dtype, kept: _Kept) -> None:
    """Draw the networks of a tile, of every rung, and keep what is recorded of them."""
    inputs, networks, last = len(x), streams.networks, max(layers)
    widths = [law.widths[1] for law in laws]
    a, b = pairs(inputs).T
    first = laws[0].C_b[0] + laws[0].C_W[0] / laws[0].widths[0] * (x @ x.T)
    grams = [first.expand(networks, inputs, inputs)] * len(laws)
    # Scale-invariant networks are computed at unit scale, as by the marginal sampler.
    apart = laws[0].is_scale_invariant
    log_scales = [x.new_zeros(networks, inputs)] * len(laws)
    places = {layer: place for place, layer in enumerate(layers)}
    sums: list[list[LayerSums]] = [[] for _ in laws]
    for layer in range(1, last + 1):
        for rung, gram in enumerate(grams):
            kernel = gram
            if apart:
                scale = log_scales[rung].exp()
                kernel = gram * (scale[:, :, None] * scale[:, None, :])
                grams[rung], log_scales[rung] = unit_diagonal(gram, log_scales[rung])
            kernel = kernel[:, a, b]
            if layer in places:
                kept.kernel[:, rung, places[layer]] = kernel
            if layer < last and names:
                kept.driven[:, rung, layer - 1] = kernel
            if rates and (layer in places or names):
                law = laws[rung]
                ntk = conditional_ntk(sums[rung], x @ x.T, rates[rung], law.widths, law.C_W)
                ntk = ntk.expand(networks, inputs, inputs)[:, a, b]
                if layer in places:
                    kept.ntk[:, rung, places[layer]] = ntk
                if layer < last and names:
                    kept.driven_ntk[:, rung, layer - 1] = ntk
        if layer == last:
            return
        shape = (networks, inputs, max(widths))
        normals = streams.normal_(room("normals", shape, dtype, x.device))
        if names and not _of_neurons(names):
            kept.drive[:, :, layer - 1] = _drive(normals, names, widths, room)
        for rung, (law, n) in enumerate(zip(laws, widths, strict=True)):
            z = room(f"z{n}", (networks, inputs, n), dtype, x.device).copy_(normals[..., :n])
            z = correlate(grams[rung], z, room)
            before = z.clone() if rates else None
            s = law.activation.on_tensor_(torch, z)
            gram = gram_of(s, room)
            grams[rung] = law.C_b[layer] + law.C_W[layer] / n * gram
            if rates:
                scale = log_scales[rung].exp() if apart else None
                sums[rung].append(_sums(law, layer, before, s, gram, scale))
            if _of_neurons(names):
                kept.drive[:, rung, layer - 1] = _means(gram, sums[rung], len(names)) / n


def _means(gram, sums: list[LayerSums], controls: int):
    """Sums over the neurons of one input of the functions of ``control_names``."""
    if controls == 1:
        return gram[:, :, 0]
    own = sums[-1]
    parts = (gram, own.slopes, own.mixed, own.preactivations, own.activations)
    return torch.stack([part.flatten() for part in parts], 1)


def _sums(law, layer: int, z, s, gram, scale) -> LayerSums:
    """What the tangent kernels of later layers take from this one."""
    slope = law.activation.derivative_on_tensor(torch, z, s)
    if scale is not None:
        gram = gram * (scale[:, :, None] * scale[:, None, :])
    kernel = law.C_b[layer] + law.C_W[layer] / z.shape[2] * gram
    return layer_sums(z, s, slope, gram, kernel, law.C_W[layer], scale)


def _drive(normals: torch.Tensor, names: Sequence[str], widths: Sequence[int], room: Room):
    """Means of the controls over the first n columns of ``normals``, for each width n.

    Returns a tensor of shape (networks, rung, control), float64.
    """
    values = _of_one if normals.shape[1] == 1 else _of_several
    ordered = sorted(set(widths))
    sums = normals.new_zeros((len(normals), len(ordered), len(names)), dtype=torch.float64)
    for place, value in enumerate(values(normals, names, room)):
        for step, (start, stop) in enumerate(pairwise((0, *ordered))):
            sums[:, step, place] = value[:, start:stop].sum(1)
    means = sums.cumsum(1) / sums.new_tensor(ordered)[:, None]
    return means[:, [ordered.index(n) for n in widths]]


def _of_one(normals: torch.Tensor, names: Sequence[str], room: Room):
    """Values of each control of one input, shape (networks, width), one after the other."""
    u = normals[:, 0]
    for name in names:
        if name == "He2":
            yield torch.mul(u, u, out=_like(u, "power", room)).sub_(1)
        elif name == "odd2":
            yield torch.abs(u, out=_like(u, "power", room)).mul_(u)
        else:
            yield torch.sign(u, out=_like(u, "power", room))


def _of_several(normals: torch.Tensor, names: Sequence[str], room: Room):
    """The same for several inputs: products of Hermite polynomials, one a factor an input."""
    powers = [[int(k) for k in name.removeprefix("He").split(".")] for name in names]
    found = _hermite(normals, max(map(max, powers)), room)
    out = _like(normals[:, 0], "product", room)
    for degrees in powers:
        factors = [found[k][:, a] for a, k in enumerate(degrees) if k]
        value = factors[0]
        for factor in factors[1:]:
            value = torch.mul(value, factor, out=out)
        yield value


def _like(u: torch.Tensor, name: str, room: Room) -> torch.Tensor:
    return room(name, tuple(u.shape), u.dtype, u.device)


def _hermite(u: torch.Tensor, most: int, room: Room) -> dict[int, torch.Tensor]:
    """He_1 to He_most of u: He_{k+1} = u He_k - k He_{k-1}."""
    found = {1: u}
    for k in range(1, most):
        value = found[k + 1] = torch.mul(u, found[k], out=_like(u, f"He{k + 1}", room))
        value.sub_(found[k - 1] if k > 1 else 1.0, alpha=k)
    return found


_MEANING = {
    "conditional_kernel": "covariance of the layer's neurons given the layer before",
    "driven_kernel": "conditional kernel that scales the normals of the layer",
    "conditional_ntk": "tangent kernel of a neuron, averaged over its way back",
    "driven_ntk": "tangent kernel of a neuron of the layer, averaged over its way back",
    "drive": "mean over the layer's neurons of functions of them or of their normals",
}
_MOMENTS = "means, covariances and third central moments of functions of one neuron"


def _dataset(kept: _Kept, networks, widths, layers, names, inputs: int) -> xr.Dataset:
    arrays = {"conditional_kernel": (("layer", "pair"), kept.kernel)}
    if kept.ntk is not None:
        arrays["conditional_ntk"] = (("layer", "pair"), kept.ntk)
    if names:
        arrays["driven_kernel"] = (("driven", "pair"), kept.driven)
        if kept.driven_ntk is not None:
            arrays["driven_ntk"] = (("driven", "pair"), kept.driven_ntk)
        arrays["drive"] = (("driven", "control"), kept.drive)
    data = {
        name: (("network", "rung", *dims), values, {"long_name": _MEANING[name], "units": "1"})
        for name, (dims, values) in arrays.items()
    }
    a, b = pairs(inputs).T
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "rung": ("rung", np.arange(len(widths)), {"long_name": "rung of the ladder"}),
        "width": ("rung", np.array(widths), {"long_name": "neurons of every hidden layer"}),
        "layer": ("layer", layers, {"long_name": "layer l = 1..L"}),
        "pair_a": ("pair", a, {"long_name": "input a"}),
        "pair_b": ("pair", b, {"long_name": "input b"}),
        "input": ("input", np.arange(inputs), {"long_name": "input"}),
    }
    if names:
        driven = np.arange(1, max(layers))
        coordinates["driven"] = ("driven", driven, {"long_name": "layer whose neurons are driven"})
        coordinates["control"] = ("control", np.array(names), {"long_name": "function of normals"})
    return xr.Dataset(data, coords=coordinates)
