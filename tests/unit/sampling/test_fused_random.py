"""Numbers drawn from counters: the bits, and that no two names share any.

False alarms: tests of independence look at z-scores of correlations and at Kolmogorov-Smirnov
distances; each family of k of them has the bound that chance exceeds with probability 1e-4, so that
a fresh seed would fail one of them in a thousand runs. Seeds are fixed.
"""

import numba
import numpy as np
import pytest
from scipy.stats import kstest, norm

from finitewidth.sampling.fused.conversions import counting, store, to_uint32
from finitewidth.sampling.fused.drawing import draw, key_of
from finitewidth.sampling.fused.lanes import LANES
from finitewidth.sampling.fused.philox import ROUNDS, words
from plain_networks import normals, philox

ALARM = 1e-4

#: Counter, key, words: Random123's known answers (its file kat_vectors).
KNOWN = {
    7: [
        ("0 0 0 0", "0 0", "5f6fb709 0d893f64 4f121f81 4f730a48"),
        (
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "5207ddc2 45165e59 4d8ee751 8c52f662",
        ),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "4dfccaba 190a87f0 c47362ba b6b5242a",
        ),
    ],
    10: [("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8")],
}


def _words(text):
    return [int(word, 16) for word in text.split()]


@numba.njit
def lanes_of_words(start, b, c, d, k0, k1, rounds, out):
    """Sixteen counters that begin with ``start`` and those that follow it."""
    found = words(counting(start), b, c, d, k0, k1, rounds)
    for k in range(4):
        store(out, k * LANES, to_uint32(found[k]))


@numba.njit
def draw_row(neurons, count, key, network, layer, which):
    draw(neurons, 0, 0, count, key, network, layer, which)


