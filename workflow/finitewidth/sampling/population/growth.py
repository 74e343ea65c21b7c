"""An island of a population: networks go through the layers together and are resampled on the way.

Each member has a weight u, so that the mean over members of u f is an unbiased estimate of E[f]. At
first all are 1. Where u phi^k has become uneven over the members (phi is the potential: how large a
network is), they are resampled in proportion to it, and u becomes the mean of u phi^k over phi^k of
the member that was picked. Given what was drawn before, the expectation of each member's u f stays
what the mean of u f was, whenever this is done (Del Moral 2004, Feynman-Kac Formulae, chapter 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.population.potential import Potential
from finitewidth.sampling.record import Workspace

Array = np.ndarray

#: Members are resampled where their weights count as fewer than this share of them.
EVEN = 0.5
#: Floats of a layer's neurons that are in memory at a time.
CHUNK = 2**19


class Members(NamedTuple):
    """The members of an island at one layer.

    Attributes
    ----------
    gram : array, shape (member, input, input)
        Conditional kernels over exp(log_scale_a + log_scale_b).
    log_scale : array, shape (member, input)
    log_weight : array, shape (member,)
        log u; -inf of a member that counts no more.
    ancestor : array of int, shape (member,)
        Which member of the first layer each descends from.
    tangent : array, shape (5, member), optional
        Of populations of tangent kernels (``tangents.py``).
    """

    gram: Array
    log_scale: Array
    log_weight: Array
    ancestor: Array
    tangent: Array | None = None

    @property
    def log_kernel(self) -> Array:
        """log Ghat_aa, shape (member, input)."""
        with np.errstate(divide="ignore"):
            return np.log(np.einsum("maa->ma", self.gram)) + 2 * self.log_scale

    def take(self, index: Array, log_weight: Array) -> Members:
        """The members at ``index``, with these weights."""
        gram, log_scale, _, ancestor, tangent = self
        carried = tangent if tangent is None else tangent[:, index]
        return Members(gram[index], log_scale[index], log_weight, ancestor[index], carried)


def begun(mlp: Perceptron, x: Array, members: int) -> Members:
    """Members at the first layer, whose kernel they share."""
    gram = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * (x @ x.T)
    inputs = len(x)
    return Members(
        np.broadcast_to(gram, (members, inputs, inputs)),
        np.zeros((members, inputs)),
        np.zeros(members),
        np.arange(members),
    )


def grow(
    mlp: Perceptron,
    x: Array,
    members: int,
    power: float,
    potential: Potential,
    generator: torch.Generator,
    last: int,
    precision: str,
    keep: Callable[[int, Members], None],
) -> None:
    """Take ``members`` networks through the layers 1 to ``last``, handing each layer to ``keep``.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    x : array, shape (inputs, n_0)
    power : float
        k; 0 leaves the members alone, and then they are an ordinary ensemble.
    generator : torch.Generator
        On the CPU, where populations are grown.
    precision : str
        Of the neurons.
    """
    now, workspace = begun(mlp, x, members), Workspace()
    for layer in range(1, last + 1):
        if mlp.is_scale_invariant:
            now = to_unit(now)
        keep(layer, now)
        if layer == last:
            return
        if power:
            now = resampled(now, potential.to_power(layer, now.log_kernel, power), generator)
        gram = _next(mlp, layer, now.gram, generator, getattr(torch, precision), workspace)
        now = now._replace(gram=gram)


def _next(
    mlp: Perceptron,
    layer: int,
    gram: Array,
    generator: torch.Generator,
    dtype: torch.dtype,
    workspace: Workspace,
) -> Array:
    """Conditional kernels of the next layer, from neurons that are drawn now and forgotten."""
    width, inputs = mlp.widths[layer], gram.shape[1]
    chunk = max(1, CHUNK // (width * inputs))
    parts = []
    for start in range(0, len(gram), chunk):
        part = torch.from_numpy(np.ascontiguousarray(gram[start : start + chunk]))
        normals = workspace("normals", (len(part), inputs, width), dtype, "cpu")
        normals.normal_(generator=generator)
        s = mlp.activation.on_tensor_(torch, correlate(part, normals, workspace))
        parts.append(gram_of(s, workspace).numpy())
    summed = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return mlp.C_b[layer] + mlp.C_W[layer] / width * summed


def to_unit(now: Members) -> Members:
    """Move each input's scale out of the kernels: sigma(c z) = c sigma(z) carries it along."""
    diagonal = np.einsum("maa->ma", now.gram)
    alive = diagonal > 0
    root = np.sqrt(np.where(alive, diagonal, 1.0))
    gram = now.gram / (root[:, :, None] * root[:, None, :])
    return now._replace(gram=gram, log_scale=now.log_scale + np.log(root))


def resampled(now: Members, log_growth: Array, generator: torch.Generator) -> Members:
    """The members after resampling, or as they are where their weights are even enough.

    Parameters
    ----------
    log_growth : array, shape (member,)
        k log phi; -inf where a member counts no more.
    """
    picked, log_weight = chosen(now.log_weight, log_growth, generator)
    if picked is None:
        return now if log_weight is now.log_weight else now._replace(log_weight=log_weight)
    return now.take(picked, log_weight)


def chosen(
    log_weight: Array, log_growth: Array, generator: torch.Generator
) -> tuple[Array | None, Array]:
    """Which members are picked, None where all stay, and the logarithms of their weights."""
    aims = log_weight + log_growth
    highest = np.max(aims)
    if not np.isfinite(highest):
        # Everybody is dead, and stays so; or somebody has left the range of floating point, and
        # nothing is known of the island any more.
        return None, np.full_like(aims, -np.inf if highest == -np.inf else np.nan)
    share = np.exp(aims - highest)
    if np.sum(share) ** 2 >= EVEN * len(aims) * np.sum(share**2):
        return None, log_weight
    offset = torch.rand(1, generator=generator, dtype=torch.float64).item()
    picked = systematic(share, log_growth, offset)
    return picked, highest + np.log(np.mean(share)) - log_growth[picked]


def systematic(share: Array, order: Array, offset: float) -> Array:
    """Which members are picked, as often as ``share`` says to within one, (member,).

    In the order of ``order``, so that neighbours stand in for each other (Carpenter, Clifford and
    Fearnhead 1999, IEE Proceedings Radar, Sonar and Navigation 146, 2); ``offset`` is uniform in
    [0, 1).
    """
    place = np.argsort(order)
    edges = np.cumsum(share[place])
    at = (offset + np.arange(len(share))) / len(share) * edges[-1]
    # A member of no share ends where the one before it does, and is passed over.
    return place[np.minimum(np.searchsorted(edges, at, side="right"), len(share) - 1)]
