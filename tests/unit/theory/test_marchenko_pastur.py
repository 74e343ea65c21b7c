"""Spectra of random matrices: against quadrature, published digits and drawn matrices.

The seeds are fixed. A statement on drawn numbers is let pass up to 4.5 standard errors or down to
a probability of 1e-5: were the seeds drawn afresh, one run of the file in some thousand would fail
by chance.
"""

import numpy as np
import pytest
from scipy import integrate, stats

from finitewidth.core.bisection import invert
from finitewidth.theory.spectra import tracy_widom
from finitewidth.theory.spectra.marchenko_pastur import MarchenkoPastur, largest_by_simulation

SHAPES = [(2.0, 300, 100), (0.3, 64, 64), (1 / 300, 100, 300), (1.0, 1000, 1001), (1.0, 5000, 3)]
SIGMAS = 4.5
UNLIKELY = 1e-5


def drawn(law, n_out, n_in, stream, variance=1.0):
    if law == "normal":
        return stream.normal(scale=variance**0.5, size=(n_out, n_in))
    return stream.uniform(-1, 1, size=(n_out, n_in)) * (3 * variance) ** 0.5


def integral(law, power, low, high):
    """Of x^power times the density, by an angle in which it is smooth."""
    lower, upper = law.edges

    def integrand(t):
        x = lower + (upper - lower) * np.cos(t / 2) ** 2
        return x**power * law.density(x) * (upper - lower) * np.sin(t) / 2

    ends = [2 * np.arccos(np.sqrt((x - lower) / (upper - lower))) for x in (high, low)]
    return integrate.quad(integrand, *ends, epsabs=1e-14, epsrel=1e-12, limit=400)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_mass_moments_and_distribution_are_those_of_the_density(shape):
    law = MarchenkoPastur(*shape)
    assert integral(law, 0, *law.edges) + law.atom == pytest.approx(1, abs=1e-10)
    for k in range(1, 5):
        assert law.moment(k) == pytest.approx(integral(law, k, *law.edges), rel=1e-10)
    lower, upper = law.edges
    for x in lower + (upper - lower) * np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.9999]):
        expected = law.atom + integral(law, 0, lower, x)
        assert law.cdf(x) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_beyond_the_edges(shape):
    law = MarchenkoPastur(*shape)
    lower, upper = law.edges
    assert np.array_equal(law.cdf([-1e-300, upper, 2 * upper]), [0, 1, 1])
    assert law.cdf(lower) == pytest.approx(law.atom, abs=1e-15)
    assert law.cdf(0) == pytest.approx(law.atom, abs=1e-15)
    assert np.array_equal(law.density([-1, 0, lower, upper, 2 * upper]), np.zeros(5))
    assert law.atom == max(0.0, 1 - shape[1] / shape[2])


@pytest.mark.parametrize("shape", SHAPES)
def test_quantile_inverts_the_distribution(shape):
    law = MarchenkoPastur(*shape)
    lower, upper = law.edges
    x = lower + (upper - lower) * np.linspace(0.001, 0.999, 57).reshape(19, 3)
    assert law.quantile(law.cdf(x)) == pytest.approx(x, rel=1e-9)
    p = np.linspace(0, 1, 101)
    assert law.cdf(law.quantile(p)) == pytest.approx(np.maximum(p, law.atom), abs=1e-11)
    assert np.all(np.diff(law.quantile(p)) >= 0)
    assert law.quantile(1.0) == pytest.approx(upper)
    assert law.quantile(0.0) == (0.0 if law.atom else lower)


@pytest.mark.parametrize(("law", "n_out", "n_in"), [("normal", 600, 300), ("uniform", 300, 600)])
def test_eigenvalues_of_drawn_matrices(law, n_out, n_in):
    theory = MarchenkoPastur(0.5, n_out, n_in)
    W = drawn(law, n_out, n_in, np.random.default_rng(1), 0.5)
    found = np.linalg.eigvalsh(W.T @ W / n_out)[::-1]
    expected = theory.eigenvalues()
    # Eigenvalues repel: they stray from where they belong by few times the distance of neighbours.
    share = np.arange(1, n_in + 1) / n_in
    assert np.all(np.abs(1 - theory.cdf(np.maximum(found, 0)) - share)[:250] < 4 / n_in)
    assert np.abs(found - expected).max() < 0.05
    assert np.count_nonzero(expected) == min(n_out, n_in)
    assert np.all(np.diff(expected) <= 0)


