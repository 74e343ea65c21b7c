"""Gradient descent by compiled kernels against batched products of torch."""

import numpy as np
import pytest
import torch

from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.training import learners as module
from finitewidth.sampling.training.learners import Learners

#: Widths of one number, of part of a lane, of lanes, beyond; few and many outputs; one layer alone.
SIZES = [
    (4, 32, 32, 1), (1, 5, 1), (3, 2), (6, 40), (20, 33, 17, 64, 20), (4, 16, 15, 3), (2, 1, 70, 16)
]  # fmt: skip


def networks(activation, sizes, inputs, count, *, biases="all", precision="float64", seed=0):
    """The same networks at each call, which learn the same."""
    stream = np.random.default_rng(seed)
    layers = range(1, len(sizes))

    def normal(*shape):
        return torch.from_numpy(stream.normal(size=shape).astype(precision))

    weights = [normal(count, sizes[k], sizes[k - 1]) / sizes[k - 1] ** 0.5 for k in layers]
    own = {"all": lambda k: True, "none": lambda k: False, "odd": lambda k: k % 2 == 1}[biases]
    b = [normal(count, sizes[k]) if own(k) else None for k in layers]
    mlp = Perceptron(activation, sizes, (0.1,) * len(layers), (1.0,) * len(layers))
    x, y = normal(inputs, sizes[0]), normal(count, inputs, sizes[-1])
    return Learners(get(activation), weights, b, LearningRates.named("ntk", mlp), x, y)


def parameters(learners):
    both = zip(learners.weights, learners.biases, strict=True)
    return torch.cat([p.flatten(1) for pair in both for p in pair if p is not None], dim=1)


def deviation(precision, *case, steps=6, **more):
    """Largest difference of parameters after some steps, as a share of the largest of them."""
    compiled, plain = (networks(*case, precision=precision, **more) for _ in range(2))
    begin = parameters(plain).clone()
    compiled.descend(0.05, steps)
    for _ in range(steps):
        plain.step(0.05)
    assert (parameters(plain) != begin).any()
    difference = (parameters(compiled) - parameters(plain)).abs().max()
    return float(difference / parameters(plain).abs().max())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 7])
def test_the_same_as_batched_products(sizes, inputs):
    for biases in ("all", "none", "odd"):
        assert deviation("float64", "gelu", sizes, inputs, 3, biases=biases) < 1e-13


@pytest.mark.parametrize("activation", [name for name in TABLE if code_of(get(name)) is not None])
def test_every_activation_that_kernels_know(activation):
    for sizes in SIZES[:2]:
        assert deviation("float64", activation, sizes, 3, 4) < 1e-13
        assert deviation("float32", activation, sizes, 3, 4) < 1e-5


def test_no_number_depends_on_who_else_learns_or_how_often_it_is_asked():
    together = networks("tanh", SIZES[0], 3, 5, precision="float32")
    again = networks("tanh", SIZES[0], 3, 5, precision="float32")
    together.descend(0.05, 6)
    for steps in (1, 3, 2):
        again.descend(0.05, steps)
    assert torch.equal(parameters(together), parameters(again))
    alone = networks("tanh", SIZES[0], 3, 5, precision="float32")
    alone.weights, alone.y = [W[3:4].clone() for W in alone.weights], alone.y[3:4]
    alone.biases = [b[3:4].clone() for b in alone.biases]
    alone.descend(0.05, 6)
    assert torch.equal(parameters(together)[3:4], parameters(alone))


def test_what_kernels_do_not_know_or_what_is_too_large_learns_by_products(monkeypatch):
    large, plain = (networks("tanh", SIZES[0], 3, 2) for _ in range(2))
    monkeypatch.setattr(module, "IN_CACHE", 100)
    monkeypatch.setattr(module, "descend", None)
    large.descend(0.05, 2)
    for _ in range(2):
        plain.step(0.05)
    assert torch.equal(parameters(large), parameters(plain))
