"""Spectra of the activations and weights of replicas, and accuracy along their components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch
import xarray as xr

from finitewidth.core.labelled import nothing
from finitewidth.core.rounding import ROUNDING
from finitewidth.trained.replica_axes import (
    BASES,
    CENTRINGS,
    STATES,
    Replicas,
    own,
)
from finitewidth.trained.representations import spectra
from finitewidth.trained.representations.rank_truncation import truncated_accuracy
from finitewidth.trained.representations.replicas import SINGLE, over_replicas
from finitewidth.trained.representations.second_moments import Moments
from finitewidth.trained.training.networks import evaluate

#: Accuracy that a network may lose when it is truncated at its ``rank_needed``.
LOSS = 0.01


def activation_spectra(
    replicas: Replicas, seen: Mapping[tuple[str, str], list[Moments]]
) -> tuple[list[np.ndarray], dict]:
    """Spectra on the training images; the eigenvectors are the trained, uncentred ones."""
    count, depth, frames = replicas.count, replicas.architecture.depth, []
    labels = {
        "state": STATES,
        "centring": CENTRINGS,
        "layer": range(depth + 1),
        "replica": range(count),
    }
    values = nothing({**labels, "rank": range(1, replicas.ranks + 1)})
    participation, slope = nothing(labels), nothing(labels)
    for state, centring, layer in product(STATES, CENTRINGS, range(depth)):
        value, frame = spectra.eigen(own(seen[state, "train"][layer].taken(centring).second))
        # Of the images there is one for all replicas.
        value = np.broadcast_to(value, (count, value.shape[-1]))
        if (state, centring) == ("trained", "uncentred"):
            frames.append(np.broadcast_to(frame, (count, *frame.shape[1:])))
        place = {"state": state, "centring": centring, "layer": layer}
        values.loc[{**place, "rank": slice(1, value.shape[-1])}] = value
        participation.loc[place] = spectra.participation_ratio(value)
        slope.loc[place] = spectra.power_law_slope(value)
    table = _by_replica(values)
    scalar = ("state", "centring", "layer")
    # Moments are sums of products in single precision, known to a share of the largest eigenvalue.
    known = SINGLE * np.nanmax(table, axis=(0, -1), keepdims=True, initial=0)[0]
    return frames, over_replicas(table, known).variables(
        "activation_eigenvalue",
        (*scalar, "rank"),
        long_name="eigenvalues of the second moments of activations",
    ) | over_replicas(_by_replica(participation)).variables(
        "activation_participation", scalar, long_name="participation ratio of activations"
    ) | over_replicas(_by_replica(slope)).variables(
        "activation_slope", scalar, long_name="alpha of eigenvalues of activations ~ rank^-alpha"
    )


def _by_replica(values: xr.DataArray) -> np.ndarray:
    """The numbers with the replica first, and the other dimensions in their order."""
    return values.transpose("replica", ...).values


def weight_spectra(replicas: Replicas, largest: Sequence[float]) -> tuple[list[np.ndarray], dict]:
    """Spectra of W^T W/n_out; the eigenvectors are those of trained weights."""
    frames = []
    labels = {
        "state": STATES,
        "layer": range(replicas.architecture.depth + 1),
        "replica": range(replicas.count),
    }
    values = nothing({**labels, "rank": range(1, replicas.ranks + 1)})
    participation, first, outliers = nothing(labels), nothing(labels), nothing(labels)
    for state in STATES:
        each = zip(replicas.weights[state], largest, strict=True)
        for layer, (weight, edge) in enumerate(each, 1):
            value, frame = spectra.weight_eigen(weight.double().cpu().numpy())
            place = {"state": state, "layer": layer}
            values.loc[{**place, "rank": slice(1, value.shape[-1])}] = value
            participation.loc[place] = spectra.participation_ratio(value)
            first.loc[place] = value[:, 0]
            outliers.loc[place] = (value > edge).sum(1)
            if state == "trained":
                frames.append(frame)
    table = _by_replica(values)
    dims = ("state", "layer")
    # Weights are what they are, and their singular values are found in double precision.
    known = ROUNDING["float64"] * np.nanmax(table, axis=(0, -1), keepdims=True, initial=0)[0]
    return frames, over_replicas(table, known).variables(
        "weight_eigenvalue", (*dims, "rank"), long_name="eigenvalues of W^T W/n_out"
    ) | over_replicas(_by_replica(participation)).variables(
        "weight_participation", dims, long_name="participation ratio of W^T W"
    ) | over_replicas(_by_replica(first)).variables(
        "weight_largest", dims, long_name="largest eigenvalue of W^T W/n_out"
    ) | over_replicas(_by_replica(outliers)).variables(
        "weight_outliers",
        dims,
        long_name="eigenvalues of W^T W/n_out beyond what 95 % of untrained weights reach",
    )


def covariances(seen: Sequence[Moments], frames: Sequence[np.ndarray]) -> xr.Dataset:
    """Second moments, means and eigenvectors of each representation."""
    found = {}
    for layer, (m, frame) in enumerate(zip(seen, frames, strict=True)):
        dims = (f"replica_{layer}", f"channel_{layer}")
        mean = m.first.cpu().numpy()
        for name, extra, values, what in (
            ("second_moment", (f"other_{layer}",), own(m.second), "E[phi phi^T]"),
            ("mean", (), mean, "E[phi]"),
            ("eigenvector", (f"rank_{layer}",), frame[: len(mean)], "eigenvectors of E[phi phi^T]"),
        ):
            about = {"long_name": f"{what} of representation {layer}", "units": "1"}
            found[f"{name}_{layer}"] = ((*dims, *extra), values.astype(np.float32), about)
    return xr.Dataset(found)


def truncation(replicas: Replicas, bases: Mapping[str, list[np.ndarray]]) -> dict:
    """Accuracy on validation images against rank, and the least rank that costs at most 1 %."""
    architecture, count = replicas.architecture, replicas.count
    weights, (x, y) = replicas.weights["trained"], replicas.images["validation"]
    whole = evaluate(architecture, weights, x, y)[1].cpu().numpy()
    labels = {
        "basis": BASES,
        "layer": range(architecture.depth + 1),
        "replica": range(count),
    }
    curves = nothing({**labels, "rank": range(1, replicas.ranks + 1)})
    needed = nothing(labels)
    for basis in BASES:
        for number in range(architecture.depth):
            frame = torch.from_numpy(bases[basis][number].copy()).to(x)
            curve = truncated_accuracy(architecture, weights, number, frame, x, y).cpu().numpy()
            place = {"basis": basis, "layer": number + 1}
            curves.loc[{**place, "rank": slice(1, curve.shape[1])}] = curve
            # But for rounding: of 100 answers one may be lost.
            enough = curve >= whole[:, None] - LOSS - 1e-9
            # From there on never less: the last rank that is not enough, and one.
            needed.loc[place] = (
                1
                + curve.shape[1]
                - np.argmin(np.concatenate([enough[:, ::-1], np.zeros((count, 1), bool)], 1), 1)
            )
    dims = ("basis", "layer")
    return over_replicas(_by_replica(curves)).variables(
        "clipped_accuracy",
        (*dims, "rank"),
        long_name="accuracy when a layer sees the first components of its input",
    ) | over_replicas(_by_replica(needed)).variables(
        "rank_needed", dims, long_name="least rank that costs at most 0.01 of accuracy"
    )