def test_eigenvalues_add_up():
    for shape in SHAPES[:4]:
        law = MarchenkoPastur(*shape)
        for k, accuracy in ((1, 2e-3), (2, 4e-3)):
            assert np.mean(law.eigenvalues() ** k) == pytest.approx(law.moment(k), rel=accuracy)


@pytest.mark.parametrize(("law", "kurtosis"), [("normal", 0.0), ("uniform", -6 / 5)])
@pytest.mark.parametrize(("n_out", "n_in"), [(3, 2), (2, 5), (1, 1)])
def test_participation_ratio_of_narrow_matrices(law, kurtosis, n_out, n_in):
    stream = np.random.default_rng(2)
    W = np.stack([drawn(law, n_out, n_in, stream) for _ in range(40_000)])
    C = np.einsum("tij,tik->tjk", W, W) / n_out
    first, second = np.einsum("tii->t", C), np.einsum("tij,tij->t", C, C)
    # Both means fluctuate together: the error is that of the linear combination.
    mean1, mean2 = first.mean(), second.mean()
    ratio = mean1**2 / mean2
    change = ratio * (2 * (first - mean1) / mean1 - (second - mean2) / mean2)
    pull = ratio - MarchenkoPastur(1.0, n_out, n_in).participation_ratio_of_means(kurtosis)
    assert abs(pull) < SIGMAS * change.std() / len(W) ** 0.5


def test_participation_ratio_of_wide_matrices():
    law = MarchenkoPastur(0.7, 400, 200)
    W = drawn("uniform", 400, 200, np.random.default_rng(3), 0.7)
    spectrum = np.linalg.svd(W, compute_uv=False) ** 2
    assert spectrum.sum() ** 2 / (spectrum**2).sum() == pytest.approx(
        law.participation_ratio(), rel=0.01
    )
    expected = law.n_in * law.moment(1) ** 2 / law.moment(2)
    assert law.participation_ratio() == pytest.approx(expected)


def test_tracy_widom_against_published_quantiles():
    # Tables of F_1, for example Bejan (2005), Johnstone (2001, table 1).
    published = {0.9: 0.4501, 0.95: 0.9793, 0.99: 2.0234}
    found = tracy_widom.quantile(list(published))
    assert found == pytest.approx(list(published.values()), abs=6e-5)
    # Entries of Johnstone's table, two digits of the argument to two of the probability.
    table = [(-3.90, 0.01), (-3.18, 0.05), (-2.78, 0.10), (-1.91, 0.30), (-1.27, 0.50)]
    table += [(-0.59, 0.70), (0.45, 0.90), (0.98, 0.95), (2.02, 0.99)]
    s, p = np.transpose(table)
    assert tracy_widom.cdf(s) == pytest.approx(p, abs=2e-3)


def test_tracy_widom_mean_and_variance():
    s = np.linspace(-12, 16, 561)
    F = tracy_widom.cdf(s)
    assert np.all(np.diff(F) > -1e-13)
    # Partial integration: the law's own density is not needed.
    mean = s[-1] - integrate.simpson(F, x=s)
    second = s[-1] ** 2 - 2 * integrate.simpson(s * F, x=s)
    assert mean == pytest.approx(tracy_widom.MEAN, abs=1e-9)
    assert mean == pytest.approx(-1.2065335745820, abs=1e-9)
    assert second - mean**2 == pytest.approx(1.607781034581, abs=1e-8)
    deviation = tracy_widom.DEVIATION
    assert deviation == pytest.approx((second - mean**2) ** 0.5, abs=1e-8)


def test_tracy_widom_in_the_tails():
    assert np.array_equal(tracy_widom.cdf([-50, -13, 17, 1e3]), [0, 0, 1, 1])
    # Leading order of the determinant: one minus half the integral of Ai from s on.
    ai = integrate.quad(airy_by_integral, 4.0, 20.0, epsabs=1e-16)[0]
    assert 1 - tracy_widom.cdf(4.0) == pytest.approx(ai / 2, rel=1e-3)
    p = np.array([1e-9, 0.2, 1 - 1e-9])
    assert tracy_widom.cdf(tracy_widom.quantile(p)) == pytest.approx(p, abs=1e-12)


