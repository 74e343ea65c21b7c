"""Networks that learn images, of random study files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from random_values import between, some, sweep

#: Images of the data set that is made here: classes, channels, rows and columns.
CLASSES, IMAGE = 3, (1, 4, 4)


def images(rng: np.random.Generator, folder: Path) -> dict:
    """Labelled images of some classes that can be told apart, in a file of their own."""
    count = int(rng.integers(20, 80))
    label = np.arange(count) % CLASSES
    centre = rng.standard_normal((CLASSES, *IMAGE))
    x = centre[label] + rng.standard_normal((count, *IMAGE))
    if rng.random() < 0.3:
        x[:, :, 0, :] = 0  # pixels that are always dark
    if rng.random() < 0.2:
        x[:5] = 0
    name = f"images{rng.integers(10**9)}.nc"
    dims = ("sample", "channel", "row", "column")
    xr.Dataset({"x": (dims, x), "label": ("sample", label)}).to_netcdf(folder / name)
    return {"kind": "array", "file": name, "normalise": bool(rng.random() < 0.7),
            "validation": float(rng.choice([0.1, 0.3, 0.5]))}  # fmt: skip


def trained(rng: np.random.Generator, images: dict) -> dict:
    trained = {
        "data": "images",
        "weights": sweep(rng, lambda: str(rng.choice(["normal", "uniform"])), 2),
        "C_W": float(rng.choice([1e-3, 1 / 3, 2.0, 50.0])),
        "replicas": int(rng.choice([1, 2, 3, 4])),
        "epochs": int(rng.integers(1, 4)),
        "batch": int(rng.choice([1, 8, 64, 1000])),
        "learning_rate": float(rng.choice([1e-9, 0.02, 0.5, 5.0], p=[0.1, 0.6, 0.2, 0.1])),
        "momentum": float(rng.choice([0.0, 0.9])),
        "rainbow": {
            "networks": int(rng.integers(1, 3)),
            "covariance": some(rng, ["reference", "average", "white"]),
            "widen": sweep(rng, lambda: float(rng.choice([0.5, 1.0, 2.0]))),
        },
    }
    if rng.random() < 0.4:
        trained["widen"] = sweep(rng, lambda: float(rng.choice([0.3, 1.0, 2.0])))
    if rng.random() < 0.7:
        hidden = [between(rng, 1, 10) for _ in range(rng.integers(1, 4))]
        trained["mlp"] = [int(np.prod(IMAGE)), *hidden, CLASSES]
    else:
        hidden = [between(rng, 1, 4) for _ in range(rng.integers(1, 3))]
        steps = {"kernel": (1, 3), "stride": (1, 3), "padding": (0, 2)}
        trained["cnn"] = {key: int(rng.integers(*ends)) for key, ends in steps.items()}
        trained["cnn"]["channels"] = [IMAGE[0], *hidden]
    depth = len(hidden)
    layers = ["all", *([k] for k in range(1, depth + 1))]
    trained["rainbow"]["layers"] = some(rng, layers)
    if rng.random() < 0.2:
        trained["published"] = {"source": "a paper", "accuracy": 0.9, "alignment": [0.5] * depth}
    return trained
