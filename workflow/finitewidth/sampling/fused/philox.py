"""Random bits from counters: Philox4x32 with seven rounds, lane by lane.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11): four words of
32 bits, the counter, are enciphered under a key of two. Seven rounds are the fewest that pass all
of TestU01's BigCrush (their table 2); the usual ten are a margin that costs two fifths more. No
state is carried: any number can be had without those before it.
"""

from __future__ import annotations

import numpy as np

from finitewidth.sampling.fused.lanes import inlined

ROUNDS = 7

_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@inlined
def _step(a, b, c, d, k0, k1):
    """One round. Words may carry anything above their 32 bits."""
    low, high = (a & _MASK) * _M0, (c & _MASK) * _M1
    return (high >> _HALF) ^ b ^ k0, high, (low >> _HALF) ^ d ^ k1, low


@inlined
def words(a, b, c, d, k0, k1, rounds):
    """The four words for a counter of four: numbers of uint64, or lanes of them (``a`` is).

    Only the lower 32 bits of what is returned are meant; ``rounds`` is at least 3.
    """
    # The first three under names of their own: only then are all four words lanes.
    e, f, g, h = _step(a, b, c, d, k0, k1)
    i, j, k, m = _step(e, f, g, h, k0 + _W0, k1 + _W1)
    k0, k1 = k0 + _W0 + _W0, k1 + _W1 + _W1
    p, q, r, s = _step(i, j, k, m, k0, k1)
    for _ in range(rounds - 3):
        k0, k1 = k0 + _W0, k1 + _W1
        p, q, r, s = _step(p, q, r, s, k0, k1)
    return p, q, r, s
