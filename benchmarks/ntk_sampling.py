"""Marginal ensembles of tangent kernels against explicit ones, and against the normals they need.

    python benchmarks/ntk_sampling.py

Both sides of every ratio are measured in one run, one thread, turn by turn; the best of each.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from finitewidth.core.blocks import block_size, ntk_tile_size
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp import explicit_ntk, marginal_ntk, scalar_ntk
from finitewidth.sampling.record import NtkRecorder
from finitewidth.sampling.streams import Streams

REPEATS = 7


def normals_needed(mlp: Perceptron, inputs: int) -> int:
    """Of one network, scalar output, no bias: forwards a normal a neuron and input; backwards the
    same, but in the last hidden layer, where all inputs share the output's weights."""
    hidden = mlp.widths[1:-1]
    return inputs * (sum(hidden) + 1) + inputs * sum(hidden[:-1]) + hidden[-1]


def tile(sampler: str, mlp: Perceptron, inputs: int) -> int:
    size = block_size(sampler, max(mlp.widths[1:]))
    return ntk_tile_size(sampler, mlp.widths, size, inputs, 1, 4, 4.0)


def seconds(module, mlp, rates, x, networks, generator) -> float:
    """Of one network of a tile of ``networks``; memory is there already."""
    recorder = seconds.recorders.setdefault((module, mlp), NtkRecorder(networks, len(x), 1))
    start = time.perf_counter()
    module.sample_tile(mlp, rates, x, Streams([generator], [networks]), None, recorder)
    return (time.perf_counter() - start) / networks


seconds.recorders = {}


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    inputs = 3
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(inputs, 10)))
    print("Depth 4, three inputs, scalar output, ReLU, single precision, one thread.\n")
    print(
        "| width | explicit, ms a network | marginal, ms | ratio | its normals, ms | of the floor |"
    )
    print("|---|---|---|---|---|---|")
    for n in (64, 256, 1024, 4096):
        mlp = Perceptron("relu", (10, n, n, n, 1), (0.0,) * 4, (2.0,) * 4)
        rates = LearningRates.named("ntk", mlp)
        best = dict.fromkeys(("explicit", "marginal", "normals"), np.inf)
        count = {s: tile(s, mlp, inputs) for s in ("explicit", "marginal")}
        floor = torch.empty(count["marginal"], normals_needed(mlp, inputs))
        for _ in range(REPEATS):
            for name, module in (("explicit", explicit_ntk), ("marginal", marginal_ntk)):
                for _ in range(1 if name == "explicit" else 4):
                    took = seconds(module, mlp, rates, x, count[name], generator)
                    best[name] = min(best[name], took)
            for _ in range(4):
                start = time.perf_counter()
                floor.normal_(generator=generator)
                best["normals"] = min(best["normals"], (time.perf_counter() - start) / len(floor))
        e, m, f = (best[k] * 1e3 for k in ("explicit", "marginal", "normals"))
        print(f"| {n} | {e:.3g} | {m:.3g} | {e / m:.0f} | {f:.3g} | {f / m:.2f} |")
    rng = np.random.default_rng(1)
    print("\nThe scalar sampler, depth 4, one input, microseconds a network:\n")
    print("| activation | n = 20 | n = 80 | n = 4096 |")
    print("|---|---|---|---|")
    for name in ("relu", "leaky_relu(0.1)", "linear"):
        row = []
        for n in (20, 80, 4096):
            mlp = Perceptron(name, (10, n, n, n, 1), (0.0,) * 4, (2.0,) * 4)
            took = []
            for _ in range(3):
                start = time.perf_counter()
                scalar_ntk.sample(mlp, LearningRates.named("ntk", mlp), 10.0, 200_000, rng)
                took.append((time.perf_counter() - start) / 0.2)
            row.append(f"{min(took):.2f}")
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
