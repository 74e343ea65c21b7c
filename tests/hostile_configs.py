"""Study files as a careless or hostile hand would leave them: valid ones, changed at random."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date

import yaml
from hypothesis import strategies as st

from finitewidth.config.model_ensemble import LAYER_NAMES, MEASURES
from finitewidth.models.activations import table as activations
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, QUANTITIES
from running import ROOT

#: Every key of the model stands in one of these two.
RANDOM = {
    "run": "random",
    "about": "what it is about\n\narXiv:2106.10165",
    "seed": 7,
    "scale": 1.0,
    "device": "cpu",
    "devices": {"train": "cpu"},
    "job_minutes": 5.0,
    "formats": ["pdf", "svg"],
    "inputs": {
        "ball": {"kind": "sphere", "dimension": 5, "count": 2, "norm": 1.5, "overlap": 0.5},
        "arc": {"kind": "arc", "dimension": 5, "norm": 2.0, "angles": [0, 60]},
        "digits": {"kind": "digits", "classes": [1], "count": 1},
        "mine": {"kind": "array", "file": "x.nc", "variable": "x", "count": 1},
        "pictures": {"kind": "images", "count": 1, "positions": [4, 4], "channels": 2,
                     "smooth": 0.5},
        "sequences": {"kind": "tokens", "count": 2, "length": 3, "channels": 8, "overlap": 0.5,
                      "between": 0.1},
        "taught": {"kind": "points", "points": [[-1.0], [0.5]],
                   "targets": {"kind": "values", "values": [[1.0], [-0.5]]}},
        "sine": {"kind": "line", "first": -1.0, "last": 2.0, "count": 3,
                 "targets": {"kind": "sine", "frequency": 2.0, "noise": 0.1}},
        "named": {"kind": "digits", "classes": [1, 2], "count": 2,
                  "targets": {"kind": "labels", "code": "sign"}},
        "files": {"kind": "points", "points": [1.0, 2.0],
                  "targets": {"kind": "array", "file": "y.nc", "variable": "y"}},
    },
    "ensembles": {
        "plain": {
            "activation": ["tanh", "leaky_relu(0.1)"], "init": {"C_W": [1.0, 2.0], "C_b": 0.1},
            "weights": "normal", "width": [4, 8], "depth": [2, 3], "outputs": 4,
            "inputs": ["ball", "arc"], "networks": 300, "sampler": "explicit",
            "precision": "float64", "layers": ["first", 2], "record": 4,
            "measure": ["preactivations"], "estimate": ["covariance", "normality"],
            "normality": {"groups": 2, "networks": 50, "neurons": 3}, "shards": 2,
        },
        "cone": {
            "activation": "relu", "init": {"critical_times": [0.8, 1.0]}, "hidden": [8, 6, 4],
            "inputs": "mine", "networks": 100, "measure": ["log_norm"],
        },
        "rungs": {
            "activation": "tanh", "init": "critical", "ladder": [4, 6, 8, 10], "depth": 3,
            "inputs": "arc", "networks": 100, "controls": False,
            "population": {"power": [1.5, 2], "islands": 20, "members": 50, "of": "mean",
                           "exact": False},
        },
        "tangents": {
            "activation": "tanh", "init": "critical", "width": 4, "depth": 2, "inputs": "ball",
            "networks": 100, "measure": ["ntk"], "memory": 0.5,
            "ntk": {"parameterisation": "pdlt", "lambda_b": 0.0, "lambda_W": 1.0, "outputs": 2},
        },
        "learners": {
            "activation": "tanh", "init": {"C_W": 1.0}, "width": 4, "depth": 2, "inputs": "sine",
            "networks": 50,
            "train": {"inputs": "taught", "loss": "mse", "learning_rate": 0.01, "steps": [1, 4],
                      "centred": True, "scale": 2.0, "kernels": "all"},
        },
        "flow": {
            "activation": "tanh", "init": {"C_W": 1.0}, "width": 4, "depth": 2, "inputs": "sine",
            "networks": 50, "train": {"inputs": "sine", "times": [0.5, 1.0]},
        },
        "stream": {
            "activation": "relu", "init": {"C_W": 2.0}, "width": [4, 8], "inputs": "ball",
            "networks": 100,
            "network": {
                "embed": {"map": "dense", "C_W": 1.0, "C_b": 0.1},
                "blocks": [
                    {"name": "a", "repeat": [2, 3], "residual": {
                        "gamma": 0.9, "beta": ["1/sqrt(L)", 1.0], "norm": ["rms", "layer"],
                        "eps": 1e-5, "place": ["pre", "post"]}},
                    {"branch": [{"dense": {"width": "4n", "C_W": 1.0, "C_b": 0.0}}, "activation",
                                {"norm": {"kind": "rms", "eps": 0.1}}, {"activation": "tanh"},
                                "dense"]},
                ],
                "readout": {"norm": "same", "eps": 0.0, "activation": "none", "C_W": 1.0,
                            "C_b": 0.0},
            },
        },
        "attention": {
            "activation": "gelu", "init": {"C_W": 1.0}, "width": 4, "inputs": "sequences",
            "networks": 100,
            "network": {
                "input": {"tokens": 3, "channels": 8}, "embed": {"positions": 0.1},
                "blocks": [{"residual": {"norm": "layer"}, "branch": [
                    {"attention": {
                        "heads": "n/2", "head_dim": "2n", "width": "n", "scale": "sqrt",
                        "causal": True, "scores": "identity", "q": {"C_W": 2.0, "C_b": 0.1},
                        "k": {"C_W": 1.0, "C_b": 0.0}, "v": {"C_W": 1.0, "C_b": 0.1},
                        "o": {"C_W": 1.0, "C_b": 0.0}}}]}],
                "readout": "none", "read": "all",
            },
        },
        "cnn": {
            "activation": "relu", "init": {"C_W": 2.0}, "width": 4, "inputs": "pictures",
            "networks": 100,
            "network": {
                "input": {"positions": [4, 4], "channels": 2},
                "embed": {"map": "conv", "kernel": 3, "stride": 1, "padding": "zero"},
                "blocks": [
                    {"repeat": 2, "branch": [{"conv": {
                        "width": "2n", "kernel": 3, "stride": 1, "padding": "circular",
                        "C_W": 1.5, "C_b": 0.1}}]},
                    {"branch": ["conv", {"pool": {"average": 2}}]},
                ],
                "readout": {"pool": "flatten"}, "read": "last",
            },
        },
    },
    "studies": {
        "learners": {"ensembles": ["learners"], "figures": ["training"]},
        "s": {"title": "Var $K$ & 50 %", "ensembles": ["plain", "cone"],
              "quantities": ["covariance"], "figures": ["covariance"],
              "published": [{"source": "a paper", "numbers": [
                  {"quantity": "covariance", "at": {"layer": 2, "inputs": "0 0"}, "value": 1.0,
                   "error": 0.1}]}]},
        "rungs": {"ensembles": ["rungs", "tangents", "stream", "cnn", "attention"]},
    },
}  # fmt: skip
TRAINED = {
    "seed": 0,
    "data": {
        "digits": {"kind": "digits", "validation": 0.3, "normalise": False},
        "cifar": {"kind": "cifar10", "archive": "a.tar.gz", "url": "https://example.org/a.tar.gz",
                  "sha256": 64 * "0", "grayscale": True, "normalise": True, "train": 100,
                  "validation": 50},
        "mine": {"kind": "array", "file": "x.nc", "images": "x", "labels": "y", "classes": 3,
                 "validation": 0.1, "normalise": True},
    },
    "trained": {
        "mlp": {
            "data": "digits", "mlp": [64, 12, 8, 10], "widen": [1.0, 2.0],
            "weights": ["normal", "uniform"], "C_W": 0.5, "replicas": 3, "epochs": 2, "batch": 32,
            "learning_rate": 0.1, "momentum": 0.5, "optimiser": "sgd", "checkpoint": 2,
            "rainbow": {"networks": 2, "covariance": ["average"], "widen": [1.0, 2.0],
                        "layers": ["all", [2]]},
            "published": {"source": "a paper", "accuracy": 0.9, "generated_accuracy": 0.8,
                          "alignment": [0.7, 0.6]},
        },
        "cnn": {
            "data": "cifar", "cnn": {"channels": [1, 4, 6], "kernel": 3, "stride": 2, "padding": 1},
            "replicas": 3, "epochs": 2, "learning_rate": 0.05,
        },
    },
    "style": {"width": 6.0, "font_size": 8.0, "file": "own.mplstyle"},
    "studies": {"t": {"trained": ["mlp", "cnn"], "figures": ["training_curves"],
                      "style": {"width": 3.0}}},
}  # fmt: skip
#: Words that mean something in one place or another.
WORDS = (
    *activations.names(), "leaky_relu(0.5)", "leaky_relu(0)", *FAMILIES, *QUANTITIES, *FIGURES,
    *MEASURES, *LAYER_NAMES, "rms", "layer", "4n", "n/2", "1/L", "pre", "post", "none", "same",
    "dense", "activation", "conv", "circular", "zero", "average", "flatten", "centre",
    "all", "critical", "normal", "uniform", "pytorch", "marginal",
    "explicit", "scalar", "sphere", "arc", "digits", "array", "cifar10", "ntk", "standard", "pdlt",
    "cpu", "cuda", "auto", "average", "reference", "white", *RANDOM["inputs"],
    *RANDOM["ensembles"], *TRAINED["data"], *TRAINED["trained"],
)  # fmt: skip
SHIPPED = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]

TEXTS = (
    "", " ", "~", "1e-5", "1e400", "nan", ".inf", "0x10", "yes", "critical", "all", "relu",
    "leaky_relu(1e999)", "leaky_relu(-0.0)", "leaky_relu(" + 300 * "9" + ")", "../../out", "/etc/x",
    "a/b", ".", "..", "-rf", ";touch x", "$(touch x)", "`touch x`", "a\nb", "a\rb", "a'b", 'a"b',
    "{wildcards.name}", "{", "}", "{0}", "%s%n", "\\write18{x}", "\\input{/etc/passwd}",
    "<script>x</script>", "-->", "=cmd()", "{{ x }}", "# x", "a#b", "_", "A" * 41, "x" * 5000,
    "\0", "\x1b[2J", "é", "\u202eevil", "\u200b", "\ud800", "\U0001f600", "\ufeffa", "ﬀ", "١",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 49, 50, 10**6, 10**9, 10**12, 10**30, 10**400, -(10**4000),
    0.0, -0.0, 0.5, 1.0, -1.5, 5e-324, 1e-300, 1e300, 1.7976931348623157e308, float("nan"),
    float("inf"), float("-inf"), 2**63, 1 + 2**-52,
)  # fmt: skip
OTHERS = (
    None, True, False, [], {}, [[]], [None], {"kind": "sphere"}, {"": 1}, {"kind": []}, [1, [2]],
    [1, 1], [True, 1], [8, 9, 10], list(range(1, 200)), ["plain"], date(2020, 1, 1), b"x", {1: 2},
    (1, 2), {1, 2}, object(),
)  # fmt: skip
KEYS = ("", "kind", "seed", "__use_yte__", "a.b", "../a", "a\nb", "A", "\ud800", "x" * 99)


def nested(levels: int, mapping: bool = False) -> object:
    """A list in a list, or a mapping in a mapping, so many levels deep."""
    value: object = 1
    for _ in range(levels):
        value = {"a": value} if mapping else [value]
    return value


values = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS),
    st.builds(nested, st.sampled_from([2, 30, 150]), st.booleans()),
    st.text(max_size=30),
    st.integers(),
    st.floats(),
    st.lists(st.sampled_from([*TEXTS, *NUMBERS]), max_size=4),
    st.lists(st.integers(1, 10**4), min_size=100, max_size=100, unique=True),
)


def places(content: object, path: tuple = ()) -> Iterator[tuple]:
    """The path to every value, of lists too, but for the depths of what was put in."""
    if path:
        yield path
    if isinstance(content, dict | list) and len(path) < 8:
        inside = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in inside:
            yield from places(value, (*path, key))


@st.composite
def mutants(draw, bases) -> dict:
    """One of ``bases`` with one to three changes at places of it."""
    content = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(content))
        if not found:
            break
        *above, last = draw(st.sampled_from(found))
        place = content
        for key in above:
            place = place[key]
        _change(draw, place, last)
    return content


def _change(draw, place: dict | list, key: object) -> None:
    """One change at ``place[key]``: three in four give a value of the same type as before."""
    old = place[key]
    if draw(st.integers(0, 3)):
        place[key] = _like(draw, old)
        return
    kind = draw(st.sampled_from(["value", "value", "value", "remove", "add", "rename", "swap",
                                 "wrap", "repeat"]))  # fmt: skip
    if kind == "remove":
        del place[key]
    elif kind == "wrap":
        place[key] = [old]
    elif kind == "repeat" and isinstance(old, list):
        place[key] = old + old
    elif kind == "add" and isinstance(old, dict):
        old[draw(st.sampled_from(KEYS) | st.text(max_size=10))] = copy.deepcopy(draw(values))
    elif kind == "rename" and isinstance(place, dict):
        place[draw(st.sampled_from(KEYS) | st.text(max_size=10))] = place.pop(key)
    elif kind == "swap" and isinstance(place, dict):
        other = draw(st.sampled_from(list(place)))
        place[key], place[other] = place[other], old
    else:
        place[key] = copy.deepcopy(draw(values))


def _like(draw, old: object) -> object:
    """Another value of the same type, not unlikely one that is allowed there."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return draw(st.sampled_from([1, 2, 3, 5, 16, 50, 64, 1000, 10**5, 10**6, 10**9]))
    if isinstance(old, float):
        return draw(st.sampled_from([5e-324, 1e-9, 0.25, 0.5, 1.0, 1.0000001, 2.0, 1e9, 1e300]))
    if isinstance(old, str):
        return draw(st.sampled_from(WORDS))
    if isinstance(old, list) and old:
        picked = [old[draw(st.integers(0, len(old) - 1))] for _ in range(draw(st.integers(1, 6)))]
        return [_like(draw, value) for value in picked]
    if isinstance(old, dict):
        return {k: _like(draw, v) if draw(st.booleans()) else v for k, v in old.items()}
    return copy.deepcopy(draw(values))