def row(count, *, seed=0, name=("e", "m"), network=0, layer=1, which=0, precision="float32"):
    neurons = np.empty(-(-count // 64) * 64, precision)
    draw_row(neurons, count, key_of(seed, *name, "networks"), network, layer, which)
    return neurons[:count]


@pytest.mark.parametrize("rounds", KNOWN)
def test_known_answers(rounds):
    for counter, key, answer in KNOWN[rounds]:
        out = np.empty(4 * LANES, np.uint32)
        a, *rest = (np.uint64(word) for word in _words(counter) + _words(key))
        lanes_of_words(a, *rest, rounds, out)
        assert out[::LANES].tolist() == _words(answer)
        assert philox(_words(counter), _words(key), rounds).tolist() == _words(answer)


def test_every_lane_is_a_counter_of_its_own():
    rng = np.random.default_rng(0)
    out = np.empty(4 * LANES, np.uint32)
    for start in (0, 5, 2**32 - 40):
        rest = [np.uint64(word) for word in rng.integers(2**32, size=5)]
        lanes_of_words(np.uint64(start), *rest, ROUNDS, out)
        counters = start + np.arange(LANES)
        assert np.array_equal(
            out.reshape(4, LANES), philox((counters, *rest[:3]), rest[3:]).astype(np.uint32)
        )


@pytest.mark.parametrize("width", [1, 63, 64, 65, 1000])
def test_normals_are_those_of_plain_numpy(width):
    for network, layer, which in ((0, 1, 0), (2**31 + 7, 900, 7)):
        plain = normals(3, ("e", "m"), network, layer, which, width)
        about = {"seed": 3, "network": network, "layer": layer, "which": which}
        double = row(width, precision="float64", **about)
        assert np.allclose(double, plain, rtol=0, atol=4e-15)
        # Single precision has the first words of double precision, and no others.
        assert np.abs(row(width, **about) - plain).max() < 2e-6


def test_a_longer_layer_begins_with_a_shorter_one():
    for precision in ("float32", "float64"):
        long = row(1000, precision=precision)
        for width in (1, 16, 64, 100, 999):
            assert np.array_equal(row(width, precision=precision), long[:width])


COUNT = 2**16


def neighbours():
    """Rows that differ in one part of their names, by as little as it can."""
    yield {}
    for name in (("e", "n"), ("e", "m1"), ("em", ""), ("", "em"), ("m", "e"), ("e", "m", 0)):
        yield {"name": name}
    for other in (1, 2, 2**31):
        yield {"seed": other}
    for network in (1, 2, 3, 4, 2**16, 2**31):
        yield {"network": network}
    for layer in (2, 3, 4, 256):
        yield {"layer": layer}
    for which in (1, 2, 3, 4, 5, 6, 7):
        yield {"which": which}
    yield {"network": 1, "layer": 2}
    yield {"network": 1, "which": 1}
    yield {"layer": 2, "which": 1}


def bound(count, two_sided=2):
    """The z-score that the largest of ``count`` exceeds with probability ALARM."""
    return norm.isf(ALARM / two_sided / count)


def powers(u):
    """What two rows could share although they are not correlated themselves."""
    return [u, u * u - 1, np.abs(u) - np.sqrt(2 / np.pi), np.sign(u), (u > 2) - norm.sf(2)]


def test_rows_of_neighbouring_names_are_independent():
    rows = [row(COUNT, **about).astype(float) for about in neighbours()]
    standard = np.array([p / p.std() for u in rows for p in powers(u)])
    scores = np.abs(standard @ standard.T) / np.sqrt(COUNT)
    of_row = np.arange(len(scores)) // len(powers(rows[0]))
    scores = scores[of_row[:, None] > of_row]
    assert scores.max() < bound(len(scores))


def test_neurons_of_a_row_are_independent():
    """At all distances up to two groups, and at those of the division into tiles."""
    u = np.concatenate([row(COUNT, network=network) for network in range(4)]).astype(float)
    shifts = np.array([*range(1, 129), 256, 512, 1024, 4096])
    # Correlations at all distances at once, without those around the end.
    spectra = [np.fft.rfft(p / p.std(), 2 * len(u)) for p in powers(u)]
    scores = [
        np.abs(np.fft.irfft(p.conj() * q)[shifts]) / np.sqrt(len(u) - shifts)
        for p in spectra
        for q in spectra
    ]
    assert np.max(scores) < bound(np.size(scores))


def test_the_same_neuron_of_many_networks_is_normal():
    """Counters that differ in the network alone: the streams of a narrow ensemble."""
    found = np.array([row(4, network=network) for network in range(20000)])
    for layer_ in range(4):
        assert kstest(found[:, layer_], "norm").pvalue > ALARM / 4
    scores = np.abs(np.corrcoef(found.T)[np.triu_indices(4, 1)]) * np.sqrt(len(found))
    assert scores.max() < bound(len(scores))
    lags = [abs(np.corrcoef(found[:-1, 0], found[1:, k])[0, 1]) * np.sqrt(19999) for k in range(4)]
    assert max(lags) < bound(4)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rows_are_normal(precision):
    u = row(2**20, precision=precision)
    assert kstest(u, "norm").pvalue > ALARM / 2
    # Spectral: sums over lanes, groups and chunks are as spread as independent ones.
    for size in (4, 16, 64, 256, 1024):
        sums = u.reshape(-1, size).astype(float).sum(1) / np.sqrt(size)
        assert abs(sums.var() - 1) * np.sqrt(len(sums) / 2) < bound(10)
        strided = u.reshape(size, -1).astype(float).sum(0) / np.sqrt(size)
        assert abs(strided.var() - 1) * np.sqrt(len(strided) / 2) < bound(10)


def test_bits_are_even():
    """Every bit of every word, and every pair of bits of a word."""
    counters = np.arange(2**18)
    for word in philox((counters, 5, 1, 0), (17, 4)):
        bits = (word[:, None] >> np.arange(32, dtype=np.uint64) & np.uint64(1)).astype(float)
        bits = 2 * bits - 1
        ones = np.abs(bits.sum(0)) / np.sqrt(len(bits))
        together = np.abs(bits.T @ bits)[np.triu_indices(32, 1)] / np.sqrt(len(bits))
        assert max(ones.max(), together.max()) < bound(4 * (32 + 496))
