"""Tangent kernels, and their own derivatives, of networks with explicit weights; numpy alone."""

from typing import NamedTuple

import numpy as np


class Networks(NamedTuple):
    """M networks on N inputs, whose last layer has k neurons."""

    weights: list  #: (M, n_l, n_{l-1}) a layer
    signals: list  #: what a layer reads: x, then activations; (M, n_{l-1}, N)
    z: list  #: (M, n_l, N)
    deltas: list  #: dz^(L)_ia/dz^(l)_ja; (M, k, n_l, N)


def networks(mlp, x, count, seed):
    """``count`` networks drawn from ``mlp``."""
    rng = np.random.default_rng(seed)
    s = np.broadcast_to(x.T, (count, *x.T.shape))
    weights, signals, zs = [], [], []
    sizes = zip(mlp.widths[:-1], mlp.widths[1:], mlp.C_b, mlp.C_W, strict=True)
    for n_in, n_out, C_b, C_W in sizes:
        W = np.sqrt(C_W / n_in) * rng.normal(size=(count, n_out, n_in))
        z = W @ s + np.sqrt(C_b) * rng.normal(size=(count, n_out, 1))
        weights.append(W)
        signals.append(s)
        zs.append(z)
        s = mlp.activation.function(z)
    k = mlp.widths[-1]
    deltas = [np.broadcast_to(np.eye(k)[None, :, :, None], (count, k, k, len(x)))]
    for W, z in zip(weights[:0:-1], zs[-2::-1], strict=True):
        back = np.einsum("mkia,mij->mkja", deltas[0], W, optimize=True)
        deltas.insert(0, back * mlp.activation.derivative(z)[:, None])
    return Networks(weights, signals, zs, deltas)


def tangent_kernel(mlp, rates, nets):
    """Theta_{ia,jb} of the last layer, (M, k, N, k, N): the sum over layers of inner products."""
    total = 0.0
    for n, b, w, s, d in zip(
        mlp.widths, rates.lambda_b, rates.lambda_W, nets.signals, nets.deltas, strict=False
    ):
        inner = b + w / n * np.einsum("mja,mjb->mab", s, s, optimize=True)
        both = np.einsum("mipa,mjpb->miajb", d, d, optimize=True)
        total = total + inner[:, None, :, None, :] * both
    return total


def conditional_variance(mlp, nets):
    """Ghat of the last layer, (M, N, N)."""
    s = nets.signals[-1]
    return mlp.C_b[-1] + mlp.C_W[-1] / mlp.widths[-2] * np.einsum("mja,mjb->mab", s, s)


def second_derivative(mlp, rates, nets, second, a, first_way, second_way):
    """dH_{i j k; a b c} for all i, (M, k): z_ia differentiated along the NTK's two directions.

    A way is (neuron, input): the step of every parameter by its rate times dz_jb/dparameter.
    ``second`` is sigma''.
    """
    (j, b), (k, c) = first_way, second_way
    u = v = w = 0.0
    for layer, (W, s, z) in enumerate(zip(nets.weights, nets.signals, nets.z, strict=True)):
        n, lb, lW = mlp.widths[layer], rates.lambda_b[layer], rates.lambda_W[layer]
        du, dv = nets.deltas[layer][:, j, :, b], nets.deltas[layer][:, k, :, c]
        if layer:
            past = nets.z[layer - 1][:, :, a]
            slope, curve = mlp.activation.derivative(past), second(past)
            w = curve * u * v + slope * w
            u, v = slope * u, slope * v

            def dot(p, q):
                return np.einsum("mj,mj->m", p, q)[:, None]

            w = np.einsum("mij,mj->mi", W, w) + lW / n * (
                du * dot(s[:, :, b], v) + dv * dot(s[:, :, c], u)
            )
            u, v = (np.einsum("mij,mj->mi", W, t) for t in (u, v))
        else:
            w = np.zeros_like(z[:, :, a])
        u = u + du * (lb + lW / n * np.einsum("mj,mj->m", s[:, :, b], s[:, :, a])[:, None])
        v = v + dv * (lb + lW / n * np.einsum("mj,mj->m", s[:, :, c], s[:, :, a])[:, None])
    return w
