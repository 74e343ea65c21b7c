"""Orthogonal alignment: what it leaves invariant, and what chance gives.

False alarms: chance values are means over 20 draws or more with a spread of 3 % each, compared
within 5 % of them (7 standard errors); seeds are fixed.
"""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from finitewidth.trained.representations.alignment import correlation, cosines, explained, rotation

pytestmark = pytest.mark.fast


def second(phi, psi):
    """E[phi psi^T] over columns, the samples."""
    return phi @ psi.T / phi.shape[1]


def fitted(phi, psi, phi_=None, psi_=None):
    """rho on the samples that the rotation is fitted on, or on others."""
    turn = rotation(second(phi, psi))
    phi_, psi_ = (phi, psi) if phi_ is None else (phi_, psi_)
    traces = [np.trace(second(a, a)) for a in (phi_, psi_)]
    return float(correlation(turn, second(phi_, psi_), *traces))


def coloured(n, samples, seed):
    rng = np.random.default_rng(seed)
    return ortho_group.rvs(n, random_state=rng) @ (
        rng.standard_normal((n, samples)) / np.arange(1, n + 1)[:, None] ** 0.7
    )


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e-6])
def test_a_rotated_and_scaled_copy_is_found_again(scale):
    phi = coloured(9, 60, 1)
    q = ortho_group.rvs(9, random_state=2)
    psi = scale * q @ phi
    turn = rotation(second(phi, psi))
    assert np.allclose(turn, q.T, atol=1e-9)
    assert fitted(phi, psi) == pytest.approx(1, abs=1e-12)
    frame = np.linalg.eigh(second(phi, phi))[1][:, ::-1]
    frame_ = np.linalg.eigh(second(psi, psi))[1][:, ::-1]
    assert np.allclose(cosines(frame, frame_, turn, 9), np.eye(9), atol=1e-7)
    assert not np.allclose(cosines(frame, frame_, None, 9), np.eye(9), atol=0.1)


def test_rho_does_not_know_bases_or_scales():
    phi, psi = coloured(6, 40, 3), coloured(8, 40, 4)
    psi[:3] += phi[:3]
    q, q_ = ortho_group.rvs(6, random_state=5), ortho_group.rvs(8, random_state=6)
    assert fitted(q @ phi, 7 * q_ @ psi) == pytest.approx(fitted(phi, psi), rel=1e-10)
    assert fitted(psi, phi) == pytest.approx(fitted(phi, psi), rel=1e-10)


def test_the_rotation_is_the_best_there_is():
    phi, psi = coloured(5, 30, 7), coloured(5, 30, 8)
    wanted, scale = orthogonal_procrustes(psi.T, phi.T)
    assert np.allclose(rotation(second(phi, psi)), wanted.T, atol=1e-10)
    nuclear = scale / np.linalg.norm(phi) / np.linalg.norm(psi)
    assert fitted(phi, psi) == pytest.approx(nuclear, rel=1e-12)
    # No turn away from it, however small, comes closer.
    turn, cross = rotation(second(phi, psi)), second(phi, psi)
    for seed in range(20):
        q = ortho_group.rvs(5, random_state=seed)
        assert np.sum(turn @ q * cross) < np.sum(turn * cross)


def test_r2_is_the_variance_explained_with_the_best_scale():
    phi, psi = coloured(5, 30, 9), coloured(7, 30, 10)
    moved = rotation(second(psi, phi)) @ phi  # n <= m: an isometry from 5 into 7 dimensions
    scales = np.linspace(0, 3, 30001)
    norm, inner, own = np.sum(psi**2), np.sum(psi * moved), np.sum(moved**2)
    left = np.min(norm - 2 * scales * inner + scales**2 * own) / norm
    assert explained(fitted(psi, phi)) == pytest.approx(1 - left, abs=1e-6)
    assert explained(np.array([-0.5, 0.0, 0.5])).tolist() == [0, 0, 0.25]


@pytest.mark.parametrize(("n", "m"), [(4, 9), (9, 4)])
def test_between_spaces_of_different_dimension_it_is_a_partial_isometry(n, m):
    phi, psi = coloured(n, 50, 11), coloured(m, 50, 12)
    turn = rotation(second(phi, psi))
    assert turn.shape == (n, m)
    assert np.allclose(np.linalg.svd(turn, compute_uv=False), 1)
    # The larger holds a copy of the smaller and zeros: nothing of it is lost.
    into = ortho_group.rvs(max(n, m), random_state=13)[:, : min(n, m)]
    small = coloured(min(n, m), 50, 14)
    large = into @ small
    one, other = (small, large) if n < m else (large, small)
    assert fitted(one, other) == pytest.approx(1, abs=1e-12)
    assert np.allclose(rotation(second(one, other)), into.T if n < m else into, atol=1e-9)


