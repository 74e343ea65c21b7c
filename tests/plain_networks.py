"""Marginal networks from counters, in numpy alone: the fused kernels are held against them.

Nothing here comes from these kernels: Philox follows Salmon et al. (SC11), normals Box and Muller,
with numpy's logarithm, sine and cosine.
"""

import numpy as np

from finitewidth.core.indices import quads
from finitewidth.core.random import stream_words

MASK = np.uint64(0xFFFFFFFF)


def philox(counter, key, rounds=7):
    """The words (4, ...) of counters (4, ...) under a key of two words."""
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = (int(word) for word in key)
    for _ in range(rounds):
        low, high = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (high >> np.uint64(32)) ^ b ^ np.uint64(k0), high & MASK
        c, d = (low >> np.uint64(32)) ^ d ^ np.uint64(k1), low & MASK
        k0, k1 = (k0 + 0x9E3779B9) & int(MASK), (k1 + 0xBB67AE85) & int(MASK)
    return np.stack(np.broadcast_arrays(a, b, c, d))


def normals(seed, name, network, layer, which, width, stream="networks"):
    """The normals of one layer and input, in double precision."""
    k0, k1, more = (int(word) for word in stream_words(seed, *name, stream, count=3))
    groups = -(-width // 64)
    last = ((more & 0xFFFF) << 16) | which
    counters = np.arange(16 * groups).reshape(groups, 16)

    def words(refined):
        about = layer | refined << 31
        return philox((counters, np.full_like(counters, network), about, last), (k0, k1))

    coarse, fine = words(0), words(1)
    found = np.empty((groups, 4, 16))
    for place in (0, 2):
        # 63 bits of the radius; 32 of the angle (the first its half) and 32 behind them.
        v = (coarse[place] >> np.uint64(1)).astype(float) * 2.0**32 + fine[place].astype(float)
        # Refining bits count from the middle of their range, as signed numbers do.
        v = v + np.where(fine[place] < 2**31, 2.0**31, -(2.0**31)) + 0.5
        radius = np.sqrt(-2 * np.log(v / 2.0**63))
        angle, rest = coarse[place + 1], fine[place + 1]
        y = (angle << np.uint64(1) & MASK).astype(np.int64)
        y = np.where(y < 2**31, y, y - 2**32) * 2.0**32
        y = y + 2 * (rest.astype(float) + np.where(rest < 2**31, 2.0**31, -(2.0**31)) + 0.5)
        turn = np.pi / 2 * y * 2.0**-63
        sign = np.where(angle < 2**31, 1.0, -1.0)
        found[:, place] = radius * np.cos(turn) * sign
        found[:, place + 1] = radius * np.sin(turn)
    return found.reshape(-1)[:width]


def layer_of_normals(seed, name, network, layer, which, width):
    """The normals of a layer: narrow ones share the 64 of a name, two or four layers together."""
    together = 4 if width <= 16 else 2 if width <= 32 else 1
    if together == 1:
        return normals(seed, name, network, layer, which, width)
    group = layer // together + together * 2**28
    each = normals(seed, name, network, group, which, 64).reshape(together, -1)
    return each[layer % together, :width]


def network(mlp, x, seed, name, number, layer_of=layer_of_normals):
    """Neurons (input, width) of every layer of one network, by Cholesky's factor.

    ``layer_of`` makes the normals of a layer: :func:`normals` where narrow ones share none.
    """
    covariance = mlp.C_b[0] + mlp.C_W[0] / mlp.widths[0] * (x @ x.T)
    found = []
    for layer in range(1, mlp.depth + 1):
        width = mlp.widths[layer]
        each = [layer_of(seed, name, number, layer, a, width) for a in range(len(x))]
        u = np.array(each)
        # The root of a number, which may be 0 in a dead network.
        root = np.sqrt if len(x) == 1 else np.linalg.cholesky
        z = root(covariance) @ u
        found.append(z)
        if layer < mlp.depth:
            s = mlp.activation.function(z)
            covariance = mlp.C_b[layer] + mlp.C_W[layer] / width * (s @ s.T)
    return found


def recorded(z, neurons):
    """What a sampler records of one layer z (input, width)."""
    with np.errstate(divide="ignore"):
        log_norm = 0.5 * np.log((z * z).mean(1))
    return {
        "preactivation": z[:, :neurons],
        "kernel": z @ z.T / z.shape[1],
        "quartic": np.array([np.prod(z[list(four)], axis=0).mean() for four in quads(len(z))]),
        "sextic": (z**6).mean(1),
        "log_norm": log_norm,
    }