#: Lines of YAML that are more than they look, or not YAML at all.
LINES = (
    "seed: 010", "seed: 1:30", "seed: 0x10", "seed: 0b1", "seed: 1_0", "seed: +7", "seed: .nan",
    "seed: .inf", "seed: 1e400", "seed: 1.0e+400", "seed: " + 5000 * "9", "seed: 0x" + 5000 * "f",
    "seed: yes", "seed: ~", "seed:", "seed: =", "seed: 2020-01-01", "seed: !!int x", "seed: !!int",
    "seed: !!bool x", "seed: !!float x", "seed: !!timestamp x", "seed: !!binary x",
    "seed: !!set {1}", "seed: !!omap [a]", "seed: !!python/object/apply:os.system [ls]",
    "seed: !!python/name:os.system", "seed: ! x", "seed: !foo x", "seed: !!str 1", "seed: |\n  1",
    "? [a]\n: 1", "? {a: b}\n: 1", "1: 2", "null: 1", "true: 1", "=: 1", "<<: 1", "<<: [1]",
    "<<: {seed: 1}\n<<: {seed: 2}", "x: &x 1\ny: *x", "x: *nobody", "x: &x [*x]",
    "x: &x {a: *x}", "x: &x {<<: *x}", "&a a: *a", "studies: &s {<<: *s}", "\tseed: 1", "seed:\t1",
    "- 1", "---", "...", "--- 1", "%YAML 9.9", "%TAG ! x", "{", "}", "[", "'", '"', '"\\ud800": 1',
    'seed: "\\ud800"', 'seed: "\\0"', "seed: \x00", "seed: \x07", "seed: \x85", "# \u2028 comment",
    "seed: \u202e7", "__use_yte__: true", "__use_yte__: false", "?define: {x: 1}", "? x", "\ufeff",
    "a: " + 3000 * "[" + 3000 * "]", "a: " + 3000 * "{a: " + "1" + 3000 * "}", "a: " + 3000 * "[",
    "a: " + 3000 * "- ", "x" * 3000 + ": 1", "seed: '" + "x" * 3000 + "'", "\n" * 500, "a: b: c",
)  # fmt: skip


@st.composite
def texts(draw, files: list[str]) -> bytes:
    """The text of a study file with lines put in, taken out, repeated, cut or indented."""
    lines = draw(st.sampled_from(files)).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["put", "put", "put", "remove", "again", "cut", "in", "out"]))
        old = lines[at]
        indent = old[: len(old) - len(old.lstrip())]
        lines[at : at + 1] = {
            "put": [indent + draw(st.sampled_from(LINES)), old],
            "remove": [],
            "again": [old, old],
            "cut": [old[: draw(st.integers(0, len(old)))]],
            "in": ["  " + old],
            "out": [old[2:]],
        }[kind]
        lines = lines or [""]
    text = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])).join([*lines, ""])
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")


def shipped_texts() -> list[str]:
    """The study files of the repository, and the two of this module, as text."""
    own = [yaml.safe_dump(content, sort_keys=False) for content in (RANDOM, TRAINED)]
    return [*own, *(path.read_text(encoding="utf-8") for path in SHIPPED)]
