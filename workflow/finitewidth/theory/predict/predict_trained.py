"""What is known beforehand of trained networks: their weights at the start, and what chance gives.

The same names and dimensions as their estimates (``trained/estimates.py``), with a leading
dimension ``order``; NaN where an order says nothing. ``<name>_neglected`` is about how much an
order leaves out: against the next better one, or the error of a simulation. It is NaN of what is
no prediction: guesses, and numbers of a publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from finitewidth.core.random import numpy_stream
from finitewidth.models.shapes import Architecture, of_member
from finitewidth.theory.spectra.marchenko_pastur import MarchenkoPastur, largest_by_simulation
from finitewidth.theory.spectra.procrustes import chance_r2, chance_r2_of_spectra

ORDERS = ("chance", "spectrum", "marchenko_pastur", "tracy_widom", "simulation", "published")
#: Draws of each simulation: its error is then a tenth of the spread of one measurement or less.
DRAWS = 100
#: Of largest eigenvalues more: an error of eight replicas that luck makes half as large must not
#: decide whether their simulation is good enough to be held against.
LARGEST_DRAWS = 400
#: Share of untrained matrices that have an eigenvalue beyond the threshold for outliers.
BEYOND = 0.05
_STATES = ["start", "trained"]
_SPLITS = ["train", "validation"]
_CENTRINGS = ["uncentred", "centred"]


def predict_trained(
    member: Mapping,
    shape: tuple[int, int, int],
    classes: int,
    estimates: xr.Dataset,
    seed: int,
) -> xr.Dataset:
    """Theory of a member of ``trained`` (plain data).

    Parameters
    ----------
    member : mapping
        A slice of :class:`finitewidth.planning.trained_members.TrainedMember`.
    shape : (channels, rows, columns)
        Of an image.
    classes : int
    estimates : xarray.Dataset
        The measured ``activation_eigenvalue`` and numbers of ``samples``: what chance aligns
        depends on them.
    seed : int
        Of the config, for the streams of simulations.

    Raises
    ------
    ConfigError
        Where the model does not fit the images.
    """
    architecture = of_member(member, shape, classes)
    rainbow = member["rainbow"]
    kinds = {
        "drawn": ["all" if s == "all" else " ".join(map(str, s)) for s in rainbow["layers"]],
        "source": rainbow["covariance"],
        "widening": rainbow["widen"],
    }
    coords = kinds | {
        "order": list(ORDERS),
        "layer": np.arange(architecture.depth + 1),
        "state": _STATES,
        "split": _SPLITS,
        "centring": _CENTRINGS,
    }
    stream = numpy_stream(seed, "predict", member["ensemble"], member["name"])
    found = _weights(architecture, member, stream) | _alignment(architecture, estimates, stream)
    guess = 1 / classes
    for name, dims in (("accuracy", ("split",)), ("generated_accuracy", tuple(kinds))):
        values = np.full([len(coords[d]) for d in dims], guess)
        about = _about("share of right answers of guesses", "11")
        found[name] = (("order", *dims), _filled({"chance": values}), about)
    dataset = xr.Dataset(found, coords)
    dataset = dataset.assign_coords(rank=np.arange(1, dataset.sizes["rank"] + 1))
    if member["published"]:
        _publish(dataset, member["published"])
    return dataset


def _filled(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Arrays of one shape, each in the row of its order, and NaN elsewhere."""
    some = np.asarray(next(iter(values.values())))
    return np.stack([values.get(order, np.full(some.shape, np.nan)) for order in ORDERS])


def _about(what: str, equation: str) -> dict:
    return {"long_name": what, "units": "1", "equation": f"docs/theory.md {equation}"}


def _left_out(what: str, dims: Sequence[str], values: Mapping, equation: str) -> tuple:
    about = _about(f"what an order leaves out of the {what}", equation)
    return dims, _filled(values), about


