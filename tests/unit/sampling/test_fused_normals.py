"""Moments of the normals, by going through every word that makes one: nothing is sampled here.

u = r cos(phi) and r sin(phi) with r of one word and phi of another, so that E[u^2] is the product
of two means over all 2^32 words each. The lowest bit of the first word and, but for its sign, the
highest of the second change nothing, which leaves 2^31 of each.
"""

import numba
import numpy as np
import pytest
from mpmath import mp

from finitewidth.sampling.fused import normals
from finitewidth.sampling.fused.conversions import (
    counting,
    float64_lanes,
    load,
    store,
    to_float64,
    to_uint32,
    total,
)
from finitewidth.sampling.fused.lanes import LANES, fma

ALL = 2**31
STEP = 2**22


@numba.njit
def moments(start, stop, out):
    """Add sums over words: r^2, r^4, cos^2, cos^4, sin, sin^2, sin^4, cos sin."""
    zero = float64_lanes(0.0)
    r2, r4, c2, c4, s1, s2, s4, cs = zero, zero, zero, zero, zero, zero, zero, zero
    for word in range(start, stop, LANES):
        words = to_uint32(counting(word))
        r = to_float64(normals.radius(words << 1))
        cosine, sine = normals.angle(words)
        c, s = to_float64(cosine), to_float64(sine)
        s1, cs = s1 + s, fma(c, s, cs)
        r, c, s = r * r, c * c, s * s
        r2, c2, s2 = r2 + r, c2 + c, s2 + s
        r4, c4, s4 = fma(r, r, r4), fma(c, c, c4), fma(s, s, s4)
    for k, lanes in enumerate((r2, r4, c2, c4, s1, s2, s4, cs)):
        out[k] += total(lanes)


@numba.njit
def of_words(words, r, cosine, sine):
    for i in range(0, len(words), LANES):
        w = load(words, i)
        store(r, i, normals.radius(w))
        c, s = normals.angle(w)
        store(cosine, i, c)
        store(sine, i, s)


@numba.njit
def of_words_double(words, more, r, cosine, sine):
    for i in range(0, len(words), LANES):
        w, m = load(words, i), load(more, i)
        store(r, i, normals.radius_double(w, m))
        c, s = normals.angle_double(w, m)
        store(cosine, i, c)
        store(sine, i, s)


def single(words):
    found = np.empty((3, len(words)), np.float32)
    of_words(words.astype(np.uint32), *found)
    return found


def double(words, more):
    found = np.empty((3, len(words)))
    of_words_double(words.astype(np.uint32), more.astype(np.uint32), *found)
    return found


def test_moments_over_all_words():
    sums = []
    for start in range(0, ALL, STEP):
        part = np.zeros(8)
        moments(start, start + STEP, part)
        sums.append(part / STEP)
    r2, r4, c2, c4, s1, s2, s4, cs = np.mean(sums, axis=0)
    for second, fourth in ((c2, c4), (s2, s4)):
        assert abs(r2 * second - 1) < 1e-8
        assert abs(r4 * fourth / 3 - 1) < 1e-6
    # Of independent normals both of a pair: E[u^2 v^2] = 1. Odd means vanish with the sign of the
    # cosine, which is a bit of its own, and of the sine.
    assert abs(r4 * (s2 - s4) - 1) < 1e-6
    assert abs(s1) < 1e-12
    assert abs(cs) < 1e-12


def test_rounding_of_the_product_leaves_moments_alone():
    """r cos(phi) is rounded once more; which way does not depend on its size.

    The mean change of u^2 over 2^24 pairs has an error of about 2e-11; seeds are fixed.
    """
    rng = np.random.default_rng(0)
    words, others = rng.integers(2**32, size=(2, 2**24), dtype=np.uint32)
    r, (cosine, sine) = single(words)[0], single(others)[1:]
    for part in (cosine, sine):
        exact = r.astype(float) * part.astype(float)
        change = (r * part).astype(float) ** 2 - exact**2
        assert abs(change.mean()) < 5 * change.std() / 2**12
        assert 5 * change.std() / 2**12 < 1e-9


#: Words at the ends and beside the places where bits carry, and some in between.
WORDS = np.concatenate(
    [
        np.arange(16),
        2**32 - 1 - np.arange(16),
        *(2**k + np.arange(-8, 8) for k in range(4, 32)),
        np.random.default_rng(1).integers(2**32, size=512),
    ]
).astype(np.uint32)


def test_the_first_and_the_last_words():
    r, cosine, sine = single(WORDS)
    assert np.isfinite(r).all()
    assert r.min() >= 0
    # The smallest v is 2^-32.
    assert r.max() == pytest.approx(np.sqrt(64 * np.log(2)), rel=1e-6)
    assert np.abs(cosine).max() <= 1
    assert np.abs(sine).max() <= 1


@pytest.mark.parametrize("more", [None, 0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_signs_are_symmetric(more):
    """The highest bit turns the sign of the cosine alone; all others, that of the sine."""
    one, other = WORDS, WORDS ^ np.uint32(2**31)
    turned = WORDS ^ np.uint32(2**31 - 1)
    if more is None:
        found = [single(w) for w in (one, other, turned)]
    else:
        fine = np.full(len(WORDS), more, np.uint32)
        found = [double(one, fine), double(other, fine), double(turned, ~fine)]
    (_, c, s), (_, c_other, s_other), (_, c_turned, s_turned) = found
    assert np.array_equal(c, -c_other)
    assert np.array_equal(s, s_other)
    assert np.array_equal(s, -s_turned)
    assert np.array_equal(c, c_turned)


def test_double_precision_against_forty_digits():
    """Its midpoints number 2^63, so that what is wrong with moments is what is wrong with r, cos
    and sin. These are within 1e-15 (r^2, beyond 1 as a share of itself), so that E[u^2] and E[u^4]
    are within 1e-14."""
    mp.dps = 40
    more = np.random.default_rng(2).integers(2**32, size=len(WORDS), dtype=np.uint32)
    more[:64:2], more[1:64:2] = 0, 2**32 - 1
    r, cosine, sine = double(WORDS, more)
    for k, (word, refined) in enumerate(zip(WORDS.tolist(), more.tolist(), strict=True)):
        centred = (refined + 2**31) % 2**32 + mp.mpf(1) / 2
        v = ((word >> 1) * 2**32 + centred) / mp.mpf(2) ** 63
        square = -2 * mp.log(v)
        assert float(abs(mp.mpf(r[k]) ** 2 - square) / max(1, square)) < 1e-15
        twice = (word << 1) % 2**32
        signed = twice - 2**32 if twice >= 2**31 else twice
        y = (signed * 2**32 + 2 * centred) / mp.mpf(2) ** 63
        sign = -1 if word >= 2**31 else 1
        assert float(abs(cosine[k] - sign * mp.cospi(y / 2))) < 5e-16
        assert float(abs(sine[k] - mp.sinpi(y / 2))) < 5e-16


def test_single_precision_is_double_precision_rounded():
    # Refining words count from the middle: signed, and 0 is the middle.
    middle = np.zeros(len(WORDS), np.uint32)
    for found, exact in zip(single(WORDS), double(WORDS, middle), strict=True):
        # Near v = 1 and at the end of a quarter turn what rounds is the argument.
        assert np.abs(found - exact).max() < 3e-4
        inner = np.abs(exact) > 0.1
        assert np.abs(found / exact - 1)[inner].max() < 3e-6
