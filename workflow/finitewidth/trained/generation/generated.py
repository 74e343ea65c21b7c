"""Accuracy of networks generated from the covariances of trained ones, as one dataset."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from finitewidth.core.torch_random import torch_stream
from finitewidth.members.trained import Rainbow
from finitewidth.models.network_shape import widened
from finitewidth.trained.generation import rainbow
from finitewidth.trained.replica_axes import Replicas
from finitewidth.trained.representations.alignment import rotation
from finitewidth.trained.representations.replicas import over_replicas
from finitewidth.trained.representations.second_moments import moments
from finitewidth.trained.training.networks import each, evaluate


def generated(
    replicas: Replicas,
    spec: Rainbow,
    stream: tuple,
    on_network: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Accuracy on validation images of networks aligned to each replica in turn.

    Parameters
    ----------
    replicas : Replicas
    spec : Rainbow
        Which networks.
    stream : tuple
        Seed and name of the random streams.
    on_network : callable, optional
        Told how many networks of how many are done.

    Returns
    -------
    xarray.Dataset
        ``generated_accuracy`` (drawn, source, widening): mean over networks and replicas with
        its error over replicas, and ``generated_each`` (drawn, source, widening, replica,
        network).
    """
    architecture, weights = replicas.architecture, replicas.weights["trained"]
    x, y = replicas.images["train"][0], replicas.images["validation"]
    subsets = [None if isinstance(s, str) else [k - 1 for k in s] for s in spec.layers]
    names = spec.drawn
    shape = (len(subsets), len(spec.covariance), len(spec.widen))
    found = np.zeros((*shape, replicas.count, spec.networks))
    own, white = rainbow.roots(weights), rainbow.white_roots(weights)
    # Alignments of every replica to every other, before each layer; the images are everybody's.
    cross = [m.second for m in moments(architecture, weights, x)][1:]
    for reference in range(replicas.count):
        roots = {"reference": each(own, reference), "white": each(white, reference)}
        if "average" in spec.covariance:
            found_turns = [torch.from_numpy(rotation(_to(c, reference))) for c in cross]
            turns = [None, *(turn.to(x.device) for turn in found_turns)]
            roots["average"] = rainbow.averaged_roots(architecture, weights, turns)
        for index in np.ndindex(shape):
            layers, covariance = subsets[index[0]], spec.covariance[index[1]]
            factor = spec.widen[index[2]]
            # Its own stream, whatever else the config asks for.
            name = (*stream, names[index[0]], covariance, factor, reference)
            shapes, drawn = rainbow.generate(
                architecture,
                each(weights, reference),
                roots[covariance],
                x,
                networks=spec.networks,
                stream=torch_stream(*name),
                layers=layers,
                widths=widened(architecture.widths[1:-1], factor),
            )
            found[(*index, reference)] = evaluate(shapes, drawn, *y)[1].cpu().numpy()
        on_network(reference + 1, replicas.count)
    dims = ("drawn", "source", "widening")
    about = {"long_name": "accuracy of each generated network", "units": "1"}
    variables = over_replicas(np.moveaxis(found.mean(-1), -1, 0)).variables(
        "generated_accuracy", dims, long_name="accuracy of generated networks"
    )
    variables["generated_each"] = ((*dims, "replica", "network"), found, about)
    coords = {"drawn": names, "source": list(spec.covariance), "widening": list(spec.widen)}
    return xr.Dataset(variables, coords)


def _to(cross: torch.Tensor, reference: int) -> np.ndarray:
    """E[phi_reference phi_r^T] for every r, shape (replica, n, n_)."""
    return cross[reference].permute(1, 0, 2).cpu().numpy()
