"""Figures of small and odd studies, looked at by their geometry: nothing cut, nothing covered.

Each study is made once, and each of its figures is drawn and held against ``looking.faults``.
"""

import os

import matplotlib.pyplot as plt
import pytest

from finitewidth.comparison.results import Study
from finitewidth.figures import draw
from finitewidth.figures.common.axes import is_empty
from finitewidth.quantities.vocabulary import FIGURES
from looking import faults
from small_studies import run

ONE = {"kind": "sphere", "dimension": 5, "count": 1}
INPUTS = {
    "one": ONE,
    "pair": ONE | {"count": 2, "overlap": 0.5},
    "four": {"kind": "digits", "classes": [1, 3], "count": 4},
    "taught": {
        "kind": "points",
        "points": [-1.0, 0.2, 1.5],
        "targets": {"kind": "sine", "frequency": 2.0},
    },
    "single": {"kind": "points", "points": [0.5], "targets": {"kind": "values", "values": [1.0]}},
    "axis": {"kind": "line", "first": -2, "last": 2, "count": 9},
    # Twice the same, and its opposite: correlations of 1 and -1, kernels of either sign.
    "opposite": {"kind": "arc", "dimension": 5, "norm": 2.2, "angles": [0, 0, 180]},
    # The same but for rounding.
    "equal": {"kind": "arc", "dimension": 5, "norm": 2.2, "angles": [0, 360]},
    "tokens": {"kind": "tokens", "count": 1, "length": 2, "channels": 4, "overlap": 0.3},
    "many_tokens": {"kind": "tokens", "count": 1, "length": 16, "channels": 20, "overlap": 0.3},
}
BASE = {"activation": "relu", "init": "critical", "width": 8, "depth": 3, "inputs": "one",
        "networks": 300}  # fmt: skip
BLOCKS = {k: v for k, v in BASE.items() if k != "depth"} | {"init": {"C_W": 2.0}}
LADDER = {k: v for k, v in BASE.items() if k != "width"} | {"ladder": [8, 12, 16, 24]}
ON_LAYERS = ["covariance", "four_point", "kurtosis", "distribution"]
LAYERS = ["covariance", "neuron_covariance", "intralayer", "breakdown_map", "pooled_correlator",
          "kurtosis", "histograms", "quantiles", "kernel_flow", "phase_diagram"]  # fmt: skip
LADDERS = ["universality", "corrections", "log_kernel", "inverse_kernel"]
OF_LADDERS = ["kernel_moments", "log_kernel", "inverse_kernel"]

