"""Whole ensembles: blocks of networks under named streams, gathered into one dataset.

On a processor perceptrons without their weights are drawn by compiled kernels
(:mod:`finitewidth.sampling.fused`). All else, and whatever a GPU draws, goes through torch, tile by
tile. Both ways have one distribution and other random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from finitewidth.core.blocks import block_size
from finitewidth.core.indices import quads
from finitewidth.core.words import check_word, check_words
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron, as_perceptron
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS as MOST_INPUTS
from finitewidth.sampling.fused.marginal import fill
from finitewidth.sampling.recorded import of_layers
from finitewidth.sampling.requirements import drawn_width, rows_read
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.triton_kernels.covered import is_covered, is_there

#: What may be recorded, and in which precision networks may be computed.
RECORDED = ("preactivations", "quartic", "sextic", "gradient", "jacobian", "entropy", "log_norm")
PRECISIONS = ("float32", "float64")
_DIMENSIONS = {
    "preactivation": ("network", "layer", "input", "neuron"),
    "kernel": ("network", "layer", "input", "input_"),
    "quartic": ("network", "layer", "quad"),
    "sextic": ("network", "layer", "input"),
    "gradient": ("network", "layer", "input"),
    "jacobian": ("network", "layer", "input", "singular"),
    "entropy": ("network", "layer", "input"),
    "log_norm": ("network", "layer", "input"),
}
_MEANING = {
    "preactivation": "preactivations z of the recorded neurons",
    "kernel": "mean over all neurons of z_a z_b",
    "quartic": "mean over all neurons of z_a z_b z_c z_d",
    "sextic": "mean over all neurons of z_a^6",
    "entropy": "entropy of the scores of attention, mean over heads (and tokens)",
    "jacobian": "log of the singular values of dz/dx, the largest first, -inf of 0",
    "gradient": "|df/dz|^2, f one output: sum over all neurons (at all places) of the layer",
    "log_norm": "log of the root mean square of z over all neurons, -inf for a dead layer",
}


def sample(
    network: Architecture | Perceptron,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    sampler: str = "marginal",
    layers: Sequence[int] | None = None,
    record: int = 8,
    measure: Collection[str] = ("preactivations",),
    precision: str = "float32",
    device: str = "cpu",
    blocks: tuple[int, int] | None = None,
    compiled: bool = True,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Sample an ensemble of networks of one architecture on the inputs ``x``.

    Parameters
    ----------
    network : Architecture or Perceptron
        One that is a perceptron takes the fast way that perceptrons have. Of layers with places
        (of images, of tokens) the place ``network.read`` is recorded.
    x : array, shape (inputs, n_0), (inputs, channels, rows, columns) or (inputs, tokens, channels)
        Images and sequences as arrays, or as rows of numbers in that order.
    networks : int
        Size of the whole ensemble.
    seed, name
        The config's seed, and what the ensemble and its member are called: with the number of the
        network, or on torch of the block, they name the random streams, so equal arguments give
        equal bytes.
    sampler : str
        ``marginal`` (weights integrated out) or ``explicit`` (weights drawn).
    layers : sequence of int, optional
        Layers of results to record, from 1 to the last; all of them where left out.
    record : int
        Neurons to record in each layer, at most the narrowest recorded layer has.
    measure : collection of str
        ``preactivations`` (neurons and kernels), ``quartic`` and ``sextic`` (sums of higher powers,
        each with the one before), ``gradient`` (squared norms of derivatives of the first output by
        each layer, beside neurons; of networks whose outputs have no places), ``jacobian``
        (logarithms of the singular values of the derivatives of each layer by the input, beside
        neurons; of networks without places), ``entropy`` (of the softmax of attention) and
        ``log_norm`` (for scale-invariant networks without bias it comes along with any of them).
    blocks : (int, int), optional
        First block and one past the last: a shard. All of them where left out.
    compiled : bool
        Without, nothing is drawn by compiled kernels: a processor draws as a GPU does, by torch.
    on_tile : callable
        Called every few networks with the networks done and to be done.

    Returns
    -------
    xarray.Dataset
        As ``docs/files.md`` describes a samples file.

    Raises
    ------
    ValueError
        For inputs of the wrong dimension or not finite, layers that do not
        exist, and whatever the sampler refuses.
    """
    measure = check_words("measure", measure, RECORDED)
    network = drawn_as(network, measure)
    check_word("sampler", sampler, ("marginal", "explicit"))
    check_word("precision", precision, PRECISIONS)
    x = check_inputs(network, x)
    layers = check_recorded(network, x, layers, measure)
    size = block_size(sampler, drawn_width(network, sampler))
    shard = Shard.of(size, blocks, networks, seed, name)
    neurons = min(record, *(network.result_widths[layer] for layer in layers))
    with_norm = _has_log_norm(network)
    count = rows_read(network, len(x))
    arrays = of_layers(len(shard), len(layers), count, neurons, measure, with_norm, x[0].size)
    arguments: dict[str, Any] = {"layers": layers, "on_tile": on_tile}
    these: dict[str, Any] = {
        "seed": seed, "name": name, "first": shard.begin, "networks": len(shard),
    }  # fmt: skip
    if compiled and sampler == "marginal" and device == "cpu" and isinstance(network, Perceptron):
        fill(network, x, arrays, precision=precision, **arguments, **these)
    elif compiled and is_there(device) and is_covered(network, len(x), sampler, measure, precision):
        # Imported where it is used: torch for processors alone comes without what it needs.
        from finitewidth.sampling.triton_kernels.marginal import fill as fill_on_gpu

        fill_on_gpu(network, x, arrays, **arguments, **these)
    else:
        from finitewidth.sampling.on_torch import fill as fill_on_torch

        fill_on_torch(
            network,
            x,
            arrays,
            shard,
            sampler=sampler,
            measure=measure,
            precision=precision,
            device=device,
            **arguments,
        )
    found = dataset(network, arrays, count, np.arange(shard.begin, shard.end), np.array(layers))
    # Sums are kept in double precision, whatever the neurons were computed in.
    return found.assign_attrs(precision=precision)


