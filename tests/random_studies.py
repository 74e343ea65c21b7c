"""Random study files that the check accepts, small enough to be run to tables and figures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations import table as activations
from finitewidth.quantities import preactivations, tangent_kernels
from finitewidth.quantities.vocabulary import FIGURES, FROM_LADDER, TRAINED_FAMILIES, quantities_of
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate
from finitewidth.theory.mlp.criticality import critical_point

#: Kind of ensemble -> how often it is drawn; ``trained`` are networks that get trained.
KINDS = {
    "layers": 0.3, "log_norm": 0.06, "scalar": 0.08, "ntk": 0.14, "dntk": 0.05, "ways": 0.05,
    "ladder": 0.22, "trained": 0.1,
}  # fmt: skip
ACTIVATIONS = (*sorted(activations.TABLE), "leaky_relu(0.1)", "leaky_relu(-0.5)", "leaky_relu(1)")
TWO_SLOPES = ("linear", "relu", "abs", "leaky_relu(0.1)", "leaky_relu(2)", "leaky_relu(-1)")
#: Families that an ensemble of each kind may estimate.
_LAYERS = tuple(family.name for family in preactivations.FAMILIES)
_NTK = tuple(
    family.name for family in tangent_kernels.FAMILIES if family.name not in ("dntk", "ntk_methods")
)
_FAMILIES = {
    "layers": _LAYERS, "log_norm": ("log_norm",), "scalar": ("ntk", "ntk_tensors"), "ntk": _NTK,
    "dntk": ("dntk", *_NTK), "ways": ("ntk_methods",), "ladder": FROM_LADDER,
}  # fmt: skip
#: Images of the data set that is made here: classes, channels, rows and columns.
CLASSES, IMAGE = 3, (1, 4, 4)


def drawn(seed: int, folder: Path, kind: str | None = None) -> dict:
    """The content of a random study file, accepted or not; files that it names stand in ``folder``.

    Parameters
    ----------
    seed : int
        Names the study: the same one gives the same content and files.
    kind : str or None
        What its first ensemble is, of ``KINDS``; drawn where left out.
    """
    rng = np.random.default_rng([17, seed])
    content = {"seed": seed, "device": "cpu", "inputs": {}, "ensembles": {}, "studies": {}}
    study = {}
    for k in range(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1])):
        which = kind if kind and k == 0 else str(rng.choice(list(KINDS), p=list(KINDS.values())))
        if which == "trained":
            content["data"] = {"images": _images(rng, folder)}
            content.setdefault("trained", {})[f"e{k}"] = _trained(rng, content["data"]["images"])
            study.setdefault("trained", []).append(f"e{k}")
        else:
            content["ensembles"][f"e{k}"] = _ensemble(rng, which, content["inputs"], folder)
            study.setdefault("ensembles", []).append(f"e{k}")
    families = {f for e in content["ensembles"].values() for f in e.get("estimate", ["covariance"])}
    families |= set(TRAINED_FAMILIES if "trained" in study else ())
    figures = [f for f in FIGURES if set(FIGURES[f].families) <= families]
    if rng.random() < 0.1:
        # Whether the check knows that there is nothing to draw it from.
        figures.append(str(rng.choice(list(FIGURES))))
    if figures:
        study["figures"] = sorted(set(figures))
    if rng.random() < 0.15:
        study["quantities"] = [
            str(rng.choice(quantities_of(f))) for f in _some(rng, sorted(families))
        ]
    content["studies"]["s"] = study
    return content


def accepted(content: dict, folder: Path) -> tuple[Config | None, list[str]]:
    """The study file that is left once nothing is refused, and the sentences on the way there.

    What a refusal names is taken out (a figure, a quantity, an estimate) or else the file as a
    whole is given up: None.
    """
    said = []
    while True:
        try:
            config = validate(content)
            check_given(config, folder)
            return config, said
        except ConfigError as error:
            said.append(str(error))
            study = content["studies"]["s"]
            kept = [f for f in study.get("figures", []) if f not in _named(str(error))]
            if "studies." not in str(error) or len(kept) == len(study.get("figures", [])):
                return None, said
            content = {**content, "studies": {"s": {**study, "figures": kept or None}}}


def _named(sentence: str) -> list[str]:
    return sentence.replace(",", " ").split()


def _some(rng: np.random.Generator, values, least: int = 1) -> list:
    """Some of several values, each once, in their order."""
    count = int(rng.integers(least, len(values) + 1))
    return [values[k] for k in sorted(rng.choice(len(values), size=count, replace=False))]


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, small ones as often as large ones."""
    return int(np.floor(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))


