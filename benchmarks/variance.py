"""What reducing variance is worth: variance times seconds of several estimators of one number.

Two estimators that take the same time to the same error have the same product of variance and time,
whatever the number of networks. The first table holds it against that of neurons pooled over the
whole layer; the second holds a ladder on common random numbers against one on independent ones, for
the coefficients that are fitted over its widths.

    python benchmarks/variance.py
"""

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from finitewidth.comparison.extrapolate import fit
from finitewidth.estimate.coupled import controls
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder

DEPTH, WIDTH, RUNGS = 4, 128, (48, 64, 96, 128, 192, 256)
#: C_b and C_W, critical where there is a critical point.
INITIALISATIONS = {
    "tanh": (0.0, 1.0),
    "gelu": (0.17292239, 1.98305826),
    "softplus": (0.0, 1.0),
    "relu": (0.0, 2.0),
}
NAMES = {"seed": 1, "ensemble": "e", "member": "m"}
X = {
    1: np.ones((1, 10)),
    2: np.sqrt(10) * np.array([[1, 0], [0.5, np.sqrt(0.75)]]) @ np.eye(2, 10),
}


def mlp(activation: str, width: int) -> Perceptron:
    """A member on inputs of ten components."""
    C_b, C_W = INITIALISATIONS[activation]
    return Perceptron.uniform_width(
        activation, dimension=10, width=width, depth=DEPTH, C_b=C_b, C_W=C_W
    )


def pooled(activation: str, inputs: int, networks: int) -> list[float]:
    """Variances of E[z_1^2] and Cov(z_i1^2, z_j1^2) from all neurons of the last layer."""
    measure = ("preactivations", "quartic")
    options = {"networks": networks, "seed": 1, "layers": [DEPTH], "record": 1}
    samples = sample(mlp(activation, WIDTH), X[inputs], measure=measure, **options)
    found = estimate([samples], ["covariance", "four_point"], **NAMES)
    names = ("covariance_stderr", "four_point_stderr")
    return [float(found[name].values.flat[0]) ** 2 for name in names]


def conditional(
    activation: str, inputs: int, networks: int, with_controls: bool, first_order: bool = False
) -> list[float]:
    """The same from conditional kernels."""
    found = ladder(activation, [WIDTH], inputs, networks, with_controls, first_order)
    names = ("kernel_mean_stderr", "kernel_covariance_stderr")
    return [float(found[name].values.flat[0]) ** 2 for name in names]


def ladder(
    activation: str,
    widths,
    inputs: int,
    networks: int,
    with_controls: bool,
    first_order: bool = False,
) -> xr.Dataset:
    """Estimates of a ladder's kernel moments."""
    mlps = [mlp(activation, n) for n in widths]
    options = {"networks": networks, "seed": 1, "layers": [DEPTH], "controls": with_controls}
    samples = sample_ladder(mlps, X[inputs], **options)
    every = controls.ORDERS
    try:
        if first_order:
            controls.ORDERS = {True: ((1, 1),), False: ((1, 1),)}
        return estimate_ladder([samples], ["kernel_moments"], **NAMES)
    finally:
        controls.ORDERS = every


def products(jobs: list[Callable[[], list[float]]], repeats: int) -> np.ndarray:
    """Variance times seconds of each job, shape (job, number); the fastest of several runs."""
    best, variances = np.full(len(jobs), np.inf), [None] * len(jobs)
    for _ in range(repeats):  # in turns, so that a slow moment of the machine hits all of them
        for k, job in enumerate(jobs):
            start = time.perf_counter()
            variances[k] = job()
            best[k] = min(best[k], time.perf_counter() - start)
    return np.array(variances) * best[:, None]


def intercepts(activation: str, networks: int, with_controls: bool, repeats: int) -> np.ndarray:
    """How much more variance times seconds the leading coefficients cost on independent streams."""

    def together() -> list[float]:
        return errors(ladder(activation, RUNGS, 1, networks, with_controls))

    def apart() -> list[float]:
        parts = [ladder(activation, [n], 1, networks, with_controls) for n in RUNGS]
        return errors(xr.concat(parts, "rung", data_vars="minimal"), independent=True)

    common, independent = products([together, apart], repeats)
    return independent / common


def errors(found: xr.Dataset, independent: bool = False) -> list[float]:
    """Variances of the coefficients of 1/n in E[Ghat] and Cov(Ghat, Ghat)."""
    result, rungs = [], len(RUNGS)
    for name in ("kernel_mean", "kernel_covariance"):
        stderr = found[f"{name}_stderr"].values.reshape(rungs, 1)
        covariance = np.diag(stderr[:, 0] ** 2)
        if not independent:
            covariance = found[f"{name}_rungs"].values.reshape(rungs, rungs)
        fitted = fit(
            found[name].values.reshape(rungs, 1), covariance[..., None], np.array(RUNGS), 1
        )
        result.append(float(fitted[1][0, 0]) ** 2)
    return result


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=20000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    networks, repeats = options.networks, options.repeats
    torch.set_num_threads(1)

    print(f"## Variance reduction per second (depth {DEPTH}, width {WIDTH}, {networks} networks)\n")
    print("| activation | inputs | number | conditional kernel | first-order controls |"
          " all controls |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for activation, inputs in itertools.product(INITIALISATIONS, (1, 2)):
        jobs = [
            lambda a=activation, i=inputs: pooled(a, i, networks),
            lambda a=activation, i=inputs: conditional(a, i, networks, False),
            lambda a=activation, i=inputs: conditional(a, i, networks, True, first_order=True),
            lambda a=activation, i=inputs: conditional(a, i, networks, True),
        ]
        found = products(jobs, repeats)
        for k, name in enumerate(("mean", "V")):
            shown = " | ".join(f"{found[0, k] / value:.3g}" for value in found[1:, k])
            print(f"| {activation} | {inputs} | {name} | {shown} |", flush=True)

    print(f"\n## Common random numbers against independent ones (widths {RUNGS})\n")
    print("| activation | controls | coefficient of 1/n in the mean | in the covariance |")
    print("|---|---|---|---|")
    for activation, used in itertools.product(("tanh", "gelu"), (False, True)):
        mean, covariance = intercepts(activation, networks, used, repeats)
        words = "with" if used else "without"
        print(f"| {activation} | {words} | {mean:.2f} | {covariance:.2f} |", flush=True)


if __name__ == "__main__":
    main()
