"""What a study file says of ensembles that are trained: what is taken, and what is refused."""

import copy

import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.data.input_sets import dataset
from finitewidth.planning.members import members
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate

CONTENT = {
    "seed": 1,
    "inputs": {
        "a": {"kind": "points", "points": [-1.0, 0.5],
              "targets": {"kind": "values", "values": [1.0, -0.5]}},
        "b": {"kind": "line", "first": -1, "last": 1, "count": 3},
        "plane": {"kind": "points", "points": [[1.0, 2.0]]},
        "digits": {"kind": "digits", "classes": [3, 8], "count": 5},
    },
    "ensembles": {
        "e": {"activation": "tanh", "init": {"C_W": 1.5, "C_b": 0.1}, "width": 32, "depth": 3,
              "inputs": "b", "networks": 60,
              "train": {"inputs": "a", "learning_rate": 0.05, "steps": [2, 10]}},
    },
    "studies": {},
}  # fmt: skip


def changed(*changes):
    content = copy.deepcopy(CONTENT)
    for path, value in changes:
        *way, last = path.split(".")
        at = content
        for key in way:
            at = at[key]
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return content


def test_a_member_is_trained_as_it_is_written():
    (m,) = members(validate(CONTENT), "e")
    assert m.train.moments == (0, 2, 10)
    assert (m.outputs, m.input_sets, m.sampler) == (1, ("a", "b"), "training")


@pytest.mark.parametrize(
    ("asked", "width", "depth", "steps", "drawn"),
    [
        (None, 32, 3, 10, "training"),
        (None, 2048, 3, 10, "marginal training"),
        # Two layers have nothing between hidden ones; steps are many beside neurons.
        (None, 2048, 2, 10, "training"),
        (None, 256, 3, 5000, "training"),
        ("marginal", 32, 3, 10, "marginal training"),
        ("explicit", 2048, 3, 10, "training"),
    ],
)
def test_weights_are_drawn_where_that_is_cheaper_or_asked_for(asked, width, depth, steps, drawn):
    content = changed(
        ("ensembles.e.width", width), ("ensembles.e.depth", depth), ("ensembles.e.sampler", asked),
        ("ensembles.e.train.steps", [steps]),
    )  # fmt: skip
    (m,) = members(validate(content), "e")
    assert m.sampler == drawn


