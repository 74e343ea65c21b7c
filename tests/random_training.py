"""Ensembles of random networks in training, of random study files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finitewidth.quantities.vocabulary import FROM_TRAINING
from random_values import between, some, sweep


def rates(rng: np.random.Generator) -> dict:
    name = str(rng.choice(["ntk", "standard", "pdlt"]))
    rates = {"parameterisation": name, "outputs": int(rng.integers(1, 4))}
    if name == "pdlt":
        rates |= {f"lambda_{x}": float(rng.choice([0.0, 0.5, 1.0, 20.0])) for x in "bW"}
    return rates


def training(rng: np.random.Generator, inputs: dict, activations: Sequence[str]) -> dict:
    """On vectors of one dimension, with targets of every kind but a file."""
    count, kind = int(rng.integers(1, 5)), str(rng.choice(["points", "line", "sphere", "digits"]))
    beside = {"kind": "line", "first": -2.0, "last": float(rng.choice([-2.0, 2.0])), "count": 3}
    made = {
        "points": {"kind": kind, "points": [float(x) for x in rng.choice([-1, 0, 0, 1, 2], count)]},
        "line": {"kind": kind, "first": -1.0, "last": 1.0, "count": count},
        "sphere": {"kind": kind, "dimension": 5, "count": count},
        "digits": {"kind": kind, "count": count, "classes": [3, 8]},
    }[kind]
    outputs = int(rng.integers(1, 3))
    values = rng.choice([-1.0, 0.0, 0.5], (count, outputs)).tolist()
    targets = [
        {"kind": "sine", "frequency": 2.0, "noise": 0.1},
        {"kind": "values", "values": values},
    ]
    if kind == "digits":
        targets += [{"kind": "labels", "code": str(rng.choice(["one_hot", "sign"]))}]
    made["targets"] = targets[rng.integers(len(targets))]
    if kind == "sphere":
        beside = {"kind": kind, "dimension": 5, "count": 2}
    elif kind == "digits":
        beside = {"kind": kind, "classes": [3, 8], "count": 2}
    train, at = f"x{len(inputs)}", f"x{len(inputs) + 1}"
    inputs[train] = made
    inputs[at] = beside if rng.random() < 0.8 else made
    moments = sorted({int(t) for t in rng.integers(1, 30, 3)})
    flow = rng.random() < 0.4
    return {
        "activation": sweep(rng, lambda: str(rng.choice(activations)), 2),
        "init": {"C_W": float(rng.choice([0, 0.5, 1, 1.5])), "C_b": float(rng.choice([0, 0.2]))},
        "width": sweep(rng, lambda: between(rng, 1, 12), 3),
        "depth": int(rng.integers(1, 5)),
        "inputs": at,
        "networks": int(rng.choice([50, 120])),
        "precision": str(rng.choice(["float32", "float64"])),
        "ntk": {k: v for k, v in rates(rng).items() if k != "outputs"},
        "estimate": some(rng, FROM_TRAINING),
        "train": {
            "inputs": train,
            "centred": bool(rng.random() < 0.3),
            "scale": float(rng.choice([1.0, 3.0])),
            "kernels": str(rng.choice(["train", "all"])),
        }
        | ({"times": [t / 30 for t in moments]} if flow else
           {"learning_rate": float(rng.choice([1e-3, 0.01])), "steps": moments}),
    }  # fmt: skip
