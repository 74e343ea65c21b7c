"""Whatever a public function is given, what comes is a sentence of the project's own: never an
error from deep inside."""

import inspect
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import finitewidth as fw
from finitewidth.commands import main

X = np.array([[1.0, 0.0, 0.5], [0.2, 1.0, -0.3]])
STUDY = {
    "inputs": {"two": {"kind": "arc", "dimension": 3, "angles": [0, 60]}},
    "ensembles": {
        "one": {"activation": "relu", "init": "critical", "width": 8, "depth": 2, "inputs": "two",
                "networks": 60, "estimate": ["covariance"]},
    },
    "studies": {"all": {"ensembles": ["one"], "figures": ["covariance"]}},
}  # fmt: skip


class Other:
    """Of no kind that anything takes."""


#: What is wrong wherever an annotation does not name it.
WRONG = {
    "None": None,
    "int": 7,
    "str": "nonsense",
    "Sequence": ["dense", "wide"],
    "Mapping": {"activaton": 1},
    "Dataset": xr.Dataset({"foo": ("bar", [1.0])}),
    "ndarray": np.ones((2, 2, 2, 2, 2)),
    "object": Other(),
}
#: Kinds that annotations name in other words.
ALIKE = {"None": ("None", "Any"), "int": ("int", "float", "Any"), "str": ("str", "Path", "Any"),
         "Mapping": ("Any",), "object": ("Any",), "ndarray": ("Any",), "Dataset": ("Any",),
         "Sequence": ("Sequence[str]", "Any")}  # fmt: skip
#: Where what an annotation names is of the wrong sort all the same.
STILL_WRONG = {
    ("estimate", "samples", "Dataset"), ("compare", "measured", "Dataset"),
    ("compare", "theory", "Dataset"), ("load_study", "given", "Mapping"),
    ("network", "blocks", "Mapping"), ("Member.estimate", "samples", "Dataset"),
    ("estimate", "samples", "Mapping"), ("linearized.gradient_descent_mse", "y", "ndarray"),
    ("network", "embed", "Mapping"), ("network", "readout", "Mapping"),
    ("sample", "x", "ndarray"), ("predict", "x", "ndarray"),
    ("max_learning_rate", "ntk", "ndarray"),
    ("gaussian_process", "y", "ndarray"), ("gradient_descent_mse", "y", "ndarray"),
    ("infinite_width()", "x1", "ndarray"), ("infinite_width()", "x2", "ndarray"),
}  # fmt: skip


@pytest.fixture(scope="module")
def right():
    """For each function a call that is right: the function, its arguments by name."""
    net = fw.perceptron("relu", inputs=3, width=8, depth=2)
    few = {"networks": 60, "progress": False}
    samples = fw.sample(net, X, **few)
    estimates, theory = fw.estimate(samples, "covariance"), fw.predict(net, X, "covariance")
    kernels = fw.infinite_width(net)(X)
    study = fw.load_study(STUDY)
    member, model, x = study.members[0], torch.nn.Linear(3, 1), torch.ones(2, 3)
    training = {"kernels": kernels, "y": np.ones(1)}
    linear = fw.linearize(model).gradient_descent_mse
    return {
        "perceptron": (fw.perceptron, {"activation": "relu", "inputs": 3, "width": 8, "depth": 2}),
        "network": (
            fw.network,
            {"activation": "relu", "inputs": 3, "width": 8, "blocks": [{"repeat": 2}]},
        ),
        "inputs": (fw.inputs, {"kind": "arc", "dimension": 3, "angles": [0, 60]}),
        "sample": (fw.sample, {"of": net, "x": X, **few}),
        "estimate": (fw.estimate, {"samples": samples, "families": "covariance"}),
        "predict": (fw.predict, {"of": net, "x": X, "families": "covariance"}),
        "compare": (fw.compare, {"measured": estimates, "theory": theory}),
        "infinite_width": (fw.infinite_width, {"network": net}),
        "infinite_width()": (fw.infinite_width(net), {"x1": X}),
        "gradient_descent_mse": (fw.gradient_descent_mse, {**training, "time": 1.0}),
        "gaussian_process": (fw.gaussian_process, training),
        "max_learning_rate": (fw.max_learning_rate, {"ntk": kernels.ntk}),
        "tangent_kernel": (fw.tangent_kernel, {"model": model, "x": x}),
        "linearize": (fw.linearize, {"model": model}),
        "linearized.gradient_descent_mse": (linear, {"x": x, "y": np.ones(2), "time": 1.0}),
        "load_study": (fw.load_study, {"given": STUDY}),
        "StudyFile.run": (study.run, {"study": "all", "progress": False}),
        "StudyFile.inputs": (study.inputs, {"name": "two"}),
        "Member.sample": (member.sample, {"progress": False}),
        "Member.estimate": (member.estimate, {"samples": samples}),
        "read_study": (fw.read_study, {}),
        "open_ensemble": (fw.open_ensemble, {"what": "theory"}),
        "with_swept": (fw.with_swept, {"dataset": estimates}),
        "draw": (fw.draw, {"study": study.run("all", progress=False), "figure": "covariance"}),
    }


