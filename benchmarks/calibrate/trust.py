"""How often a number that is trusted is far off: random small ensembles against exact theory.

Ensembles are drawn at random (activation, width, depth, inputs, initialisation, sampler, 50 to 2000
networks), sampled, estimated and held against theory in one process. Counted are the rows of the
table of a study, those with exact theory: how many are trusted, and how many of these lie beyond 3
and 4 standard errors. The table is written beside this file.

    python benchmarks/calibrate/trust.py
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from finitewidth.comparison.compare import table
from finitewidth.comparison.results import MemberResults, Study
from finitewidth.core.reasons import Reason, sentence
from finitewidth.data.inputs import vectors
from finitewidth.estimate.coupled import kernel_functions, kernel_moments, ntk_mean
from finitewidth.estimate.errors.cumulant_errors import EVEN
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.estimate.ntk import ntk_moments
from finitewidth.estimate.preactivations import gradients, lognorm, moments, neurons
from finitewidth.planning.members import members
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import validate
from finitewidth.theory.predict.predict_member import predict_member

#: Edges of the classes of ensembles by their number of networks.
NETWORKS = (50, 100, 300, 1000, 2001)
#: How the table says that the tail was not met.
FORESEEN = sentence(Reason.UNSEEN_TAIL, np.nan)
#: Second cumulants of preactivations; of fewer networks than EVEN they are judged by a law.
SECOND = ("four_point", "four_point_same", "intralayer", "excess_kurtosis")
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


@contextmanager
def symptoms_alone() -> Iterator[None]:
    """No look ahead and no law: what the networks that were met say decides about trust."""
    unchanged = {
        "doubt_unseen": lambda estimate, ahead: estimate,
        "with_law": lambda estimate, *law: (estimate, 1.0),
        "widened": lambda estimate, rungs, *law: (estimate, rungs),
        "widened_mean": lambda estimate, rungs, *law: (estimate, rungs),
        "widened_variance": lambda estimate, *law: estimate,
    }
    rooms = (kernel_functions, kernel_moments, ntk_mean, ntk_moments)
    with ExitStack() as stack:
        for module in (*rooms, gradients, lognorm, moments, neurons):
            for name, function in unchanged.items():
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, function))
        yield


def rows(study: dict, *, compare: bool = True) -> pd.DataFrame:
    """The rows with exact theory of the table of a study of one ensemble.

    Where they are to be compared, ``right before`` are those that would be trusted by symptoms
    alone, and be right to 3 errors.
    """
    config = validate(study)
    (m,) = members(config, "e")
    x = vectors("x", config.inputs["x"].model_dump(), config.seed)
    how = {"seed": config.seed, "device": "cpu", "blocks": (0, m.blocks)}
    samples = sample_member(m, x, on_tile=lambda done, total: None, **how)
    theory = predict_member(m, x)

    def exact() -> pd.DataFrame:
        found = estimate_member(m, [samples], seed=config.seed)
        all_rows = table(Study("s", None, None, [MemberResults(m, m.swept, found, theory)]))
        return all_rows[(all_rows["order"] == "exact") & np.isfinite(all_rows["theory"])]

    found = exact().assign(networks=m.networks)
    if not compare:
        return found.assign(**{"right before": False})
    with symptoms_alone():
        before = exact()
    return found.assign(**{"right before": before["trusted"] & (_far(before) <= 3)})


def _far(found: pd.DataFrame) -> pd.Series:
    return (found["estimate"] - found["theory"]).abs() / found["standard_error"]


def rates(found: pd.DataFrame, by: str) -> pd.DataFrame:
    """How many rows are trusted and how many of these are far off, class by class.

    ``foreseen`` are rows that nothing speaks against but the look ahead of the largest network
    (:mod:`finitewidth.estimate.errors.look_ahead`): without it they would be trusted.
    """
    far = _far(found)
    good, foreseen = found["trusted"], found["reason"].str.startswith(FORESEEN)
    # Of cumulants that a law judges it says something else: no symptom speaks of them at all.
    foreseen &= ~found["quantity"].isin(["kernel_covariance", "kernel_third"])
    foreseen &= ~(found["quantity"].isin(SECOND) & (found["networks"] < EVEN))
    counted = {
        "rows": np.isfinite(far),
        "trusted": good,
        "beyond 3": good & (far > 3),
        "beyond 4": good & (far > 4),
        "foreseen": foreseen,
        "of these beyond 4": foreseen & (far > 4),
        "right by symptoms": found["right before"],
        "of these kept": found["right before"] & good,
    }
    classes = found[by]
    if by == "networks":
        classes = pd.cut(classes, NETWORKS, right=False)
    total = pd.DataFrame(counted).astype(int).groupby(classes, observed=True).sum()
    total.index = total.index.astype(str).rename(by)
    total.loc["all"] = total.sum()
    before, wrong = total["trusted"] + total["foreseen"], total["of these beyond 4"]
    per = {
        "per 1000": 1000 * total["beyond 4"] / total["trusted"],
        "per 1000 without": 1000 * (total["beyond 4"] + wrong) / before,
        "right ones kept, %": 100 * total["of these kept"] / total["right by symptoms"],
    }
    return total.assign(**{name: values.round(2) for name, values in per.items()})


def markdown(table: pd.DataFrame) -> str:
    """A table of numbers with its index, as Markdown."""
    lines = [[table.index.name, *table.columns], ["---"] * (1 + table.shape[1])]
    lines += [[str(name), *(f"{x:g}" for x in row)] for name, row in table.iterrows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ensembles", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first ensemble")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    seeds = range(options.seed, options.seed + options.ensembles)
    found = pd.concat([rows(drawn(seed)) for seed in seeds], ignore_index=True)
    # Counts of events have a rule of their own, and are many: they would hide the rest.
    moments = found[~found["quantity"].str.contains("histogram|fraction")]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    parts = [
        "# How often a trusted number is far off",
        f"`python benchmarks/calibrate/trust.py --ensembles {options.ensembles} --seed "
        f"{options.seed}`, {datetime.date.today()}, commit {commit},"
        f" {time.process_time() - start:.0f} s of one core.",
        "Rows with exact theory, by the number of networks, without counts of events:",
        markdown(rates(moments, "networks")),
        "With counts of events:",
        markdown(rates(found, "networks")),
        "By quantity:",
        markdown(rates(found, "quantity")),
    ]
    text = "\n\n".join(parts) + "\n"
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
