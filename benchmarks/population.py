"""Populations against plain networks: relative variance times seconds of E[Ghat^2], over L/n.

Of plain networks the variance follows from exact moments (theory/mlp/transport.py), since no
ensemble would show it; of populations from how islands scatter. Both are sampled on one core and
timed by its processor, which other work on the machine disturbs little. The gain is by how much
less time a population reaches the same error in.

    python benchmarks/population.py --figure population.png
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
import torch

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.population.growth import grow
from finitewidth.sampling.population.populations import contributions
from finitewidth.sampling.population.potential import Potential
from finitewidth.theory.mlp.criticality import critical_point
from finitewidth.theory.mlp.transport import transport

WIDTH, POWER = 16, 2.0
DEPTHS = (3, 5, 9, 17, 33, 65)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--islands", type=int, default=30)
    parser.add_argument("--members", type=int, default=2048)
    parser.add_argument("--activations", nargs="+", default=["relu", "gelu", "tanh"])
    parser.add_argument("--figure", type=Path, help="a file to draw variance times seconds into")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| activation | L/n | plain | population | gain | estimate/exact |")
    print("|---|---|---|---|---|---|")
    curves = {}
    for activation in arguments.activations:
        curves[activation] = []
        for depth in DEPTHS:
            words, *both = row(activation, depth, arguments.islands, arguments.members)
            curves[activation].append(both)
            print(words, flush=True)
    if arguments.figure:
        _draw(curves, arguments.figure)


def _draw(curves: dict[str, list], file: Path) -> None:
    """Variance times seconds against L/n, plain networks dashed."""
    figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
    aspect = np.array(DEPTHS) / WIDTH
    for activation, values in curves.items():
        plain, grown = np.array(values).T
        (line,) = ax.plot(aspect, grown, marker="o", label=activation)
        ax.plot(aspect, plain, color=line.get_color(), linestyle="--")
    ax.set(xscale="log", yscale="log", xlabel="$L/n$, $n=16$")
    ax.set_ylabel(r"relative variance of $\mathrm{E}[\hat G^2]$, times seconds")
    ax.set_xticks(aspect, [f"{a:.2g}" for a in aspect])
    ax.minorticks_off()
    ax.set_ylim(top=1e6)
    ax.legend(title="populations; dashed: plain", fontsize=8)
    figure.savefig(file, dpi=150)


def row(activation: str, depth: int, islands: int, members: int) -> tuple[str, float, float]:
    """A row of the table, and relative variance times seconds both ways."""
    at = critical_point(get(activation))
    x = np.full((1, 4), np.sqrt(((at.K_star or 1.0) - at.C_b) / at.C_W))
    how = {"dimension": 4, "width": WIDTH, "depth": depth, "C_b": at.C_b, "C_W": at.C_W}
    mlp = Perceptron.uniform_width(activation, **how)
    exact = transport(mlp, x, [depth]).values
    mean, variance, fourth = (float(v[0, 0]) for v in (exact.mean, exact.variance, exact.fourth))
    second = variance + mean**2
    networks = 4096
    seconds = _timed(
        lambda k: sample_ladder([mlp], x, networks=networks, seed=k, layers=[depth], controls=False)
    )
    plain = (fourth / second**2 - 1) / networks * seconds
    potential, found = Potential(mlp, x, None), []

    def island(number: int) -> None:
        kept: list = []
        generator = torch_stream(1, "benchmark", number)
        grow(mlp, x, members, POWER, potential, generator, depth, "float32",
             lambda layer, now: kept.append(now) if layer == depth else None)  # fmt: skip
        found.append(float(contributions(kept[0], POWER)[:, 1].mean()) / second)

    start = time.process_time()
    for number in range(islands):
        island(number)
    each = (time.process_time() - start) / islands
    grown = np.var(found, ddof=1) * each
    error = np.std(found, ddof=1) / np.sqrt(islands)
    words = (
        f"| {activation} | {depth / WIDTH:.2g} | {plain:.2g} | {grown:.2g} | {plain / grown:.2g} |"
        f" {np.mean(found):.3f}({error:.3f}) |"
    )
    return words, plain, grown


def _timed(call) -> float:
    def one(number: int) -> float:
        start = time.process_time()
        call(number)
        return time.process_time() - start

    return median(one(number) for number in range(3))


if __name__ == "__main__":
    main()
