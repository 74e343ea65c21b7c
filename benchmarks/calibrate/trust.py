"""How often a number that is trusted is far off: random small ensembles against exact theory.

Ensembles are drawn at random (activation, width, depth, inputs, initialisation, sampler, 50 to 2000
networks), sampled, estimated and held against theory in one process. Counted are the rows of the
table of a study, those with exact theory: how many are trusted, and how many of these lie beyond 3
and 4 standard errors.

    python benchmarks/calibrate/trust.py
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from finitewidth import slices
from finitewidth.compare import table
from finitewidth.estimate.member import estimate_member
from finitewidth.inputs import vectors
from finitewidth.members import members
from finitewidth.results import MemberResults, Study
from finitewidth.sampling.member import sample_member
from finitewidth.study_file import validate
from finitewidth.theory.member import predict_member

#: Edges of the classes of ensembles by their number of networks.
NETWORKS = (50, 100, 300, 1000, 2001)
TWO_SLOPES = ("linear", "relu", "abs", "leaky_relu(0.2)")
SMOOTH = ("tanh", "gelu", "sin", "silu")
#: Kind of ensemble -> how often it is drawn.
KINDS = {"layers": 0.5, "scalar": 0.15, "ntk": 0.15, "ladder": 0.2}


def drawn(seed: int, networks: tuple[int, int] = (50, 2000)) -> dict:
    """A random study file of one small ensemble.

    Parameters
    ----------
    seed : int
    networks : pair of int
        Fewest and most networks.
    """
    rng = np.random.default_rng([2024, seed])
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    smooth = rng.random() < 0.3 and kind != "scalar"
    activation = str(rng.choice(SMOOTH if smooth else TWO_SLOPES))
    depth = int(rng.integers(1, 13))
    count = 1 if kind == "scalar" else int(rng.integers(1, 3))
    ensemble = {
        "activation": activation,
        "init": _init(rng, activation, biased=kind != "scalar"),
        "inputs": "x",
        "depth": depth,
        "networks": _between(rng, *networks),
    }
    if kind == "ladder":
        ensemble |= {
            "ladder": sorted({_between(rng, 1, 32) for _ in range(3)}),
            "controls": False,
            "layers": ["last"],
            "estimate": ["kernel_moments", "log_kernel", "inverse_kernel"],
        }
    else:
        ensemble["width"] = _between(rng, 1, 32)
        ensemble["precision"] = str(rng.choice(["float32", "float64"]))
    if kind == "layers":
        explicit = rng.random() < 0.3
        weights = str(rng.choice(["normal", "uniform"])) if explicit else "normal"
        ensemble |= {
            "sampler": "explicit" if explicit else "marginal",
            "weights": weights,
            "layers": sorted({int(rng.integers(1, depth + 1)), depth}),
            "estimate": ["covariance", "four_point", "six_point", "kurtosis", "log_norm"],
        }
        if count > 1:
            ensemble["estimate"].append("correlation")
    if kind in ("scalar", "ntk"):
        pdlt = {"parameterisation": "pdlt", "lambda_b": 0.0, "lambda_W": 1.0}
        ensemble |= {
            "sampler": "scalar" if kind == "scalar" else "marginal",
            "measure": ["ntk"],
            "ntk": pdlt if rng.random() < 0.5 else {"parameterisation": "standard"},
            "estimate": ["ntk", "ntk_tensors"],
        }
        if kind == "scalar":
            ensemble["estimate"] = ["ntk"]
    x = {"kind": "sphere", "dimension": 4, "count": count, "norm": float(rng.uniform(0.5, 3))}
    study = {"s": {"ensembles": ["e"]}}
    return {"seed": seed, "inputs": {"x": x}, "ensembles": {"e": ensemble}, "studies": study}


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, its logarithm spread evenly."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def _init(rng: np.random.Generator, activation: str, *, biased: bool) -> dict | str:
    """The critical point, or near it with a bias or without."""
    if rng.random() < 0.5:
        return "critical"
    C_W = {"relu": 2.0, "leaky_relu(0.2)": 2 / 1.04}.get(activation, 1.0) * rng.uniform(0.6, 1.5)
    C_b = float(rng.uniform(0, 0.5)) if biased and rng.random() < 0.5 else 0.0
    return {"C_W": float(C_W), "C_b": C_b}


def rows(study: dict) -> pd.DataFrame:
    """The rows with exact theory of the table of a study of one ensemble."""
    config = validate(study)
    (m,) = members(config, "e")
    x = vectors("x", config.inputs["x"].model_dump(), config.seed)
    how = {"seed": config.seed, "device": "cpu", "blocks": (0, m.blocks)}
    samples = sample_member(m.slice(), x, on_tile=lambda done, total: None, **how)
    found = estimate_member(m.slice(), [samples], seed=config.seed)
    theory = predict_member(slices.theory(m)["member"], x)
    about = {"ensemble": m.ensemble, "name": m.name}
    all_rows = table(Study("s", None, None, [MemberResults(about, m.swept, found, theory)]))
    exact = all_rows[(all_rows["order"] == "exact") & np.isfinite(all_rows["theory"])]
    return exact.assign(networks=m.networks)


def rates(found: pd.DataFrame, by: str) -> pd.DataFrame:
    """Numbers of rows, of trusted ones, and of trusted ones that are far off, class by class."""
    far = found["z"].abs()
    good = found["trusted"]
    counted = pd.DataFrame(
        {
            "rows": 1,
            "trusted": good,
            "beyond 3": good & (far > 3),
            "beyond 4": good & (far > 4),
            "right": far <= 4,
            "right, trusted": good & (far <= 4),
        }
    ).astype(int)
    total = counted.groupby(found[by], observed=True).sum()
    total.loc["all"] = total.sum()
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ensembles", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first ensemble")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    seeds = range(options.seed, options.seed + options.ensembles)
    found = pd.concat([rows(drawn(seed)) for seed in seeds], ignore_index=True)
    found["class"] = pd.cut(found["networks"], NETWORKS, right=False)
    print(rates(found, "class"), rates(found, "quantity"), sep="\n\n")
    print(time.process_time() - start)


if __name__ == "__main__":
    main()
