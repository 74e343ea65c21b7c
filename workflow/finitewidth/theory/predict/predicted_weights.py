"""What is known of the weights of networks before they are trained: their spectra, and its edge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from finitewidth.core.labelled import Labels
from finitewidth.members.trained import TrainedNetworks
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.theory.predict.trained_tables import DRAWS, described, left_out, table
from finitewidth.theory.spectra.marchenko_pastur import MarchenkoPastur, largest_by_simulation

#: Draws of largest eigenvalues: more, since an error of eight replicas that luck makes half as
#: large must not decide whether their simulation is good enough to be held against.
LARGEST_DRAWS = 400
#: Share of untrained matrices that have an eigenvalue beyond the threshold for outliers.
BEYOND = 0.05


def weights(
    architecture: ReluNetwork,
    member: TrainedNetworks,
    labels: Labels,
    stream: np.random.Generator,
) -> dict[str, xr.Variable]:
    """Eigenvalues of WᵀW/n_out at the start, layer by layer, and what their orders leave out.

    Parameters
    ----------
    architecture : ReluNetwork
    member : TrainedNetworks
    labels : mapping
        Of the dimensions ``order``, ``state``, ``layer`` and ``rank``.
    stream : Generator
        Of the simulation of the largest ones.
    """
    laws = [
        MarchenkoPastur(member.C_W / layer.fan_in, layer.out, layer.fan_in)
        for layer in architecture.layers
    ]
    # Of uniform entries the fourth moment is 9/5 of the square of the second.
    kurtosis = -1.2 if member.weights == "uniform" else 0.0
    ratios = [law.participation_ratio_of_means(kurtosis) for law in laws]
    drawn = [
        largest_by_simulation(
            law.n_out, law.n_in, law.variance, member.weights, LARGEST_DRAWS, stream
        )
        for law in laws
    ]
    mean, error = _mean_and_error(drawn)
    edges = [law.edges[1] for law in laws]
    # A single weight has no edge.
    several = [law.n_out * law.n_in > 1 for law in laws]
    largest = [
        law.largest_mean if more else np.nan for law, more in zip(laws, several, strict=True)
    ]
    # The ratio of two means beside the mean of a ratio: of normal entries, exactly.
    cut = [2 * ratio / (law.n_out * law.n_in) for ratio, law in zip(ratios, laws, strict=True)]
    # Two eigenvalues beyond the threshold; and the threshold, itself a quantile of draws.
    outlying = np.full(len(laws), BEYOND**2 + np.sqrt(BEYOND * (1 - BEYOND) / DRAWS))
    spectrum = [law.eigenvalues()[: min(law.n_out, law.n_in)] for law in laws]
    padded = np.array(list(itertools.zip_longest(*spectrum, fillvalue=np.nan))).T
    at_start = {"state": "start", "layer": list(range(1, len(laws) + 1))}

    def each(orders: dict, about: dict, *more: str) -> xr.Variable:
        return table(labels, ("state", "layer", *more), orders, about, **at_start)

    return {
        "weight_participation_neglected": each(
            {"marchenko_pastur": cut}, left_out("participation ratio", "11.1")
        ),
        "weight_largest_neglected": each(
            {
                "marchenko_pastur": np.abs(mean - edges) + error,
                "tracy_widom": np.abs(mean - largest) + error,
                "simulation": error,
            },
            left_out("largest eigenvalue", "11.2"),
        ),
        "weight_outliers_neglected": each(
            {"tracy_widom": np.where(several, outlying, np.nan)}, left_out("outliers", "11.2")
        ),
        "weight_eigenvalue": each(
            {"marchenko_pastur": padded},
            described("eigenvalues of W^T W/n_out at the start", "11.1"),
            "rank",
        ),
        "weight_participation": each(
            {"marchenko_pastur": ratios},
            described("participation ratio of W^T W at the start", "11.1"),
        ),
        "weight_largest": each(
            {"marchenko_pastur": edges, "tracy_widom": largest, "simulation": mean},
            described("largest eigenvalue of W^T W/n_out at the start", "11.2"),
        ),
        "weight_outliers": each(
            {"tracy_widom": np.where(several, BEYOND, np.nan)},
            described("eigenvalues beyond what 95 % of untrained weights reach", "11.2"),
        ),
    }


def _mean_and_error(drawn: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means of several sets of draws, and their standard errors."""
    error = [values.std(ddof=1) / np.sqrt(len(values)) for values in drawn]
    return np.array([values.mean() for values in drawn]), np.array(error)
