"""What compiled kernels of tangent kernels cost, as ratios measured in one run on one thread.

The floor is that of benchmarks/ntk_sampling.py: as many normals as a network needs without bias,
drawn by torch, and nothing made of them. Kernels draw other normals, in a cheaper way, so that they
may be faster than the floor. All jobs take turns, and the fastest turn of each counts, in processor
time: others may use the machine.

    python benchmarks/fused_ntk.py
"""

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from fused import normals
from ntk_sampling import normals_needed

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ntk_ensemble import sample_ntk

ACTIVATIONS = ("relu", "linear", "tanh", "gelu", "silu", "erf", "sin")
#: Normals of one turn: some milliseconds, beside which what a call takes is little.
TURN = 8e6
#: Networks a second of the best way of neural-tangents 0.6.5 at these widths (README.md).
NEURAL_TANGENTS = {256: 2340, 1024: 24.0}


def seconds(job: Callable[[], object]) -> float:
    """Processor time of a job."""
    start = time.process_time()
    job()
    return time.process_time() - start


def network(activation: str, width: int, C_b: float = 0.0) -> Perceptron:
    """Depth 4, a scalar output."""
    return Perceptron(activation, (10, width, width, width, 1), (C_b,) * 4, (2.0,) * 4)


def times(mlp: Perceptron, inputs: int, repeats: int, precision: str = "float32") -> np.ndarray:
    """Seconds a network of the floor, of the kernels, and of the sampler on torch."""
    rates, x = LearningRates.named("ntk", mlp), np.random.default_rng(0).normal(size=(inputs, 10))
    needed = normals_needed(mlp, inputs)
    networks = max(1, int(TURN / needed))
    about = {"networks": networks, "seed": 1, "outputs": 1, "precision": precision}
    jobs = [
        lambda: normals(networks * needed, networks * needed),
        lambda: sample_ntk(mlp, rates, x, **about),
        lambda: sample_ntk(mlp, rates, x, compiled=False, **about),
    ]
    for job in jobs:
        job()  # compiled, or loaded from where it is kept
    best = np.full(len(jobs), np.inf)
    for _ in range(repeats):
        best = np.minimum(best, [seconds(job) for job in jobs])
    return best / networks


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    given = parser.parse_args()
    torch.set_num_threads(1)

    print("## Tangent kernels (depth 4, three inputs, scalar output, float32)\n")
    print(
        "| activation | width | floor, us a network | kernels, us | of the floor's rate |"
        " on torch, us | of the floor's rate | networks a second | over neural-tangents |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for activation, width in itertools.product(given.activations, given.widths):
        floor, ours, other = times(network(activation, width), 3, given.repeats)
        theirs = NEURAL_TANGENTS.get(width) if activation == "relu" else None
        ratio = f"{1 / ours / theirs:.0f}" if theirs else ""
        print(
            f"| {activation} | {width} | {floor * 1e6:.2f} | {ours * 1e6:.2f} | {floor / ours:.2f}"
            f" | {other * 1e6:.2f} | {floor / other:.2f} | {1 / ours:.3g} | {ratio} |",
            flush=True,
        )

    print("\n## Other numbers of inputs, double precision, biases (ReLU, width 256)\n")
    print("| precision | inputs | C_b | kernels, of the floor's rate | on torch |")
    print("|---|---|---|---|---|")
    kinds = [("float32", count, 0.0) for count in (1, 2, 4, 8)]
    for precision, count, C_b in [
        *kinds,
        ("float32", 3, 0.1),
        ("float64", 1, 0.0),
        ("float64", 3, 0.0),
    ]:
        floor, ours, other = times(network("relu", 256, C_b), count, given.repeats, precision)
        print(
            f"| {precision} | {count} | {C_b} | {floor / ours:.2f} | {floor / other:.2f} |",
            flush=True,
        )

    print("\n## The scalar sampler (depth 4, one input), microseconds a network: kernels, numpy\n")
    widths = (20, 80, 4096, 10**6)
    print(f"| activation | {' | '.join(f'n = {n}' for n in widths)} |")
    print(f"|---|{'---|' * len(widths)}")
    for name in ("relu", "leaky_relu(0.1)", "linear"):
        row = []
        for n in widths:
            mlp = network(name, n)
            rates, x = LearningRates.named("ntk", mlp), np.ones((1, 10))
            best = [np.inf, np.inf]
            for turn, compiled in itertools.product(range(given.repeats), (True, False)):
                about = {"networks": 2**17, "seed": turn, "sampler": "scalar"}
                job = partial(sample_ntk, mlp, rates, x, compiled=compiled, **about)
                took = seconds(job)
                best[not compiled] = min(best[not compiled], took / 2**17)
            row.append(f"{best[0] * 1e6:.3f}, {best[1] * 1e6:.2f}")
        print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
