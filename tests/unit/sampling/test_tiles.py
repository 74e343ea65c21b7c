"""Tiles: parts of a block, or several blocks at once, as on a GPU; what the samplers do there.

A shard must hold the same networks however its blocks are put together. Double precision, so that
only rounding of the last places is left to differ; other numbers would differ in the first.
"""

from itertools import islice

import numpy as np
import pytest
import torch

from finitewidth.core import blocks
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.activations.table import TABLE
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling import ntk_ensemble, on_torch
from finitewidth.sampling import streams as streams_of
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp import ladder_record, torch_ladder
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.shard import Shard
from finitewidth.sampling.streams import Streams, tiles
from watched import Watched

X = np.random.default_rng(0).standard_normal((3, 4))
GIB = 2**30


def mlp(activation="tanh", width=20, depth=3, **rest):
    return Perceptron.uniform_width(activation, dimension=4, width=width, depth=depth, **rest)


def ntk_law(activation="relu", width=20):
    widths = (4, width, 15, width, 3)
    return Perceptron(activation, widths, (0.1,) * 4, (1.6, 2.0, 1.4, 1.8)), LearningRates(
        (0.5,) * 4, (1.2,) * 4
    )


def ladders(activation):
    return [mlp(activation, width, 4, C_W=1.9) for width in (10, 20)]


#: Name: block, how to sample, with the rest of the arguments.
CASES = {
    "marginal, one input": (4096, sample, (mlp("gelu"), X[:1]), {"compiled": False}),
    "marginal, two inputs": (
        4096,
        sample,
        (mlp(), X[:2]),
        {"measure": ("preactivations", "quartic"), "compiled": False},
    ),
    "marginal, three inputs": (
        4096,
        sample,
        (mlp("relu", C_W=2.0, C_b=0.1), X),
        {"compiled": False},
    ),
    "marginal, layers drawn together": (
        4096,
        sample,
        (mlp("relu", 8, 60, C_W=2.0), X[:1]),
        {"layers": [40], "measure": ("log_norm",), "compiled": False},
    ),
    "explicit": (8, sample, (mlp(width=600, C_b=0.2), X[:2]), {"sampler": "explicit"}),
    "explicit, uniform": (
        8,
        sample,
        (mlp("relu", 600, weights="uniform", C_b=0.2), X[:2]),
        {"sampler": "explicit"},
    ),
    "marginal ntk": (
        4096,
        sample_ntk,
        (*ntk_law(), X[:2]),
        {"measure": ("ntk", "preactivations"), "compiled": False},
    ),
    "explicit ntk": (
        8,
        sample_ntk,
        (*ntk_law("tanh", 600), X[:2]),
        {"sampler": "explicit", "measure": ("ntk", "dntk")},
    ),
    "ladder, one input": (4096, sample_ladder, (ladders("relu"), X[:1]), {"compiled": False}),
    "ladder, two inputs": (
        4096,
        sample_ladder,
        (ladders("tanh"), X[:2]),
        {"rates": [LearningRates((0.5,) * 4, (1.2,) * 4)] * 2, "compiled": False},
    ),
}


@pytest.fixture
def tiles_of(monkeypatch):
    """A function that makes every sampler take tiles of so many networks."""

    def take(networks):
        for module, name in (
            (on_torch, "tile_size"),
            (on_torch, "explicit_tile_size"),
            (ntk_ensemble, "ntk_tile_size"),
            (torch_ladder, "ladder_tile_size"),
        ):
            monkeypatch.setattr(module, name, lambda *a, **k: networks)

    return take


