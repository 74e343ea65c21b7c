"""Inputs of random study files, and the arrays that these name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr


def inputs(rng: np.random.Generator, folder: Path, most: int) -> dict:
    """Of every kind, and all that is special: duplicates, opposites, zeros, all but collinear."""
    kind = str(rng.choice(["sphere", "arc", "digits", "array"], p=[0.3, 0.25, 0.1, 0.35]))
    count = int(rng.integers(1, most + 1))
    dimension = int(rng.integers(1, 7)) if kind == "array" else int(rng.integers(count, 7))
    norm = float(rng.choice([1.0, np.sqrt(dimension), 1e-3, 30.0], p=[0.4, 0.4, 0.1, 0.1]))
    if kind == "sphere":
        made = {"kind": kind, "dimension": dimension, "count": count, "norm": norm}
        if rng.random() < 0.6:
            made["overlap"] = float(rng.choice([1.0, 0.999999, 0.5, 0.0, -1.0 if count < 3 else 0]))
        return made
    if kind == "arc":
        angles = rng.choice([0.0, 0.0, 1e-6, 1.0, 60.0, 90.0, 180.0, 360.0], size=count)
        return {"kind": kind, "dimension": dimension + 1, "norm": norm,
                "angles": [float(a) for a in angles]}  # fmt: skip
    if kind == "digits":
        return {"kind": kind, "count": count, "classes": [int(c) for c in rng.permutation(10)[:2]]}
    return array(rng, folder, count, dimension)


def array(rng: np.random.Generator, folder: Path, count: int, dimension: int) -> dict:
    x = rng.standard_normal((count, dimension))
    for row in range(count):
        x[row] = {
            "own": x[row], "zero": 0 * x[row], "same": x[0], "opposite": -x[0], "longer": 3 * x[0],
            "near": x[0] * (1 + 1e-9) + 1e-9 * x[row], "small": 1e-12 * x[row],
            "large": 1e6 * x[row],
        }[str(rng.choice(["own", "zero", "same", "opposite", "longer", "near", "small", "large"],
                         p=[0.38, 0.16, 0.12, 0.1, 0.08, 0.08, 0.04, 0.04]))]  # fmt: skip
    name = f"x{rng.integers(10**9)}.{rng.choice(['npy', 'nc'])}"
    if name.endswith("npy"):
        np.save(folder / name, x.astype(rng.choice(["f8", "f4"])))
        return {"kind": "array", "file": name}
    xr.Dataset({"x": (("a", "b"), x)}).to_netcdf(folder / name)
    return {"kind": "array", "file": name, "variable": "x"}
