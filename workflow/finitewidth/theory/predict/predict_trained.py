"""What is known beforehand of trained networks: their weights at the start, and what chance gives.

The same names and dimensions as their estimates (``trained/representations``), with a leading
dimension ``order``; NaN where an order says nothing. ``<name>_neglected`` is about how much an
order leaves out: against the next better one, or the error of a simulation. It is NaN of what is
no prediction: guesses, and numbers of a publication.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from finitewidth.core.labelled import Labels
from finitewidth.core.random import numpy_stream
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.trained import PredictedReplicas, Published
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.theory.predict.predicted_alignment import alignment
from finitewidth.theory.predict.predicted_weights import weights
from finitewidth.theory.predict.trained_tables import (
    CENTRINGS,
    ORDERS,
    SPLITS,
    STATES,
    described,
    table,
)


def predict_trained(
    member: PredictedReplicas,
    shape: tuple[int, int, int],
    classes: int,
    estimates: xr.Dataset,
    seed: int,
) -> xr.Dataset:
    """Theory of a member of ``trained``.

    Parameters
    ----------
    member : PredictedReplicas
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
    architecture = trained_architecture(
        member, shape, classes, C_W=member.C_W, weights=member.weights
    )
    generated: Labels = {
        "drawn": member.rainbow.drawn,
        "source": list(member.rainbow.covariance),
        "widening": list(member.rainbow.widen),
    }
    ranks = max(min(layer.out, layer.fan_in) for layer in architecture.layers)
    labels: Labels = {
        **generated,
        "order": list(ORDERS),
        "layer": np.arange(architecture.depth + 1),
        "state": list(STATES),
        "split": list(SPLITS),
        "centring": list(CENTRINGS),
        "rank": np.arange(1, ranks + 1),
    }
    stream = numpy_stream(seed, "predict", member.ensemble, member.name)
    found = weights(architecture, member, labels, stream)
    found |= alignment(architecture, estimates, labels, stream)
    about = described("share of right answers of guesses", "11")
    for name, dims in (("accuracy", ["split"]), ("generated_accuracy", list(generated))):
        found[name] = table(labels, dims, {"chance": 1 / classes}, about)
    dataset = xr.Dataset(found, labels)
    if member.published:
        _publish(dataset, member.published, architecture.depth)
    return explained(dataset, attributes(member, seed=seed))


def _publish(dataset: xr.Dataset, published: Published, depth: int) -> None:
    """Write numbers of a publication where their order and the rest of their labels say."""
    of = {"order": "published"}
    if published.accuracy is not None:
        dataset["accuracy"].loc[of | {"split": "validation"}] = published.accuracy
    if published.generated_accuracy is not None:
        # Every hidden layer anew, from one reference, as wide as it.
        like = {"drawn": "all", "source": "reference", "widening": 1.0}
        values = dataset["generated_accuracy"]
        if all(value in values[name] for name, value in like.items()):
            values.loc[of | like] = published.generated_accuracy
    if published.alignment is not None:
        place = {"state": "trained", "centring": "uncentred", "split": "train"}
        hidden = list(range(1, depth))
        dataset["alignment"].loc[of | place | {"layer": hidden}] = list(published.alignment)
    dataset.attrs["published"] = published.source