ENSEMBLE, TRAIN, TARGETS = "ensembles.e", "ensembles.e.train", "inputs.a.targets"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([(f"{ENSEMBLE}.measure", ["ntk"])], "measure: given"),
        ([(f"{ENSEMBLE}.layers", "all")], "layers: given"),
        ([(f"{ENSEMBLE}.sampler", "scalar")], 'sampler: given "scalar"'),
        ([(f"{ENSEMBLE}.weights", "uniform")], 'weights: given "uniform"'),
        ([(f"{ENSEMBLE}.estimate", ["ntk"])], 'estimate: given "ntk"'),
        ([(f"{ENSEMBLE}.ntk", {"outputs": 1})], "ntk.outputs: given 1"),
        ([(f"{ENSEMBLE}.ntk", {"parameterisation": "pdlt"})], "ntk.lambda_b"),
        ([(f"{ENSEMBLE}.outputs", 2)], "outputs: given 2, allowed is 1"),
        ([(f"{ENSEMBLE}.width", None), (f"{ENSEMBLE}.ladder", [4, 8])], "train: given"),
        ([(TRAIN, None), (f"{ENSEMBLE}.estimate", ["predictions"])], "with train only"),
        ([(f"{TRAIN}.inputs", "c")], 'train.inputs: given "c"'),
        ([(f"{TRAIN}.inputs", "b")], "a set of inputs with targets"),
        ([(f"{TRAIN}.loss", "hinge")], 'loss: given "hinge"'),
        ([(f"{TRAIN}.steps", None)], "steps: given nothing"),
        ([(f"{TRAIN}.learning_rate", None)], "learning_rate and steps, or times"),
        ([(f"{TRAIN}.times", [1.0])], "times: given"),
        ([(f"{TRAIN}.learning_rate", None), (f"{TRAIN}.times", [1.0])], "steps: given"),
        ([(f"{TRAIN}.steps", [2, 2])], "a value stands twice"),
        ([(f"{TRAIN}.scale", 0.0)], "scale: given 0"),
        ([(f"{TRAIN}.learning_rate", 0.4)], "a number below .* at tanh, width 32, depth 3"),
        ([(f"{ENSEMBLE}.width", [512, 2]), (f"{TRAIN}.learning_rate", 0.2)],
         "a number below .* at tanh, width 2, depth 3"),
        ([(f"{TRAIN}.learning_rate", None), (f"{TRAIN}.steps", None), (f"{TRAIN}.times", [1e7])],
         "times: given .* too many steps"),
        ([(f"{ENSEMBLE}.depth", 10000)], "depth: given 10000, allowed is at most 256"),
        ([(f"{ENSEMBLE}.inputs", "plane")], "plane, vectors of 2 components"),
        ([(f"{TARGETS}.values", [1.0])], 'given "1 targets", allowed is 2'),
        ([(f"{TARGETS}.values", [[1.0], [1.0, 2.0]])], "rows of one length"),
        # A kind and a key have one name: what is wrong stands below another key.
        ([(f"{TARGETS}.values", [1.0, float("nan")])], "inputs.a.targets.values: given nan"),
        ([(f"{TARGETS}.kind", "foo")], 'inputs.a.targets.kind: given "foo"'),
        ([(f"{TARGETS}.value", [1.0])], "inputs.a.targets.value"),
        ([("inputs.a.points", [1.0, float("nan")])], "inputs.a.points: given nan"),
        ([(TARGETS, {"kind": "labels", "code": "sign"})], "inputs of kind digits"),
        ([("inputs.digits.classes", [1, 2, 3]),
          ("inputs.digits.targets", {"kind": "labels", "code": "sign"})], "two classes"),
        ([("inputs.plane.points", [[1.0], [1.0, 2.0]])], "vectors of one length"),
        ([("studies.s", {"ensembles": ["e"], "figures": ["training"]}),
          (f"{ENSEMBLE}.inputs", "digits")], "training of networks with inputs of one component"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_one_sentence(changes, said):
    with pytest.raises(ConfigError, match=said) as refused:
        validate(changed(*changes))
    assert "\n" not in str(refused.value)


def test_a_rate_that_is_allowed_is_below_that_of_infinite_width():
    """The rule leaves a margin for narrow networks that vanishes with width."""
    allowed = []
    for width in (16, 64, 4096):
        with pytest.raises(ConfigError) as refused:
            validate(changed((f"{ENSEMBLE}.width", width), (f"{TRAIN}.learning_rate", 5.0)))
        allowed.append(float(str(refused.value).split("below ")[1].split()[0]))
    assert allowed[0] < allowed[1] < allowed[2]
    assert allowed[2] / allowed[1] < 2


def test_targets_of_every_kind_are_rows_of_outputs(tmp_path):
    np.save(tmp_path / "y.npy", np.arange(6.0).reshape(3, 2))
    line = {"kind": "line", "first": 0.0, "last": 1.0, "count": 3}
    sine = line | {"targets": {"kind": "sine", "frequency": 2.0, "noise": 0.0}}
    assert dataset("x", sine, 1)["target"].values[:, 0] == pytest.approx(np.sin([0, 1, 2]))
    noisy = line | {"targets": {"kind": "sine", "frequency": 2.0, "noise": 0.5}}
    one, two = (dataset("x", noisy, seed)["target"].values for seed in (1, 2))
    assert not np.allclose(one, two)
    file = {"kind": "array", "file": str(tmp_path / "y.npy"), "variable": None}
    assert dataset("x", line | {"targets": file}, 1)["target"].shape == (3, 2)
    digits = {"kind": "digits", "classes": [3, 8], "count": 5}
    sign = dataset("x", digits | {"targets": {"kind": "labels", "code": "sign"}}, 1)["target"]
    assert sign.values[:, 0].tolist() == [1, -1, 1, -1, 1]
    hot = dataset("x", digits | {"targets": {"kind": "labels", "code": "one_hot"}}, 1)["target"]
    assert hot.values.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert "target" not in dataset("x", line, 1)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(4), "array of shape \\(4, 1\\)"),
        (np.zeros((3, 1, 1)), "array of shape"),
        (np.array([1.0, np.nan, 2.0]), "NaN or infinity"),
        (np.array(["a", "b", "c"]), "real numbers"),
    ],
)
def test_a_file_of_targets_that_does_not_fit_is_refused(array, said, tmp_path):
    np.save(tmp_path / "y.npy", array)
    file = {"kind": "array", "file": str(tmp_path / "y.npy"), "variable": None}
    spec = {"kind": "line", "first": 0.0, "last": 1.0, "count": 3, "targets": file}
    with pytest.raises(ConfigError, match=said):
        dataset("x", spec, 1)


def test_a_file_of_targets_that_is_not_there_is_told_at_the_start(tmp_path):
    content = changed((TARGETS, {"kind": "array", "file": "y.npy"}), (f"{ENSEMBLE}.outputs", 1))
    config = validate(content)
    with pytest.raises(
        ConfigError, match=r'inputs.a.targets.file: given "y.npy", allowed is a file'
    ):
        check_given(config, tmp_path)
    np.save(tmp_path / "y.npy", np.zeros(2))
    check_given(config, tmp_path)


def test_rates_of_inputs_in_files_are_checked_where_these_are_read(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0], [2.0]]))
    array = {"kind": "array", "file": "x.npy", "targets": CONTENT["inputs"]["a"]["targets"]}
    config = validate(changed(("inputs.a", array), (f"{TRAIN}.learning_rate", 5.0)))
    with pytest.raises(ConfigError, match="learning_rate: given 5"):
        check_given(config, tmp_path)
