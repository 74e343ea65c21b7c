"""`import finitewidth as fw`: light, typed, and no misspelt word is passed over."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import finitewidth as fw
from finitewidth.face import results, study_file
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.ntk_ensemble import sample_ntk

STUB = Path(fw.__file__).with_name("__init__.pyi")
X = np.array([[1.0, 0.0, 0.5], [0.2, 1.0, -0.3]])
STUDY = {
    "inputs": {"two": {"kind": "arc", "dimension": 3, "angles": [0, 60]}},
    "ensembles": {
        "one": {"activation": "relu", "init": {"C_W": [1.0, 2.0]}, "width": 8, "depth": 3,
                "inputs": "two", "networks": 200, "estimate": ["covariance", "kurtosis"]},
        "ladder": {"activation": "tanh", "init": "critical", "ladder": [8, 12, 16, 24], "depth": 3,
                   "inputs": "two", "networks": 300},
    },
    "studies": {"both": {"ensembles": ["one", "ladder"], "figures": ["covariance"]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return fw.perceptron("relu", inputs=3, width=8, depth=3)


@pytest.fixture(scope="module")
def samples(net):
    return fw.sample(net, X, networks=200, seed=3, measure=["preactivations", "quartic"],
                     progress=False)  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return fw.load_study(STUDY).run("both", progress=False)


def test_the_import_is_light_and_dir_and_the_stub_know_every_name():
    program = (
        "import sys, finitewidth as fw; loaded = set(sys.modules);"
        "print(sorted(loaded & {'torch', 'numpy', 'xarray', 'pydantic', 'matplotlib', 'tqdm'}));"
        "print(sorted(set(fw.__all__) - set(dir(fw))));"
        "[getattr(fw, name) for name in fw.__all__"
        " if name not in ('tangent_kernel', 'linearize')];"
        "print('torch' in sys.modules, 'snakemake' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split("\n")[:3] == ["[]", "[]", "False False"], done
    told = ast.parse(STUB.read_text()).body
    named = {a.asname for node in told if isinstance(node, ast.ImportFrom) for a in node.names}
    assert {"__version__", *named} == set(fw.__all__)
    places = {a.asname: (node.module, a.name) for node in told if isinstance(node, ast.ImportFrom)
              for a in node.names}  # fmt: skip
    for name, (module, original) in places.items():
        assert f"finitewidth.{fw._FACE[name]}" == module
        assert original == name


def test_estimate_is_a_room_and_a_function_at_once(samples):
    """Whichever of them is imported first."""
    for first in ("", "import finitewidth.estimate.families as f\n", "fw.estimate\n"):
        program = f"import finitewidth as fw\n{first}" + (
            "import finitewidth.estimate.families as f\n"
            "from finitewidth.estimate.samples import Samples\n"
            "import inspect\n"
            "assert 'families' in inspect.signature(fw.estimate).parameters\n"
            "try:\n    fw.estimate([], 'covariance')\n"
            "except ValueError as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout.startswith("samples: given none"), done.stderr


FUNCTIONS = [name for name in fw.__all__ if name.islower() and name != "__version__"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_name_is_documented_and_typed(name):
    function = getattr(fw, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Parameter.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    assert len(inspect.getdoc(function)) > 100


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_misspelt_keyword_is_told_the_others(name, tmp_path):
    function = getattr(fw, name)
    takes_any = {"draw": "look", "inputs": "keys", "load_study": "over"}
    parameters = [p for p in inspect.signature(function).parameters if p not in takes_any.values()]
    given = {
        "draw": (results.ReadStudy(Path("a")), "covariance"),
        "inputs": ("sphere",),
        "load_study": (STUDY,),
    }
    # Two letters changed places.
    word = (
        "wdith" if name in takes_any else parameters[-1][1] + parameters[-1][0] + parameters[-1][2:]
    )
    word = word if word != parameters[-1] else "xq"
    with pytest.raises((TypeError, ValueError, fw.ConfigError)) as told:
        function(*given.get(name, ()), **{word: 1})
    said = str(told.value)
    allowed = {"draw": "font_size", "inputs": "dimension", "load_study": "ensembles"}
    assert word in said
    assert all(p in said for p in parameters) or allowed.get(name, "no") in said, said
    assert "\n" not in said


def raising(net, samples, run):
    """Each parameter that takes words, by function: a call with one of them misspelt, and a word
    that the sentence names."""
    study = fw.load_study(STUDY)
    model = torch.nn.Linear(3, 1)
    x = torch.ones(2, 3)
    more = {"networks": 60, "progress": False}
    return {
        "perceptron": {
            "activation": (lambda: fw.perceptron("rleu", inputs=3, width=4, depth=2), "relu"),
            "weights": (
                lambda: fw.perceptron("relu", inputs=3, width=4, depth=2, weights="nromal"),
                "normal",
            ),
        },
        "network": {
            "activation": (
                lambda: fw.network("than", inputs=3, width=4, blocks=[{"repeat": 2}]), "tanh"),
            "blocks": (
                lambda: fw.network("tanh", inputs=3, width=4, blocks=[{"repaet": 2}]), "repeat"),
            "embed": (
                lambda: fw.network("tanh", inputs=3, width=4, blocks=[{"repeat": 2}],
                                   embed={"C_w": 1.0}), "C_W"),
            "readout": (
                lambda: fw.network("tanh", inputs=3, width=4, blocks=[{"repeat": 2}],
                                   readout="noen"), "none"),
            "read": (
                lambda: fw.network("tanh", inputs=(1, 4), width=4, blocks=[{}], read="center"),
                "centre"),
            "weights": (
                lambda: fw.network("tanh", inputs=3, width=4, blocks=[{"repeat": 2}],
                                   weights="unifrom"), "uniform"),
        },
        "inputs": {"kind": (lambda: fw.inputs("spehre"), "sphere")},
        "infinite_width": {
            "parameterisation": (
                lambda: fw.infinite_width(net, parameterisation="standrad"), "standard")},
        "sample": {
            "measure": (lambda: fw.sample(net, X, measure=["preactivatons"], **more),
                        "preactivations"),
            "sampler": (lambda: fw.sample(net, X, sampler="marginl", **more), "marginal"),
            "parameterisation": (
                lambda: fw.sample(net, X, parameterisation="nkt", **more), "ntk"),
            "precision": (lambda: fw.sample(net, X, precision="float23", **more), "float32"),
            "device": (lambda: fw.sample(net, X, device="cdua", **more), "cuda"),
        },
        "estimate": {
            "samples": (lambda: fw.estimate({"preactivatoin": np.ones((60, 1, 1, 4))}),
                        "preactivation"),
            "families": (lambda: fw.estimate(samples, ["covarince"]), "covariance"),
            "weights": (lambda: fw.estimate(samples, weights="gausian"), "normal"),
        },
        "predict": {
            "families": (lambda: fw.predict(net, X, "covarince"), "covariance"),
            "parameterisation": (
                lambda: fw.predict(net, X, parameterisation="pldt"), "standard"),
        },
        "compare": {
            "quantities": (lambda: fw.compare(run, quantities=["covarinace"]), "covariance")},
        "tangent_kernel": {
            "way": (lambda: fw.tangent_kernel(model, x, way="layerwse"), "layerwise"),
            "form": (lambda: fw.tangent_kernel(model, x, form="sample"), "samples"),
        },
        "load_study": {
            "given": (lambda: fw.load_study({**STUDY, "ensmbles": {}}), "ensembles")},
        "draw": {"figure": (lambda: fw.draw(run, "covarianc"), "covariance")},
        "open_ensemble": {"what": (lambda: fw.open_ensemble(".", "theroy"), "theory")},
        "read_study": {"folder": (lambda: fw.read_study("nowhere/at/all"), "results/studies")},
        "StudyFile": {
            "run": (lambda: study.run("boht"), "both"),
            "inputs": (lambda: study.inputs("tow"), "two"),
            "members": (lambda: study.members["one/C_W1"], "one/C_W-1"),
        },
    }  # fmt: skip


#: Parameters that take no words.
FREE = {
    "x", "y", "inputs", "width", "depth", "hidden", "outputs", "C_W", "C_b", "name", "seed", "of",
    "networks", "layers", "record", "progress", "measured", "theory", "study", "model", "rates",
    "check", "kernels", "ridge", "learning_rate", "steps", "time", "ntk", "spread", "sigmas",
    "dataset", "network", "keys", "over", "look", "tokens",
}  # fmt: skip


def test_no_misspelt_word_is_passed_over(net, samples, run):
    every = raising(net, samples, run)
    for name in FUNCTIONS:
        function = getattr(fw, name)
        for parameter in inspect.signature(function).parameters:
            known = parameter in every.get(name, {}) or parameter in FREE
            known |= (name, parameter) == ("open_ensemble", "folder")
            assert known, f"{name}: does {parameter} take words?"
    for name, calls in every.items():
        for parameter, (call, word) in calls.items():
            with pytest.raises((ValueError, KeyError, fw.ConfigError, fw.ArtifactError)) as told:
                call()
            assert word in str(told.value), (name, parameter, told.value)
            assert "allowed" in str(told.value), (name, parameter, told.value)
            assert "\n" not in str(told.value)


@pytest.mark.parametrize("measure", [["quartic"], ["preactivations", "sextic"]])
def test_what_would_be_left_out_in_silence_is_refused(net, measure):
    with pytest.raises(ValueError, match="allowed are both"):
        fw.sample(net, X, networks=60, measure=measure, progress=False)


@pytest.mark.parametrize(
    "given",
    [{"measure": ["preactivatons"]}, {"measure": "ntk_method"}, {"sampler": "magic"},
     {"precision": "half"}],
)  # fmt: skip
def test_samplers_themselves_pass_over_no_word(net, given):
    rates = LearningRates.named("ntk", net)
    for call in (
        lambda: sample(net, X, networks=60, seed=1, **given),
        lambda: sample_ntk(net, rates, X, networks=60, seed=1, **given),
    ):
        with pytest.raises(ValueError, match="allowed is one of"):
            call()


def test_from_a_mapping_to_a_table_in_three_lines():
    study = fw.load_study(STUDY)
    run = study.run(progress=False)
    rows = fw.compare(run)
    assert set(rows["ensemble"]) == {"one", "ladder"}
    assert {"theory", "estimate", "standard_error", "z", "trusted", "reason"} <= set(rows)
    trusted = rows[rows["holds"]]
    # 4.6 % are beyond 2; 800 correlated numbers at a fixed seed.
    assert len(trusted) > 100
    assert (trusted["z"].abs() > 2).mean() < 0.15
    assert rows.loc[rows["quantity"] == "kernel_mean", "width"].nunique() == 4


def test_one_network_and_a_member_of_the_same_names_are_drawn_alike():
    study = fw.load_study({**STUDY, "seed": 5})
    member = study.members["one/C_W-2"]
    net = fw.perceptron("relu", inputs=3, width=8, depth=3, C_W=2.0)
    x = fw.inputs("arc", name="two", seed=5, dimension=3, angles=[0, 60])
    assert np.array_equal(x, member.inputs)
    mine = fw.sample(net, x, networks=200, seed=5, name=("one", "C_W-2"), progress=False)
    theirs = member.sample(progress=False)
    for name in ("preactivation", "kernel"):
        assert np.array_equal(mine[name], theirs[name])
    families = ["covariance", "kurtosis"]
    theory = fw.predict(net, x, families)
    xr.testing.assert_equal(theory, member.predict().drop_vars("network", errors="ignore"))
    found = member.estimate(theirs)
    alone = fw.estimate(mine, "covariance")
    for name in alone.data_vars:
        assert np.array_equal(alone[name], found[name], equal_nan=True)
    frame = fw.compare(found, theory)
    assert set(frame["activation"]) == {"relu"}
    assert set(frame["C_W"]) == {2.0}


def torch_networks(count, width, seed):
    """z of two layers of somebody's own torch code, (network, layer, input, neuron)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.tensor(X, dtype=torch.float64)
    first = torch.randn(count, width, 3, generator=generator, dtype=torch.float64) * (2 / 3) ** 0.5
    second = torch.randn(count, width, width, generator=generator, dtype=torch.float64)
    second *= (2 / width) ** 0.5
    z1 = x @ first.mT
    z2 = torch.relu(z1) @ second.mT
    return torch.stack([z1, z2], 1)


