"""Are the errors of ladders right? z of trusted estimates over independent ladders, row by row.

Rows are quantities at a width, a layer and a component. On one input they are held against exact
moments (:mod:`finitewidth.theory.mlp.transport`); on more, and for tangent kernels, against the
mean of all ladders, which takes a quarter of a per cent from the spread of z of 200. A ladder
weighs less only where its error is more than twice the usual one: small values have small errors,
so that weights that follow every error pull the mean down.
Errors below 1e-6 of the value are rounding and left out. The table goes to ladder.md beside this
file. All of the grid takes hours:

    python benchmarks/calibrate/ladder.py [--activations tanh gelu] [--networks 300 3000] ...
"""

import argparse
import subprocess
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import torch

from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.theory.mlp.criticality import critical_point
from finitewidth.theory.mlp.transport import transport_ladder

WIDTHS = {"narrow": (8, 12, 16, 24), "wide": (48, 64, 96, 128), "ends": (8, 48)}
NETWORKS = (100, 300, 1000, 3000, 10000)
ACTIVATIONS = ("linear", "relu", "leaky_relu(0.1)", "abs", "tanh", "sin", "erf", "arctan", "cos",
               "gelu", "silu", "softplus", "sigmoid")  # fmt: skip
QUANTITIES = ("kernel_mean", "kernel_covariance", "kernel_third", "ntk_mean")
#: Inputs of mean square 1, each at the correlation 1/2 to the one before.
X = {
    count: np.sqrt(5)
    * np.linalg.cholesky([[0.5 ** abs(a - b) for b in range(count)] for a in range(count)])
    @ np.eye(count, 5)
    for count in (1, 2, 3)
}
#: Networks that are held in memory together, as far as one ladder has no more.
TOGETHER = 200_000
NAMES = {"seed": 0, "ensemble": "", "member": ""}
HEAD = ("activation", "inputs", "widths", "depth", "networks", "quantity", "trusted",
        "sd of z, all rows", "least and most of a row", "beyond 3, %", "s")  # fmt: skip


def mlps(activation: str, widths, depth: int) -> list[Perceptron]:
    """Critical where there is a critical point."""
    try:
        point = critical_point(get(activation))
        C_b, C_W = point.C_b, point.C_W
    except ValueError:
        C_b, C_W = 0.1, 1.5
    return [
        Perceptron.uniform_width(activation, dimension=5, width=n, depth=depth, C_b=C_b, C_W=C_W)
        for n in widths
    ]


