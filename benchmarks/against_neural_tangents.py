"""Ensembles of tangent kernels against neural-tangents 0.6.5, and its kernels as an oracle.

    python benchmarks/against_neural_tangents.py [--widths 256 1024] [--write-oracle]

Makes an environment of its own (.venv-neural-tangents, with the old jax that runs it), lets
neural_tangents_side.py time every way that library has, and the marginal sampler here, one thread
each, in one run: ReLU, depth 4, three inputs, scalar output, single precision. Then compares
infinite-width kernels; ``--write-oracle`` keeps the library's for the tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / ".venv-neural-tangents"
PINS = (
    "neural-tangents==0.6.5", "jax==0.4.23", "jaxlib==0.4.23", "tf2jax==0.3.6", "numpy==1.26.4",
    "scipy==1.12.0",
)  # fmt: skip


def environment() -> Path:
    """The interpreter of an environment with neural-tangents, made where it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS]
        subprocess.run(install, check=True)
        (ENVIRONMENT / "ready").touch()
    return python


def ours(width: int) -> float:
    """Networks a second of the marginal sampler, compiled: the fastest of several ensembles."""
    mlp = Perceptron("relu", (10, width, width, width, 1), (0.0,) * 4, (2.0,) * 4)
    rates, x = LearningRates.named("ntk", mlp), np.random.default_rng(0).normal(size=(3, 10))
    networks, taken = 2**22 // width, []
    for seed in range(8):
        start = time.perf_counter()
        sample_ntk(mlp, rates, x, networks=networks, seed=seed, outputs=1)
        taken.append(time.perf_counter() - start)
    return networks / min(taken)


def deviations(oracle: dict) -> dict[str, float]:
    """Largest relative deviation of NNGP and NTK, by activation."""
    x, found = np.array(oracle["inputs"]), {}
    for name, theirs in oracle["kernels"].items():
        depth = oracle["depth"]
        widths = (x.shape[1], *(1,) * depth)
        mlp = Perceptron(name, widths, (oracle["C_b"],) * depth, (oracle["C_W"],) * depth)
        nngp = infinite_width(mlp, x, [depth])[0]
        ntk = infinite_width_ntk(mlp, LearningRates.named("ntk", mlp), x, [depth])[0]
        gaps = (np.abs(a / b - 1).max() for a, b in ((nngp, theirs["nngp"]), (ntk, theirs["ntk"])))
        found[name] = float(max(gaps))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--write-oracle", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [environment(), HERE / "neural_tangents_side.py", path, *map(str, given.widths)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(path.read_text())
    for width in given.widths:
        mine = ours(width)
        print(f"\nWidth {width}: {mine:.3g} networks a second by the marginal sampler.\n")
        print("| neural-tangents | networks a second | ratio |")
        print("|---|---|---|")
        for way, rate in sorted(found["rates"][str(width)].items(), key=lambda item: -item[1]):
            print(f"| {way} | {rate:.3g} | {mine / rate:.0f} |")
    print("\n| infinite width | largest relative deviation |\n|---|---|")
    for name, gap in deviations(found["oracle"]).items():
        print(f"| {name} | {gap:.1e} |")
    if given.write_oracle:
        about = {
            "comment": "NNGP and NTK at infinite width, and trained ensembles, double precision,"
            " parameterization ntk"
        }
        kept = about | {"made_with": found["made_with"]} | found["oracle"]
        (HERE / "neural_tangents_oracle.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
