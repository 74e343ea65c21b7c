"""What is measured of the replicas of one member, with errors over replicas, as one dataset.

Representations are numbered by the layer that they follow: 0 are the images, L - 1 is what the
read-out sees. Weights are numbered from 1 to L. Both stand along the dimension ``layer`` from 0 to
L, NaN where there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from finitewidth.trained.replica_axes import (
    ALIGNED,
    BASES,
    CENTRINGS,
    SPLITS,
    STATES,
    Replicas,
)
from finitewidth.trained.representations.pairs import alignment, eigenvectors
from finitewidth.trained.representations.replicas import over_replicas
from finitewidth.trained.representations.second_moments import moments
from finitewidth.trained.representations.spectral import (
    activation_spectra,
    covariances,
    truncation,
    weight_spectra,
)
from finitewidth.trained.training.networks import evaluate


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
    frames, of_activations = activation_spectra(replicas, seen)
    weight_frames, of_weights = weight_spectra(replicas, largest)
    found |= of_activations | of_weights
    on_step("alignment")
    found |= alignment(replicas, seen)
    found |= eigenvectors(replicas, seen, frames, weight_frames)
    on_step("rank truncation")
    found |= truncation(replicas, {"activations": frames, "weights": weight_frames})
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
        "aligned": list(ALIGNED),
    }
    dataset = xr.Dataset(found, coords)
    ranks = {d: np.arange(1, n + 1) for d, n in dataset.sizes.items() if str(d).startswith("rank")}
    return dataset.assign_coords(ranks), covariances(seen["trained", "train"], frames)


def _training(replicas: Replicas) -> dict:
    """Loss and accuracy (split), of the trained networks."""
    each = [
        evaluate(replicas.architecture, replicas.weights["trained"], *replicas.images[split])
        for split in SPLITS
    ]
    loss, accuracy = (
        np.stack([tensor.cpu().numpy() for tensor in of_splits], 1)
        for of_splits in zip(*each, strict=True)
    )
    about = "of trained networks"
    return over_replicas(accuracy).variables(
        "accuracy", ("split",), long_name=f"share of right answers {about}"
    ) | over_replicas(loss).variables(
        "loss", ("split",), long_name=f"cross-entropy {about}", units="nat"
    )


def _curves(curves: Mapping[str, np.ndarray]) -> dict:
    found: dict = {}
    for name, unit in (("loss", "nat"), ("accuracy", "1")):
        both = np.stack([curves[f"{split}_{name}"] for split in SPLITS], 1)
        found |= over_replicas(both).variables(
            f"{name}_curve",
            ("split", "epoch"),
            long_name=f"{name} after each epoch (of training images: mean over the epoch)",
            units=unit,
        )
    return found
