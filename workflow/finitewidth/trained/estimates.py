"""What is measured of the replicas of one member, with errors over replicas, as one dataset.

Representations are numbered by the layer that they follow: 0 are the images, L - 1 is what the
read-out sees. Weights are numbered from 1 to L. Both stand along the dimension ``layer`` from 0 to
L, NaN where there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from finitewidth.architecture import Architecture
from finitewidth.trained import spectra
from finitewidth.trained.activations import Moments, moments
from finitewidth.trained.alignment import correlation, cosines, explained, rotation
from finitewidth.trained.clipping import clipped_accuracy
from finitewidth.trained.networks import evaluate
from finitewidth.trained.replicas import over_pairs, over_replicas

STATES = ("start", "trained")
SPLITS = ("train", "validation")
CENTRINGS = ("uncentred", "centred")
BASES = ("activations", "weights")
#: Leading eigenvectors that two replicas are compared by.
COMPARED = 50
#: Accuracy that a clipped network may lose at its ``rank_needed``.
LOSS = 0.01


@dataclass(frozen=True)
class Replicas:
    """Networks of one architecture before and after training, and the images they saw.

    Attributes
    ----------
    architecture : Architecture
    weights : mapping
        ``start`` and ``trained``: a list of tensors (replica, out, fan_in) each.
    images : mapping
        ``train`` and ``validation``: tensors (image, channel, row, column) and (image,).
    """

    architecture: Architecture
    weights: Mapping[str, list[Tensor]]
    images: Mapping[str, tuple[Tensor, Tensor]]

    @property
    def count(self) -> int:
        """How many replicas."""
        return len(self.weights["trained"][0])

    @property
    def ranks(self) -> int:
        """The most eigenvalues that anything here has: the length of the dimension ``rank``."""
        layers = self.architecture.layers
        return max(max(layer.channels, min(layer.out, layer.fan_in)) for layer in layers)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of replicas."""
        return list(combinations(range(self.count), 2))


