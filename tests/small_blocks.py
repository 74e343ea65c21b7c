"""Small networks made of blocks, and the same drawn through torch's own functions."""

import torch
from torch.nn import functional

from finitewidth.config.network import network
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Map
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.positions import Positions
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.ntk.structured import Elementwise


def stream(activation="tanh", width=4, repeat=2, branch=("dense",), readout=None, **residual):
    """Blocks with a skip on vectors of three components, and a read-out of two outputs."""
    law = {"C_W": 1.6, "C_b": 0.2} | {k: residual.pop(k) for k in ("C_W", "C_b") if k in residual}
    block = {"repeat": repeat, "residual": residual, "branch": list(branch)}
    keys = {"blocks": [block], "readout": readout or {}}
    return network(inputs=3, width=width, activation=activation, outputs=2, **law, **keys)


def through(layers, s, stream):
    """What layers make of s (inputs, channels), with weights that torch draws."""
    for layer in layers:
        if isinstance(layer, Block):
            skip = layer.gamma * s if layer.gamma else 0.0
            s = skip + layer.beta * through(layer.branch, s, stream)
        elif isinstance(layer, Attention):
            s = attended(layer, s, stream)
        elif isinstance(layer, Map):
            W = torch.randn(layer.fan_out, layer.fan_in, generator=stream, dtype=s.dtype)
            b = torch.randn(layer.fan_out, generator=stream, dtype=s.dtype)
            W, b = W * (layer.C_W / layer.fan_in) ** 0.5, b * layer.C_b**0.5
            if isinstance(layer, Positions):
                s = W + 0 * s
            elif isinstance(layer, Convolution):
                s = convolved(layer, s, W, b)
            else:
                s = dense(s, W, b)
        elif isinstance(layer, AveragePool):
            s = s.flatten(2).mean(2) if layer.window is None else functional.avg_pool2d(
                s, layer.window)  # fmt: skip
        elif isinstance(layer, Flatten):
            s = s.flatten(1)
        elif isinstance(layer, RmsNorm):
            # torch divides 0 by 0 in a row that is dead, where 0 is meant.
            s = s.movedim(1, -1)
            s = torch.nan_to_num(functional.rms_norm(s, s.shape[-1:], eps=layer.eps))
            s = s.movedim(-1, 1)
        elif isinstance(layer, LayerNorm):
            dead = (s == s[:, :1]).all(1, keepdim=True).movedim(1, -1)
            s = functional.layer_norm(s.movedim(1, -1), s.shape[1:2], eps=layer.eps)
            s = s.masked_fill(dead, 0.0).movedim(-1, 1)
        else:
            s = Elementwise(layer.name)(s)
    return s


def convolved(layer, s, W, b):
    """A convolution of images s (inputs, channels, rows, columns), padded by torch."""
    (high, wide), kind = layer.margins, "circular" if layer.circular else "constant"
    s = functional.pad(s, (wide, wide, high, high), mode=kind)
    return functional.conv2d(
        s, W.view(layer.neurons, layer.channels, *layer.kernel), b, layer.stride
    )


def mixed(layer, q, k, v):
    """What the heads of attention make of queries, keys and values (..., tokens, dimensions)."""
    if layer.scores == "softmax":
        how = {"is_causal": layer.causal, "scale": 1 / layer.over}
        return functional.scaled_dot_product_attention(q, k, v, **how)
    A = q @ k.mT / layer.over
    return (A.tril() if layer.causal else A) @ v


def attended(layer, s, stream):
    """Attention between tokens s (inputs, channels, tokens), by torch's own."""

    def drawn(one, s):
        return through([one], s, stream)

    def by_head(one):
        return drawn(one, s).unflatten(1, (layer.heads, -1)).mT

    q, k, v = by_head(layer.query), by_head(layer.key), by_head(layer.value)
    return drawn(layer.output, mixed(layer, q, k, v).mT.flatten(1, 2))


def dense(s, W, b):
    """A dense map of vectors, or of the channels at each place of images, or of each token."""
    if s.ndim == 3:
        return functional.conv1d(s, W[:, :, None], b)
    return functional.linear(s, W, b) if s.ndim == 2 else functional.conv2d(
        s, W[:, :, None, None], b)  # fmt: skip


def by_torch(architecture, x, networks, seed=2):
    """Outputs (networks, inputs, outputs), network by network."""
    stream = torch.Generator().manual_seed(seed)
    return torch.stack([through(architecture.layers, x, stream) for _ in range(networks)])


def jacobian_kernel(network, x, stream):
    """One network's tangent kernel by automatic differentiation of torch's own functions."""
    drawn = []

    draw = torch.randn

    def leaf(*size, **how):
        drawn.append(draw(*size, **how).requires_grad_())
        return drawn[-1]

    torch.randn = leaf
    try:
        z = through(network.layers, x, stream)
    finally:
        torch.randn = draw
    rows = [
        torch.autograd.grad(one, drawn, retain_graph=True, materialize_grads=True)
        for one in z.flatten()
    ]
    flat = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    inputs, outputs = z.shape
    kernel = (flat @ flat.T).view(inputs, outputs, inputs, outputs)
    return kernel.permute(1, 3, 0, 2).detach()
