"""Random study files that the check accepts, small enough to be run to tables and figures."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations import table as activations
from finitewidth.quantities import preactivations, signals, tangent_kernels
from finitewidth.quantities.vocabulary import (
    FIGURES,
    FROM_LADDER,
    TRAINED_FAMILIES,
    quantities_of,
)
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate
from finitewidth.theory.mlp.criticality import critical_point
from random_inputs import inputs as random_inputs
from random_trained import images, trained
from random_training import rates as _rates
from random_training import training
from random_values import between as _between
from random_values import some as _some
from random_values import sweep as _sweep

#: Kind of ensemble -> how often it is drawn; ``trained`` are replicas that learn images.
KINDS = {
    "layers": 0.22, "log_norm": 0.06, "scalar": 0.08, "ntk": 0.14, "dntk": 0.05, "ways": 0.05,
    "ladder": 0.18, "training": 0.06, "trained": 0.1, "blocks": 0.04,
    "places": 0.01, "tokens": 0.01,
}  # fmt: skip
ACTIVATIONS = (*sorted(activations.TABLE), "leaky_relu(0.1)", "leaky_relu(-0.5)", "leaky_relu(1)")
TWO_SLOPES = ("linear", "relu", "abs", "leaky_relu(0.1)", "leaky_relu(2)", "leaky_relu(-1)")
#: Families that an ensemble of each kind may estimate.
_LAYERS = tuple(family.name for family in (*preactivations.FAMILIES, *signals.FAMILIES))
_NTK = tuple(
    family.name for family in tangent_kernels.FAMILIES if family.name not in ("dntk", "ntk_methods")
)
_FAMILIES = {
    "layers": _LAYERS, "log_norm": ("log_norm",), "scalar": ("ntk", "ntk_tensors"), "ntk": _NTK,
    "dntk": ("dntk", *_NTK), "ways": ("ntk_methods",), "ladder": FROM_LADDER, "blocks": _LAYERS,
    "places": _LAYERS, "tokens": _LAYERS,
}  # fmt: skip
#: Kinds that are networks made of blocks.
_STREAMS = ("blocks", "places", "tokens")


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
            content["data"] = {"images": images(rng, folder)}
            content.setdefault("trained", {})[f"e{k}"] = trained(rng, content["data"]["images"])
            study.setdefault("trained", []).append(f"e{k}")
        elif which == "training":
            content["ensembles"][f"e{k}"] = training(rng, content["inputs"], ACTIVATIONS)
            study.setdefault("ensembles", []).append(f"e{k}")
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


# Ensembles


def _ensemble(rng: np.random.Generator, kind: str, inputs: dict, folder: Path) -> dict:
    most = {
        "scalar": 1,
        "dntk": 2,
        "ntk": 3,
        "ways": 3,
        "ladder": 3,
        "blocks": 3,
        "places": 2,
        "tokens": 2,
    }.get(kind, 4)
    names = []
    for _ in range(1 + (rng.random() < 0.2)):
        names.append(f"x{len(inputs)}")
        inputs[names[-1]] = random_inputs(rng, folder, most)
    pool = TWO_SLOPES if kind in ("scalar", "log_norm") else ACTIVATIONS
    ensemble = {
        "activation": _sweep(rng, lambda: str(rng.choice(pool)), 2),
        "inputs": names if len(names) > 1 else names[0],
        "networks": int(rng.choice([50, 60, 200, 600], p=[0.3, 0.3, 0.25, 0.15])),
    }
    explicit = kind in ("dntk", "ways")
    explicit |= kind in ("layers", "ntk", *_STREAMS) and rng.random() < 0.4
    if kind == "scalar":
        ensemble["sampler"] = "scalar"
    elif explicit:
        ensemble["sampler"] = "explicit"
        ensemble["weights"] = str(rng.choice(["normal", "uniform", "pytorch"]))
    if ensemble.get("weights") != "pytorch":
        ensemble["init"] = _init(rng, ensemble["activation"], kind not in ("scalar", "log_norm"))
    if kind == "blocks":
        _blocks(rng, ensemble)
    elif kind == "places":
        _places(rng, ensemble, inputs)
    elif kind == "tokens":
        _tokens(rng, ensemble, inputs)
    else:
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
    if kind not in ("layers", "ladder", "log_norm", *_STREAMS):
        ensemble["measure"] = {"scalar": ["ntk"], "ntk": ["ntk"], "dntk": ["ntk", "dntk"],
                               "ways": ["ntk_methods"]}[kind]  # fmt: skip
        if kind == "ntk" and rng.random() < 0.3:
            ensemble["measure"] = ["preactivations", "ntk"]
    elif kind == "log_norm":
        ensemble["measure"] = ["log_norm"]
    ensemble["estimate"] = _estimates(rng, kind, ensemble, [inputs[name] for name in names])
    if kind in _STREAMS and "ntk" in ensemble.get("measure", ()):
        ensemble["estimate"] += _some(rng, _NTK[:2])
    if kind in ("scalar", "ntk", "dntk", "ways") or "ntk_mean" in ensemble["estimate"]:
        ensemble["ntk"] = _rates(rng)
    if kind in ("layers", "ladder", "ntk", "scalar") and rng.random() < 0.3:
        ensemble["population"] = _population(rng)
    if "dntk" in ensemble["estimate"]:
        ensemble["ntk"]["outputs"] = 2
        ensemble.pop("outputs", None)
    if "normality" in ensemble["estimate"]:
        ensemble["normality"] = {
            "groups": int(rng.integers(1, 6)), "networks": int(rng.choice([20, 50])),
            "neurons": int(rng.integers(2, 5)),
        }  # fmt: skip
    return ensemble


def _population(rng: np.random.Generator) -> dict:
    """By a pilot or by powers, of small islands."""
    population = {"islands": 20, "members": 50, "exact": bool(rng.random() < 0.5)}
    if rng.random() < 0.5:
        population["power"] = _some(rng, [-1.0, 0.5, 1.0, 2.0, 3.0])
    if rng.random() < 0.3:
        population["of"] = int(rng.integers(0, 3))
    return population


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


def _places(rng: np.random.Generator, ensemble: dict, inputs: dict) -> None:
    """A network on small images, or along a line: convolutions, means over places, read-outs."""
    name = f"x{len(inputs)}"
    positions = [[4, 4], [1, 4], [4], [8], [2, 3]][rng.integers(5)]
    inputs[name] = {
        "kind": "images", "count": int(rng.integers(1, 3)), "positions": positions,
        "channels": int(rng.integers(1, 3)), "smooth": float(rng.choice([0.0, 1.0])),
    }  # fmt: skip
    # Of these the means over two places have closed forms, and there are many pairs of places.
    ensemble["activation"] = str(rng.choice(["relu", "erf", "gelu", "linear", "abs", "sin"]))
    if "init" in ensemble:
        ensemble["init"] = {"C_W": float(rng.choice([1.0, 2.0])), "C_b": 0.1}
    ensemble |= {"inputs": name, "width": _sweep(rng, lambda: 2 * _between(rng, 1, 6), 2)}
    ensemble |= {"layers": ["last"]} if rng.random() < 0.3 else {}
    convs = ["conv", {"conv": {"padding": "zero"}}, {"conv": {"kernel": 1, "width": "2n"}},
             {"conv": {"stride": 2}}, "dense"]  # fmt: skip
    blocks = []
    for _ in range(rng.integers(1, 3)):
        block = {"repeat": _sweep(rng, lambda: _between(rng, 1, 3), 2),
                 "branch": [convs[rng.integers(len(convs))]]}  # fmt: skip
        if rng.random() < 0.3 and block["branch"][0] in convs[:2]:
            block["residual"] = {"norm": str(rng.choice(["none", "rms", "layer"])), "eps": 1e-5}
        blocks.append(block)
    if rng.random() < 0.3:
        blocks.append({"branch": [{"pool": {"average": 1 if min(positions) % 2 else 2}}]})
    readouts = ["none", {}, {"pool": "flatten"}, {"norm": "rms"}]
    ensemble["network"] = {
        "embed": {"map": "conv", "padding": str(rng.choice(["zero", "circular"]))},
        "blocks": blocks, "readout": readouts[rng.integers(len(readouts))],
        "read": str(rng.choice(["centre", "first", "last"])),
    }  # fmt: skip
    if ensemble["network"]["readout"] != "none" and rng.random() < 0.3:
        ensemble["measure"] = ["preactivations", "ntk"]


def _tokens(rng: np.random.Generator, ensemble: dict, inputs: dict) -> None:
    """A network on sequences: attention of all kinds, other maps, skips, norms, positions."""
    name, length = f"x{len(inputs)}", int(rng.choice([1, 2, 3, 4], p=[0.1, 0.5, 0.2, 0.2]))
    inputs[name] = {
        "kind": "tokens", "count": int(rng.integers(1, 3)), "length": length, "channels": 8,
    }  # fmt: skip
    if rng.random() < 0.6:
        inputs[name]["overlap"] = float(rng.choice([0.0, 0.4, 1.0]))
    if "init" in ensemble:
        ensemble["init"] = {
            "C_W": float(rng.choice([1.0, 1.5])),
            "C_b": float(rng.choice([0, 0.1])),
        }
    ensemble |= {"inputs": name, "width": _sweep(rng, lambda: 4 * _between(rng, 1, 4), 2)}
    law = {"C_W": 1.2} if ensemble.get("weights") != "pytorch" else {}
    blocks = []
    for _ in range(rng.integers(1, 3)):
        attention = {
            "heads": ["n/2", 1, 2, 4][rng.integers(4)], "causal": bool(rng.random() < 0.3),
            "scale": str(rng.choice(["sqrt", "full"], p=[0.8, 0.2])),
            "scores": str(rng.choice(["softmax", "identity"], p=[0.7, 0.3])),
            "q": law if rng.random() < 0.3 else {},
        }  # fmt: skip
        attention |= {"head_dim": int(rng.choice([1, 3, 40]))} if rng.random() < 0.4 else {}
        one = {"attention": attention}
        branches = [[one], [one], [one, "dense"], [{"norm": "rms"}, one], ["dense"]]
        block = {"repeat": _sweep(rng, lambda: _between(rng, 1, 3), 2),
                 "branch": branches[rng.integers(len(branches))]}  # fmt: skip
        if rng.random() < 0.6:
            block["residual"] = {
                "norm": str(rng.choice(["none", "rms", "layer"])), "eps": 1e-5,
                "place": str(rng.choice(["pre", "post"])),
            }  # fmt: skip
        blocks.append(block)
    readouts = ["none", {}, {"pool": "flatten"}, {"norm": "rms", "activation": "none"}]
    readout = readouts[rng.integers(len(readouts))]
    places = ["centre", "first", "last"] + (2 * ["all"] if readout == "none" else [])
    ensemble["network"] = {
        "embed": {"positions": float(rng.choice([0.0, 0.3]))}, "blocks": blocks,
        "readout": readout, "read": places[rng.integers(len(places))],
    }  # fmt: skip
    if readout != "none" and rng.random() < 0.3:
        ensemble["measure"] = ["preactivations", "ntk"]


def _blocks(rng: np.random.Generator, ensemble: dict) -> None:
    """A network made of blocks: skips, norms and branches of all kinds."""
    ensemble["width"] = _sweep(rng, lambda: 2 * _between(rng, 1, 6), 2)
    blocks, over_depth = [], ["1/sqrt(L)", "1/L"]
    for _ in range(rng.integers(1, 3)):
        block = {"repeat": _sweep(rng, lambda: _between(rng, 1, 4), 2)}
        if rng.random() < 0.8:
            block["residual"] = {
                "gamma": _sweep(rng, lambda: float(rng.choice([0.0, 0.5, 1.0])), 2),
                "beta": _sweep(rng, lambda: [0.3, 1.0, *over_depth][rng.integers(4)], 2),
                "norm": _sweep(rng, lambda: str(rng.choice(["none", "rms", "layer"])), 2),
                "eps": float(rng.choice([0.0, 1e-5, 0.5])),
                "place": _sweep(rng, lambda: str(rng.choice(["pre", "post"])), 2),
            }
        branches = [
            ["dense"],
            ["dense", "activation"],
            [{"dense": {"width": "2n"}}, "activation", "dense"],
            ["activation", {"norm": "layer"}, {"dense": {"C_W": 1.5, "C_b": 0.1}}],
            [{"activation": "none"}, "dense"],
            [{"activation": "tanh"}, "dense"],
        ]
        block["branch"] = branches[rng.integers(len(branches))]
        blocks.append(block)
    readouts = ["none", {}, {"norm": "same"}, {"norm": "rms", "activation": "none"}, {"C_W": 1.0}]
    ensemble["network"] = {"blocks": blocks, "readout": readouts[rng.integers(len(readouts))]}
    if ensemble["network"]["readout"] != "none":
        if rng.random() < 0.3:
            ensemble["outputs"] = _between(rng, 1, 5)
        if rng.random() < 0.3:
            ensemble["measure"] = ["preactivations", "ntk"]
    if rng.random() < 0.3:
        ensemble["layers"] = ["first", "last"]


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


def _has_softmax(network: dict) -> bool:
    steps = [step for block in network.get("blocks", ()) for step in block.get("branch", ())]
    each = [step.get("attention", {"scores": ""}) for step in steps if isinstance(step, dict)]
    return any(one.get("scores", "softmax") == "softmax" for one in each)


def _estimates(rng: np.random.Generator, kind: str, ensemble: dict, inputs: list) -> list[str]:
    pool = list(_FAMILIES[kind])
    if "preactivations" in ensemble.get("measure", ()):
        pool += ["covariance", "four_point"]
    if any(
        (len(each["angles"]) if "angles" in each else each.get("count")) == 1 for each in inputs
    ):
        pool = [family for family in pool if family not in ("correlation", "ntk_spectrum")]
    if ensemble.get("network", {}).get("readout") == "none":
        pool.remove("gradient_norm")
    if "jacobian" in pool:
        # In an ensemble of its own, without other derivatives, of networks of vectors.
        others = "ntk" in ensemble.get("measure", ()) or "network" in ensemble
        pool.remove("jacobian" if others or rng.random() < 0.5 else "gradient_norm")
    if not _has_softmax(ensemble.get("network", {})) and "attention_entropy" in pool:
        pool.remove("attention_entropy")
    widths = ensemble.get("hidden", ensemble.get("width", 0))
    narrowest = min([*np.atleast_1d(widths), ensemble.get("outputs", 99)])
    if min(narrowest, 99 if ensemble.get("record") == "all" else ensemble.get("record", 8)) < 4:
        pool = [family for family in pool if family not in ("quadruple", "normality")]
    return _some(rng, pool)