def airy_by_integral(x):
    """Ai by its integral over cosines, turned into the plane where it converges."""

    def integrand(t):
        z = t * np.exp(1j * np.pi / 6)
        return (np.exp(1j * np.pi / 6) * np.exp(1j * (z**3 / 3 + x * z))).real / np.pi

    return integrate.quad(integrand, 0, 12, epsabs=1e-14, limit=200)[0]


def test_largest_eigenvalue_tends_to_tracy_widom():
    law = MarchenkoPastur(0.2, 3000, 2000)
    found = largest_by_simulation(3000, 2000, 0.2, "normal", 300, np.random.default_rng(4))
    s = (found - law.centre) / law.scale
    assert stats.kstest(s, tracy_widom.cdf).pvalue > UNLIKELY
    error = law.largest_deviation / len(s) ** 0.5
    assert abs(found.mean() - law.largest_mean) < SIGMAS * error
    exceeding = (found > law.upper_quantile(0.1)).sum()
    assert stats.binomtest(int(exceeding), len(found), 0.1).pvalue > UNLIKELY


@pytest.mark.parametrize("law", ["normal", "uniform"])
@pytest.mark.parametrize(("n_out", "n_in"), [(7, 4), (1, 6), (3, 1), (20, 40)])
def test_simulated_largest_eigenvalue_is_that_of_matrices(law, n_out, n_in):
    stream = np.random.default_rng(5)
    found = largest_by_simulation(n_out, n_in, 0.4, law, 3000, stream)
    direct = [
        np.linalg.norm(drawn(law, n_out, n_in, stream, 0.4), 2) ** 2 / n_out for _ in range(3000)
    ]
    assert stats.ks_2samp(found, direct).pvalue > UNLIKELY


def test_large_matrices_are_given_to_another_algorithm(monkeypatch):
    shape = (160, 170, 1.0, "uniform", 5)
    lanczos = largest_by_simulation(*shape, np.random.default_rng(6))
    monkeypatch.setattr("finitewidth.theory.spectra.marchenko_pastur._LANCZOS", 1000)
    dense = largest_by_simulation(*shape, np.random.default_rng(6))
    assert lanczos == pytest.approx(dense, rel=1e-10)


def test_uniform_entries_are_short_of_the_limit():
    # THEORY: mean -1.55 +- 0.06 at this size, where the limit is -1.21: a threshold by
    # Tracy-Widom would miss outliers.
    law = MarchenkoPastur(1.0, 200, 100)
    found = largest_by_simulation(200, 100, 1.0, "uniform", 1000, np.random.default_rng(7))
    s = (found - law.centre) / law.scale
    assert s.mean() == pytest.approx(-1.55, abs=SIGMAS * 0.07)
    assert s.mean() < tracy_widom.MEAN - SIGMAS * s.std() / len(s) ** 0.5


def test_inversion_stays_in_the_interval():
    found = invert(np.tanh, np.array([[-2.0, 0.5, 2.0]]), -3, 3)
    assert found == pytest.approx(np.array([[-3, np.arctanh(0.5), 3]]))


def test_what_is_no_matrix_or_law_is_refused():
    for arguments in ((0.0, 3, 3), (np.inf, 3, 3), (1.0, 0, 3)):
        with pytest.raises(ValueError, match="not"):
            MarchenkoPastur(*arguments)
    law = MarchenkoPastur(1.0, 3, 3)
    with pytest.raises(ValueError, match="order 1"):
        law.moment(0)
    with pytest.raises(ValueError, match="probability"):
        law.quantile([0.5, 1.1])
    with pytest.raises(ValueError, match="probability"):
        law.upper_quantile(0.0)
    with pytest.raises(ValueError, match="no edge"):
        _ = MarchenkoPastur(1.0, 1, 1).scale
    with pytest.raises(ValueError, match="normal or uniform"):
        largest_by_simulation(3, 3, 1.0, "cauchy", 1, np.random.default_rng(8))
