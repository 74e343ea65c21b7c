"""What samplers without weights cost, as ratios measured in one run on one thread.

The floor is as many normals as the networks have neurons and inputs, drawn by torch, and nothing
made of them. Kernels draw other normals, in a cheaper way, so that they may be faster than the
floor. All jobs take turns, and the fastest turn of each counts.

    python benchmarks/fused.py
    python benchmarks/fused.py --tables ladders
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
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.theory.mlp.criticality import critical_point

DEPTH = 6
ACTIVATIONS = ("linear", "relu", "tanh", "gelu", "silu", "erf", "sin")
#: Normals of one turn.
TURN = 4e6
#: Widths of a ladder, and how deep it is: so many layers are driven by normals, less one.
RUNGS, LADDER_DEPTH = (64, 96, 128, 192, 256, 384), 5


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


def rates(mlp: Perceptron, count: int, repeats: int, precision: str = "float32") -> list[float]:
    """The floor in nanoseconds a normal; rates in units of the floor's: of the kernels, of the
    kernels with four-point sums, and of the sampler on torch with and without these."""
    width = max(mlp.widths[1:])
    layer = tile_size(block_size("marginal", width), width, count) * width * count
    networks = max(1, int(TURN / (width * DEPTH * count)))
    total, x = networks * width * DEPTH * count, inputs(count)
    about = {"networks": networks, "seed": 1, "precision": precision}
    four = about | {"measure": ("preactivations", "quartic")}
    jobs = [
        lambda: normals(total, layer),
        lambda: sample(mlp, x, **about),
        lambda: sample(mlp, x, **four),
        lambda: sample(mlp, x, compiled=False, **about),
        lambda: sample(mlp, x, compiled=False, **four),
    ]
    for job in jobs:
        job()  # compiled, or loaded from where it is kept
    best = np.full(len(jobs), np.inf)
    for _ in range(repeats):
        best = np.minimum(best, [seconds(job, 1) for job in jobs])
    return [best[0] / total * 1e9, *(best[0] / best[1:])]


def against_explicit(width: int, repeats: int) -> tuple[float, float]:
    """Networks a second of the kernels and of the explicit sampler."""
    mlp, x = member("relu", width, 3), inputs(2)
    many, few = 512 * max(1, 4096 // width), max(2, 2 * 4096 // width)
    about = {"networks": few, "seed": 1, "sampler": "explicit"}
    best = np.full(2, np.inf)
    for _ in range(repeats):
        fast = seconds(lambda: sample(mlp, x, networks=many, seed=1), 1)
        best = np.minimum(best, [fast, seconds(lambda: sample(mlp, x, **about), 1)])
    return many / best[0], few / best[1]


def rates_of_ladder(activation: str, count: int, tangent: bool, repeats: int) -> list[float]:
    """The floor in nanoseconds a normal; rates in units of the floor's, without controls: of the
    kernels and of torch, by neurons of all rungs, and of the kernels by normals drawn."""
    mlps, x = [member(activation, width, LADDER_DEPTH) for width in RUNGS], inputs(count)
    drawn = max(RUNGS) * count * (LADDER_DEPTH - 1)
    networks = int(TURN / drawn)
    neurons = networks * sum(RUNGS) * count * (LADDER_DEPTH - 1)
    about = {"networks": networks, "seed": 1, "controls": False, "layers": [LADDER_DEPTH]}
    if tangent:
        about["rates"] = [LearningRates.named("ntk", mlp) for mlp in mlps]
    jobs = [
        lambda: normals(neurons, 2**18),
        lambda: sample_ladder(mlps, x, **about),
        lambda: sample_ladder(mlps, x, compiled=False, **about),
    ]
    for job in jobs:
        job()
    best = np.full(len(jobs), np.inf)
    for _ in range(repeats):
        best = np.minimum(best, [seconds(job, 1) for job in jobs])
    floor, kernels, torchs = best
    share = max(RUNGS) / sum(RUNGS)
    return [floor / neurons * 1e9, floor / kernels, floor / torchs, share * floor / kernels]


def show_kernels(given: argparse.Namespace) -> None:
    """Perceptrons against the floor."""
    print(f"## Fused kernels against the floor (depth {DEPTH}, all layers recorded, float32)\n")
    print("| activation | inputs | width | floor, ns a normal | kernels | with four-point sums |"
          " sampler on torch | with four-point sums |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for activation, count, width in itertools.product(given.activations, (1, 2), given.widths):
        floor, *found = rates(member(activation, width, DEPTH), count, given.repeats)
        shown = " | ".join(f"{rate:.2f}" for rate in found)
        print(f"| {activation} | {count} | {width} | {floor:.2f} | {shown} |", flush=True)


def show_inputs(given: argparse.Namespace) -> None:
    """More inputs, and double precision."""
    print("\n## More inputs, and double precision (width 1024, floor in single precision)\n")
    print("| activation | precision | inputs | kernels | with four-point sums |")
    print("|---|---|---|---|---|")
    for activation, (precision, count) in itertools.product(
        ("relu", "tanh"), (("float32", 4), ("float32", 8), ("float64", 1), ("float64", 2))
    ):
        mlp = member(activation, 1024, DEPTH)
        _, plain, four, *_ = rates(mlp, count, given.repeats, precision)
        print(f"| {activation} | {precision} | {count} | {plain:.2f} | {four:.2f} |", flush=True)


def show_ladders(given: argparse.Namespace) -> None:
    """Several widths on common normals."""
    print(f"\n## Ladders (rungs {', '.join(map(str, RUNGS))}, depth {LADDER_DEPTH}, no controls)\n")
    print("| activation | inputs | tangent kernels | kernels, a neuron | torch, a neuron |"
          " kernels, a normal drawn |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for activation, (count, tangent) in itertools.product(
        ("linear", "relu", "tanh", "gelu", "silu"), ((1, False), (2, False), (1, True), (3, True))
    ):
        _, *found = rates_of_ladder(activation, count, tangent, given.repeats)
        shown = " | ".join(f"{rate:.2f}" for rate in found)
        print(f"| {activation} | {count} | {'yes' if tangent else ''} | {shown} |", flush=True)


def show_explicit(given: argparse.Namespace) -> None:
    """What it is worth to draw no weights."""
    print("\n## Kernels against explicit weights (ReLU, depth 3, two inputs)\n")
    print("| width | kernels, networks a second | explicit | ratio |")
    print("|---|---|---|---|")
    for width in (64, 256, 1024, 4096):
        fast, slow = against_explicit(width, min(3, given.repeats))
        print(f"| {width} | {fast:.4g} | {slow:.4g} | {fast / slow:.4g} |", flush=True)
    mlp = member("linear", 12288, 3)
    taken = seconds(lambda: sample(mlp, inputs(1), networks=1000, seed=1), given.repeats)
    print(f"\n1000 linear networks of width 12288 and depth 3 on one input: {taken:.2f} s")


TABLES = {
    "kernels": show_kernels,
    "inputs": show_inputs,
    "ladders": show_ladders,
    "explicit": show_explicit,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.tables:
        TABLES[name](given)


if __name__ == "__main__":
    main()