def estimates(
    replicas: Replicas,
    curves: Mapping[str, np.ndarray],
    largest: Sequence[float],
    on_step: Callable[[str], None] = lambda step: None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Everything but generated networks, and the second moments that most of it is made of.

    Parameters
    ----------
    replicas : Replicas
    curves : mapping
        train_loss and so on, arrays (replica, epoch).
    largest : sequence of float
        For each layer, what the largest eigenvalue of its weights at the start exceeds with a
        probability of 5 %: beyond it eigenvalues count as outliers.
    on_step : callable, optional
        Told in a word what is computed.

    Returns
    -------
    estimates, covariances : xarray.Dataset
        The second has, of each representation l of the trained networks on the training images,
        ``second_moment_<l>`` (replica, channel_<l>, other_<l>), uncentred, ``mean_<l>`` (replica,
        channel_<l>) and ``eigenvector_<l>`` (replica, channel_<l>, rank_<l>), largest eigenvalue
        first; of the images there is one for all replicas.
    """
    architecture = replicas.architecture
    found: dict = {}
    on_step("accuracy")
    found |= _training(replicas) | _curves(curves)
    on_step("moments of activations")
    seen = {
        (state, split): moments(architecture, replicas.weights[state], replicas.images[split][0])
        for state in STATES
        for split in SPLITS
    }
    on_step("spectra")
    frames, of_activations = _activations(replicas, seen)
    weight_frames, of_weights = _weights(replicas, largest)
    found |= of_activations | of_weights
    on_step("alignment")
    found |= _alignment(replicas, seen)
    found |= _eigenvectors(replicas, seen, frames, weight_frames)
    on_step("clipping")
    found |= _clipping(replicas, {"activations": frames, "weights": weight_frames})
    samples = [m.samples for m in seen["trained", "train"]]
    about = {"long_name": "samples of training images that moments are means of", "units": "1"}
    found["samples"] = ("layer", np.array([*samples, 0]), about)
    coords = {
        "layer": np.arange(architecture.depth + 1),
        "width": ("layer", np.array(architecture.widths), {"long_name": "channels", "units": "1"}),
        "state": list(STATES),
        "split": list(SPLITS),
        "centring": list(CENTRINGS),
        "basis": list(BASES),
        "aligned": ["as they are", "aligned"],
    }
    dataset = xr.Dataset(found, coords)
    ranks = {d: np.arange(1, n + 1) for d, n in dataset.sizes.items() if d.startswith("rank")}
    return dataset.assign_coords(ranks), _covariances(seen["trained", "train"], frames)


def _covariances(seen: Sequence[Moments], frames: Sequence[np.ndarray]) -> xr.Dataset:
    found = {}
    for layer, (m, frame) in enumerate(zip(seen, frames, strict=True)):
        dims = (f"replica_{layer}", f"channel_{layer}")
        mean = m.first.cpu().numpy()
        for name, extra, values, what in (
            ("second_moment", (f"other_{layer}",), _own(m.second), "E[phi phi^T]"),
            ("mean", (), mean, "E[phi]"),
            ("eigenvector", (f"rank_{layer}",), frame[: len(mean)], "eigenvectors of E[phi phi^T]"),
        ):
            about = {"long_name": f"{what} of representation {layer}", "units": "1"}
            found[f"{name}_{layer}"] = ((*dims, *extra), values.astype(np.float32), about)
    return xr.Dataset(found)


def _training(replicas: Replicas) -> dict:
    """Loss and accuracy (split), of the trained networks."""
    each = [
        evaluate(replicas.architecture, replicas.weights["trained"], *replicas.images[split])
        for split in SPLITS
    ]
    loss, accuracy = (np.stack([e[k].cpu().numpy() for e in each], 1) for k in (0, 1))
    about = "of trained networks"
    return over_replicas(accuracy).variables(
        "accuracy", ("split",), long_name=f"share of right answers {about}"
    ) | over_replicas(loss).variables(
        "loss", ("split",), long_name=f"cross-entropy {about}", units="nat"
    )


def _curves(curves: Mapping[str, np.ndarray]) -> dict:
    found = {}
    for name, unit in (("loss", "nat"), ("accuracy", "1")):
        both = np.stack([curves[f"{split}_{name}"] for split in SPLITS], 1)
        found |= over_replicas(both).variables(
            f"{name}_curve",
            ("split", "epoch"),
            long_name=f"{name} after each epoch (of training images: mean over the epoch)",
            units=unit,
        )
    return found


def _own(second: Tensor) -> np.ndarray:
    """Each replica's own second moments, shape (replica, n, n), of (replica, n, replica_, n_)."""
    return torch.einsum("rarb->rab", second).cpu().numpy()


def _padded(arrays: Sequence[np.ndarray | None], shape: tuple[int, ...]) -> np.ndarray:
    """Arrays of shapes up to ``shape`` along a new first axis; NaN where one is None or ends."""
    out = np.full((len(arrays), *shape), np.nan)
    for place, array in zip(out, arrays, strict=True):
        if array is not None:
            place[tuple(slice(n) for n in array.shape)] = array
    return out


def _activations(replicas: Replicas, seen) -> tuple[list[np.ndarray], dict]:
    """Spectra on the training images; the eigenvectors are the trained, uncentred ones."""
    count, depth, most = replicas.count, replicas.architecture.depth, replicas.ranks
    values, frames = [], []
    for state in STATES:
        for centring in CENTRINGS:
            of_layers = []
            for layer in range(depth):
                second = _moments(seen[state, "train"][layer], centring).second
                value, frame = spectra.eigen(_own(second))
                of_layers.append(np.broadcast_to(value, (count, value.shape[-1])))
                if (state, centring) == ("trained", "uncentred"):
                    frames.append(np.broadcast_to(frame, (count, *frame.shape[1:])))
            values.append([*of_layers, None])
    padded = [_padded(of_layers, (count, most)) for of_layers in values]
    # (replica, state, centring, layer, rank)
    table = np.stack(padded).reshape(2, 2, depth + 1, count, most).transpose(3, 0, 1, 2, 4)
    scalar = ("state", "centring", "layer")
    participation = _of_layers(spectra.participation_ratio, values, count, depth)
    slope = _of_layers(spectra.power_law_slope, values, count, depth)
    return frames, over_replicas(table).variables(
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


def _moments(m: Moments, centring: str) -> Moments:
    return m.centred() if centring == "centred" else m


def _weights(replicas: Replicas, largest: Sequence[float]) -> tuple[list[np.ndarray], dict]:
    """Spectra of W^T W/n_out; the eigenvectors are those of trained weights."""
    count = replicas.count
    values = {state: [None] for state in STATES}
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

    table = np.stack([_padded(values[s], (count, replicas.ranks)) for s in STATES])
    dims = ("state", "layer")
    return frames, over_replicas(np.moveaxis(table, 2, 0)).variables(
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


def _alignment(replicas: Replicas, seen) -> dict:
    """rho and r^2 of every pair on both splits, and what chance gives, fitted on training."""
    depth = replicas.architecture.depth
    shape = (len(STATES), len(CENTRINGS), len(SPLITS), depth + 1)
    rho = np.full((max(len(replicas.pairs), 1), *shape), np.nan)
    chance = np.full((replicas.count, *shape), np.nan)
    for s, state in enumerate(STATES):
        for c, centring in enumerate(CENTRINGS):
            for layer in range(1, depth):
                fit, held = (_moments(seen[state, split][layer], centring) for split in SPLITS)
                cross = [m.second.cpu().numpy() for m in (fit, held)]
                traces = [np.trace(_own(m.second), axis1=1, axis2=2) for m in (fit, held)]
                for p, (a, b) in enumerate(replicas.pairs):
                    turn = rotation(cross[0][a, :, b])
                    for k in (0, 1):
                        found = correlation(turn, cross[k][a, :, b], traces[k][a], traces[k][b])
                        rho[p, s, c, k, layer] = found
                turns = rotation(fit.chance.cpu().numpy())
                for k, m in enumerate((fit, held)):
                    following = np.roll(traces[k], -1)
                    by_chance = correlation(turns, m.chance.cpu().numpy(), traces[k], following)
                    chance[:, s, c, k, layer] = explained(by_chance)
    dims = ("state", "centring", "split", "layer")
    pairs = replicas.pairs
    return (
        over_pairs(rho, pairs).variables(
            "alignment", dims, long_name="correlation rho of two replicas after alignment"
        )
        | over_pairs(explained(rho), pairs).variables(
            "alignment_r2",
            dims,
            long_name="variance explained of a replica by an aligned other, r^2",
        )
        | over_replicas(chance).variables(
            "alignment_chance", dims, long_name="r^2 of activations on samples paired at random"
        )
    )


def _eigenvectors(replicas: Replicas, seen, frames, weight_frames) -> dict:
    """|cosine| between eigenvectors of two trained replicas, as they are and aligned."""
    depth, pairs = replicas.architecture.depth, replicas.pairs
    shape = (len(BASES), 2, depth + 1, COMPARED, COMPARED)
    found = np.full((max(len(pairs), 1), *shape), np.nan)
    for p, (a, b) in enumerate(pairs):
        turn = None
        for layer in range(1, depth + 1):
            # Weights see the representation before them; that of the images is everybody's.
            first, second = weight_frames[layer - 1][a], weight_frames[layer - 1][b]
            found[p, 1, 0, layer] = cosines(first, second, None, COMPARED)
            found[p, 1, 1, layer] = cosines(first, second, turn, COMPARED)
            if layer < depth:
                turn = rotation(seen["trained", "train"][layer].second[a, :, b].cpu().numpy())
                first, second = frames[layer][a], frames[layer][b]
                found[p, 0, 0, layer] = cosines(first, second, None, COMPARED)
                found[p, 0, 1, layer] = cosines(first, second, turn, COMPARED)
    dims = ("basis", "aligned", "layer", "rank_a", "rank_b")
    first = (dims, found[0], {"long_name": "|cosine| of replicas 0 and 1", "units": "1"})
    return {"eigenvector_cosine_01": first} | over_pairs(found, pairs).variables(
        "eigenvector_cosine",
        dims,
        long_name="|cosine| between eigenvectors of two replicas, mean over pairs",
    )


def _clipping(replicas: Replicas, bases: Mapping[str, list[np.ndarray]]) -> dict:
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
            enough = curve >= whole[:, None] - LOSS
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