def _sweep(rng: np.random.Generator, draw: Callable[[], object], most: int = 3):
    """One value, or a list of different ones."""
    if rng.random() < 0.6:
        return draw()
    return list(dict.fromkeys(draw() for _ in range(int(rng.integers(1, most + 1)))))


# Inputs


def _inputs(rng: np.random.Generator, folder: Path, most: int) -> dict:
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
    return _array(rng, folder, count, dimension)


def _array(rng: np.random.Generator, folder: Path, count: int, dimension: int) -> dict:
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


# Ensembles


def _ensemble(rng: np.random.Generator, kind: str, inputs: dict, folder: Path) -> dict:
    most = {"scalar": 1, "dntk": 2, "ntk": 3, "ways": 3, "ladder": 3}.get(kind, 4)
    names = []
    for _ in range(1 + (rng.random() < 0.2)):
        names.append(f"x{len(inputs)}")
        inputs[names[-1]] = _inputs(rng, folder, most)
    pool = TWO_SLOPES if kind in ("scalar", "log_norm") else ACTIVATIONS
    ensemble = {
        "activation": _sweep(rng, lambda: str(rng.choice(pool)), 2),
        "inputs": names if len(names) > 1 else names[0],
        "networks": int(rng.choice([50, 60, 200, 600], p=[0.3, 0.3, 0.25, 0.15])),
    }
    explicit = kind in ("dntk", "ways") or (kind in ("layers", "ntk") and rng.random() < 0.4)
    if kind == "scalar":
        ensemble["sampler"] = "scalar"
    elif explicit:
        ensemble["sampler"] = "explicit"
        ensemble["weights"] = str(rng.choice(["normal", "uniform", "pytorch"]))
    if ensemble.get("weights") != "pytorch":
        ensemble["init"] = _init(rng, ensemble["activation"], kind not in ("scalar", "log_norm"))
    _shape(rng, kind, ensemble)
    if kind == "ways":
        # Each network costs as much as a hundred others.
        one = {
            k: v[0]
            for k in ("activation", "inputs", "depth")
            if isinstance(v := ensemble.get(k), list)
        }
        ensemble |= one | {"networks": 50}
    if rng.random() < 0.3:
        ensemble["precision"] = "float64"
    if kind not in ("layers", "ladder", "log_norm"):
        ensemble["measure"] = {"scalar": ["ntk"], "ntk": ["ntk"], "dntk": ["ntk", "dntk"],
                               "ways": ["ntk_methods"]}[kind]  # fmt: skip
        if kind == "ntk" and rng.random() < 0.3:
            ensemble["measure"] = ["preactivations", "ntk"]
    elif kind == "log_norm":
        ensemble["measure"] = ["log_norm"]
    ensemble["estimate"] = _estimates(rng, kind, ensemble, [inputs[name] for name in names])
    if kind in ("scalar", "ntk", "dntk", "ways") or "ntk_mean" in ensemble["estimate"]:
        ensemble["ntk"] = _rates(rng)
    if "dntk" in ensemble["estimate"]:
        ensemble["ntk"]["outputs"] = 2
        ensemble.pop("outputs", None)
    if "normality" in ensemble["estimate"]:
        ensemble["normality"] = {
            "groups": int(rng.integers(1, 6)), "networks": int(rng.choice([20, 50])),
            "neurons": int(rng.integers(2, 5)),
        }  # fmt: skip
    return ensemble


def _shape(rng: np.random.Generator, kind: str, ensemble: dict) -> None:
    """Widths, depths and what is recorded."""
    deepest = {"scalar": 30, "log_norm": 60, "ladder": 5, "ways": 4, "dntk": 4}.get(kind, 6)
    # Two outputs are what the tensors P and Q are of.
    least = 2 if kind == "dntk" else 1
    widest = {"ways": 6, "dntk": 8}.get(kind, 12)
    ensemble["depth"] = _sweep(rng, lambda: _between(rng, 1, deepest), 2)
    if kind == "ladder":
        rungs = {_between(rng, 1, 16) for _ in range(rng.integers(1, 8))}
        ensemble["ladder"] = [int(n) for n in rng.permutation(sorted(rungs))]
        ensemble["controls"] = bool(rng.random() < 0.6)
    elif rng.random() < 0.15 and kind != "ladder":
        del ensemble["depth"]
        ensemble["hidden"] = [_between(rng, least, widest) for _ in range(rng.integers(1, deepest))]
    else:
        most = 5 if kind in ("ntk", "dntk", "scalar") else 3
        ensemble["width"] = _sweep(rng, lambda: _between(rng, least, widest), most)
    if kind != "ladder" and rng.random() < 0.2:
        ensemble["outputs"] = _between(rng, 1, 5)
    if kind in ("layers", "log_norm", "ladder") and rng.random() < 0.3:
        words = _some(rng, ["first", "middle", "last"])
        ensemble["layers"] = [str(rng.choice(words))] if rng.random() < 0.3 else words
    if kind == "layers":
        ensemble["record"] = "all" if rng.random() < 0.4 else int(rng.integers(1, 10))