def test_samples_of_ones_own_torch_code_are_estimated():
    z = torch_networks(4000, 12, 1).requires_grad_()
    found = fw.estimate({"preactivation": z}, ["covariance", "four_point", "kurtosis"], seed=1)
    theory = fw.predict(fw.perceptron("relu", inputs=3, width=12, depth=3, C_W=2.0), X,
                        ["covariance", "four_point", "kurtosis"], layers=[1, 2])  # fmt: skip
    rows = fw.compare(found, theory)
    exact = rows[(rows["order"] == "exact") & rows["trusted"] & rows["z"].notna()]
    assert len(exact) > 20
    # Beyond 4.5 in less than one of 1000 choices of the seed.
    assert exact["z"].abs().max() < 4.5
    assert set(rows["layer"]) == {1, 2}
    # Kernels that one's own code has summed are taken as they are.
    kernel = torch.einsum("lain,lajn->laij", z, z) / 12
    again = fw.estimate({"preactivation": z[..., :4], "kernel": kernel, "quartic": None or
                         fw_quartic(z)}, ["four_point"], width=12, seed=1)  # fmt: skip
    both = found["intralayer"], again["intralayer"]
    np.testing.assert_allclose(*both, rtol=1e-10, atol=1e-12)


def fw_quartic(z):
    z = z.detach().numpy()
    quads = [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1)]
    return np.stack([np.mean(np.prod([z[:, :, k] for k in q], axis=0), -1) for q in quads], -1)


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        ({}, {}, "none"),
        ({"kernel": np.ones((60, 2, 2, 2))}, {}, "width"),
        ({"kernel": np.ones((60, 2, 2, 3))}, {"width": 4}, "3 along input_"),
        ({"kernel": np.ones((60, 2, 2))}, {"width": 4}, "(network, layer, input, input_)"),
        ({"kernel": np.ones((60, 2, 2, 2)), "ntk": np.ones((50, 1, 1, 2, 2))}, {"width": 4},
         "50 along network"),
        ({"kernel": np.ones((60, 2, 2, 2))}, {"width": 4, "layers": [1]}, "1 of them"),
        ({"kernel": np.ones((60, 2, 2, 2))}, {"width": 4, "families": "four_point"}, "quartic"),
        ({"preactivation": np.ones((20, 1, 1, 4))}, {"families": "covariance"}, "50"),
        ({"preactivation": np.full((60, 1, 1, 4), "a")}, {}, "allowed are numbers"),
        (xr.Dataset({"kernel": ("network", [1.0])}), {}, "coordinate network is missing"),
        ([], {}, "given none"),
    ],
)  # fmt: skip
def test_what_samples_of_ones_own_lack_is_said(given, more, said):
    with pytest.raises(ValueError) as told:  # noqa: PT011
        fw.estimate(given, **more)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_bar_is_drawn_where_it_is_wanted(net, capsys):
    fw.sample(net, X, networks=60)
    assert "sampling" in capsys.readouterr().err
    fw.sample(net, X, networks=60, progress=False)
    assert capsys.readouterr().err == ""


def test_torch_is_left_as_it_was(net):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        fw.sample(net, X, networks=60, sampler="explicit", progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_kernel_of_infinite_width_is_trained(net):
    kernels = fw.infinite_width(net)(X)
    exact = fw.predict(net, X, "ntk")["ntk"].sel(order="infinite_width", layer=3)
    assert np.allclose(kernels.ntk, exact)
    trained = fw.gradient_descent_mse(kernels, np.array([1.0]), time=np.inf)
    assert np.allclose(trained.mean[0], 1.0)


def test_what_the_face_hands_out_has_words_for_itself(run):
    study = fw.load_study(STUDY)
    assert "one/C_W-1" in repr(study.members)
    assert study.members[0] is study.members["one/C_W-1"]
    assert dict(study.members[1].swept) == {"C_W": 2.0}
    assert "2 members" in repr(
        fw.load_study({**STUDY, "ensembles": {"one": STUDY["ensembles"]["one"]}, "studies": {}})
    )
    assert isinstance(study, study_file.StudyFile)
    figure = fw.draw(run, "covariance", width=4.0)
    assert figure.get_figwidth() == pytest.approx(4.0)
    assert isinstance(results.ReadStudy(Path("a")).name, str)
