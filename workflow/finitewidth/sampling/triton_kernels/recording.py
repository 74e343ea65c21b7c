"""What is recorded of a layer: means over its neurons, and the first of them."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add_recorded(sums, z, A: tl.constexpr, FOURS: tl.constexpr, SIXTH: tl.constexpr):
    """Add products of two preactivations, behind them of four and sixth powers.

    Lane by lane in single precision, as the sampler on torch; lanes are added in double precision.
    """
    found = ()
    for a in tl.static_range(A):
        for b in tl.static_range(a + 1):
            four = z[4 * a] * z[4 * b]
            for k in tl.static_range(1, 4):
                four = tl.fma(z[4 * a + k], z[4 * b + k], four)
            found = found + (sums[len(found)] + four,)
    if FOURS:
        for a in tl.static_range(A):
            for b in tl.static_range(a, A):
                for c in tl.static_range(b, A):
                    for d in tl.static_range(c, A):
                        four = (z[4 * a] * z[4 * b]) * (z[4 * c] * z[4 * d])
                        for k in tl.static_range(1, 4):
                            one = z[4 * a + k] * z[4 * b + k]
                            four = tl.fma(one, z[4 * c + k] * z[4 * d + k], four)
                        found = found + (sums[len(found)] + four,)
    if SIXTH:
        for a in tl.static_range(A):
            cube = z[4 * a] * z[4 * a] * z[4 * a]
            four = cube * cube
            for k in tl.static_range(1, 4):
                cube = z[4 * a + k] * z[4 * a + k] * z[4 * a + k]
                four = tl.fma(cube, cube, four)
            found = found + (sums[len(found)] + four,)
    return found


@triton.jit
def keep_means(
    sums,
    width,
    scale,
    log_scale,
    at,
    there,
    kernel,
    quartic,
    sextic,
    log_norm,
    A: tl.constexpr,
    INVARIANT: tl.constexpr,
    MOMENTS: tl.constexpr,
    FOURS: tl.constexpr,
    SIXTH: tl.constexpr,
):
    """Store the means of a layer of the networks ``there`` in the places ``at``."""
    count: tl.constexpr = A * (A + 1) // 2
    for a in tl.static_range(A):
        for b in tl.static_range(a + 1):
            mean = sums[a * (a + 1) // 2 + b] / width
            if INVARIANT:
                if a == b:
                    tl.store(log_norm + at * A + a, log_scale[a] + 0.5 * tl.log(mean), there)
                mean = mean * (scale[a] * scale[b])
            if MOMENTS:
                tl.store(kernel + (at * A + a) * A + b, mean, there)
                tl.store(kernel + (at * A + b) * A + a, mean, there)
    quads: tl.constexpr = A * (A + 1) * (A + 2) * (A + 3) // 24
    if FOURS:
        stored = ()
        for a in tl.static_range(A):
            for b in tl.static_range(a, A):
                for c in tl.static_range(b, A):
                    for d in tl.static_range(c, A):
                        mean = sums[count + len(stored)] / width
                        if INVARIANT:
                            mean = mean * scale[a] * scale[b] * scale[c] * scale[d]
                        tl.store(quartic + at * quads + len(stored), mean, there)
                        stored = stored + (mean,)
    if SIXTH:
        for a in tl.static_range(A):
            mean = sums[count + quads + a] / width
            if INVARIANT:
                cube = scale[a] * scale[a] * scale[a]
                mean = mean * (cube * cube)
            tl.store(sextic + at * A + a, mean, there)


@triton.jit
def keep_neurons(
    z, neuron, scale, at, there, preactivation, neurons, A: tl.constexpr, INVARIANT: tl.constexpr
):
    """Store those of the neurons in registers that are recorded."""
    for a in tl.static_range(A):
        for k in tl.static_range(4):
            value = z[4 * a + k]
            if INVARIANT:
                value = (value.to(tl.float64) * scale[a]).to(tl.float32)
            mask = there & (neuron + 16 * k < neurons)
            tl.store(preactivation + (at * A + a) * neurons + neuron + 16 * k, value, mask)
