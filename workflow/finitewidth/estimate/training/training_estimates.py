"""From what was recorded of networks in training to estimates, family by family."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from finitewidth.estimate.dataset import variables
from finitewidth.estimate.errors.jackknife import BLOCKS, Estimate, block_bounds
from finitewidth.estimate.samples import Samples
from finitewidth.estimate.training.recorded import Recorded
from finitewidth.quantities.held import estimated, sizes
from finitewidth.quantities.vocabulary import FROM_TRAINING, OF_TRAINING

_COORDINATES = ("moment", "layer", "width", "output", "input", "pair_a", "pair_b")


def estimate_training(
    samples: Sequence[xr.Dataset], families: Collection[str], *, blocks: int = BLOCKS
) -> xr.Dataset:
    """Estimate families of quantities of an ensemble along its training.

    Parameters
    ----------
    samples : sequence of xarray.Dataset
        The shards; together they hold the starts 0 to N-1, each once.
    families : collection of str
        Of ``vocabulary.FROM_TRAINING``.
    blocks : int
        Blocks of starts of the jackknife, at most.

    Returns
    -------
    xarray.Dataset
        As :func:`finitewidth.estimate.dataset.dataset` makes it.

    Raises
    ------
    ValueError
        In one sentence: for an unknown family, missing or repeated networks, or fewer than 50.
    """
    for family in families:
        if family not in FROM_TRAINING:
            raise ValueError(f"unknown family {family!r}; allowed are {', '.join(FROM_TRAINING)}")
    whole, first = Samples(samples), samples[0]
    pairs = np.stack([first["pair_a"].values, first["pair_b"].values], axis=1)
    of = Recorded(
        whole,
        block_bounds(whole.networks, blocks),
        pairs,
        first["target"].values,
        first["is_training"].values,
        float(first.attrs.get("step_error", 0.0)),
    )
    lengths = {dim: int(first.sizes[dim]) for dim in ("moment", "output", "layer", "pair")}
    expected = sizes(int(first.sizes["input"])) | lengths
    found: dict[str, Estimate] = {}
    with np.errstate(all="ignore"):
        for described in OF_TRAINING:
            if described.name in families:
                found |= estimated(described, of, expected)
    result = variables(found)
    kept = {name: first.coords[name].variable for name in _COORDINATES}
    return result.assign_coords({k: c for k, c in kept.items() if set(c.dims) <= set(result.dims)})