def test_directions_without_anything_to_align_are_left_out():
    phi = np.zeros((5, 40))
    phi[:2] = np.random.default_rng(1).standard_normal((2, 40))
    q = ortho_group.rvs(5, random_state=3)
    turn = rotation(second(phi, q @ phi))
    assert np.linalg.matrix_rank(turn) == 2
    assert np.allclose(turn @ q @ phi, phi)
    stack = np.stack([second(phi, q @ phi), np.eye(5), np.zeros((5, 5))])
    assert [np.linalg.matrix_rank(r) for r in rotation(stack)] == [2, 5, 0]


def of_noise(n, m, samples, draws, held=None):
    rng = np.random.default_rng(n + m + samples)

    def centred(k, count):
        x = rng.standard_normal((k, count))
        return x - x.mean(1, keepdims=True)

    found = []
    for _ in range(draws):
        phi, psi = centred(n, samples), centred(m, samples)
        if held:
            found.append((fitted(phi, psi), fitted(phi, psi, centred(n, held), centred(m, held))))
        else:
            found.append((fitted(phi, psi), np.nan))
    return np.array(found).T


@pytest.mark.parametrize(
    ("n", "m", "samples", "wanted"),
    [
        # docs/theory.md 11.3: n = m far below N, n far below m far below N, and n = m = d.
        (20, 20, 4000, 64 / (9 * np.pi**2) * 20 / 4000),
        (3, 100, 20000, 3 / 20000),
        (60, 60, 61, 9 / 16),
        # The ratio to the first of these that simulations show, 0.897 with d = N.
        (200, 200, 401, 0.897 * 64 / (9 * np.pi**2) * 200 / 400),
    ],
)
def test_independent_representations_have_the_r2_of_chance(n, m, samples, wanted):
    """Theory is the limit of large n, m and N: 5 % at these sizes."""
    rho, _ = of_noise(n, m, samples, 5 if n == 200 else 20)
    assert explained(rho).mean() == pytest.approx(wanted, rel=0.05)


def test_held_out_samples_are_explained_no_better_than_those_fitted():
    rho, held = of_noise(10, 10, 200, 200, held=100)
    assert (rho > 0).all()
    # Of unrelated data: mean 0, standard deviation 1/sqrt(max(n, m) N) of the held-out samples.
    sd = 1 / np.sqrt(10 * 100)
    assert abs(held.mean()) < 5 * sd / np.sqrt(200)
    assert held.std() == pytest.approx(sd, rel=0.3)
    rng = np.random.default_rng(0)
    both = []
    for _ in range(30):
        phi = rng.standard_normal((8, 120))
        psi = phi + rng.standard_normal((8, 120))
        half, rest = slice(60), slice(60, None)
        held = fitted(phi[:, half], psi[:, half], phi[:, rest], psi[:, rest])
        both.append((fitted(phi[:, half], psi[:, half]), held))
    in_sample, out = np.mean(both, 0)
    assert 0.3 < out < in_sample


def test_cosines_of_patches_turn_channels_place_by_place():
    rng = np.random.default_rng(4)
    channels, places = 3, 4
    frame, frame_ = (ortho_group.rvs(channels * places, random_state=rng) for _ in range(2))
    turn = ortho_group.rvs(channels, random_state=rng)
    full = np.kron(turn, np.eye(places))  # a patch is (channel, row, column)
    wanted = abs(frame.T @ full @ frame_)
    assert np.allclose(cosines(frame, frame_, turn, 12), wanted, atol=1e-12)
    assert np.allclose(cosines(frame, frame_, turn, 5), wanted[:5, :5], atol=1e-12)
    assert np.allclose(cosines(frame, full.T @ frame, turn, 12), np.eye(12), atol=1e-12)
    # Of a partial isometry, what it leaves out has no cosine.
    narrow = turn[:2]
    few = ortho_group.rvs(2 * places, random_state=rng)
    wanted = abs(few.T @ np.kron(narrow, np.eye(places)) @ frame_)
    assert np.allclose(cosines(few, frame_, narrow, 8), wanted[:, :8], atol=1e-12)


def test_cosines_end_where_eigenvectors_do_and_never_exceed_1():
    frame = ortho_group.rvs(4, random_state=5)
    found = cosines(frame[:, :3] * (1 + 1e-12), frame, None, 6)
    assert found.shape == (6, 6)
    assert np.isnan(found[3:]).all()
    assert np.isnan(found[:, 4:]).all()
    assert np.allclose(found[:3, :4], np.eye(4)[:3], atol=1e-9)
    assert np.nanmax(found) <= 1


def test_a_constant_representation_has_no_correlation():
    phi, nothing = coloured(4, 30, 15), np.zeros((4, 30))
    for one, other in ((phi, nothing), (nothing, phi), (nothing, nothing)):
        assert np.isnan(fitted(one, other))
    turn = rotation(second(phi, nothing))
    assert not turn.any()
    assert np.isnan(explained(np.array([np.nan])))[0]
    assert not cosines(np.eye(4), np.eye(4), turn, 4).any()