#: Study -> its figures and its ensembles.
STUDIES = {
    "four": (
        ["covariance", "kurtosis", "angle_flow", "intralayer"],
        [BASE | {"inputs": "four",
                 "estimate": ["covariance", "correlation", "four_point", "kurtosis"]}],
    ),
    "opposite": (
        ["covariance", "angle_flow", "kernel_flow", "phase_diagram"],
        [BASE | {"activation": ["tanh", "softplus", "relu"], "inputs": "opposite", "depth": 6,
                 "init": {"C_W": 1.2}, "estimate": ["covariance", "correlation"]}],
    ),
    # More than fit: some are left out, and said to be.
    "many": (
        ["covariance", "neuron_covariance", "intralayer", "breakdown_map", "pooled_correlator",
         "kernel_flow", "kernel_variance"],
        [BASE | {"activation": "linear", "init": {"C_W": [0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 4.0, 8]},
                 "width": [4, 8], "networks": 60, "estimate": ["covariance", "four_point"]}],
    ),
    "one_activation_each": (
        ["breakdown_map", "phase_diagram"],
        [BASE | {"activation": ["tanh", "abs", "softplus"], "init": {"C_W": 1.3}, "depth": 2,
                 "networks": 60, "estimate": ["covariance", "four_point"]}],
    ),
    "one_layer": (
        ["intralayer", "breakdown_map", "pooled_correlator", "log_norm", "log_norm_moments"],
        [BASE | {"depth": 5, "layers": [4], "width": [4, 6],
                 "estimate": ["covariance", "four_point", "log_norm"]}],
    ),
    "pytorch": (
        ["covariance", "neuron_covariance", "kernel_flow", "angle_flow", "phase_diagram"],
        [{k: v for k, v in BASE.items() if k != "init"}
         | {"weights": "pytorch", "sampler": "explicit", "inputs": "pair",
            "estimate": ["covariance", "correlation"]},
         BASE | {"inputs": "pair", "depth": 1, "estimate": ["covariance", "correlation"]}],
    ),
    "doubted": (LAYERS, [BASE | {"width": [4, 8], "networks": 50, "estimate": ON_LAYERS}]),
    "zero": (LAYERS, [BASE | {"init": {"C_W": 0.0, "C_b": 0.0}, "networks": 50,
                              "estimate": ON_LAYERS}]),
    "huge": (["covariance", "intralayer"],
             [BASE | {"init": {"C_W": 1e6}, "depth": 8, "estimate": ["covariance", "four_point"]}]),
    "training": (
        ["training", "training_loss", "training_corrections", "kernel_drift", "relu_drift"],
        [{"activation": ["tanh", "erf"], "init": {"C_W": 1.5, "C_b": 0.1}, "width": [8, 24],
          "depth": 3, "inputs": "axis", "networks": 60,
          "train": {"inputs": "taught", "learning_rate": 0.02, "steps": [2, 10]}},
         {"activation": "tanh", "init": {"C_W": 1.5, "C_b": 0.1}, "width": 24, "depth": 3,
          "inputs": "axis", "networks": 60,
          "train": {"inputs": "single", "learning_rate": 0.1, "steps": [2, 10]}},
         {"activation": "relu", "init": {"C_W": 1.0}, "width": 8, "depth": 2, "inputs": "taught",
          "networks": 60, "train": {"inputs": "taught", "times": [0.5], "centred": True}}],
    ),
    "groups": (
        ["quadruple", "normality"],
        [BASE | {"activation": ["relu", "tanh"], "width": [8, 32], "record": 8, "networks": 500,
                 "estimate": ["quadruple", "normality"],
                 "normality": {"groups": 5, "networks": 100, "neurons": 4}}],
    ),
    "deep": (
        ["output_density", "histograms", "quantiles"],
        [BASE | {"activation": "linear", "depth": [1, 2, 5], "layers": ["last"],
                 "estimate": ["distribution"]}],
    ),
    "norms": (
        ["log_norm", "log_norm_moments"],
        [BASE | {"activation": "linear", "width": [3, 9], "depth": 100,
                 "layers": [1, 2, 5, 100], "measure": ["log_norm"]}],
    ),
    "blocks": (
        ["kernel_variance", "covariance", "intralayer", "breakdown_map", "kernel_flow"],
        [BLOCKS | {"network": {"blocks": [{"repeat": [2, 5], "residual": {
            "norm": ["none", "layer"]}}]}, "estimate": ["covariance", "four_point"]},
         BASE | {"depth": [3, 6], "estimate": ["covariance", "four_point"]}],
    ),
    "blocks_of_equal_inputs": (
        ["angle_flow"],
        [BLOCKS | {"network": {"blocks": [{"repeat": 5, "residual": {}}]}, "inputs": "equal",
                   "layers": ["first", "last"], "estimate": ["correlation"]}],
    ),
    "tokens": (
        ["token_correlation", "covariance"],
        [BLOCKS | {"network": {"read": "all", "readout": "none", "blocks": [
            {"repeat": 3, "branch": [{"attention": {"heads": 2}}]}]}, "inputs": "tokens",
                   "estimate": ["covariance", "correlation"]},
         BASE | {"inputs": "opposite", "estimate": ["covariance", "correlation"]}],
    ),
    "collapse": (
        ["rank_collapse"],
        [BLOCKS | {"network": {"read": "all", "readout": "none", "blocks": [
            {"repeat": 3, "residual": {}, "branch": [{"attention": {"heads": 2}}]}]},
                   "inputs": "many_tokens", "estimate": ["rank_collapse", "attention_entropy"]},
         BASE | {"inputs": "opposite", "estimate": ["rank_collapse"]}],
    ),
    "derivatives": (
        ["gradient_norm"],
        [BLOCKS | {"network": {"blocks": [{"repeat": 5, "residual": {
            "norm": ["none", "layer"]}}]}, "estimate": ["gradient_norm"]},
         BASE | {"depth": 3, "estimate": ["gradient_norm"]}],
    ),
    "jacobians": (
        ["jacobian"],
        [BASE | {"depth": 3, "estimate": ["jacobian"]}],
    ),
    "widths_of_attention": (
        ["kernel_variance"],
        [BLOCKS | {"network": {"blocks": [{"branch": [{"attention": {"heads": heads}}]}]},
                   "width": [8, 16, 32], "inputs": "tokens", "estimate": ["covariance",
                                                                          "four_point"]}
         for heads in (2, "n/2")],
    ),
    "ladder": (LADDERS, [LADDER | {"estimate": OF_LADDERS}]),
    "ladders": (LADDERS, [LADDER | {"activation": ["linear", "softplus"], "init": {"C_W": 1.1},
                                    "depth": 2, "estimate": OF_LADDERS}]),
    "no_kernel": (LADDERS, [LADDER | {"init": {"C_W": 0.0, "C_b": 0.0}, "estimate": OF_LADDERS}]),
    "angles": (
        ["two_inputs"],
        [LADDER | {"activation": ["relu", "linear"], "inputs": "pair", "init": {"C_W": 1.3},
                   "estimate": ["kernel_moments"]},
         LADDER | {"inputs": "pair", "estimate": ["kernel_moments"]}],
    ),
}  # fmt: skip
CASES = [(study, figure) for study, (figures, _) in STUDIES.items() for figure in figures]
#: Of shares no error bar leaves these limits.
SHARES = {"normality": (0, 1)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that gives the study of a name; each is made once."""
    known = {}

    def make(name):
        if name not in known:
            known[name] = _made(name, tmp_path_factory.mktemp(name))
        return known[name]

    return make


def _made(name, folder) -> Study:
    _, ensembles = STUDIES[name]
    used = {e["inputs"] for e in ensembles}
    used |= {e["train"]["inputs"] for e in ensembles if "train" in e}
    content = {
        "seed": 3,
        "inputs": {k: v for k, v in INPUTS.items() if k in used},
        "ensembles": {f"e{k}": e for k, e in enumerate(ensembles)},
    }
    before = os.getcwd()
    os.chdir(folder)
    try:
        return run(content)
    finally:
        os.chdir(before)


@pytest.mark.parametrize(("study", "figure"), CASES)
def test_nothing_is_cut_or_covered_and_every_line_has_a_name(made, study, figure):
    drawn = draw(figure, made(study))
    try:
        assert faults(drawn, SHARES.get(figure)) == []
        assert not [ax.get_title() for ax in drawn.axes if ax.axison and is_empty(ax)
                    and not ax.patches]  # fmt: skip
    finally:
        plt.close(drawn)


def test_every_figure_of_perceptrons_is_looked_at():
    modules = {FIGURES[figure].module for _, figure in CASES}
    drawn = {figure for _, figure in CASES}
    assert drawn >= {name for name, entry in FIGURES.items() if entry.module in modules} - {
        "ntk_corrections"
    }