def estimates(activation, inputs: int, widths, depth: int, networks: int, asked) -> list:
    """Estimates of many ladders: consecutive networks of few streams, all independent."""
    of_widths = mlps(activation, widths, depth)
    rates = [LearningRates((0.5,) * depth, (1.0,) * depth)] * len(widths)
    families = ["kernel_moments"] if asked.kernels else ["kernel_moments", "ntk_mean"]
    options = {"seed": asked.stream, "layers": list(range(2, depth + 1)),
               "controls": not asked.plain, "rates": None if asked.kernels else rates}  # fmt: skip
    found: list = []
    while len(found) < asked.seeds:
        ladders = min(max(1, TOGETHER // networks), asked.seeds - len(found))
        samples = sample_ladder(
            of_widths, X[inputs], networks=networks * ladders, name=(str(len(found)),), **options
        )
        for first in range(0, networks * ladders, networks):
            part = samples.isel(network=slice(first, first + networks))
            part = part.assign_coords(network=np.arange(networks))
            found.append(estimate_ladder([part], families, **NAMES))
    return found


def exact(activation: str, widths, depth: int) -> dict[str, np.ndarray]:
    """Moments of one input, shape (rung, layer, 1)."""
    found = transport_ladder(mlps(activation, widths, depth), X[1], range(2, depth + 1)).values
    return dict(zip(QUANTITIES, (found.mean, found.variance, found.third), strict=False))


def scores(found: list, name: str, truth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """z and whether it is trusted, shape (seed, row); z is NaN where only rounding is left."""
    value, error, trusted = (
        np.stack([one[name + part].values for one in found]) for part in ("", "_stderr", "_trusted")
    )
    if name == "kernel_covariance":
        entry = np.triu_indices(value.shape[-1])
        value, error, trusted = (part[..., *entry] for part in (value, error, trusted))
        truth = None if truth is None else truth.reshape(value.shape[1:])
    if truth is None:
        weight = np.maximum(error, 2 * np.median(error, axis=0)) ** -2.0
        truth = np.sum(weight * value, axis=0) / np.sum(weight, axis=0)
    z = np.where(error > 1e-6 * np.abs(value), (value - truth) / error, np.nan)
    return z.reshape(len(found), -1), trusted.astype(bool).reshape(len(found), -1)


def summary(z: np.ndarray, trusted: np.ndarray) -> tuple[str, str, str, str]:
    """Share of trust, spread of trusted z in all rows and in single ones, share beyond 3."""
    z = np.where(trusted, z, np.nan)
    rows = np.isfinite(z).sum(axis=0) >= 0.1 * len(z)
    share = f"{trusted.mean():.2f}"
    if not rows.any():
        return share, "", "", ""
    z = z[:, rows]
    single = np.nanstd(z, axis=0)
    far = np.mean(np.abs(z[np.isfinite(z)]) > 3)
    return (
        share,
        f"{np.sqrt(np.nanmean(z**2)):.2f}",
        f"{single.min():.2f} to {single.max():.2f}",
        f"{100 * far:.2f}",
    )


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    parser.add_argument("--networks", nargs="+", type=int, default=NETWORKS)
    parser.add_argument("--widths", nargs="+", choices=WIDTHS, default=["narrow", "wide"])
    parser.add_argument("--inputs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--depths", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--stream", type=int, default=1000, help="seed of all random numbers")
    parser.add_argument("--kernels", action="store_true", help="no tangent kernels: on two inputs"
                        " controls are other ones")  # fmt: skip
    parser.add_argument("--plain", action="store_true", help="moments of kernels, no controls")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    asked = parser.parse_args()
    asked.kernels |= asked.plain
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", RuntimeWarning)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    grid = [
        (activation, inputs, widths, depth, networks)
        for networks in asked.networks
        for activation in asked.activations
        for inputs in asked.inputs
        for widths in asked.widths
        for depth in asked.depths
    ]
    with asked.out.open("w") as file:
        print(f"# Calibration of ladders\n\n`{__file__.rsplit('/', 1)[-1]}`, {date.today()}, commit"
              f" {commit}, {asked.seeds} ladders a line, stream {asked.stream}"
              f"{', no tangent kernels' * asked.kernels}{', no controls' * asked.plain}."
              f" Activations:"
              f" {', '.join(asked.activations)};"
              f" networks: {', '.join(map(str, asked.networks))}; inputs:"
              f" {', '.join(map(str, asked.inputs))}; depths:"
              f" {', '.join(map(str, asked.depths))}. A row's spread is known to"
              f" {50 * np.sqrt(2 / asked.seeds):.0f} %.\n", file=file)  # fmt: skip
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD), file=file)
        for activation, inputs, kind, depth, networks in grid:
            start, widths = time.process_time(), WIDTHS[kind]
            found = estimates(activation, inputs, widths, depth, networks, asked)
            truth = exact(activation, widths, depth) if inputs == 1 else {}
            took = f"{time.process_time() - start:.0f}"
            for name in QUANTITIES[: -1 if asked.kernels else None]:
                about = (activation, inputs, kind, depth, networks, name)
                cells = (*about, *summary(*scores(found, name, truth.get(name))), took)
                print("| " + " | ".join(map(str, cells)) + " |", file=file, flush=True)


if __name__ == "__main__":
    main()
