"""The marginal sampler on torch: weights integrated out, exactly.

Given the activations s of a layer, the next preactivations are independent over neurons and
Gaussian with covariance Ghat = C_b + C_W/n sum_j s_j s_j^T (Les Houches lectures, arXiv
2309.01592, Lemma 4.4). So a layer costs as many normals as it has neurons (times inputs), and not
as many as it has weights.
"""

from __future__ import annotations

import math

import torch

from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.gaussian_rows import correlate, gram_of
from finitewidth.sampling.record import Recorder, Workspace
from finitewidth.sampling.requirements import require_normal
from finitewidth.sampling.streams import Streams

#: Layers between recorded ones are drawn together up to this many normals.
STRETCH = 2**18


def sample_tile(
    mlp: Perceptron,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile and hand their layers to ``recorder``.

    Parameters
    ----------
    mlp : Perceptron
        Weights must be normal.
    x : tensor, shape (inputs, n_0), float64
        On the device to compute on; zero, duplicated and linearly dependent inputs are ordinary.
    streams : Streams
        What to draw from, and how many networks.

    Raises
    ------
    ValueError
        For weights of another law than the normal one: their sum is not Gaussian.
    """
    require_normal(mlp.weights)
    networks, inputs, workspace = streams.networks, x.shape[0], recorder.workspace
    shared = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * (x @ x.T)
    gram = shared.expand(networks, inputs, inputs)
    log_scale = x.new_zeros(networks, inputs) if mlp.is_scale_invariant else None
    last = max(recorder.layers)
    layer = 1
    while layer <= last:
        if log_scale is not None:
            gram, log_scale = unit_diagonal(gram, log_scale)
            stretch = _stretch(mlp, layer, recorder, streams.most) if inputs == 1 else 0
            if stretch:
                gain = _log_norm_gain(mlp, layer, stretch, streams, dtype, workspace, x)
                log_scale = log_scale + gain
                layer += stretch
                continue
        shape = (networks, inputs, mlp.widths[layer])
        normals = streams.normal_(workspace("normals", shape, dtype, x.device))
        z = correlate(gram, normals, workspace)
        recorder.put(layer, z, log_scale)
        if layer < last:
            s = mlp.activation.on_tensor_(torch, z)
            gram = mlp.C_b[layer] + mlp.C_W[layer] / mlp.widths[layer] * gram_of(s, workspace)
        layer += 1


def unit_diagonal(gram: torch.Tensor, log_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Move the scale of each input out of ``gram``: sigma(c z) = c sigma(z) carries it along.

    A dead layer (diagonal 0) keeps its zeros, at log-scale -inf.
    """
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    log_scale = log_scale + 0.5 * diagonal.log()
    if gram.shape[1] == 1:
        return (gram > 0).double(), log_scale
    root = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    return gram * (root[:, :, None] * root[:, None, :]), log_scale


def _stretch(mlp: Perceptron, layer: int, recorder: Recorder, networks: int) -> int:
    """How many layers from ``layer`` on, none recorded and all equally wide, to draw at once."""
    width, count = mlp.widths[layer], 0
    most = STRETCH // (networks * width)
    while count < most and layer + count not in recorder.layers:
        if mlp.widths[layer + count] != width:
            break
        count += 1
    return count if count > 1 else 0


def _log_norm_gain(
    mlp: Perceptron,
    layer: int,
    count: int,
    streams: Streams,
    dtype: torch.dtype,
    workspace: Workspace,
    x: torch.Tensor,
) -> torch.Tensor:
    """Growth of the log-scale over ``count`` unrecorded layers, one input, no bias.

    Each layer multiplies the squared norm by C_W times the mean of sigma(g)^2 over fresh normals g,
    independent of all that came before (Hanin and Nica 2018), so the layers need no order.
    Returns shape (networks, 1).
    """
    shape = (count, streams.networks, mlp.widths[layer])
    normals = streams.normal_(workspace("stretch", shape, dtype, x.device), axis=1)
    s = mlp.activation.on_tensor_(torch, normals)
    squares = torch.linalg.vector_norm(s, dim=2).double().square_()
    factors = [mlp.C_W[k] / mlp.widths[k] for k in range(layer, layer + count)]
    constant = sum(math.log(factor) for factor in factors) if all(factors) else -math.inf
    return 0.5 * (squares.log().sum(0) + constant)[:, None]
