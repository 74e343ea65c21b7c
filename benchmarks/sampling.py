"""What the samplers cost, as ratios measured in one run on one thread.

The floor of the marginal sampler is the drawing of its normals: one for each neuron and input. The
table says which share of that floor's rate is left once the networks are made of them and recorded,
and how many more networks a second come than with the weights drawn.

    python benchmarks/sampling.py
"""

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch

from finitewidth.core.blocks import block_size, tile_size
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.mlp.criticality import critical_point


def seconds(job: Callable[[], object], repeats: int) -> float:
    """The fastest of several runs: what is left when nothing else disturbs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return min(taken)


def member(activation: str, width: int, depth: int) -> Perceptron:
    """A member at its critical initialisation, on inputs of ten components."""
    at = critical_point(get(activation))
    rest = {"C_b": at.C_b, "C_W": at.C_W}
    return Perceptron.uniform_width(activation, dimension=10, width=width, depth=depth, **rest)


def inputs(count: int) -> np.ndarray:
    """Input vectors in general position."""
    return np.random.default_rng(0).standard_normal((count, 10))


def normals(count: int, block: int) -> None:
    """The floor: as many normals as a block's layer takes at once, until there are ``count``."""
    stream = torch_stream(0, "floor")
    buffer = torch.empty(block)
    for _ in range(-(-count // block)):
        buffer.normal_(generator=stream)


def shares_of_floor(activation: str, width: int, count: int, repeats: int) -> list[float]:
    """The floor in nanoseconds a normal; the marginal sampler's share of the floor's rate when
    neurons and kernels are recorded, when four-point sums are too, and of a floor to which the
    activation's own evaluation is added."""
    depth = 6
    layer = tile_size(block_size("marginal", width), width, count) * width * count
    networks = max(1, int(3e7 / (width * depth * count)))
    x, mlp = inputs(count), member(activation, width, depth)
    total = networks * width * depth * count
    values = torch.randn(layer)
    jobs = [
        lambda: normals(total, layer),
        lambda: sample(mlp, x, networks=networks, seed=1),
        lambda: sample(mlp, x, networks=networks, seed=1, measure=("preactivations", "quartic")),
        lambda: [mlp.activation.on_tensor_(torch, values) for _ in range(total // layer)],
    ]
    best = [np.inf] * len(jobs)
    for _ in range(repeats):  # in turns, so that a slow moment of the machine hits all of them
        best = [min(b, seconds(job, 1)) for b, job in zip(best, jobs, strict=True)]
    floor, plain, correlators, function = best
    return [floor / total * 1e9, floor / plain, floor / correlators, (floor + function) / plain]


def marginal_against_explicit(width: int, repeats: int) -> tuple[float, float]:
    """Networks a second of both samplers at depth 3 and two inputs."""
    mlp, x = member("relu", width, 3), inputs(2)
    many, few = 64 * max(1, 4096 // width), max(2, 2 * 4096 // width)
    fast = seconds(lambda: sample(mlp, x, networks=many, seed=1), repeats)
    slow = seconds(lambda: sample(mlp, x, networks=few, seed=1, sampler="explicit"), repeats)
    return many / fast, few / slow


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)

    print("## Marginal sampler against the floor (depth 6, all layers recorded, float32)\n")
    print("| activation | inputs | width | floor, ns a normal | share | with four-point sums |"
          " share of floor and activation |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for activation, count, width in itertools.product(
        ("linear", "relu", "gelu", "tanh"), (1, 2), (64, 256, 1024, 4096, 12288)
    ):
        floor, *shares = shares_of_floor(activation, width, count, repeats)
        shown = " | ".join(f"{share:.2f}" for share in shares)
        print(f"| {activation} | {count} | {width} | {floor:.2f} | {shown} |", flush=True)

    print("\n## Marginal against explicit (ReLU, depth 3, two inputs)\n")
    print("| width | marginal, networks a second | explicit | ratio |")
    print("|---|---|---|---|")
    for width in (64, 256, 1024, 4096):
        fast, slow = marginal_against_explicit(width, 2 if width == 4096 else repeats)
        print(f"| {width} | {fast:.4g} | {slow:.4g} | {fast / slow:.4g} |", flush=True)

    mlp = member("linear", 12288, 3)
    taken = seconds(lambda: sample(mlp, inputs(1), networks=1000, seed=1), repeats)
    print(f"\n1000 linear networks of width 12288 and depth 3 on one input: {taken:.2f} s")


if __name__ == "__main__":
    main()
