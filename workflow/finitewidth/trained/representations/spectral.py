"""Spectra of the activations and weights of replicas, and accuracy along their components."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import xarray as xr

from finitewidth.core.rounding import ROUNDING
from finitewidth.trained.replica_axes import (
    BASES,
    CENTRINGS,
    STATES,
    Replicas,
    own,
    padded,
)
from finitewidth.trained.representations import spectra
from finitewidth.trained.representations.rank_truncation import clipped_accuracy
from finitewidth.trained.representations.replicas import SINGLE, over_replicas
from finitewidth.trained.representations.second_moments import Moments
from finitewidth.trained.training.networks import evaluate

#: Accuracy that a clipped network may lose at its ``rank_needed``.
LOSS = 0.01


def activation_spectra(
    replicas: Replicas, seen: Mapping[tuple[str, str], list[Moments]]
) -> tuple[list[np.ndarray], dict]:
    """Spectra on the training images; the eigenvectors are the trained, uncentred ones."""
    count, depth, most = replicas.count, replicas.architecture.depth, replicas.ranks
    values, frames = [], []
    for state in STATES:
        for centring in CENTRINGS:
            of_layers = []
            for layer in range(depth):
                second = seen[state, "train"][layer].taken(centring).second
                value, frame = spectra.eigen(own(second))
                of_layers.append(np.broadcast_to(value, (count, value.shape[-1])))
                if (state, centring) == ("trained", "uncentred"):
                    frames.append(np.broadcast_to(frame, (count, *frame.shape[1:])))
            values.append([*of_layers, None])
    filled = [padded(of_layers, (count, most)) for of_layers in values]
    # (replica, state, centring, layer, rank)
    table = np.stack(filled).reshape(2, 2, depth + 1, count, most).transpose(3, 0, 1, 2, 4)
    scalar = ("state", "centring", "layer")
    participation = _of_layers(spectra.participation_ratio, values, count, depth)
    slope = _of_layers(spectra.power_law_slope, values, count, depth)
    # Moments are sums of products in single precision, known to a share of the largest eigenvalue.
    known = SINGLE * np.nanmax(table, axis=(0, -1), keepdims=True, initial=0)[0]
    return frames, over_replicas(table, known).variables(
        "activation_eigenvalue",
        (*scalar, "rank"),
        long_name="eigenvalues of the second moments of activations",
    ) | over_replicas(participation).variables(
        "activation_participation", scalar, long_name="participation ratio of activations"
    ) | over_replicas(slope).variables(
        "activation_slope", scalar, long_name="alpha of eigenvalues of activations ~ rank^-alpha"
    )


def _of_layers(function: Callable, values: list, count: int, depth: int) -> np.ndarray:
    """A function of each spectrum, shape (replica, state, centring, layer)."""
    nothing = np.full(count, np.nan)
    flat = [nothing if v is None else function(v) for of_layers in values for v in of_layers]
    return np.stack(flat).reshape(2, 2, depth + 1, count).transpose(3, 0, 1, 2)


def weight_spectra(replicas: Replicas, largest: Sequence[float]) -> tuple[list[np.ndarray], dict]:
    """Spectra of W^T W/n_out; the eigenvectors are those of trained weights."""
    count = replicas.count
    values: dict[str, list[np.ndarray | None]] = {state: [None] for state in STATES}
    frames = []
    for state in STATES:
        for weight in replicas.weights[state]:
            value, frame = spectra.weight_eigen(weight.double().cpu().numpy())
            values[state].append(value)
            if state == "trained":
                frames.append(frame)
    nothing = np.full(count, np.nan)
    bound = [np.nan, *largest]

    def of_spectra(function: Callable) -> np.ndarray:
        each = [
            [
                nothing if v is None else function(v, edge)
                for v, edge in zip(values[s], bound, strict=True)
            ]
            for s in STATES
        ]
        return np.moveaxis(np.array(each), 2, 0)

    table = np.stack([padded(values[s], (count, replicas.ranks)) for s in STATES])
    table = np.moveaxis(table, 2, 0)
    dims = ("state", "layer")
    # Weights are what they are, and their singular values are found in double precision.
    known = ROUNDING["float64"] * np.nanmax(table, axis=(0, -1), keepdims=True, initial=0)[0]
    return frames, over_replicas(table, known).variables(
        "weight_eigenvalue", (*dims, "rank"), long_name="eigenvalues of W^T W/n_out"
    ) | over_replicas(of_spectra(lambda v, _: spectra.participation_ratio(v))).variables(
        "weight_participation", dims, long_name="participation ratio of W^T W"
    ) | over_replicas(of_spectra(lambda v, _: v[:, 0])).variables(
        "weight_largest", dims, long_name="largest eigenvalue of W^T W/n_out"
    ) | over_replicas(of_spectra(lambda v, edge: (v > edge).sum(1))).variables(
        "weight_outliers",
        dims,
        long_name="eigenvalues of W^T W/n_out beyond what 95 % of untrained weights reach",
    )


def covariances(seen: Sequence[Moments], frames: Sequence[np.ndarray]) -> xr.Dataset:
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


def clipping(replicas: Replicas, bases: Mapping[str, list[np.ndarray]]) -> dict:
    """Accuracy on validation images against rank, and the least rank that costs at most 1 %."""
    architecture, count = replicas.architecture, replicas.count
    weights, (x, y) = replicas.weights["trained"], replicas.images["validation"]
    whole = evaluate(architecture, weights, x, y)[1].cpu().numpy()
    curves = np.full((len(BASES), architecture.depth + 1, count, replicas.ranks), np.nan)
    needed = np.full((len(BASES), architecture.depth + 1, count), np.nan)
    for b, basis in enumerate(BASES):
        for number in range(architecture.depth):
            frame = torch.from_numpy(bases[basis][number].copy()).to(x)
            curve = clipped_accuracy(architecture, weights, number, frame, x, y).cpu().numpy()
            curves[b, number + 1, :, : curve.shape[1]] = curve
            # But for rounding: of 100 answers one may be lost.
            enough = curve >= whole[:, None] - LOSS - 1e-9
            # From there on never less: the last rank that is not enough, and one.
            needed[b, number + 1] = (
                1
                + curve.shape[1]
                - np.argmin(np.concatenate([enough[:, ::-1], np.zeros((count, 1), bool)], 1), 1)
            )
    curves, needed = np.moveaxis(curves, 2, 0), np.moveaxis(needed, 2, 0)
    dims = ("basis", "layer")
    return over_replicas(curves).variables(
        "clipped_accuracy",
        (*dims, "rank"),
        long_name="accuracy when a layer sees the first components of its input",
    ) | over_replicas(needed).variables(
        "rank_needed", dims, long_name="least rank that costs at most 0.01 of accuracy"
    )
