"""Islands that are grown towards networks with large tangent kernels, on one input."""

from __future__ import annotations

import numpy as np
import torch

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate
from finitewidth.sampling.population.growth import CHUNK, Members, begun, resampled, to_unit
from finitewidth.sampling.population.tangents import (
    beyond,
    counted,
    first,
    moments,
    scaled,
    sums_of,
    two_slopes,
)
from finitewidth.sampling.record import Workspace

Array = np.ndarray


def is_short(mlp: Perceptron) -> bool:
    """Whether a layer is a function of three numbers, however wide: two slopes, no bias."""
    return mlp.is_scale_invariant


def grow_tangents(
    mlp: Perceptron,
    rates: LearningRates,
    x: Array,
    members: int,
    power: float,
    generator: torch.Generator,
    numbers: np.random.Generator,
    precision: str,
) -> Members:
    """Take ``members`` networks to the last layer, resampled by E[Theta^2 | forward pass]^(k/2).

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    rates : LearningRates
    x : array, shape (1, n_0)
    power : float
        k; 0 leaves the members alone, and then they are an ordinary ensemble.
    generator : torch.Generator
        On the CPU; draws neurons, and resamples.
    numbers : numpy.random.Generator
        Draws the three numbers where :func:`is_short`.
    precision : str
        Of the neurons.

    Returns
    -------
    Members
        With ``tangent``, of which :func:`.tangents.moments` makes moments.
    """
    workspace = Workspace()
    known = first(float(counted(mlp, rates, 1, float(x[0] @ x[0]))), members)
    now = begun(mlp, x, members)._replace(tangent=known)
    for layer in range(1, mlp.depth):
        if mlp.is_scale_invariant:
            now = to_unit(now)
        if power:
            _, square = log_moments(now)
            now = resampled(now, 0.5 * power * square, generator)
        n, fresh = mlp.widths[layer], mlp.C_W[layer] / mlp.widths[layer]
        gram = now.gram[:, 0, 0]
        if is_short(mlp):
            raw = two_slopes(mlp.activation.slope_pair, n, members, numbers)
            raw[:, gram == 0] = 0.0
        else:
            raw = _neurons(mlp, n, now.gram, generator, getattr(torch, precision), workspace)
        squares = raw[-1]
        following = mlp.C_b[layer] + fresh * squares
        term = counted(mlp, rates, layer + 1, squares * np.exp(2 * now.log_scale[:, 0]))
        assert now.tangent is not None
        known = beyond(now.tangent, scaled(raw, gram, fresh, following), fresh, term)
        now = now._replace(gram=following[:, None, None], tangent=known)
    return now


def log_moments(now: Members) -> tuple[Array, Array]:
    """Logarithms of E[Theta | forward pass] and E[Theta^2 | forward pass], (member,) each."""
    assert now.tangent is not None
    with np.errstate(divide="ignore"):
        one, square = moments(now.tangent)
        return np.log(one), np.log(square)


def _neurons(
    mlp: Perceptron,
    n: int,
    gram: Array,
    generator: torch.Generator,
    dtype: torch.dtype,
    workspace: Workspace,
) -> Array:
    """What :func:`.tangents.sums_of` gives of neurons that are drawn now and forgotten."""
    chunk = max(1, CHUNK // n)
    parts = []
    for start in range(0, len(gram), chunk):
        part = torch.from_numpy(np.ascontiguousarray(gram[start : start + chunk]))
        normals = workspace("normals", (len(part), 1, n), dtype, "cpu")
        normals.normal_(generator=generator)
        z = correlate(part, normals, workspace)[:, 0]
        s = mlp.activation.on_tensor(torch, z)
        parts.append(sums_of(z, s, mlp.activation.derivative_on_tensor(torch, z, s)))
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
