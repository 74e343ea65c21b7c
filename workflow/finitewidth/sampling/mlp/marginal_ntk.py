"""Tangent kernels of whole ensembles with the weights integrated out, exactly, on torch.

Forwards as in :mod:`finitewidth.sampling.mlp.marginal`: with the activations of a layer S (a row an
input) and F F^T = S S^T, the weights act on the span of S only through T = W Q^T, Q = F^+ S, which
are fresh normals. Backwards they are wanted once more, transposed, on the rows U of derivatives:
W^T U = Q^T T^T U + (1 - Q^T Q) W^T U. The part of W off the span of S has not been looked at by
the forward pass, nor by the layers above, so that it acts on U like fresh normals of covariance
U U^T: a layer costs as many normals as it has neurons, times inputs (derived here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import semidefinite_factor
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.requirements import leaves_single_precision, require_normal
from finitewidth.sampling.streams import Streams

#: Pivots of a Gram matrix, as shares of its diagonal, down to which single precision will do.
_DISTINCT = 0.01


@dataclass
class _Hidden:
    """What the backward pass needs of one hidden layer; tensors of one tile of networks."""

    s: torch.Tensor  #: (networks, inputs, n), S, or Q where inputs nearly coincide
    gate: torch.Tensor  #: (networks, inputs, n), sigma'(z)
    gram: torch.Tensor  #: (networks, inputs, inputs), float64, S S^T in natural units
    inverse: torch.Tensor  #: (networks, inputs, inputs), float64, takes ``s`` to Q
    drawn: torch.Tensor | None = None  #: (networks, inputs, next n), T of the next layer's weights


def sample_tile(
    mlp: Perceptron,
    rates: LearningRates,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder | None,
    kernels: NtkRecorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile; hand layers to ``recorder`` and tangent kernels to ``kernels``.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    rates : LearningRates
    x : tensor, shape (inputs, n_0), float64
        Zero, duplicated and linearly dependent inputs are ordinary, and so are more inputs than
        neurons.
    streams : Streams
        What to draw from, and how many networks.
    recorder : Recorder, optional
    kernels : NtkRecorder

    Raises
    ------
    ValueError
        For weights of another law than the normal one.
    """
    require_normal(mlp.weights)
    if leaves_single_precision(mlp):
        dtype = torch.float64
    hidden, *output = _forward(mlp, x, streams, recorder, kernels, dtype)
    kernels.put(_backward(mlp, rates, x, hidden, streams, kernels, dtype), *output)


def _forward(
    mlp: Perceptron,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder | None,
    kernels: NtkRecorder,
    dtype: torch.dtype,
) -> tuple[list[_Hidden], torch.Tensor, torch.Tensor]:
    """Every hidden layer, and z^(L) of the outputs wanted with its conditional kernel."""
    inputs, workspace, activation = len(x), kernels.workspace, mlp.activation
    networks = streams.networks
    gram = (x @ x.T).expand(networks, inputs, inputs)
    factor = semidefinite_factor(gram[:1]).expand(networks, inputs, inputs)
    # Scale-invariant networks are computed at the scale where the mean kernel stands still.
    still = 1 / sum(a * a / 2 for a in activation.slope_pair) if mlp.is_scale_invariant else None
    log_scale, unit = 0.0, 1.0
    hidden: list[_Hidden] = []
    for layer in range(1, mlp.depth + 1):
        fan_in, n = mlp.widths[layer - 1], mlp.widths[layer]
        C_b, C_W = mlp.C_b[layer - 1], mlp.C_W[layer - 1]
        gain = C_W if still is None else still
        if still is not None:
            log_scale += 0.5 * math.log(C_W / still) if C_W else -math.inf
            unit = math.exp(2 * log_scale)
        root = factor * math.sqrt(gain / fan_in)
        # What drives the first layer is not looked at again.
        where = f"drawn {layer}" if layer > 1 else "fresh"
        drawn = streams.normal_(workspace(where, (networks, inputs, n), dtype, x.device))
        z = _times(root.to(dtype), drawn, workspace(f"z{layer}", drawn.shape, dtype, x.device))
        if C_b > 0:
            bias = streams.normal_(workspace("bias", (networks, 1, n), dtype, x.device))
            z.add_(bias, alpha=math.sqrt(C_b))
        if hidden:
            hidden[-1].drawn = drawn
        if recorder is not None:
            apart = None if still is None else x.new_full((networks, inputs), log_scale)
            recorder.put(layer, z, apart)
        if layer == mlp.depth:
            output = z[..., : kernels.outputs].double() * math.sqrt(unit)
            return hidden, output, C_b + C_W / fan_in * gram
        s, gate = _activate(activation, z, workspace(f"s{layer}", z.shape, dtype, x.device))
        gram, factor, regular = gram_factor(s)
        inverse = pseudo_inverse(factor, regular)
        if inputs > 1 and not regular:
            # Entries of F^+ are large then and nearly cancel: with s in single precision Q would
            # be known to 2^-24 of them. From here on Q itself stands in its place.
            s.copy_(torch.bmm(inverse, s.double()))
            inverse = torch.eye(inputs, dtype=torch.float64, device=x.device)
            inverse = inverse.expand(networks, -1, -1)
        if still is not None:
            gram = gram * unit
        hidden.append(_Hidden(s, gate, gram, inverse))
    raise AssertionError("the last layer returns")


