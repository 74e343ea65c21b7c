"""What the fused kernels cost, as ratios measured in one run on one thread.

The floor is that of benchmarks/sampling.py: as many normals as the networks have neurons and
inputs, drawn by torch, and nothing made of them. Kernels draw other normals, in a cheaper way, so
that they may be faster than the floor. All jobs take turns, and the fastest turn of each counts.

    python benchmarks/fused.py
"""

import argparse
import itertools

import numpy as np
import torch
from sampling import inputs, member, normals, seconds

from finitewidth.core.blocks import block_size, tile_size
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling import ensemble
from finitewidth.sampling.fused.ensemble import sample

DEPTH = 6
ACTIVATIONS = ("linear", "relu", "tanh", "gelu", "silu", "erf", "sin")
#: Normals of one turn.
TURN = 4e6


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
        lambda: ensemble.sample(mlp, x, **about),
        lambda: ensemble.sample(mlp, x, **four),
    ]
    for job in jobs:
        job()  # compiled, or loaded from where it is kept
    best = np.full(len(jobs), np.inf)
    for _ in range(repeats):
        best = np.minimum(best, [seconds(job, 1) for job in jobs])
    return [best[0] / total * 1e9, *(best[0] / best[1:])]


def against_explicit(width: int, repeats: int) -> tuple[float, float]:
    """Networks a second of the kernels and of the explicit sampler, as benchmarks/sampling.py."""
    mlp, x = member("relu", width, 3), inputs(2)
    many, few = 512 * max(1, 4096 // width), max(2, 2 * 4096 // width)
    about = {"networks": few, "seed": 1, "sampler": "explicit"}
    best = np.full(2, np.inf)
    for _ in range(repeats):
        fast = seconds(lambda: sample(mlp, x, networks=many, seed=1), 1)
        best = np.minimum(best, [fast, seconds(lambda: ensemble.sample(mlp, x, **about), 1)])
    return many / best[0], few / best[1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    given = parser.parse_args()
    torch.set_num_threads(1)

    print(f"## Fused kernels against the floor (depth {DEPTH}, all layers recorded, float32)\n")
    print("| activation | inputs | width | floor, ns a normal | kernels | with four-point sums |"
          " sampler on torch | with four-point sums |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for activation, count, width in itertools.product(given.activations, (1, 2), given.widths):
        floor, *found = rates(member(activation, width, DEPTH), count, given.repeats)
        shown = " | ".join(f"{rate:.2f}" for rate in found)
        print(f"| {activation} | {count} | {width} | {floor:.2f} | {shown} |", flush=True)

    print("\n## More inputs, and double precision (width 1024, floor in single precision)\n")
    print("| activation | precision | inputs | kernels | with four-point sums |")
    print("|---|---|---|---|---|")
    for activation, (precision, count) in itertools.product(
        ("relu", "tanh"), (("float32", 4), ("float32", 8), ("float64", 1), ("float64", 2))
    ):
        mlp = member(activation, 1024, DEPTH)
        _, plain, four, *_ = rates(mlp, count, given.repeats, precision)
        print(f"| {activation} | {precision} | {count} | {plain:.2f} | {four:.2f} |", flush=True)

    print("\n## Kernels against explicit weights (ReLU, depth 3, two inputs)\n")
    print("| width | kernels, networks a second | explicit | ratio |")
    print("|---|---|---|---|")
    for width in (64, 256, 1024, 4096):
        fast, slow = against_explicit(width, min(3, given.repeats))
        print(f"| {width} | {fast:.4g} | {slow:.4g} | {fast / slow:.4g} |", flush=True)


if __name__ == "__main__":
    main()