def drawn_as(
    network: Architecture | Perceptron, measure: Collection[str]
) -> Architecture | Perceptron:
    """The network as samplers take it: perceptrons have ways of their own, but not of derivatives
    by layers. Raises ``ValueError`` where these are asked of outputs that have places, and
    entropies of networks without a softmax."""
    perceptron = as_perceptron(network)
    if "entropy" in measure and not (isinstance(network, Architecture) and network.has_softmax):
        raise ValueError(
            "entropy: given a network without a softmax, allowed is attention with scores: softmax"
        )
    if not {"gradient", "jacobian"} & set(measure):
        return perceptron or network
    one = perceptron.architecture if perceptron is not None else network
    assert isinstance(one, Architecture)
    if "jacobian" in measure and one.has_places:
        raise ValueError("jacobian: given a network of images or tokens, allowed is one of vectors")
    if "gradient" in measure and len(one.shapes[-1]) > 1:
        raise ValueError("gradient: given outputs that have places, allowed is a read-out to none")
    return one


def check_inputs(network: Architecture | Perceptron, x: np.ndarray) -> np.ndarray:
    """``x`` as float64, (inputs, *shape of an input).

    Images and sequences may be rows of numbers
    (:meth:`~finitewidth.models.architecture.Architecture.arranged`). Raises ``ValueError`` where
    ``x`` does not fit, or is not finite.
    """
    x = np.asarray(x, dtype=np.float64)
    if isinstance(network, Architecture):
        x = network.arranged(x)
    elif x.shape[1:] != (network.widths[0],):
        raise ValueError(
            f"inputs of shape {x.shape} do not fit a network of {network.widths[0]} inputs"
        )
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite: there is a NaN or an infinity among them")
    return x


def check_recorded(
    network: Architecture | Perceptron,
    x: np.ndarray,
    layers: Sequence[int] | None,
    measure: Collection[str],
) -> tuple[int, ...]:
    """The layers to record, all where left out; raises ``ValueError`` for what cannot be."""
    check_together(measure)
    if set(measure) == {"log_norm"} and not _has_log_norm(network):
        raise ValueError(
            "measure: given log_norm, allowed is preactivations (log_norm is for perceptrons"
            " without bias whose activation is scale-invariant)"
        )
    if "quartic" in measure and (rows := rows_read(network, len(x))) > MOST_INPUTS:
        raise ValueError(f"four-point sums take at most {MOST_INPUTS} inputs, not {rows}")
    depth = len(network.result_widths) - 1
    layers = tuple(layers or range(1, depth + 1))
    if not all(1 <= layer <= depth for layer in layers):
        raise ValueError(f"layers {layers} must lie from 1 to the depth, {depth}")
    return layers


def _has_log_norm(network: Architecture | Perceptron) -> bool:
    """Whether scales are carried apart, so that logarithms of norms are recorded."""
    return isinstance(network, Perceptron) and network.is_scale_invariant


def check_together(measure: Collection[str]) -> None:
    """Raise ``ValueError`` for sums of powers without those that come before them."""
    pairs = (
        ("sextic", "quartic"),
        ("quartic", "preactivations"),
        ("gradient", "preactivations"),
        ("jacobian", "preactivations"),
        ("entropy", "preactivations"),
    )
    for word in ("gradient", "ntk"):
        if {"jacobian", word} <= set(measure):
            raise ValueError(f"measure: given jacobian with {word}, allowed is one of the two")
    for word, before in pairs:
        if word in measure and before not in measure:
            raise ValueError(f"measure: given {word} without {before}, allowed are both together")


class HasWidths(Protocol):
    """What datasets ask of a network."""

    @property
    def result_widths(self) -> tuple[int, ...]:
        """Numbers of an input, and of each layer of results."""

    @property
    def widths(self) -> tuple[int, ...]:
        """The last is that of the outputs."""


def dataset(
    network: HasWidths,
    arrays: dict[str, np.ndarray],
    count: int,
    networks: np.ndarray,
    layers: np.ndarray,
) -> xr.Dataset:
    """What is recorded of ``networks`` on ``count`` inputs, with coordinates."""
    data = {
        name: (
            _DIMENSIONS[name],
            values,
            {"long_name": _MEANING[name], "units": "1"},
        )
        for name, values in arrays.items()
    }
    inputs = np.arange(count)
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "layer": ("layer", layers, {"long_name": "layer l = 1..L"}),
        "width": (
            "layer",
            np.array(network.result_widths)[layers],
            {"long_name": "neurons n_l of the layer"},
        ),
        "input": ("input", inputs, {"long_name": "input"}),
    }
    if "kernel" in data:
        coordinates["input_"] = ("input_", inputs, {"long_name": "second input"})
        neurons = np.arange(arrays["preactivation"].shape[-1])
        coordinates["neuron"] = ("neuron", neurons, {"long_name": "recorded neuron"})
    if "quartic" in data:
        for letter, column in zip("abcd", quads(count).T, strict=True):
            coordinates[f"quad_{letter}"] = ("quad", column, {"long_name": f"input {letter}"})
    return xr.Dataset(data, coords=coordinates)
