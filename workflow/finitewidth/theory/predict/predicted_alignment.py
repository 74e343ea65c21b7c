"""What chance gives where activations of two replicas are aligned with each other."""

from __future__ import annotations

import numpy as np
import xarray as xr

from finitewidth.core.labelled import Labels, nothing
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.theory.predict.trained_tables import (
    DRAWS,
    STATES,
    described,
    left_out,
    table,
)
from finitewidth.theory.spectra.procrustes import chance_r2, chance_r2_of_spectra


def alignment(
    architecture: ReluNetwork,
    estimates: xr.Dataset,
    labels: Labels,
    stream: np.random.Generator,
) -> dict[str, xr.Variable]:
    """r² of chance, of centred activations on the samples that alignment is fitted on.

    Parameters
    ----------
    architecture : ReluNetwork
    estimates : xarray.Dataset
        The measured ``activation_eigenvalue`` and numbers of ``samples``.
    labels : mapping
        Of the dimensions ``order``, ``state``, ``centring``, ``split`` and ``layer``.
    stream : Generator
        Of the simulation.
    """
    white = nothing({"state": labels["state"], "layer": labels["layer"]})
    coloured, error = white.copy(), white.copy()
    for number, layer in enumerate(architecture.layers[:-1], 1):
        samples = int(estimates["samples"].sel(layer=number))
        white.loc[{"layer": number}] = chance_r2(layer.out, layer.out, samples)
        draws = max(4, min(DRAWS, 10**6 // layer.out**2))
        for state in STATES:
            place = {"state": state, "centring": "centred", "layer": number}
            values = estimates["activation_eigenvalue"].sel(place).dropna("rank").values
            if not values.any():  # a layer that is dead in every replica
                continue
            by_chance = chance_r2_of_spectra(values, values, samples, stream, draws)
            coloured.loc[{"state": state, "layer": number}] = by_chance.mean
            error.loc[{"state": state, "layer": number}] = by_chance.standard_error
    apart = abs(coloured - white) + error
    dims = ("state", "centring", "split", "layer")
    fitted = {"centring": "centred", "split": "train"}
    return {
        "alignment_chance_neglected": table(
            labels,
            dims,
            {"chance": apart.values, "spectrum": error.values},
            left_out("r^2 of chance", "11.3"),
            **fitted,
        ),
        "alignment_chance": table(
            labels,
            dims,
            {"chance": white.values, "spectrum": coloured.values},
            described("r^2 of independent noise, white or with the measured spectra", "11.3"),
            **fitted,
        ),
        "alignment": table(
            labels, dims, {}, described("published correlation after alignment", "11.3")
        ),
    }
