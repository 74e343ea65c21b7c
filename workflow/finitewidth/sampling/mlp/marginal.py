"""The marginal sampler: weights integrated out, exactly.

Given the activations s of a layer, the next preactivations are independent over neurons and
Gaussian with covariance Ghat = C_b + C_W/n sum_j s_j s_j^T (Les Houches lectures, arXiv
2309.01592, Lemma 4.4). So a layer costs as many normals as it has neurons (times inputs), and not
as many as it has weights.
"""

from __future__ import annotations

import math

import torch

from finitewidth.models.law import Law
from finitewidth.sampling.record import Recorder, Workspace
from finitewidth.sampling.streams import Streams

#: A pivot below this share of its diagonal is the rounding of a dependent input, and exactly 0.
DEPENDENT = 1e-13
#: Up to this squared correlation two inputs are far enough apart for sums in single precision.
DISTINCT = 0.99
#: Layers between recorded ones are drawn together up to this many normals.
STRETCH = 2**18


def sample_tile(
    law: Law,
    x: torch.Tensor,
    streams: Streams,
    recorder: Recorder,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Draw the networks of a tile and hand their layers to ``recorder``.

    Parameters
    ----------
    law : Law
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
    if law.weights != "normal":
        raise ValueError(
            f"the marginal sampler integrates out normal weights only, not {law.weights} ones:"
            " use the explicit sampler"
        )
    networks, inputs, workspace = streams.networks, x.shape[0], recorder.workspace
    shared = law.C_b[0] + law.C_W[0] / law.widths[0] * (x @ x.T)
    gram = shared.expand(networks, inputs, inputs)
    log_scale = x.new_zeros(networks, inputs) if law.is_scale_invariant else None
    last = max(recorder.layers)
    layer = 1
    while layer <= last:
        if log_scale is not None:
            gram, log_scale = unit_diagonal(gram, log_scale)
            stretch = _stretch(law, layer, recorder, streams.most) if inputs == 1 else 0
            if stretch:
                gain = _log_norm_gain(law, layer, stretch, streams, dtype, workspace, x)
                log_scale = log_scale + gain
                layer += stretch
                continue
        shape = (networks, inputs, law.widths[layer])
        normals = streams.normal_(workspace("normals", shape, dtype, x.device))
        z = correlate(gram, normals, workspace)
        recorder.put(layer, z, log_scale)
        if layer < last:
            s = law.activation.on_tensor_(torch, z)
            gram = law.C_b[layer] + law.C_W[layer] / law.widths[layer] * gram_of(s, workspace)
        layer += 1


def gram_of(s: torch.Tensor, workspace: Workspace) -> torch.Tensor:
    """Sums over neurons of s_a s_b, float64, shape (networks, inputs, inputs)."""
    if s.shape[1] == 1:
        return torch.linalg.vector_norm(s, dim=2, keepdim=True).double().square_()
    # Which sums will do is not asked of a GPU, which would have to be waited for; nor must a
    # network there depend on those beside it.
    if s.shape[1] == 2 and s.device.type == "cpu":
        gram = torch.bmm(s, s.transpose(1, 2)).double()
        product = gram[:, 0, 0] * gram[:, 1, 1]
        if bool((gram[:, 0, 1].square() <= DISTINCT * product).all()):
            return gram
    # Summed in float64 even where s is float32: the part of one input that is independent of the
    # others is a difference of these sums, and must not be lost for inputs that nearly coincide.
    s = workspace("double", s.shape, torch.float64, s.device).copy_(s)
    return torch.bmm(s, s.transpose(1, 2))


def correlate(gram: torch.Tensor, normals: torch.Tensor, workspace: Workspace) -> torch.Tensor:
    """Turn independent normals into rows of covariance ``gram``; may overwrite ``normals``."""
    if gram.shape[1] == 1:
        scale = gram.sqrt().to(normals.dtype)
        # Worth a look on a processor; a GPU would have to be waited for.
        unit = scale.device.type == "cpu" and bool((scale == 1).all())
        return normals if unit else normals.mul_(scale)
    if gram.shape[1] == 2:
        return _correlate_two(gram, normals)
    factor = semidefinite_factor(gram).to(normals.dtype)
    out = workspace("correlated", normals.shape, normals.dtype, normals.device)
    return torch.bmm(factor, normals, out=out)


def _correlate_two(gram: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """As :func:`semidefinite_factor` would for two inputs, written out, and in place.

    For so few inputs it is calls and passes over memory that cost.
    """
    root = gram[:, 0, 0].sqrt()
    slope = torch.nan_to_num(gram[:, 0, 1] / root, nan=0.0)  # 0/0: the first input is dead
    rest = gram[:, 1, 1] - slope.square()
    rest = torch.where(rest > DEPENDENT * gram[:, 1, 1], rest, 0.0).sqrt()
    root, slope, rest = (v.to(normals.dtype)[:, None] for v in (root, slope, rest))
    first, second = normals[:, 0], normals[:, 1]
    second.mul_(rest).addcmul_(first, slope)
    first.mul_(root)
    return normals


def semidefinite_factor(gram: torch.Tensor) -> torch.Tensor:
    """Lower triangular R with R R^T = ``gram``, for positive semidefinite matrices of any rank.

    Column by column as in Cholesky's algorithm; a pivot that is rounding next to its diagonal
    belongs to an input that depends on earlier ones, and its column is 0.

    Parameters
    ----------
    gram : tensor, shape (networks, inputs, inputs), float64
    """
    inputs = gram.shape[1]
    rest = gram.clone()
    factor = torch.zeros_like(rest)
    floor = DEPENDENT * torch.diagonal(gram, dim1=1, dim2=2)
    for a in range(inputs):
        pivot = rest[:, a, a]
        alive = pivot > floor[:, a]
        root = torch.where(alive, pivot, 1.0).sqrt()
        column = torch.where(alive[:, None], rest[:, a:, a] / root[:, None], 0.0)
        factor[:, a:, a] = column
        rest[:, a:, a:] -= column[:, :, None] * column[:, None, :]
    return factor


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


def _stretch(law: Law, layer: int, recorder: Recorder, networks: int) -> int:
    """How many layers from ``layer`` on, none recorded and all equally wide, to draw at once."""
    width, count = law.widths[layer], 0
    most = STRETCH // (networks * width)
    while count < most and layer + count not in recorder.layers:
        if law.widths[layer + count] != width:
            break
        count += 1
    return count if count > 1 else 0


def _log_norm_gain(
    law: Law,
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
    shape = (count, streams.networks, law.widths[layer])
    normals = streams.normal_(workspace("stretch", shape, dtype, x.device), axis=1)
    s = law.activation.on_tensor_(torch, normals)
    squares = torch.linalg.vector_norm(s, dim=2).double().square_()
    factors = [law.C_W[k] / law.widths[k] for k in range(layer, layer + count)]
    constant = sum(math.log(factor) for factor in factors) if all(factors) else -math.inf
    return 0.5 * (squares.log().sum(0) + constant)[:, None]
