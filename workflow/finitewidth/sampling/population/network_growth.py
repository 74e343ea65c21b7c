"""Islands of networks of any layers, grown towards large kernels of their read-out.

What the read-out would make of the stream after a layer of results says how large a network is
there. A stream is carried whole, since a skip keeps it: members are drawn without weights, as by
the marginal sampler, and resampled with all that they are at that layer.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.dense import Dense
from finitewidth.sampling.layers.draws import Tile, without_weights
from finitewidth.sampling.layers.networks import rows_of
from finitewidth.sampling.layers.patches import squares_of
from finitewidth.sampling.layers.steps import Draw, Rows, forward
from finitewidth.sampling.population.growth import Members, chosen
from finitewidth.sampling.population.potential import mean_of_inputs
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams

Array = np.ndarray


def grow_network(
    network: Architecture,
    x: Array,
    members: int,
    power: float,
    of: int | None,
    generator: torch.Generator,
    precision: str,
) -> Members:
    """Take ``members`` networks to their read-out, resampled by phi^k on the way.

    Parameters
    ----------
    network : Architecture
        Weights must be normal; the last layer is a dense map of vectors.
    x : array, shape (inputs, *shape)
    power : float
        k; 0 leaves the members alone, and then they are an ordinary ensemble.
    of : int or None
        The input whose kernel is grown; None for the mean over all.
    generator : torch.Generator
        On the CPU, where populations are grown.
    precision : str

    Returns
    -------
    Members
        With the conditional kernels of the read-out.
    """
    workspace, dtype = Workspace(), getattr(torch, precision)
    tile = Tile(Streams([generator], [members]), workspace, dtype, torch.device("cpu"))
    draw = partial(without_weights, tile=tile)
    ends = (0, *network.ends)[-2:-1] or (0,)
    begin = ends[0]
    rows = rows_of(torch.from_numpy(network.arranged(x)), torch.float64)
    log_weight, ancestor = np.zeros(members), np.arange(members)
    for place, layer in enumerate(network.layers[:begin], 1):
        rows = forward(layer, rows, draw)
        if not power or place == begin or place not in network.ends:
            continue
        growth = power * potential(_read(network, begin, rows, draw, workspace), of)
        picked, log_weight = chosen(log_weight, growth, generator)
        if picked is not None:
            rows = Rows(rows.values[torch.from_numpy(picked)], rows.shape, owned=True)
            ancestor = ancestor[picked]
    gram = np.broadcast_to(_read(network, begin, rows, draw, workspace), (members, len(x), len(x)))
    return Members(gram, np.zeros((members, len(x))), log_weight, ancestor)


def potential(gram: Array, of: int | None) -> Array:
    """log phi, shape (member,): of the mean over inputs of Ghat_aa over its median, or nearly of
    one input. Any function of what was drawn before leaves estimates unbiased."""
    own = np.einsum("maa->am", gram)
    usual = np.median(own, axis=1)
    with np.errstate(divide="ignore"):
        return mean_of_inputs(np.log(own), np.log(np.where(usual > 0, usual, 1.0)), of)


def _read(network: Architecture, begin: int, rows: Rows, draw: Draw, workspace: Workspace) -> Array:
    """Conditional kernels that the read-out gives what comes out here, (member, input, input)."""
    rows = Rows(rows.values.clone(), rows.shape)
    *before, last = network.layers[begin:]
    for layer in before:
        rows = forward(layer, rows, draw)
    assert isinstance(last, Dense)
    squares = squares_of(rows.values, workspace)
    return (last.C_b + last.C_W / last.fan_in * squares).numpy()