@pytest.mark.parametrize("case", CASES)
def test_networks_do_not_depend_on_the_blocks_beside_theirs(case, tiles_of):
    size, function, arguments, rest = CASES[case]
    networks = 2 * size + size // 3
    options = {"networks": networks, "seed": 7, "precision": "float64"} | rest
    # Two blocks and a short one: together, in twos, and from the second on.
    tiles_of(3 * size)
    whole = function(*arguments, **options)
    tiles_of(2 * size)
    parts = {(0, 3): function(*arguments, **options)}
    parts[1, 3] = function(*arguments, blocks=(1, 3), **options)
    if case != "marginal, layers drawn together":
        # There how many are drawn together is the short block's own affair where it is alone.
        tiles_of(size)
        parts[0, 1] = function(*arguments, blocks=(0, 1), **options)
    for (first, last), part in parts.items():
        shard = slice(first * size, min(last * size, networks))
        assert part.sizes["network"] == shard.stop - shard.start
        for name, values in part.data_vars.items():
            expected = whole[name].values[shard]
            near = 1e-7 * np.abs(expected[np.isfinite(expected)]).max()
            np.testing.assert_allclose(values, expected, rtol=1e-6, atol=near, err_msg=name)


@pytest.mark.parametrize("axis", [0, 1])
def test_each_block_of_a_tile_has_its_own_stream(axis):
    counts = [5, 5, 2]
    shape = [3, 7]
    shape.insert(axis, sum(counts))
    streams = Streams([torch_stream(1, "block", k) for k in range(3)], counts)
    together = streams.normal_(torch.empty(shape), 2.0, axis)
    edges = streams.uniform_(torch.empty(shape), 0.5, axis)
    for k, (part, edge) in enumerate(
        zip(together.split(counts, axis), edges.split(counts, axis), strict=True)
    ):
        alone = torch_stream(1, "block", k)
        assert torch.equal(part, torch.empty(part.shape).normal_(std=2.0, generator=alone))
        assert torch.equal(edge, torch.empty(part.shape).uniform_(-0.5, 0.5, generator=alone))


@pytest.mark.parametrize("tile", [1, 3, 10, 20, 35, 100])
def test_tiles_cover_a_shard_once_and_in_order(tile, monkeypatch):
    size, networks, shard = 10, 47, (1, 5)
    covered, started = [], []
    monkeypatch.setattr(streams_of, "torch_stream", lambda *words, device: started.append(words))
    shard = Shard(size, shard, networks, 1, ("a",))
    for at, streams in tiles(shard, tile, "cpu"):
        assert at.stop - at.start == streams.networks <= tile
        covered += range(at.start, at.stop)
    assert covered == list(range(37)) == list(range(len(shard)))
    assert started == [(1, "a", "networks", block) for block in (1, 2, 3, 4)]


def sizes(device):
    """Block and tile of many members."""
    for width in (1, 5, 64, 1000, 20_000):
        for inputs in (1, 2, 8, 100):
            widths = (10, width, width)
            recorded = {"device": device, "recorded": 100 * inputs}
            for sampler in ("marginal", "explicit"):
                block = blocks.block_size(sampler, width)
                memory = {"memory": 1e4, "device": device}
                yield block, blocks.ntk_tile_size(sampler, widths, block, inputs, 1, 4, **memory)
                if sampler == "explicit":
                    yield block, blocks.explicit_tile_size(block, widths, inputs, **recorded)
                else:
                    yield block, blocks.tile_size(block, width, inputs, **recorded)
                    rungs = [width, 2 * width]
                    yield block, blocks.ladder_tile_size(block, rungs, inputs, **recorded)


def test_a_tile_is_a_part_of_a_block_or_on_a_gpu_whole_blocks():
    assert all(1 <= tile <= block for block, tile in sizes("cpu"))
    found = list(sizes("cuda"))
    assert all(1 <= tile < block or tile % block == 0 for block, tile in found)
    assert max(tile for _, tile in found) <= blocks.MOST_NETWORKS
    # It is there to fill a GPU: most hold several blocks.
    assert np.mean([tile > block for block, tile in found]) > 0.5


# --- as on a GPU, but without numbers ------------------------------------------------------------


