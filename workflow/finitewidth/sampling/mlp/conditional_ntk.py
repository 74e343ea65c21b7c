"""The tangent kernel averaged over the backward pass: E[Theta | the forward pass], exactly.

Given a forward pass, the weights W act on derivatives U of the layer above in a known way along the
span of the activations, and as normal variables off it (see
:mod:`finitewidth.sampling.mlp.marginal_ntk`). Second moments of the derivatives delta and of c_x =
z_x . delta then obey a linear recursion from layer to layer, whose coefficients are sums over
neurons (Rao and Blackwell; derived here). What is left to fluctuate is the forward pass alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finitewidth.models.parameterisation import LearningRates


@dataclass(frozen=True)
class LayerSums:
    """Sums over the n neurons of a hidden layer, float64; N inputs, indices a, b, u, v, x, y.

    The biases of the next layer count as one more activation, the same for all inputs.
    """

    slopes: torch.Tensor  #: s'_a s'_b, (networks, N, N)
    activations: torch.Tensor  #: s'_a s_u s'_b s_v, (networks, N, N, N, N)
    mixed: torch.Tensor  #: z_x s'_a s_u, (networks, N, N, N) in the order a, x, u
    preactivations: torch.Tensor  #: z_x s'_a z_y s'_b, (networks, N, N, N, N) as a, x, b, y
    gram: torch.Tensor  #: s_a s_b, (networks, N, N)
    inverse: torch.Tensor  #: of n Ghat/C_W of the next layer, (networks, N, N)


def layer_sums(
    z: torch.Tensor,
    s: torch.Tensor,
    slope: torch.Tensor,
    gram: torch.Tensor,
    kernel: torch.Tensor,
    C_W: float,
    scale: torch.Tensor | None,
) -> LayerSums:
    """The sums of one hidden layer.

    Parameters
    ----------
    z, s, slope : tensor, shape (networks, N, n)
        Preactivations, sigma and sigma' of them; z and s in units of ``scale`` where it is given.
    gram : tensor, shape (networks, N, N)
        Sums of s_a s_b in natural units.
    kernel : tensor, shape (networks, N, N)
        Ghat of the next layer in natural units.
    C_W : float
        Of the next layer.
    scale : tensor, shape (networks, N), or None
    """
    networks, N, n = z.shape
    sloped = (slope[:, :, None] * s[:, None]).reshape(networks, N * N, n)
    driven = (slope[:, :, None] * z[:, None]).reshape(networks, N * N, n)
    shape = (networks, N, N, N, N)
    activations = _products(sloped, sloped).view(shape)
    mixed = _products(driven, s).view(networks, N, N, N)
    preactivations = _products(driven, driven).view(shape)
    if scale is not None:
        two = scale[:, :, None] * scale[:, None, :]
        four = two[:, None, :, None, :]
        activations, mixed = activations * four, mixed * two[:, None]
        preactivations = preactivations * four
    inverse = pseudo_inverse(kernel).mul_(C_W / n)
    return LayerSums(_products(slope, slope), activations, mixed, preactivations, gram, inverse)


def conditional_ntk(
    layers: list[LayerSums],
    first: torch.Tensor,
    rates: LearningRates,
    widths: Sequence[int],
    C_W: Sequence[float],
) -> torch.Tensor:
    """E[Theta_ab | forward pass] of an output of layer len(layers) + 1: (networks, N, N).

    Parameters
    ----------
    layers : list of LayerSums
        Of the hidden layers below the output.
    first : tensor, shape (N, N)
        x_a . x_b.
    rates : LearningRates
    widths : sequence of int
        n_0, n_1, ... of the layers below.
    C_W : sequence of float
        Of layers 1, 2, ... .
    """
    depth = len(layers) + 1

    def count(layer: int) -> torch.Tensor:
        gram = first if layer == 1 else layers[layer - 2].gram
        return rates.lambda_b[layer - 1] + rates.lambda_W[layer - 1] / widths[layer - 1] * gram

    total = count(depth)
    squared = along = None  # E[delta_a . delta_b], and E[c_xa c_yb] as (a, x, b, y)
    for layer in range(depth - 1, 0, -1):
        here, fresh = layers[layer - 1], C_W[layer] / widths[layer]
        if squared is None:
            # One output, whose weights are fresh in every direction.
            squared, along = fresh * here.slopes, fresh * here.preactivations
        else:
            kappa = torch.einsum("nux,naxby,nyv->naubv", here.inverse, along, here.inverse)
            off = fresh * squared
            known = kappa - off[:, :, None, :, None] * here.inverse[:, None, :, None, :]
            squared = off * here.slopes + torch.einsum("naubv,naubv->nab", known, here.activations)
            along = off[:, :, None, :, None] * here.preactivations + torch.einsum(
                "naxu,naubv,nbyv->naxby", here.mixed, known, here.mixed
            )
        total = total + count(layer) * squared
    return total


def _products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Sums over neurons of products of rows, float64."""
    if a.shape[1] == b.shape[1] == 1:
        return torch.linalg.vecdot(a, b)[..., None].double()
    return torch.bmm(a, b.transpose(1, 2)).double()


def pseudo_inverse(kernel: torch.Tensor) -> torch.Tensor:
    """Of positive semidefinite matrices (networks, N, N), float64; of 0 it is 0."""
    if kernel.shape[1] == 1:
        return torch.where(kernel > 0, 1 / kernel, 0.0)
    # Inputs may differ in scale: correlations are inverted.
    size = torch.diagonal(kernel, dim1=1, dim2=2).sqrt()
    unit = torch.where(size > 0, 1 / size, 0.0)
    two = unit[:, :, None] * unit[:, None, :]
    few = (kernel * two).split(_TOGETHER)
    found = [torch.linalg.pinv(part, rtol=_SINGULAR, hermitian=True) for part in few]
    return torch.cat(found) * two


#: Eigenvalues of correlations under this share of the largest are rounding.
_SINGULAR = 4 * math.sqrt(torch.finfo(torch.float64).eps)
#: Matrices that a GPU's library diagonalises in one call; it takes no more than some 32,000.
_TOGETHER = 2**14