def _init(rng: np.random.Generator, activation, biased: bool):
    """Critical where there is such a point, beside it, or numbers, extreme ones among them."""
    way, factors = rng.random(), [0.5, 0.9, 1.0, 2.0]
    if way < 0.4 and all(_has_critical_point(name) for name in np.atleast_1d(activation)):
        times = {"critical_times": _sweep(rng, lambda: float(rng.choice(factors)))}
        return "critical" if way < 0.3 else times
    scales = {0.0: 0.05, 1e-6: 0.04, 0.5: 0.21, 1.0: 0.3, 2.0: 0.2, 4.0: 0.15, 100.0: 0.05}
    at = list(scales.values())
    init = {"C_W": _sweep(rng, lambda: float(rng.choice(list(scales), p=at)))}
    if biased and rng.random() < 0.6:
        init["C_b"] = _sweep(rng, lambda: float(rng.choice([0.0, 0.1, 1.0, 50.0])))
    return init


@functools.cache
def _has_critical_point(activation: str) -> bool:
    try:
        critical_point(activations.get(activation))
    except ValueError:
        return False
    return True


def _estimates(rng: np.random.Generator, kind: str, ensemble: dict, inputs: list) -> list[str]:
    pool = list(_FAMILIES[kind])
    if "preactivations" in ensemble.get("measure", ()):
        pool += ["covariance", "four_point"]
    if any(
        (len(each["angles"]) if "angles" in each else each.get("count")) == 1 for each in inputs
    ):
        pool = [family for family in pool if family not in ("correlation", "ntk_spectrum")]
    widths = ensemble.get("hidden", ensemble.get("width", 0))
    narrowest = min([*np.atleast_1d(widths), ensemble.get("outputs", 99)])
    if min(narrowest, 99 if ensemble.get("record") == "all" else ensemble.get("record", 8)) < 4:
        pool = [family for family in pool if family not in ("quadruple", "normality")]
    return _some(rng, pool)


def _rates(rng: np.random.Generator) -> dict:
    name = str(rng.choice(["ntk", "standard", "pdlt"]))
    rates = {"parameterisation": name, "outputs": int(rng.integers(1, 4))}
    if name == "pdlt":
        rates |= {f"lambda_{x}": float(rng.choice([0.0, 0.5, 1.0, 20.0])) for x in "bW"}
    return rates


# Networks that get trained


def _images(rng: np.random.Generator, folder: Path) -> dict:
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


def _trained(rng: np.random.Generator, images: dict) -> dict:
    trained = {
        "data": "images",
        "weights": _sweep(rng, lambda: str(rng.choice(["normal", "uniform"])), 2),
        "C_W": float(rng.choice([1e-3, 1 / 3, 2.0, 50.0])),
        "replicas": int(rng.choice([1, 2, 3, 4])),
        "epochs": int(rng.integers(1, 4)),
        "batch": int(rng.choice([1, 8, 64, 1000])),
        "learning_rate": float(rng.choice([1e-9, 0.02, 0.5, 5.0], p=[0.1, 0.6, 0.2, 0.1])),
        "momentum": float(rng.choice([0.0, 0.9])),
        "rainbow": {
            "networks": int(rng.integers(1, 3)),
            "covariance": _some(rng, ["reference", "average", "white"]),
            "widen": _sweep(rng, lambda: float(rng.choice([0.5, 1.0, 2.0]))),
        },
    }
    if rng.random() < 0.4:
        trained["widen"] = _sweep(rng, lambda: float(rng.choice([0.3, 1.0, 2.0])))
    if rng.random() < 0.7:
        hidden = [_between(rng, 1, 10) for _ in range(rng.integers(1, 4))]
        trained["mlp"] = [int(np.prod(IMAGE)), *hidden, CLASSES]
    else:
        hidden = [_between(rng, 1, 4) for _ in range(rng.integers(1, 3))]
        steps = {"kernel": (1, 3), "stride": (1, 3), "padding": (0, 2)}
        trained["cnn"] = {key: int(rng.integers(*ends)) for key, ends in steps.items()}
        trained["cnn"]["channels"] = [IMAGE[0], *hidden]
    depth = len(hidden)
    layers = ["all", *([k] for k in range(1, depth + 1))]
    trained["rainbow"]["layers"] = _some(rng, layers)
    if rng.random() < 0.2:
        trained["published"] = {"source": "a paper", "accuracy": 0.9, "alignment": [0.5] * depth}
    return trained