@pytest.fixture
def meta(monkeypatch):
    """Samplers can be called with ``device="meta"``: nothing is fetched from there."""

    def checked(tensors):
        assert {tensor.device.type for tensor in tensors} == {"meta"}

    def end_tile(recorder, at):
        taken = recorder._tile if isinstance(recorder._tile, list) else [recorder._tile]
        for layer in taken:
            checked(layer.values())
        recorder._tile = []

    def put(kept, at, tile):
        checked(v for v in vars(tile).values() if v is not None)

    monkeypatch.setattr(Recorder, "end_tile", end_tile)
    monkeypatch.setattr(NtkRecorder, "end_tile", end_tile)
    monkeypatch.setattr(ladder_record.Kept, "put", put)
    monkeypatch.setattr(streams_of, "torch_stream", lambda *name, device: torch.Generator())
    for module in (on_torch, torch_ladder):
        # The first tile is as large as any.
        monkeypatch.setattr(module, "tiles", lambda *shard: islice(tiles(*shard), 1))
    return {"seed": 1, "networks": 70_000, "device": "meta"}


@pytest.mark.parametrize("case", CASES)
def test_a_tile_stays_on_its_device_and_is_not_looked_at(case, meta):
    _, function, arguments, rest = CASES[case]
    with Watched() as watched:
        function(*arguments, **meta, **rest)
    assert watched.peak > 0


@pytest.mark.parametrize("activation", [*TABLE, "leaky_relu(0.2)"])
@pytest.mark.parametrize("inputs", [1, 3])
def test_activations_do_so_too(activation, inputs, meta):
    rates = LearningRates((0.5,) * 3, (1.2,) * 3)
    member, x = mlp(activation, 50, C_b=0.1 * (inputs > 1)), X[:inputs]
    with Watched():
        sample(member, x, measure=("preactivations", "quartic", "sextic"), **meta)
        for sampler in ("marginal", "explicit"):
            sample_ntk(member, rates, x, sampler=sampler, **meta)


def test_what_is_watched_for_is_seen():
    one, other = torch.empty(3, 2, 2, device="meta"), torch.zeros(3, 2, 2)
    with Watched() as watched, pytest.raises(AssertionError):
        torch.bmm(one, other)
    with Watched() as watched:
        for _ in range(5):
            torch.empty(2**20, device="meta").mul(2)
    assert watched.peak == 2 * 4 * 2**20


MEMORY = {
    "narrow, one input": (mlp(width=4), 1, {}),
    "wide, one input": (mlp(width=4096, depth=40), 1, {}),
    "wide, recorded all": (mlp(width=1024, depth=30), 2, {"record": 1024, "networks": 5000}),
    "two inputs": (mlp("gelu", width=1024), 2, {}),
    "four-point sums": (mlp("gelu", width=300), 8, {"measure": ("preactivations", "quartic")}),
    "narrow, four-point sums": (mlp(width=5), 8, {"measure": ("preactivations", "quartic")}),
    "many inputs": (mlp("relu", width=100, C_W=2.0), 50, {"measure": ("log_norm",)}),
    "explicit": (mlp("gelu", width=300), 4, {"sampler": "explicit"}),
    "explicit, many inputs": (mlp(width=50), 100, {"sampler": "explicit", "networks": 5000}),
}


@pytest.mark.parametrize("case", MEMORY)
def test_memory_of_a_gpu_is_bounded_as_the_docstrings_say(case, meta):
    member, inputs, rest = MEMORY[case]
    x = np.random.default_rng(0).standard_normal((inputs, 4))
    with Watched() as watched:
        sample(member, x, **meta | rest)
    assert watched.peak < (2 if "sampler" in rest else 4) * GIB


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("inputs", [1, 2, 6])
def test_memory_of_ladders_and_tangent_kernels_too(activation, inputs, meta):
    x = np.random.default_rng(0).standard_normal((inputs, 4))
    rungs = [mlp(activation, width, 5, C_W=1.9) for width in (64, 96, 128, 256)]
    for rates in (None, [LearningRates((0.5,) * 5, (1.2,) * 5)] * 4):
        with Watched() as watched:
            sample_ladder(rungs, x, rates=rates, **meta)
        assert watched.peak < 2 * GIB
    for measure, sampler in (
        (("ntk",), "marginal"),
        (("ntk", "dntk"), "explicit"),
        (("ntk",), "explicit"),
    ):
        with Watched() as watched:
            options = {"measure": measure, "sampler": sampler, "memory": 1.0}
            sample_ntk(*ntk_law(activation, 200), x, **meta | options)
        assert watched.peak < GIB
