"""Study files: what is accepted, how it expands, and the sentence that refuses the rest."""

import copy
from itertools import pairwise

import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.models.parameterisation import Parameterisation
from finitewidth.models.perceptron import Perceptron
from finitewidth.planning.members import batches, members
from finitewidth.study.study_file import load, merged, validate
from study_content import with_value

pytestmark = pytest.mark.fast

GOOD = {
    "seed": 1,
    "inputs": {
        "a": {"kind": "sphere", "dimension": 4, "count": 2},
        "many": {"kind": "digits", "count": 9},
        "one": {"kind": "sphere", "dimension": 4, "count": 1},
    },
    "ensembles": {
        "lin": {
            "activation": "linear",
            "init": {"C_W": [1.0, 100.0]},
            "width": [8, 16],
            "depth": 3,
            "inputs": "a",
            "networks": 100,
        }
    },
    "studies": {"s": {"ensembles": ["lin"], "figures": ["covariance"]}},
}
LIN = ("ensembles", "lin")


def changed(*path_and_value):
    *path, value = path_and_value
    return with_value(GOOD, path, value)


@pytest.mark.parametrize(
    ("content", "key", "given", "allowed"),
    [
        (changed("sed", 1), "sed", "unknown key", "seed"),
        (changed("seed", "1e-5"), "seed", '"1e-5"', "whole number"),
        (changed("seed", True), "seed", "True", "whole number"),
        (changed("device", "gpu"), "device", '"gpu"', "cuda"),
        (changed(*LIN, "width", -4), "ensembles.lin.width", "-4", "at least 1"),
        (changed(*LIN, "width", [4, 4]), "ensembles.lin.width", "[4, 4]", "different"),
        (changed(*LIN, "width", [4, "8"]), "ensembles.lin.width", '"8"', "whole number"),
        (changed(*LIN, "width", []), "ensembles.lin.width", "[]", "at least 1"),
        (changed(*LIN, "inputs", "b"), "ensembles.lin.inputs", '"b"', "one of a, many, one"),
        (changed(*LIN, "networks", 0), "ensembles.lin.networks", "0", "at least 50"),
        (changed(*LIN, "init", {"C_W": -1.0}), "ensembles.lin.init.C_W", "-1.0", "at least 0"),
        (changed(*LIN, "init", {"C_W": "1e-5"}), "ensembles.lin.init.C_W", "1.0e-5", "number"),
        (changed(*LIN, "init", {"C_W": float("nan")}), "ensembles.lin.init.C_W", "nan", "number"),
        (changed(*LIN, "init", {"C_w": 1.0}), "ensembles.lin.init.C_w", "unknown key", "C_W"),
        (changed(*LIN, "init", {"C_b": 1.0}), "ensembles.lin.init.C_W", "nothing", "number"),
        (changed(*LIN, "init", "best"), "ensembles.lin.init", '"best"', "critical"),
        (changed(*LIN, "activation", "rleu"), "ensembles.lin.activation", '"rleu"', "relu"),
        (changed(*LIN, "layers", ["first", 9]), "ensembles.lin.layers", "9", "depth, 3"),
        (changed(*LIN, "weights", "uniform"), "ensembles.lin.sampler", "marginal", "explicit"),
        (changed(*LIN, "weights", "pytorch"), "ensembles.lin.init", "a value", "nothing"),
        (changed(*LIN, "normality", {"neurons": 40}), "lin.normality.neurons", "40", "2 to 20"),
        (changed(*LIN, "measure", ["ntkk"]), "ensembles.lin.measure", "ntkk", "log_norm"),
        (changed("inputs", "a", {"kind": "foo"}), "inputs.a.kind", '"foo"', "sphere"),
        (changed("inputs", "a", "overlap", -2.0), "inputs.a.overlap", "-2.0", "-1 to 1"),
        (changed("inputs", "../a", {"kind": "digits", "count": 1}), "inputs", '"../a"', "letters"),
        (changed("studies", "s", "figures", ["pie"]), "studies.s.figures", '"pie"', "covariance"),
        (changed("studies", "s", "ensembles", ["no"]), "studies.s.ensembles", '"no"', '"lin"'),
        (
            changed("studies", "s", "figures", ["quadruple"]),
            "studies.s.figures",
            "quadruple",
            "est",
        ),
        (changed(*LIN, 4), "ensembles.lin", "4", "mapping"),
        (changed("ensembles", []), "ensembles", "[]", "mapping"),
    ],
)
def test_a_bad_config_is_refused_in_one_sentence(content, key, given, allowed):
    with pytest.raises(ConfigError) as caught:
        validate(content)
    sentence = str(caught.value)
    assert "\n" not in sentence
    head, tail = sentence.split(", allowed ", 1)
    assert key in head
    assert given in head
    assert allowed in tail


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"activation": "softplus", "init": "critical"}, "init"),
        ({"activation": "tanh", "measure": ["log_norm"], "init": "critical"}, "measure"),
        ({"measure": ["log_norm"], "estimate": ["four_point"]}, "estimate"),
        ({"estimate": ["quadruple"], "record": 3}, "record"),
        ({"estimate": ["quadruple"], "width": 3}, "width"),
        ({"inputs": "many", "estimate": ["four_point"]}, "estimate"),
        ({"estimate": ["normality"], "record": 20, "width": 20}, "networks"),
        ({"estimate": ["normality"], "networks": 9999}, "record"),
        ({"estimate": ["kernel_moments"]}, "estimate"),
        ({"hidden": [4, 5]}, ""),
        ({"width": None}, ""),
        ({"width": None, "hidden": [4, 5]}, "depth"),
        ({"depth": None}, "depth"),
        ({"width": None, "ladder": [4, 8], "estimate": ["four_point"]}, "estimate"),
        ({"width": None, "ladder": [4, 8], "measure": ["log_norm"]}, "measure"),
        ({"width": None, "ladder": [4, 8], "sampler": "explicit"}, "ladder"),
        ({"width": None, "ladder": [4, 8], "inputs": "many"}, "inputs"),
        ({"width": None, "ladder": [4, 4]}, "ladder"),
        ({"init": {"critical_times": 2.0, "C_W": 1.0}}, "init"),
        ({"init": {"critical_times": 2.0}, "activation": "sigmoid"}, "init"),
        ({"estimate": ["ntk"]}, "estimate"),
        ({"ntk": {"parameterisation": "standard"}}, "ntk"),
        ({"measure": ["ntk"], "estimate": ["dntk"]}, "estimate"),
        ({"measure": ["ntk"], "estimate": ["four_point"]}, "estimate"),
        ({"measure": ["ntk"], "ntk": {"parameterisation": "pdlt"}}, r"ntk\.lambda_b"),
        ({"measure": ["ntk"], "ntk": {"lambda_W": 1.0}}, r"ntk\.lambda_W"),
        ({"measure": ["ntk", "dntk"]}, "sampler"),
        ({"measure": ["dntk"], "sampler": "explicit"}, "measure"),
        ({"measure": ["ntk", "log_norm"]}, "measure"),
        ({"measure": ["ntk_methods"]}, "sampler"),
        ({"measure": ["ntk_methods", "ntk"], "sampler": "explicit"}, "measure"),
        ({"measure": ["ntk_methods"], "sampler": "explicit", "shards": 2}, "shards"),
        (
            {"measure": ["ntk", "dntk"], "sampler": "explicit", "estimate": ["dntk"], "outputs": 1},
            r"ntk\.outputs",
        ),
        ({"measure": ["ntk", "preactivations"], "layers": [1]}, "layers"),
        ({"sampler": "scalar"}, "measure"),
        ({"sampler": "scalar", "measure": ["ntk"], "activation": "tanh"}, "activation"),
        ({"sampler": "scalar", "measure": ["ntk"], "inputs": "many"}, "inputs"),
        ({"sampler": "scalar", "measure": ["ntk"], "init": {"C_W": 1.0, "C_b": 0.1}}, r"init\.C_b"),
        ({"width": None, "ladder": [4, 8], "measure": ["ntk"]}, "measure"),
        ({"width": None, "ladder": [4, 8], "ntk": {"parameterisation": "standard"}}, "ntk"),
        ({"population": {"power": 0}}, r"population\.power"),
        ({"population": {"power": [2, 2.0]}}, r"population\.power"),
        ({"population": {"power": 9}}, r"population\.power"),
        ({"population": {"islands": 5}}, r"population\.islands"),
        ({"population": {"members": 5}}, r"population\.members"),
        ({"population": {"of": 2}}, r"population\.of"),
        ({"population": {"of": -1}}, r"population\.of"),
        ({"population": {"of": "largest"}}, r"population\.of"),
        ({"population": {}, "sampler": "explicit"}, "population"),
        ({"population": {}, "weights": "uniform", "sampler": "explicit"}, "population"),
        ({"population": {}, "estimate": ["distribution"]}, "population"),
        ({"population": {}, "train": {"inputs": "a", "times": [1.0]}}, "population"),
        ({"population": {}, "measure": ["ntk"], "inputs": "many"}, "inputs"),
        ({"population": {"of": 2}, "measure": ["ntk"]}, r"population\.of"),
        ({"population": {}, "measure": ["ntk"], "estimate": ["ntk_tensors"]}, "population"),
        (
            {"population": {}, "measure": ["ntk"], "inputs": "one", "sampler": "explicit"},
            "population",
        ),
        ({"population": {}, "inputs": "many", "estimate": ["covariance"]}, "inputs"),
        (
            {"population": {}, "width": None, "ladder": [4, 8], "estimate": ["log_kernel"]},
            "population",
        ),
        # The mean of 1/Ghat is infinite of ReLU, and of n neurons near 0 that are too few.
        ({"population": {"power": -1}, "activation": "relu"}, r"population\.power"),
        ({"population": {"power": -1}, "width": 2}, r"population\.power"),
        (
            {"population": {"power": -1}, "width": 2, "init": "critical", "activation": "tanh"},
            r"population\.power",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(change, key):
    content = copy.deepcopy(GOOD)
    content["ensembles"]["lin"] |= change
    content["studies"] = {}
    with pytest.raises(ConfigError, match=rf"config key ensembles\.lin\.?{key}: given .* allowed "):
        validate(content)


@pytest.mark.parametrize(
    "change",
    [
        {"population": {"power": -1}},
        {
            "population": {"power": [-1, 2, 2.5]},
            "activation": "relu",
            "init": {"C_W": 1.0, "C_b": 0.1},
        },
        {"population": {"power": -1}, "width": 2, "activation": "gelu", "init": "critical"},
        {"population": {"power": -3}, "width": 2, "activation": "cos"},
        {"population": {}, "activation": "relu", "estimate": ["covariance", "log_norm"]},
    ],
)
def test_powers_whose_mean_is_finite_are_taken(change):
    content = copy.deepcopy(GOOD)
    content["ensembles"]["lin"] |= change
    (m, *_) = members(validate(content), "lin")
    assert m.population.powers == tuple(np.ravel(change["population"].get("power", [])))
    assert m.population.orders


@pytest.mark.parametrize(
    ("change", "orders", "tangents"),
    [
        ({"measure": ["ntk"]}, (), (1, 2)),
        ({"measure": ["ntk"], "sampler": "scalar"}, (), (1, 2)),
        (
            {"measure": ["preactivations", "ntk"], "estimate": ["covariance", "ntk"]},
            (1,),
            (1, 2),
        ),
        ({"measure": ["ntk"], "inputs": "a"}, (), (1, 2)),
        (
            {"measure": ["preactivations", "ntk"], "estimate": ["kurtosis", "ntk"], "inputs": "a"},
            (1, 2),
            (1, 2),
        ),
    ],
)
def test_populations_of_tangent_kernels_are_taken(change, orders, tangents):
    content = copy.deepcopy(GOOD)
    content["ensembles"]["lin"] |= {"population": {}, "inputs": "one"} | change
    content["studies"] = {}
    (m, *_) = members(validate(content), "lin")
    assert (m.population.orders, m.population.tangents) == (orders, tangents)


def test_an_island_is_never_divided_and_every_one_is_drawn():
    content = copy.deepcopy(GOOD)
    change = {"population": {"islands": 21}, "networks": 10**6, "shards": 8}
    content["ensembles"]["lin"] |= change
    for m in members(validate(content), "lin"):
        bounds = [m.island_bounds(shard) for shard in range(m.shard_count)]
        assert m.shard_count == 8
        assert (bounds[0][0], bounds[-1][1]) == (0, 21)
        assert all(a[1] == b[0] and a[0] < a[1] for a, b in pairwise(bounds))
    content["ensembles"]["lin"] |= {"shards": 100}
    assert {m.shard_count for m in members(validate(content), "lin")} == {21}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seed: 1\nseed: 2\n", 'line 2: given the key "seed" twice'),
        ("seed: [1\n", "cannot be read as YAML"),
        ("- 1\n", "a mapping"),
        ("", "a mapping"),
        ("seed: !!python/object/apply:os.system [ls]\n", "the tag .*values without tags"),
        ("1: 2\n", 'line 1: given the key "1".*, allowed are words'),
    ],
)
def test_a_file_that_is_no_study_file_is_refused(tmp_path, text, part):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=part):
        load([path])


