"""Second moments of activations against loops over images and positions.

False alarms: means of independent pairs are compared within 5 standard errors of a sum of squares
over some 400 entries, with fixed seeds.
"""

import numpy as np
import pytest
import torch

from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.theory.spectra.procrustes import chance_r2
from finitewidth.trained.representations.second_moments import moments
from finitewidth.trained.training import networks
from small_networks import CASES, architecture, described, drawn, hidden


def samples(case, weights, replica, x):
    """Rows (sample, channel) of each representation of one replica."""
    found = [x.reshape(len(x), *architecture(case).image), *hidden(case, weights, replica, x)]
    return [phi.movedim(1, 3).reshape(-1, phi.shape[1]).numpy() for phi in found]


@pytest.mark.parametrize("memory", [None, 500], ids=["whole", "chunks"])
@pytest.mark.parametrize("case", CASES)
def test_moments_are_a_loop_over_images_and_positions(case, memory, monkeypatch):
    weights, x, _ = drawn(case, 3, 13)
    if memory:
        monkeypatch.setattr(networks, "_NUMBERS", memory)
        assert len(list(networks.chunks(architecture(case), 3, 13))) > 1
    found = moments(architecture(case), weights, x)
    each = [samples(case, weights, r, x) for r in range(3)]
    assert len(found) == architecture(case).depth
    for number, m in enumerate(found):
        replicas = 1 if number == 0 else 3
        phi = [each[r][number] for r in range(replicas)]
        assert m.samples == len(phi[0])
        assert m.second.dtype == torch.float64
        assert m.second.shape == (replicas, phi[0].shape[1]) * 2
        for r in range(replicas):
            first = sum(phi[r]) / len(phi[r])
            assert np.allclose(m.first[r], first, rtol=1e-11, atol=1e-13)
            for s in range(replicas):
                pairs = zip(phi[r], phi[s], strict=True)
                second = sum(np.outer(a, b) for a, b in pairs) / len(phi[r])
                assert np.allclose(m.second[r, :, s], second, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_centred_moments_are_covariances(case):
    weights, x, _ = drawn(case, 2, 30)
    each = [samples(case, weights, r, x) for r in range(2)]
    for number, m in enumerate(moments(architecture(case), weights, x)):
        together = np.concatenate([e[number].T for e in each[: len(m.first)]])
        wanted = np.atleast_2d(np.cov(together, bias=True))
        centred = m.centred()
        assert np.allclose(centred.second.reshape(wanted.shape), wanted, rtol=1e-10, atol=1e-12)
        assert not centred.first.any()
        assert centred.samples == m.samples


def white(neurons, count, replicas, seed=0):
    """Moments of ReLU of white noise: every replica's only hidden layer is the identity."""
    mlp = [neurons, neurons, 2]
    shape = trained_architecture(described(mlp), (neurons, 1, 1), 2)
    weights = [torch.eye(neurons).expand(replicas, -1, -1), torch.zeros(replicas, 2, neurons)]
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((count, neurons))).float()
    return moments(shape, [w.contiguous() for w in weights], x[:, :, None, None])


@pytest.mark.parametrize("memory", [2**24, 3 * 2 * 62 * 500], ids=["whole", "chunks"])
def test_samples_paired_at_random_have_nothing_in_common(memory, monkeypatch):
    neurons, count = 20, 3000
    monkeypatch.setattr(networks, "_NUMBERS", memory)
    for m in white(neurons, count, 3):
        variance = torch.einsum("rara->ra", m.centred().second)
        z2 = (
            m.centred().chance ** 2 * count / (variance[:, :, None] * variance.roll(-1, 0)[:, None])
        )
        assert z2.shape == (len(m.first), neurons, neurons)
        for of_replica in z2:
            assert abs(float(of_replica.mean()) - 1) < 5 * np.sqrt(2 / neurons**2)
        # Uncentred, the product of the means is left.
        means = m.first[:, :, None] * m.first.roll(-1, 0)[:, None]
        assert (m.chance - means).abs().max() < 6 * float(variance.max()) / np.sqrt(count)
    # After ReLU the means are those of half a normal variable.
    assert abs(float(m.first.mean()) - 1 / np.sqrt(2 * np.pi)) < 0.02
    # Each replica is paired anew.
    assert not torch.allclose(m.chance[0], m.chance[1], atol=1e-4)


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_different_replicas_paired_at_random_have_nothing_in_common(case):
    """Also where each has means of its own, as after ReLU: entries within 6 standard errors."""
    weights, x, _ = drawn(case, 3, 4000)
    weights[0] *= torch.tensor([1.0, 2.0, 4.0])[:, None, None]
    m = moments(architecture(case), weights, x)[1]
    c = m.centred()
    variance = torch.einsum("rara->ra", c.second)
    # Positions of one image hang together: no more of them count than there are images.
    error = (variance[:, :, None] * variance.roll(-1, 0)[:, None] / 4000).sqrt()
    assert (c.chance.abs() < 6 * error).all()
    # The means are so large that without them it would be seen.
    assert (m.chance.abs() > 12 * error).any()


@pytest.mark.parametrize("number", [0, 1])
def test_chance_of_white_noise_is_what_theory_predicts(number):
    """r^2 of one pairing varies by 3 %, hence 5 % of the mean of two replicas."""
    neurons, count = 60, 1500
    m = white(neurons, count, 2)[number].centred()
    found = []
    for r in range(len(m.first)):
        s = (r + 1) % len(m.first)
        traces = [float(m.second[k, :, k].trace()) for k in (r, s)]
        nuclear = np.linalg.svd(m.chance[r].numpy(), compute_uv=False).sum()
        found.append(nuclear**2 / (traces[0] * traces[1]))
    assert np.mean(found) == pytest.approx(chance_r2(neurons, neurons, count), rel=0.05)