def _backward(
    mlp: Perceptron,
    rates: LearningRates,
    x: torch.Tensor,
    hidden: list[_Hidden],
    streams: Streams,
    kernels: NtkRecorder,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The tangent kernel, (networks, output, output, input, input), float64."""
    inputs, outputs, workspace = len(x), kernels.outputs, kernels.workspace
    networks = streams.networks
    weight = [(x @ x.T).expand(networks, inputs, inputs), *(h.gram for h in hidden)]
    count = [mlp.widths[layer] for layer in range(mlp.depth)]

    def term(layer: int) -> torch.Tensor:
        gram = weight[layer - 1] * (rates.lambda_W[layer - 1] / count[layer - 1])
        return (gram + rates.lambda_b[layer - 1])[:, None, None]

    unit = torch.eye(outputs, dtype=torch.float64, device=x.device)[:, :, None, None]
    total = unit * term(mlp.depth)
    below = torch.eye(outputs, dtype=torch.float64, device=x.device).expand(networks, -1, -1)
    rows: torch.Tensor | None = None
    for layer in range(mlp.depth - 1, 0, -1):
        here, n = hidden[layer - 1], mlp.widths[layer]
        # The layer after it was drawn.
        assert here.drawn is not None
        # U T^T and a root of U U^T, U the derivatives at the layer above.
        if rows is None:
            on_span = here.drawn[..., :outputs].transpose(1, 2).double()
        else:
            on_span = torch.bmm(rows, here.drawn.transpose(1, 2)).double()
        fresh = workspace(
            "fresh top" if rows is None else "fresh", (networks, below.shape[1], n), dtype, x.device
        )
        streams.normal_(fresh)
        lost = torch.bmm(below, torch.bmm(fresh, here.s.transpose(1, 2)).double())
        lost = torch.bmm(lost, here.inverse.transpose(1, 2))
        scale = math.sqrt(mlp.C_W[layer] / n)
        mix = torch.bmm(on_span - lost, here.inverse).mul_(scale).to(dtype)
        # Where the layer above has not its own rows, which are still read.
        target = workspace(f"rows {layer % 2}", (networks, outputs * inputs, n), dtype, x.device)
        each = target.view(networks, outputs, inputs, n)
        back = target if rows is not None else workspace("top", fresh.shape, dtype, x.device)
        _times((below * scale).to(dtype), fresh, back)
        torch.baddbmm(back, mix, here.s, out=back)
        torch.mul(back.view(networks, outputs, -1, n), here.gate[:, None], out=each)
        rows = target
        gram, below, _ = gram_factor(rows)
        gram = gram.view(networks, outputs, inputs, outputs, inputs).transpose(2, 3)
        total = total + gram * term(layer)
    return total


def gram_factor(s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """S S^T and a lower triangular root F of it, both (networks, rows, rows), float64.

    The last of what is returned says whether all pivots are known to be above 0.

    Parameters
    ----------
    s : tensor, shape (networks, rows, n)
    """
    if s.shape[1] == 1:
        gram = torch.linalg.vector_norm(s, dim=2, keepdim=True).double().square_()
        return gram, gram.sqrt(), False
    on_cpu = s.device.type == "cpu"
    if on_cpu or s.dtype == torch.float64:
        gram = torch.bmm(s, s.transpose(1, 2)).double()
    # Where LAPACK succeeds it is ten times as fast as going column by column. Not on a GPU: to
    # learn whether it succeeded one would have to wait for it, and there no network may depend on
    # others of its batch.
    if on_cpu:
        factor, failed = torch.linalg.cholesky_ex(gram)
        if not bool(failed.any()):
            share = torch.diagonal(factor, dim1=1, dim2=2).square()
            share = share / torch.diagonal(gram, dim1=1, dim2=2)
            if float(share.amin()) >= _DISTINCT:
                return gram, factor, True
    if s.dtype != torch.float64:
        # What one row has of its own is a difference of these sums, and is not to be lost.
        s = s.double()
        gram = torch.bmm(s, s.transpose(1, 2))
    return gram, semidefinite_factor(gram), False


def pseudo_inverse(factor: torch.Tensor, regular: bool = False) -> torch.Tensor:
    """F^+ with F^+ S orthonormal rows, S S^T = F F^T; a row of zeros for each dependent input.

    Parameters
    ----------
    factor : tensor, shape (networks, inputs, inputs), float64
        As :func:`finitewidth.sampling.gaussian_rows.semidefinite_factor` makes it.
    regular : bool
        Whether all pivots are known to be above 0.
    """
    unit = torch.eye(factor.shape[1], dtype=factor.dtype, device=factor.device)
    if regular:
        return torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False)
    pivot = torch.diagonal(factor, dim1=1, dim2=2)
    alive = (pivot > 0).double()
    if factor.shape[1] == 1:
        return (alive / torch.where(pivot > 0, pivot, 1.0))[:, :, None]
    # The column of a dependent input is 0: with 1 for its pivot it takes part in nothing.
    whole = factor + torch.diag_embed(1 - alive)
    inverse = torch.linalg.solve_triangular(whole, unit.expand_as(factor), upper=False)
    return inverse.mul_(alive[:, :, None])


def _times(root: torch.Tensor, normals: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Rows of normals mixed by ``root``."""
    if normals.shape[1] == 1:
        return torch.mul(normals, root, out=out)
    return torch.bmm(root, normals, out=out)


def _activate(
    activation: Activation, z: torch.Tensor, spare: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """sigma(z) and sigma'(z), in ``z`` and in ``spare`` where that can be."""
    if activation.slopes == (1.0, 0.0):
        # The gate of a ReLU can be told from what comes out of it.
        s = activation.on_tensor_(torch, z)
        return s, torch.sign(s, out=spare)
    s = activation.on_tensor_(torch, spare.copy_(z))
    return s, activation.derivative_on_tensor_(torch, z, s)
