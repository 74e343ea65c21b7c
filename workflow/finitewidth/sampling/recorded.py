"""The arrays that whole ensembles are recorded in; they are filled by torch or without it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from finitewidth.core.indices import pairs, quads


def of_layers(
    networks: int,
    layers: int,
    inputs: int,
    neurons: int,
    measure: Collection[str],
    with_norm: bool,
    directions: int = 0,
) -> dict[str, np.ndarray]:
    """Zeros for what is recorded of ``layers`` layers of ``networks`` networks.

    Parameters
    ----------
    neurons : int
        Neurons recorded in each layer.
    measure : collection of str
        ``preactivations`` for neurons and kernels; with it ``quartic``, and with that ``sextic``,
        for sums of higher powers; ``gradient`` for derivatives of outputs by layers and
        ``entropy`` for those of attention; ``jacobian`` for singular values of derivatives by the
        input; ``log_norm`` for the norms alone.
    with_norm : bool
        Whether scales are carried apart, so that ``log_norm`` is recorded.
    directions : int
        Numbers of an input, as many as a layer has singular values.

    Returns
    -------
    dict of arrays
        As ``docs/files.md`` describes a samples file.
    """
    shape = (networks, layers, inputs)
    found: dict[str, np.ndarray] = {}
    if "preactivations" in measure:
        found["preactivation"] = np.zeros((*shape, neurons), np.float32)
        found["kernel"] = np.zeros((*shape, inputs))
    if "quartic" in measure:
        found["quartic"] = np.zeros((*shape[:2], len(quads(inputs))))
        if "sextic" in measure:
            found["sextic"] = np.zeros(shape)
    for name in ("gradient", "entropy"):
        if name in measure:
            found[name] = np.zeros(shape)
    if "jacobian" in measure:
        found["jacobian"] = np.zeros((*shape, directions))
    if with_norm:
        found["log_norm"] = np.zeros(shape)
    return found


def of_tangents(
    networks: int, inputs: int, outputs: int, with_dntk: bool = False
) -> dict[str, np.ndarray]:
    """Zeros for tangent kernels of the first ``outputs`` outputs, and for their derivatives."""
    two = (networks, outputs, outputs)
    found = {
        "ntk": np.zeros((*two, inputs, inputs)),
        "output_preactivation": np.zeros((networks, outputs, inputs)),
        "conditional_kernel": np.zeros((networks, len(pairs(inputs)))),
    }
    if with_dntk:
        found["dntk"] = np.zeros((*two, outputs, inputs, inputs, inputs))
    return found


def numbers_of(arrays: Mapping[str, np.ndarray]) -> int:
    """How many numbers are recorded of one network."""
    return sum(math.prod(values.shape[1:]) for values in arrays.values())
