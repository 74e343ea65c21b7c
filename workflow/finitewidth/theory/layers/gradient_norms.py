"""Squared norms of derivatives of an output by each layer, at infinite width.

Where nothing learns, what a layer's tangent kernel adds to that of the output is linear in it:
sum_rs E[df/dz_r . df/dz_s] Theta_rs over rows r and s (places) of an input. So with the unit matrix
in place of Theta, and rates of 0 from there on, the steps of tangent kernels tell E|df/dz|^2.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import numpy as np

from finitewidth.models.architecture import Architecture
from finitewidth.theory.layers.infinite_width import start
from finitewidth.theory.layers.kernels import step

#: Numbers beyond which matrices of all layers, each place with each, are not held.
_MOST = 2**25


def gradient_norms(architecture: Architecture, x: np.ndarray) -> np.ndarray:
    """E|df/dz|^2 of one output f by all channels and places of each layer of results.

    Parameters
    ----------
    architecture : Architecture
        Widths do not matter but for the channels of inputs.
    x : ndarray
        As :meth:`~finitewidth.models.architecture.Architecture.arranged` takes it.

    Returns
    -------
    ndarray, shape (layers of results, inputs)
        NaN where it is not known, as where outputs have places, or too many places are there.
    """
    x = architecture.arranged(np.asarray(x, dtype=float))
    places = max(np.prod(shape[1:], dtype=int) for shape in architecture.shapes)
    if len(architecture.shapes[-1]) > 1 or places**2 * (len(architecture.ends) + 1) > _MOST:
        return np.full((len(architecture.ends), len(x)), np.nan)
    return np.stack([_of_one(architecture, one[None]) for one in x], axis=1)


def _of_one(architecture: Architecture, x: np.ndarray) -> np.ndarray:
    """Of one input, (layers of results,).

    Layers of one place divide the others: behind such a layer a number says all.
    """
    now, ends = start(x, with_ntk=False), set(architecture.ends)
    open_ones, closed = np.ones((0, 1, 1)), []
    for number, layer in enumerate(architecture.layers, 1):
        now = step(layer, now, repeat((0.0, 0.0)))
        if number not in ends:
            continue
        rows = len(now.nngp)
        passed = np.zeros((0, rows, rows)) if now.tangents is None else now.ntk
        if rows == 1:
            closed.append(passed[:, 0, 0])
            passed = passed[:0]
        open_ones = np.concatenate([passed, np.eye(rows)[None]])
        now = replace(now, tangents=open_ones, passed=1.0)
    found, beyond = [np.ones(1)], 1.0
    for each in reversed(closed):
        found.append(each * beyond)
        beyond = beyond * each[0] if len(each) else beyond
    return np.concatenate(found[::-1])