def _mean_and_error(drawn: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means of several sets of draws, and their standard errors."""
    error = [values.std(ddof=1) / np.sqrt(len(values)) for values in drawn]
    return np.array([values.mean() for values in drawn]), np.array(error)


def _weights(architecture: Architecture, member: Mapping, stream: np.random.Generator) -> dict:
    laws = [
        MarchenkoPastur(member["C_W"] / layer.fan_in, layer.out, layer.fan_in)
        for layer in architecture.layers
    ]
    most = max(min(layer.out, layer.fan_in) for layer in architecture.layers)
    spectrum = np.full((2, architecture.depth + 1, most), np.nan)
    for number, law in enumerate(laws, 1):
        seen = min(law.n_out, law.n_in)
        spectrum[0, number, :seen] = law.eigenvalues()[:seen]

    def at_start(values: ArrayLike) -> np.ndarray:
        table = np.full((2, architecture.depth + 1), np.nan)
        table[0, 1:] = values
        return table

    # Of uniform entries the fourth moment is 9/5 of the square of the second.
    kurtosis = -1.2 if member["weights"] == "uniform" else 0.0
    ratios = [law.participation_ratio_of_means(kurtosis) for law in laws]
    drawn = [
        largest_by_simulation(
            law.n_out, law.n_in, law.variance, member["weights"], LARGEST_DRAWS, stream
        )
        for law in laws
    ]
    dims = ("order", "state", "layer")
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
    return {
        "weight_participation_neglected": _left_out(
            "participation ratio", dims, {"marchenko_pastur": at_start(cut)}, "11.1"
        ),
        "weight_largest_neglected": _left_out(
            "largest eigenvalue",
            dims,
            {
                "marchenko_pastur": at_start(np.abs(mean - edges) + error),
                "tracy_widom": at_start(np.abs(mean - largest) + error),
                "simulation": at_start(error),
            },
            "11.2",
        ),
        "weight_outliers_neglected": _left_out(
            "outliers", dims, {"tracy_widom": at_start(np.where(several, outlying, np.nan))}, "11.2"
        ),
        "weight_eigenvalue": (
            (*dims, "rank"),
            _filled({"marchenko_pastur": spectrum}),
            _about("eigenvalues of W^T W/n_out at the start", "11.1"),
        ),
        "weight_participation": (
            dims,
            _filled({"marchenko_pastur": at_start(ratios)}),
            _about("participation ratio of W^T W at the start", "11.1"),
        ),
        "weight_largest": (
            dims,
            _filled(
                {
                    "marchenko_pastur": at_start(edges),
                    "tracy_widom": at_start(largest),
                    "simulation": at_start(mean),
                }
            ),
            _about("largest eigenvalue of W^T W/n_out at the start", "11.2"),
        ),
        "weight_outliers": (
            dims,
            _filled({"tracy_widom": at_start(np.where(several, BEYOND, np.nan))}),
            _about("eigenvalues beyond what 95 % of untrained weights reach", "11.2"),
        ),
    }


def _alignment(
    architecture: Architecture, estimates: xr.Dataset, stream: np.random.Generator
) -> dict:
    """What chance gives of centred activations on the samples that alignment is fitted on."""
    white = np.full((2, 2, 2, architecture.depth + 1), np.nan)
    coloured, error = white.copy(), white.copy()
    for number, layer in enumerate(architecture.layers[:-1], 1):
        samples = int(estimates["samples"].sel(layer=number))
        white[:, 1, 0, number] = chance_r2(layer.out, layer.out, samples)
        draws = max(4, min(DRAWS, 10**6 // layer.out**2))
        for s, state in enumerate(_STATES):
            place = {"state": state, "centring": "centred", "layer": number}
            values = estimates["activation_eigenvalue"].sel(place).dropna("rank").values
            if not values.any():  # a layer that is dead in every replica
                continue
            by_chance = chance_r2_of_spectra(values, values, samples, stream, draws)
            coloured[s, 1, 0, number] = by_chance.mean
            error[s, 1, 0, number] = by_chance.standard_error
    dims = ("order", "state", "centring", "split", "layer")
    apart = np.abs(coloured - white) + error
    return {
        "alignment_chance_neglected": _left_out(
            "r^2 of chance", dims, {"chance": apart, "spectrum": error}, "11.3"
        ),
        "alignment_chance": (
            dims,
            _filled({"chance": white, "spectrum": coloured}),
            _about("r^2 of independent noise, white or with the measured spectra", "11.3"),
        ),
        "alignment": (
            dims,
            np.full((len(ORDERS), *white.shape), np.nan),
            _about("published correlation after alignment", "11.3"),
        ),
    }


def _publish(dataset: xr.Dataset, published: Mapping) -> None:
    """Numbers of a publication, in the row of their own."""
    row = ORDERS.index("published")
    if published["accuracy"] is not None:
        dataset["accuracy"][row, 1] = published["accuracy"]
    if published["generated_accuracy"] is not None:
        # Every hidden layer anew, from one reference, as wide as it.
        like = {"drawn": "all", "source": "reference", "widening": 1.0}
        values = dataset["generated_accuracy"]
        if all(value in values[name] for name, value in like.items()):
            values.loc[{"order": "published", **like}] = published["generated_accuracy"]
    if published["alignment"] is not None:
        dataset["alignment"][row, 1, 0, 0, 1:-1] = published["alignment"]
    dataset.attrs["published"] = published["source"]
