"""Replicas that do not fit are refused, with how many do."""

from dataclasses import replace

import pytest
import torch

from finitewidth.core.errors import ConfigError
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.trained import memory
from finitewidth.trained.representations.second_moments import moments
from small_members import trained
from small_networks import described

GIB = 2**30


@pytest.fixture
def one_gib(monkeypatch):
    monkeypatch.setattr(memory, "_available", lambda device: GIB)


def mlp(*dimensions):
    return trained_architecture(described(dimensions), (dimensions[0], 1, 1), dimensions[-1])


@pytest.mark.parametrize("dimensions", [(3072, 2048, 2048, 10), (64, 16, 10), (16, 512, 512, 10)])
def test_as_many_as_the_sentence_says_fit_and_no_more(one_gib, dimensions):
    shape = mlp(*dimensions)
    member = trained(ensemble="big", mlp=dimensions, replicas=10**5, batch=64)
    with pytest.raises(ConfigError) as caught:
        memory.check_replicas(shape, member, "cpu")
    sentence = str(caught.value)
    assert sentence.startswith("config key trained.big.replicas: given 100000, allowed is at most ")
    assert "1 GiB" in sentence
    assert "\n" not in sentence
    most = int(sentence.split("at most ")[1].split()[0])
    assert 0 < most < 10**5
    memory.check_replicas(shape, replace(member, replicas=most), "cpu")
    with pytest.raises(ConfigError):
        memory.check_replicas(shape, replace(member, replicas=most + 1), "cpu")


def test_at_least_what_weights_and_moments_take():
    shape = mlp(30, 20, 12, 10)
    weights = 4 * 30 * 20 + 4 * 20 * 12 + 4 * 12 * 10
    # Of every replica: those of the start, trained, gradients and velocities.
    assert memory.needed(shape, 7, 1) >= 4 * 7 * weights
    # And what another optimiser keeps besides.
    one, three = (memory.needed(shape, 7, 10**6, buffers) for buffers in (1, 3))
    assert three == one + 2 * 7 * weights
    drawn = [torch.randn(50, layer.out, layer.fan_in) for layer in shape.layers]
    found = moments(shape, drawn, torch.randn(4, 30, 1, 1))
    kept = sum(m.second.numel() * m.second.element_size() for m in found[1:])
    # Before and after training, on both sets of images.
    assert memory.needed(shape, 50, 1) >= 4 * kept


def test_what_is_free_is_read():
    assert 2**20 < memory._available(torch.device("cpu")) < 2**50
