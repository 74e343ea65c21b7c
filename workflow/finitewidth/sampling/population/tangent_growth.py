"""Islands that are grown towards networks with large tangent kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from finitewidth.core.indices import pairs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.population import tangent_forms, tangents
from finitewidth.sampling.population.growth import CHUNK, Members, begun, resampled, to_unit
from finitewidth.sampling.population.potential import TangentPotential
from finitewidth.sampling.population.tangent_forms import Forms
from finitewidth.sampling.population.tangent_sums import pair_sums
from finitewidth.sampling.record import Workspace

Array = np.ndarray

#: Coefficients that are taken through a layer together, and of how many members.
_TOGETHER, _FEWEST, _MOST = 2**18, 32, 256


def is_short(mlp: Perceptron, inputs: int) -> bool:
    """Whether a layer is a function of three numbers, however wide: two slopes, no bias, one
    input."""
    return mlp.is_scale_invariant and inputs == 1


def grow_tangents(
    mlp: Perceptron,
    rates: LearningRates,
    x: Array,
    members: int,
    power: float,
    generator: torch.Generator,
    numbers: np.random.Generator,
    precision: str,
    potential: TangentPotential | None = None,
) -> Members:
    """Take ``members`` networks to the last layer, resampled by phi^k, phi^2 being the potential of
    E[Theta^2 | forward pass].

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    rates : LearningRates
    x : array, shape (inputs, n_0)
    power : float
        k; 0 leaves the members alone, and then they are an ordinary ensemble.
    generator : torch.Generator
        On the CPU; draws neurons, and resamples.
    numbers : numpy.random.Generator
        Draws the three numbers where :func:`is_short`.
    precision : str
        Of the neurons.
    potential : TangentPotential, optional
        The mean over inputs where left out.

    Returns
    -------
    Members
        With ``tangent``, of which :func:`log_moments` makes moments.
    """
    one = len(x) == 1
    potential = potential or TangentPotential(mlp, rates, x, None)
    a, b = pairs(len(x)).T
    term = counted(mlp, rates, 1, np.sum(x[a] * x[b], axis=1))
    known = tangents.first(float(term[0]), members) if one else tangent_forms.begin(term, members)
    now, workspace = begun(mlp, x, members)._replace(tangent=known), Workspace()
    for layer in range(1, mlp.depth):
        if mlp.is_scale_invariant:
            now = to_unit(now)
        if power:
            square = potential.of(layer, log_moments(now), 2)
            now = resampled(now, 0.5 * power * square, generator)
        if is_short(mlp, len(x)):
            slopes = mlp.activation.slope_pair
            raw = tangents.two_slopes(slopes, mlp.widths[layer], members, numbers)
            raw[:, now.gram[:, 0, 0] == 0] = 0.0
            now = _one(mlp, rates, layer, now, raw)
            continue
        drawn = _neurons(mlp, layer, now.gram, generator, getattr(torch, precision), workspace)
        if one:
            raw = np.concatenate([tangents.sums_of(*(v[:, 0] for v in part)) for part in drawn], 1)
            now = _one(mlp, rates, layer, now, raw)
        else:
            now = _several(mlp, rates, layer, now, drawn, workspace)
    return now


def log_moments(now: Members) -> Array:
    """Logarithms of E[Theta_ab | forward pass], then of E[Theta_ab Theta_cd | forward pass] where
    these are of the same input, shape (2, input, member)."""
    every = kernel_moments(now)
    inputs = now.gram.shape[1]
    a, b = pairs(inputs).T
    alone = np.flatnonzero(a == b)
    first, second = tangent_forms.products(inputs).T
    squares = len(a) + np.flatnonzero((first == second) & np.isin(first, alone))
    with np.errstate(divide="ignore"):
        return np.log(np.maximum([every[alone], every[squares]], 0.0))


def kernel_moments(now: Members) -> Array:
    """E[Theta_ab | forward pass] of pairs, then E[Theta_ab Theta_cd | forward pass] of all pairs
    of these, in the order of :func:`.tangent_forms.products`; members stand last."""
    assert now.tangent is not None
    if now.gram.shape[1] == 1:
        return np.stack(tangents.moments(now.tangent))
    root = np.sqrt(np.einsum("maa->ma", now.gram))
    with np.errstate(all="ignore"):
        unit = np.where(root > 0, 1 / root, 0.0)
    correlation = np.moveaxis(now.gram * unit[:, :, None] * unit[:, None, :], 0, -1)
    return tangent_forms.moments(Forms.of(now.tangent, len(root[0])), correlation)


def counted(mlp: Perceptron, rates: LearningRates, layer: int, squares: Array) -> Array:
    """c_l, what the weights and biases of a layer count, of the sums of products before it."""
    rate = rates.lambda_W[layer - 1] / mlp.widths[layer - 1]
    return np.asarray(rates.lambda_b[layer - 1] + rate * squares)


def _one(mlp: Perceptron, rates: LearningRates, layer: int, now: Members, raw: Array) -> Members:
    """The members at the next layer, on one input, by :func:`.tangents.sums_of`."""
    fresh, squares = mlp.C_W[layer] / mlp.widths[layer], raw[-1]
    gram, following = now.gram[:, 0, 0], mlp.C_b[layer] + fresh * squares
    term = counted(mlp, rates, layer + 1, squares * np.exp(2 * now.log_scale[:, 0]))
    assert now.tangent is not None
    sums = tangents.scaled(raw, gram, fresh, following)
    known = tangents.beyond(now.tangent, sums, fresh, term)
    return now._replace(gram=following[:, None, None], tangent=known)


def _several(
    mlp: Perceptron,
    rates: LearningRates,
    layer: int,
    now: Members,
    drawn: Iterator[tuple[torch.Tensor, ...]],
    workspace: Workspace,
) -> Members:
    """The same of several inputs, by neurons."""
    inputs = now.gram.shape[1]
    a, b = pairs(inputs).T
    fresh = mlp.C_W[layer] / mlp.widths[layer]
    assert now.tangent is not None
    known, grams, start = np.empty_like(now.tangent), [], 0
    together = min(_MOST, max(_FEWEST, _TOGETHER // len(known)))
    for part in drawn:
        for z, s, slope in zip(*(v.split(together) for v in part), strict=True):
            at = slice(start, start + len(z))
            start = at.stop
            gram = gram_of(s, workspace)
            following = mlp.C_b[layer] + fresh * gram
            before = torch.from_numpy(np.ascontiguousarray(now.gram[at]))
            sums = pair_sums(z, s, slope, before, following, fresh)
            scale = np.exp(now.log_scale[at, a] + now.log_scale[at, b])
            term = counted(mlp, rates, layer + 1, (gram.numpy()[:, a, b] * scale).T)
            forms = Forms.of(np.ascontiguousarray(now.tangent[:, at]), inputs)
            known[:, at] = tangent_forms.beyond(forms, sums, fresh, term)
            grams.append(following.numpy())
    return now._replace(gram=np.concatenate(grams), tangent=known)


def _neurons(
    mlp: Perceptron,
    layer: int,
    gram: Array,
    generator: torch.Generator,
    dtype: torch.dtype,
    workspace: Workspace,
) -> Iterator[tuple[torch.Tensor, ...]]:
    """z, sigma and sigma' of neurons that are drawn now and forgotten, (member, input, n) each, of
    some members at a time."""
    n, inputs = mlp.widths[layer], gram.shape[1]
    chunk = max(1, CHUNK // (n * inputs))
    for start in range(0, len(gram), chunk):
        part = torch.from_numpy(np.ascontiguousarray(gram[start : start + chunk]))
        normals = workspace("normals", (len(part), inputs, n), dtype, "cpu")
        normals.normal_(generator=generator)
        z = correlate(part, normals, workspace)
        s = mlp.activation.on_tensor(torch, z)
        yield z, s, mlp.activation.derivative_on_tensor(torch, z, s)