def test_a_sweep_is_one_member_for_each_combination():
    found = members(validate(GOOD), "lin")
    assert [m.name for m in found] == [
        "width-8_C_W-1",
        "width-8_C_W-100",
        "width-16_C_W-1",
        "width-16_C_W-100",
    ]
    assert [(m.width, m.C_W) for m in found] == [(8, 1), (8, 100), (16, 1), (16, 100)]


def test_names_of_layers_become_layers():
    content = changed(*LIN, "layers", ["first", "second", "middle", "last"])
    content["ensembles"]["lin"]["depth"] = 9
    assert members(validate(content), "lin")[0].layers == (1, 2, 5, 9)


def test_shards_are_whole_blocks_that_cover_every_network_once():
    content = changed(*LIN, "networks", 9000)
    content["ensembles"]["lin"]["shards"] = 3
    m = members(validate(content), "lin")[0]
    bounds = [m.shard_bounds(k) for k in range(m.shard_count)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == m.blocks
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert (m.blocks - 1) * m.block < 9000 <= m.blocks * m.block


def test_more_shards_than_blocks_are_not_made():
    content = changed(*LIN, "shards", 50)
    assert members(validate(content), "lin")[0].shard_count == 1


def test_critical_init_is_computed_and_says_what_it_chose():
    content = changed(*LIN, "init", "critical")
    content["ensembles"]["lin"]["activation"] = ["relu", "leaky_relu(0.5)", "erf", "gelu"]
    found = {m.activation: m for m in members(validate(content), "lin")}
    chosen = {name: (m.C_b, m.C_W) for name, m in found.items()}
    assert chosen["relu"] == (0, 2)
    assert chosen["leaky_relu(0.5)"] == (0, 1.6)
    assert chosen["erf"] == pytest.approx((0, 0.7853981633974483))
    # THEORY: PDLT section 5.3 and the literature give (0.17292239, 1.98305826) for GELU.
    assert chosen["gelu"] == pytest.approx((0.17292239, 1.98305826), abs=1e-8)
    assert "scale-invariant" in found["relu"].init
    assert "half-stable" in found["gelu"].init
    assert "3.5615" in found["gelu"].init


def test_an_activation_without_a_critical_point_says_why():
    content = changed(*LIN, "init", "critical")
    content["ensembles"]["lin"]["activation"] = "softplus"
    with pytest.raises(ConfigError, match=r"critical for softplus, allowed is .*C_W.* because"):
        validate(content)


def test_times_critical_is_a_sweep_of_C_W():
    content = changed(*LIN, "init", {"critical_times": [0.5, 1.0]})
    content["ensembles"]["lin"] |= {"activation": ["relu", "gelu"], "width": 8}
    found = members(validate(content), "lin")
    assert [m.name for m in found][:2] == ["activation-relu_C_W-1", "activation-relu_C_W-2"]
    times = found[3].C_W / found[2].C_W
    assert times == pytest.approx(2)
    assert found[2].C_b == found[3].C_b > 0


def test_hidden_widths_may_differ_from_layer_to_layer():
    content = changed(*LIN, "width", None)
    content["ensembles"]["lin"] |= {"hidden": [8, 2, 5], "depth": None}
    m = members(validate(content), "lin")[0]
    assert m.layers == (1, 2, 3, 4)
    assert m.record == 2
    mlp = Perceptron.of_member(m, dimension=4)
    assert mlp.widths == (4, 8, 2, 5, 5)


def test_a_ladder_is_one_member_with_a_law_a_width():
    content = changed(*LIN, "width", None)
    content["ensembles"]["lin"] |= {"ladder": [8, 16, 32, 64]}
    content["studies"] = {"s": {"ensembles": ["lin"], "quantities": ["kernel_mean_1"]}}
    found = members(validate(content), "lin")
    assert [m.name for m in found] == ["C_W-1", "C_W-100"]
    mlps = Perceptron.of_ladder(found[0], dimension=4)
    assert [mlp.widths for mlp in mlps] == [(4, n, n, n) for n in (8, 16, 32, 64)]
    content["ensembles"]["lin"]["ladder"] = [8, 16, 32]
    with pytest.raises(ConfigError, match=r"studies\.s\.quantities"):
        validate(content)


def test_four_widths_of_tensors_have_coefficients():
    content = changed(*LIN, "width", [8, 16, 32, 64])
    content["ensembles"]["lin"] |= {"measure": ["ntk"], "estimate": ["ntk", "ntk_tensors"]}
    content["studies"] = {"s": {"ensembles": ["lin"], "quantities": ["ntk_F_1", "ntk_A_2"]}}
    validate(content)
    for key, value in (("width", [8, 16, 32]), ("estimate", ["ntk"])):
        fewer = copy.deepcopy(content)
        fewer["ensembles"]["lin"][key] = value
        with pytest.raises(ConfigError, match=r"studies\.s\.quantities"):
            validate(fewer)
    # Of the mean there is no sweep.
    content["studies"]["s"]["quantities"] = ["ntk_mean_1"]
    with pytest.raises(ConfigError, match=r"studies\.s\.quantities"):
        validate(content)


def test_members_share_a_job_until_they_are_dear():
    content = changed(*LIN, "networks", 10**6)
    assert [len(b.members) for b in batches(validate(content))] == [4]
    content = changed(*LIN, "networks", 10**7)
    found = batches(validate(content))
    assert [len(b.members) for b in found] == [1] * 4
    assert {b.shards for b in found} == {1}
    content["ensembles"]["lin"]["shards"] = 2
    found = batches(validate(content))
    assert [len(b.members) for b in found] == [1] * 4
    assert len({b.name for b in found}) == 4


def test_overrides_are_laid_on_top_key_by_key():
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


def test_tangent_kernels_are_of_the_last_layer_and_of_few_outputs():
    content = copy.deepcopy(GOOD)
    content["studies"] = {}
    content["ensembles"]["lin"] |= {"measure": ["ntk"], "depth": [3, 40], "width": 4}
    content["ensembles"]["lin"] |= {"init": {"C_W": 1.0}, "estimate": None}
    first, deep = members(validate(content), "lin")
    assert (first.layers, deep.layers) == ((3,), (40,))
    assert first.ntk == Parameterisation(name="ntk", lambda_b=None, lambda_W=None)
    assert first.ntk_outputs == 2
    assert first.estimate == ("ntk", "ntk_tensors")
    content["ensembles"]["lin"] |= {"sampler": "scalar", "inputs": "one"}
    content["inputs"]["one"] = {"kind": "sphere", "dimension": 4, "count": 1}
    assert members(validate(content), "lin")[0].ntk_outputs == 1
    content["ensembles"]["lin"] |= {"sampler": "marginal", "measure": ["preactivations", "ntk"]}
    both = members(validate(content), "lin")[0]
    assert both.layers == (1, 2, 3)
    assert {"covariance", "four_point", "ntk"} <= set(both.estimate)
