"""Whether errors of estimates along training are right: z over seeds, against the mean over seeds.

Below stand the coefficients of 1/n that a sweep of widths is extrapolated to, against theory.

Ensembles of one law are drawn anew, trained and estimated with many seeds. For each quantity: how
many of its numbers are trusted, which standard deviation the z of these has, and how many lie
beyond 3. The table is written beside this file.

    python benchmarks/calibrate/training.py [--seeds 60] [--sweeps 141]
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from finitewidth.comparison.sweeps import extrapolate_sweep
from finitewidth.estimate.training.training_estimates import estimate_training
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.quantities.training import FROZEN, MOVING
from finitewidth.quantities.vocabulary import FROM_TRAINING
from finitewidth.sampling.training.training_ensemble import sample_training
from finitewidth.theory.predict.predict_training import predictions

#: Activation, width, starts of an ensemble, learning rate.
CASES = (
    ("tanh", 32, 300, 0.15),
    ("tanh", 16, 60, 0.1),
    ("relu", 16, 400, 0.06),
    ("relu", 16, 60, 0.06),
    ("gelu", 64, 1000, 0.06),
    # For mean squares of the motion, which want many.
    ("tanh", 16, 3000, 0.1),
)
#: Activation, depth and training inputs of a sweep.
SWEEPS = (("tanh", 2, 1), ("tanh", 3, 2))
X = np.array(
    [(1, 0.5, -1, 0.9), (0.2, 1.1, 0.7, 1.2), (-0.9, 0.3, 0.6, -0.8), (0.8, -0.6, 0.4, 0.3)]
)
TARGETS = np.array([[1.0], [-0.7], [0.4], [0.1]])
STEPS = (0.0, 3.0, 15.0)


def estimates(activation: str, width: int, networks: int, rate: float, seed: int) -> xr.Dataset:
    """Of one ensemble of depth 3, trained on three inputs."""
    mlp = Perceptron.uniform_width(
        activation, dimension=4, width=width, depth=3, C_b=0.1, C_W=1.2, outputs=1
    )
    schedule = Schedule(
        inputs="x", learning_rate=rate, moments=STEPS, centred=False, scale=1.0, kernels="all"
    )
    samples = sample_training(
        mlp, LearningRates.named("pdlt", mlp, 0.5, 1.0), TrainingInputs(X, TARGETS, 3), schedule,
        networks=networks, seed=seed, name=("calibrate", activation), precision="float32",
    )  # fmt: skip
    return estimate_training([samples], FROM_TRAINING)


def lines(case: tuple, seeds: int) -> list[str]:
    """Of the table, one a quantity."""
    found = [estimates(*case, seed) for seed in range(seeds)]
    names = [name for name in found[0].data_vars if f"{name}_stderr" in found[0]]
    rows = []
    for name in names:
        value, error, trusted = (
            np.stack([d[f"{name}{x}"].values for d in found]) for x in ("", "_stderr", "_trusted")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (value - value.mean(axis=0)) / error / np.sqrt(1 - 1 / seeds)
        z = z[trusted == 1]
        spread = f"{z.std():.2f} | {np.mean(np.abs(z) > 3):.2%}" if z.size > 30 else " | "
        rows.append(
            f"| {case[0]} | {case[1]} | {case[2]} | `{name}` | {np.mean(trusted == 1):.0%} |"
            f" {spread} |"
        )
    return rows


#: Widths of a sweep, starts of each, steps and learning rate of :func:`pulls`.
WIDTHS, STARTS, LADDER_STEPS, LADDER_RATE = (32, 48, 64, 96, 144), 400, (0.0, 3.0, 8.0), 0.15
#: The first seed of sweeps: others than anything was fitted to.
FIRST = 2000


def pulls(activation: str, depth: int, training: int, seeds: int) -> list[str]:
    """Of the table of coefficients, one a quantity: z against the first order of theory."""
    x = np.concatenate([X[:training], X[3:]])
    inputs = TrainingInputs(x, np.concatenate([TARGETS[:training], TARGETS[3:]]), training)
    schedule = Schedule(
        inputs="x", learning_rate=LADDER_RATE, moments=LADDER_STEPS, centred=False, scale=1.0,
        kernels="all",
    )  # fmt: skip
    of = [
        Perceptron.uniform_width(
            activation, dimension=4, width=n, depth=depth, C_b=0.1, C_W=1.2, outputs=1
        )
        for n in WIDTHS
    ]
    rates = [LearningRates.named("pdlt", mlp, 0.5, 1.0) for mlp in of]
    theory = [
        predictions(schedule, FROM_TRAINING, mlp, rate, inputs)
        for mlp, rate in zip(of, rates, strict=True)
    ]
    z: dict[str, list[np.ndarray]] = {}
    counts: dict[str, list[float]] = {}
    for seed in range(FIRST, FIRST + seeds):
        found = [
            estimate_training(
                [
                    sample_training(
                        mlp, rate, inputs, schedule, networks=STARTS, seed=seed,
                        name=("pulls", activation, str(mlp.widths[1])), precision="float32",
                    )
                ],
                FROM_TRAINING,
            )
            for mlp, rate in zip(of, rates, strict=True)
        ]  # fmt: skip
        fitted, known = extrapolate_sweep(WIDTHS, found, theory)
        for name in (f"{source}_1" for source in (*FROZEN, *MOVING)):
            value, error, trusted = (
                fitted[f"{name}{x}"].values for x in ("", "_stderr", "_trusted")
            )
            said = known[name].sel(order="1/n").values
            with np.errstate(divide="ignore", invalid="ignore"):
                off = (value - said) / error
            kept = (trusted == 1) & np.isfinite(off)
            z.setdefault(name, []).append(off[kept])
            counts.setdefault(name, []).append(float(np.mean(trusted == 1)))
    rows = []
    for name, each in z.items():
        rows.append(
            f"| {activation} | {depth} | {training} | `{name}` | {np.mean(counts[name]):.0%} |"
            f" {told(each)} |"
        )
    return rows


def told(each: list[np.ndarray]) -> str:
    """Mean and standard deviation of z by seed, and how many lie beyond 3: numbers of one seed go
    together, so that the error of that share is that of a ratio over seeds."""
    z = np.concatenate(each)
    share = np.mean(np.abs(z) > 3)
    off = [np.sum(np.abs(one) > 3) - share * len(one) for one in each]
    error = np.sqrt(np.sum(np.square(off))) / len(z)
    return f"{z.mean():+.2f} | {z.std():.2f} | {share:.2%} | {error:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--sweeps", type=int, default=141)
    given = parser.parse_args()
    seeds = given.seeds
    torch.set_num_threads(1)
    start = time.process_time()
    rows = [line for case in CASES for line in lines(case, seeds)]
    fits = [line for case in SWEEPS for line in pulls(*case, given.sweeps)]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    text = "\n".join(
        [
            "# Whether errors along training are right\n",
            f"`python benchmarks/calibrate/training.py --seeds {seeds} --sweeps {given.sweeps}`,"
            f" {datetime.date.today()},"
            f" commit {commit}, {time.process_time() - start:.0f} s of one core.\n",
            "Depth 3, three training inputs and one test input, moments 0, 3 and 15 (a third of all"
            " numbers stands at 0, where means have no spread); z against the mean over seeds.\n",
            "| activation | width | starts | quantity | trusted | sd of z | beyond 3 |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "\n## Coefficients of 1/n\n",
            f"Sweeps of widths {', '.join(map(str, WIDTHS))}, {STARTS} starts each, moments 0,"
            " 3 and 8 (at 0 only variances have a spread), one test input;"
            f" {given.sweeps} seeds; z against the first order of theory. Numbers of one seed go"
            " together: the last column is the error of the share before it.\n",
            "| activation | depth | training inputs | coefficient | trusted | mean of z | sd of z |"
            " beyond 3 | +- |",
            "|---|---|---|---|---|---|---|---|---|",
            *fits,
        ]
    )
    Path(__file__).with_suffix(".md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
