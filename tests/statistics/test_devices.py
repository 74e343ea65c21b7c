"""The GPU against the processor: the same laws from other random numbers, the same training.

False alarms: every comparison of two means is a z-score below 5 from independent networks, some 400
of them, which chance exceeds in 2 of 10,000 choices of the seeds. Seeds are fixed.
"""

import numpy as np
import pytest
import torch

from finitewidth.core import device
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling import on_torch
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.trained.training.epochs import Settings, train
from finitewidth.trained.training.networks import outputs
from small_networks import CASES, architecture, drawn

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="skipped: no GPU")

MOST = 5.0
X = np.array([[1.0, -0.5, 0.3], [0.2, 0.9, -1.1], [0.4, 0.4, 0.8]])


@pytest.fixture(autouse=True)
def _prepared():
    """Torch as the scripts set it up."""
    if torch.cuda.is_available():
        device.prepare("cuda")


def mlp(activation="tanh", width=64, depth=3, **rest):
    return Perceptron.uniform_width(activation, dimension=3, width=width, depth=depth, **rest)


RATES = LearningRates((0.5,) * 3, (1.2,) * 3)
FOUR = ("preactivations", "quartic")
#: Name: how to sample, with the rest of the arguments.
CASES_OF = {
    "marginal, one input": (sample, (mlp("relu", C_W=2.0), X[:1]), {"measure": FOUR}),
    "marginal, two inputs": (sample, (mlp("gelu"), X[:2]), {"measure": FOUR}),
    "marginal, dependent inputs": (
        sample,
        (mlp("tanh", C_b=0.1), np.vstack([X[:2], X[:1]])),
        {"measure": FOUR},
    ),
    "explicit": (
        sample,
        (mlp(C_b=0.1, weights="uniform"), X[:2]),
        {"measure": FOUR, "sampler": "explicit"},
    ),
    "marginal ntk": (sample_ntk, (mlp("relu", C_W=2.0), RATES, X), {}),
    "explicit ntk": (sample_ntk, (mlp(C_b=0.1), RATES, X[:2]), {"sampler": "explicit"}),
    "ladder": (
        sample_ladder,
        ([mlp("gelu", n) for n in (32, 64)], X[:2]),
        {"rates": [RATES] * 2},
    ),
}
#: Means over networks of these, and of their squares, are compared.
LOOKED_AT = ("kernel", "quartic", "ntk", "output_preactivation", "conditional_kernel",
             "conditional_ntk", "drive")  # fmt: skip


def drawn_on(where, case, networks=20_000, seed=1, **rest):
    function, arguments, options = CASES_OF[case]
    seeds = {"networks": networks, "seed": seed, "device": where}
    return function(*arguments, **options, **seeds, **rest)


@pytest.mark.parametrize("case", CASES_OF)
def test_both_devices_draw_from_the_same_law(case):
    there, here = drawn_on("cuda", case), drawn_on("cpu", case, seed=2)
    names = [name for name in LOOKED_AT if name in here]
    assert names
    for name in names:
        for power in (1, 2):
            one, other = (v[name].values.astype(float) ** power for v in (there, here))
            error = np.sqrt((one.var(0) + other.var(0)) / len(one))
            # What does not vary (the kernel of the first layer, say) agrees to rounding.
            error = np.maximum(error, 1e-5 * np.abs(other).mean(0) / MOST)
            difference = np.abs(one.mean(0) - other.mean(0))
            assert (difference <= MOST * error).all(), (name, power)


@pytest.mark.parametrize("case", CASES_OF)
def test_two_runs_on_a_gpu_give_the_same_bytes(case):
    one, other = (drawn_on("cuda", case, networks=9000) for _ in range(2))
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes()


@pytest.mark.parametrize("case", CASES_OF)
def test_a_shard_on_a_gpu_is_a_part_of_the_whole(case):
    # Block sizes are powers of two: 4096 of the marginal sampler, 1024 of the explicit one.
    networks, size = 10_000, 1024 if case.startswith("explicit") else 4096
    whole = drawn_on("cuda", case, networks, precision="float64")
    shard = drawn_on("cuda", case, networks, precision="float64", blocks=(1, 3))
    assert len(shard["network"]) == min(2 * size, networks - size)
    for name, values in shard.data_vars.items():
        expected = whole[name].values[size : size + len(shard["network"])]
        near = 1e-7 * np.abs(expected[np.isfinite(expected)]).max()
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=near, err_msg=name)


def test_a_tile_of_many_blocks_is_these_blocks_one_by_one(monkeypatch):
    together = drawn_on("cuda", "marginal, two inputs", precision="float64")
    monkeypatch.setattr(on_torch, "tile_size", lambda block, *rest: block)
    alone = drawn_on("cuda", "marginal, two inputs", precision="float64")
    for name in ("kernel", "quartic", "preactivation"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-6, atol=1e-7)


def test_products_and_convolutions_are_of_single_precision():
    # TF32 rounds factors to 10 bits: 5e-4 of a number, and of such a sum some 3e-4.
    stream = torch.Generator().manual_seed(0)
    a, b = (torch.randn(8, 256, 256, generator=stream) for _ in range(2))
    exact = torch.bmm(a.double(), b.double())
    found = torch.bmm(a.cuda(), b.cuda()).cpu().double()
    assert (found - exact).norm() < 1e-6 * exact.norm()
    case = next(c for c in CASES if not architecture(c).layers[0].is_linear)
    weights, x, _ = drawn(case, 3, 30)
    exact = outputs(architecture(case), weights, x[None])
    single = [w.float().cuda() for w in weights]
    found = outputs(architecture(case), single, x[None].float().cuda()).cpu().double()
    assert (found - exact).norm() < 2e-6 * exact.norm()


@pytest.mark.parametrize("case", CASES)
def test_training_goes_the_same_way(case):
    # Starts and orders are drawn on the processor, so that only rounding differs, of few steps.
    how = Settings(3, 3, 16, 0.05, 0.9, (1, "trained"))
    _, x, y = drawn(case, 1, 64, 1, torch.float32)
    shape = architecture(case)
    runs = {}
    for name, where in (("cpu", "cpu"), ("cuda", "cuda"), ("again", "cuda")):
        images, labels = x.to(where), y.to(where)
        runs[name] = train(shape, how, (images[:44], labels[:44]), (images[44:], labels[44:]))
    for name, curve in runs["cpu"].curves.items():
        if name.endswith("loss"):
            found = torch.stack(runs["cuda"].curves[name])
            torch.testing.assert_close(found, torch.stack(curve), rtol=1e-3, atol=1e-4)
    for one, other in zip(runs["cuda"].weights, runs["again"].weights, strict=True):
        assert torch.equal(one, other)