def is_named(kind, annotation):
    return any(word in annotation for word in (kind, *ALIKE.get(kind, ())))


def test_a_wrong_argument_is_told_in_one_sentence_that_names_it(right):
    functions = {name for name in fw.__all__ if name.islower() and name != "__version__"}
    assert functions <= set(right)
    tried = 0
    for name, (function, given) in right.items():
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                continue
            annotation = str(parameter.annotation)
            for kind, value in WRONG.items():
                where = (name, parameter.name, kind)
                if is_named(kind, annotation) and where not in STILL_WRONG:
                    continue
                tried += 1
                with pytest.raises(Exception) as told:  # noqa: PT011
                    function(**{**given, parameter.name: value})
                said, error = str(told.value), told.value
                assert isinstance(error, ValueError | fw.ConfigError | fw.ArtifactError), where
                # Not one that numpy or Python raised on the way.
                last = traceback.extract_tb(error.__traceback__)[-1].filename
                assert "finitewidth" in Path(last).parts, (where, said)
                assert parameter.name in said or name == "load_study", (where, said)
                assert "allowed" in said, (where, said)
                assert "\n" not in said
                assert len(said) < 700, (where, said)
    assert tried > 400


def test_what_says_the_same_in_another_type_is_taken(right):
    """Numbers of numpy, arrays without dimensions, sets, ranges and lists are what they say."""
    net = right["sample"][1]["of"]
    one = fw.sample(net, X, networks=60, layers=[1, 2], measure=["preactivations"], progress=False)
    alike = {"networks": np.int32(60), "seed": np.uint8(0), "record": np.int64(8)}
    alike |= {"layers": range(1, 3), "measure": {"preactivations"}, "progress": np.False_}
    other = fw.sample(net, X.tolist(), **alike)
    xr.testing.assert_identical(one, other)
    again = fw.sample(net, torch.tensor(X), networks=60, layers=np.array([1, 2]), progress=False)
    xr.testing.assert_identical(one, again)
    kernels, y = right["gaussian_process"][1].values()
    means = [
        fw.gradient_descent_mse(kernels, targets, time=time).mean
        for targets, time in ((y, 2.0), ([1.0], 2), (y.tolist(), np.float32(2)), (y, np.array(2.0)))
    ]
    assert all(np.array_equal(means[0], mean) for mean in means)
    assert fw.max_learning_rate(kernels.ntk.tolist()) == fw.max_learning_rate(kernels.ntk)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net: fw.sample(net, X, networks=60, seed=-1), "seed: given -1"),
        (lambda net: fw.sample(net, X, networks=60, outputs=0), "outputs: given 0"),
        (lambda net: fw.sample(net, X, networks=60, layers=[]), r"layers: given \[\]"),
        (lambda net: fw.sample(net, X * np.nan, networks=60), "x: given numbers that are not fin"),
        (lambda net: fw.predict(net, X[:, :2]), r"x: given an array of shape \(2, 2\), allowed is"),
        (lambda net: fw.predict(net, X, networks=0), "networks: given 0"),
        (lambda net: fw.estimate(fw.sample(net, X, networks=60, progress=False), seed=-1), "seed:"),
        (lambda net: fw.max_learning_rate(np.eye(2), spread=-1.0), "spread: given -1.0"),
        (lambda net: fw.network("relu", inputs=3, width=4, blocks=["dense"]),
         r"blocks: given \['dense'\], allowed is mappings"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_named(right, call, said):
    with pytest.raises(ValueError, match=said):
        call(right["sample"][1]["of"])


def test_where_there_is_none_to_choose_from_that_is_said():
    own = {"module": "mine", "width": 8, "inputs": "two", "networks": 60}
    no_networks = {**STUDY, "ensembles": {"one": own}}
    for given in (no_networks, {**STUDY, "inputs": {}}):
        with pytest.raises(fw.ConfigError, match=r"allowed is (a network .* names none|none, )"):
            fw.load_study(given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--verify", "--cores", "0", "t.nc"], "--cores: given 0, allowed is"),
        (["--verify", "--cores", "-1", "t.nc"], "--cores: given -1, allowed is"),
        (["--configfile", "no.yaml", "t.nc"], "no.yaml cannot be read: there is no such file"),
        (["--configfile", "list.yaml", "."], "list.yaml: given ['a'], allowed is a mapping"),
    ],
)
def test_trace_says_what_is_wrong_with_its_options_and_not_with_results(
    words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("- a\n")
    assert main(["trace", *words]) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
