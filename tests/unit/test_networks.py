"""Networks made of blocks in study files: what is read, swept, chosen, described and refused."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from finitewidth.config.network import network
from finitewidth.core.errors import ConfigError
from finitewidth.members.plain import plain
from finitewidth.members.stages import SampledNetworks, predicted, sampled
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.planning.describe import networks_of
from finitewidth.planning.members import members
from finitewidth.provenance import projections
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import validate
from finitewidth.theory.predict.predict_member import predict_member

ROOT = Path(__file__).parents[2]
BASE = {
    "seed": 1,
    "inputs": {"x": {"kind": "sphere", "dimension": 5, "count": 2, "norm": 2.0, "overlap": 0.5}},
    "ensembles": {
        "e": {
            "activation": "tanh", "init": {"C_W": 1.5, "C_b": 0.1}, "width": 8, "inputs": "x",
            "networks": 100, "estimate": ["covariance", "four_point"],
            "network": {"blocks": [{"repeat": 3, "residual": {}}]},
        },
    },
    "studies": {},
}  # fmt: skip


def study(**change):
    """That study with some keys of its ensemble changed; None takes a key out."""
    content = copy.deepcopy(BASE)
    content["ensembles"]["e"] |= change
    content["ensembles"]["e"] = {
        k: v for k, v in content["ensembles"]["e"].items() if v is not None
    }
    return validate(content)


def only(**change):
    (member,) = members(study(**change), "e")
    return member


def layers(*blocks, **keys):
    law = {"inputs": 3, "width": 4, "activation": "tanh", "C_W": 1.5, "C_b": 0.1}
    return network(blocks=list(blocks), **law | keys).layers


def test_blocks_become_layers():
    embed, *rest = layers({"repeat": 2, "residual": {"gamma": 0.5, "beta": "1/sqrt(L)"}})
    assert embed == Dense(inputs=3, neurons=4, C_W=1.5, C_b=0.1)
    own = Dense(inputs=4, neurons=4, C_W=1.5, C_b=0.1)
    block = Block([Nonlinearity("tanh"), own], 0.5, 2**-0.5, "block1")
    assert rest == [block, block, Nonlinearity("tanh"), own]
    (_, plain_block) = layers({}, readout="none")
    assert plain_block == Block([Nonlinearity("tanh"), own], 0.0, 1.0, "block1")


def test_norms_stand_where_they_are_said_to():
    pre = layers({"residual": {"norm": "rms", "eps": 0.1}}, readout={"norm": "same"})
    assert pre[1].branch[0] == pre[2] == RmsNorm(0.1)
    post = layers({"residual": {"norm": "layer", "place": "post"}}, readout={"norm": "same"})
    assert [type(one) for one in post] == [Dense, Block, LayerNorm, Nonlinearity, Dense]
    read = layers({}, readout={"norm": "layer", "eps": 0.2, "activation": "none", "C_b": 0.0})
    assert read[2:] == (LayerNorm(0.2), Dense(inputs=4, neurons=4, C_W=1.5, C_b=0.0))


def test_branches_are_read_step_by_step():
    branch = [{"dense": {"width": "2n", "C_W": 1.0}}, "activation", {"norm": "rms"}, "dense"]
    (_, block, *_) = layers({"residual": {}, "branch": branch})
    wide = Dense(inputs=4, neurons=8, C_W=1.0, C_b=0.1)
    back = Dense(inputs=8, neurons=4, C_W=1.5, C_b=0.1)
    assert block.branch == (wide, Nonlinearity("tanh"), RmsNorm(), back)
    # Where no activation is named one stands before each map; "none" says that there is none.
    (_, two, *_) = layers({"branch": ["dense", "dense"]})
    assert [type(one) for one in two.branch] == [Nonlinearity, Dense] * 2
    (_, linear, *_) = layers({"branch": [{"activation": "none"}, "dense"]})
    assert [type(one) for one in linear.branch] == [Dense]
    (_, other, *_) = layers({"branch": [{"activation": "relu"}, {"dense": {"width": "n/2"}}]})
    assert other.branch == (Nonlinearity("relu"), Dense(inputs=4, neurons=2, C_W=1.5, C_b=0.1))


def test_keys_of_blocks_are_swept():
    residual = {"gamma": [0.0, 1.0], "beta": ["1/L", 0.5], "norm": "rms", "place": ["pre", "post"]}
    found = members(study(network={"blocks": [{"repeat": [1, 2], "residual": residual}]}), "e")
    assert len(found) == 16
    assert len({m.name for m in found}) == 16
    assert {m.name for m in found} > {"repeat-2_gamma-1_beta-1overL_place-post"}
    assert all(set(m.swept) == {"repeat", "gamma", "beta", "place"} for m in found)
    one = next(m for m in found if m.name == "repeat-2_gamma-1_beta-1overL_place-post")
    assert (one.depth, one.layers, one.network.blocks[0].beta) == (3, (1, 2, 3), 0.5)
    # Two blocks that sweep one key are told by their names.
    both = [{"name": "a", "repeat": [1, 2]}, {"repeat": [1, 3]}]
    found = members(study(network={"blocks": both}), "e")
    assert [m.name for m in found][:2] == [
        "a_repeat-1_block2_repeat-1",
        "a_repeat-1_block2_repeat-3",
    ]


@pytest.mark.parametrize(("change", "words"), [
    ({"depth": 3}, "ensembles.e.depth: given [3], allowed is nothing beside network"),
    ({"width": None, "hidden": [4, 4]}, "nothing beside network"),
    ({"width": None, "ladder": [4, 8]}, "nothing beside network"),
    ({"train": {"inputs": "x", "learning_rate": 0.1, "steps": [1]}}, "nothing beside network"),
    ({"population": {"members": 64}}, "allowed is [last] beside a population of a network"),
    ({"population": {}, "layers": ["last"], "network": {"blocks": [{}], "readout": "none"}},
     "a read-out beside a population of a network made of blocks"),
    ({"population": {"power": [2, -1]}, "layers": ["last"]}, "powers above 0 beside a population"),
    ({"population": {}, "layers": ["last"], "measure": ["preactivations", "ntk"],
      "estimate": ["covariance", "ntk"]},
     "preactivations beside a population of a network"),
    ({"sampler": "scalar"}, "marginal or explicit for a network made of blocks"),
    ({"measure": ["log_norm"]}, "preactivations or ntk for a network made of blocks"),
    ({"measure": ["ntk_methods"]}, "preactivations or ntk for a network made of blocks"),
    ({"init": "critical"}, "no critical point is known with skips"),
    ({"init": {"critical_times": 0.9}}, "no critical point is known with skips"),
    ({"outputs": 3, "network": {"blocks": [{}], "readout": "none"}}, "nothing without a readout"),
    ({"measure": ["ntk"], "estimate": ["ntk"], "network": {"blocks": [{}], "readout": "none"}},
     "a read-out, whose tangent kernels are measured"),
    ({"estimate": ["gradient_norm"], "network": {"blocks": [{}], "readout": "none"}},
     "a read-out, whose derivatives are estimated"),
    ({"estimate": ["jacobian", "gradient_norm"]}, "in an ensemble of its own, without gradient"),
    ({"measure": ["preactivations", "ntk"], "estimate": ["jacobian"]}, "its own, without ntk"),
    ({"estimate": ["attention_entropy"]}, "of networks with attention of scores softmax"),
    ({"network": {"blocks": [{"residual": {}, "branch": [{"dense": {"width": "2n"}}]}]}},
     "a skip of 8 channels cannot be added to a branch that ends with 16 channels"),
    ({"network": {"blocks": [{"branch": [{"dense": {"width": "n/3"}}]}]}},
     "n/3 is no whole number at n = 8"),
    ({"network": {"blocks": [{"branch": [{"dense": {"width": "4m"}}]}]}},
     "or a multiple of n such as 4n or n/2"),
    ({"width": 1, "network": {"blocks": [{"residual": {"norm": "layer"}}]}},
     "layer norm takes two channels or more"),
    ({"network": {"blocks": [{"branch": ["activation"]}]}}, "a branch needs a map"),
    ({"network": {"blocks": [{"branch": [{"activation": "relu", "norm": "rms"}]}]}},
     "a step of a branch has exactly one key, not activation and norm"),
    ({"network": {"blocks": [{"name": "a"}, {"name": "a"}]}}, "two blocks of a network have one"),
    ({"network": {"blocks": []}}, "a list of blocks"),
    ({"network": {"blocks": [{"residual": {"norm": "batch"}}]}}, "none, rms"),
    ({"network": {"blocks": [{"residual": {"gama": 1}}]}}, "unknown key (did you mean gamma?)"),
    ({"layers": [5]}, "a layer from 1 to the depth, 4"),
    ({"sampler": "marginal", "weights": "uniform"}, "explicit for uniform weights"),
    ({"init": None, "weights": "pytorch",
      "network": {"blocks": [{}], "embed": {"C_W": 1.0}}}, "nothing for pytorch weights"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(change, words):
    with pytest.raises(ConfigError) as refused:
        study(**change)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_plain_network_of_blocks_may_be_critical():
    member = only(init="critical", network={"blocks": [{"repeat": 2}]})
    assert (member.C_W, member.C_b) == (1.0, 0.0)


@pytest.mark.parametrize(("count", "width", "sampler"), [
    (1, 64, "marginal"), (4, 64, "marginal"), (32, 64, "explicit"), (32, 1024, "marginal"),
])  # fmt: skip
def test_the_cheaper_sampler_is_taken_unless_one_is_named(count, width, sampler):
    inputs = {"x": {"kind": "sphere", "dimension": 100, "count": count, "norm": 2.0}}
    content = copy.deepcopy(BASE) | {"inputs": inputs}
    content["ensembles"]["e"] |= {"width": width, "estimate": ["covariance"]}
    (member,) = members(validate(content), "e")
    assert member.sampler == sampler
    for name in ("marginal", "explicit"):
        content["ensembles"]["e"]["sampler"] = name
        assert members(validate(content), "e")[0].sampler == name


def test_weights_of_another_law_are_drawn():
    assert only(weights="uniform").sampler == "explicit"
    member = only(weights="pytorch", init=None)
    assert (member.sampler, member.C_W) == ("explicit", None)


def test_members_are_plain_data_and_back():
    member = only(network={"blocks": [{"residual": {"norm": "rms"}}], "readout": {"norm": "same"}})
    data = plain(member, SampledNetworks)
    assert sampled(data) == sampled(data | {"network": dict(data["network"])})
    assert plain(sampled(data)) == data
    assert data["network"]["blocks"][0]["branch"][0] == {"step": "norm", "norm": "rms", "eps": 0.0}
    with pytest.raises(ValueError, match=r"SampledNetworks\.network"):
        sampled(data | {"network": data["network"] | {"blocks": [{"name": "a"}]}})
    # Theory does not rerun for what samplers alone see.
    config = study(sampler="explicit")
    (other,) = members(config, "e")
    assert projections.theory(other) == projections.theory(only())


def test_what_a_member_samples_and_predicts_has_the_same_layers():
    member = only(outputs=3, layers=["first", "last"])
    x = np.random.default_rng(1).normal(size=(2, 5))
    found = sample_member(
        sampled(plain(member, SampledNetworks)), x, seed=1, device="cpu", blocks=(0, 1),
        on_tile=lambda done, total: None,
    )  # fmt: skip
    theory = predict_member(predicted(projections.theory(member)["member"]), x)
    for dataset in (found, theory):
        assert dataset["layer"].values.tolist() == [1, 4]
        assert dataset["width"].values.tolist() == [8, 3]
    assert np.isfinite(theory["covariance"].sel(order="1/n")).all()
    assert np.isfinite(theory["four_point"].sel(order="1/n")).all()
    assert (theory["four_point_neglected"].sel(order="infinite_width") > 0).any()


@pytest.mark.parametrize("blocks", [
    [{"residual": {"norm": "rms", "place": "post"}}],
    [{"residual": {}, "branch": ["dense", "activation", "dense"]}],
])  # fmt: skip
def test_where_nothing_is_known_of_1_n_the_table_says_so(blocks):
    member = only(network={"blocks": blocks})
    theory = predict_member(member, np.random.default_rng(1).normal(size=(2, 5)))
    assert np.isfinite(theory["covariance"].sel(order="infinite_width")).all()
    assert np.isnan(theory["covariance"].sel(order="1/n")).all()
    assert np.isnan(theory["four_point"].sel(order="1/n")).all()


@pytest.mark.parametrize(("activation", "C_W", "norm", "repeat", "count"), [
    ("relu", 1e9, "none", 40, 1), ("tanh", 1e9, "none", 3, 2), ("gelu", 1e9, "none", 3, 2),
    ("tanh", 1e9, "layer", 3, 2), ("relu", 0.0, "rms", 3, 2), ("gelu", 1e-9, "layer", 3, 2),
    ("tanh", 1.5, "rms", 1001, 1),
])  # fmt: skip
def test_numbers_beyond_all_bounds_are_no_number_and_no_error(activation, C_W, norm, repeat, count):
    blocks = [{"repeat": repeat, "residual": {"norm": norm, "gamma": 1000.0}}]
    member = only(init={"C_W": C_W}, activation=activation, network={"blocks": blocks},
                  layers=["first", "last"])  # fmt: skip
    x = np.random.default_rng(1).normal(size=(count, 5))
    with np.errstate(all="ignore"):
        theory = predict_member(member, x)
    covariance = theory["covariance"].sel(order="infinite_width")
    assert np.isfinite(covariance.sel(layer=1)).all()
    ways = {"seed": 1, "device": "cpu", "on_tile": lambda done, total: None}
    samples = sample_member(member, x, blocks=(0, 1), **ways)
    # Of numbers that are none an estimator tells which networks are lost.
    assert samples["kernel"].shape == (100, 2, count, count)


@pytest.mark.parametrize(("branch", "place", "independent"), [
    (["dense"], "pre", True), (["dense", "activation"], "pre", False), (["dense"], "post", False),
])  # fmt: skip
def test_what_is_told_of_different_channels_holds(branch, place, independent):
    # A fresh matrix makes channels uncorrelated; a mean of its own, and a norm, do not.
    blocks = [{"branch": branch, "residual": {"norm": "layer", "place": place}}]
    member = only(network={"blocks": blocks, "readout": "none"}, width=4, networks=20000,
                  activation="relu")  # fmt: skip
    x = np.random.default_rng(1).normal(size=(2, 5))
    theory = predict_member(member, x)
    exact = theory["cross_covariance"].sel(order="exact", layer=1)
    assert (exact == 0).all() if independent else exact.isnull().all()
    ways = {"seed": 1, "device": "cpu", "on_tile": lambda done, total: None}
    z = sample_member(member, x, blocks=(0, member.blocks), **ways)["preactivation"].values[:, 0]
    product = z[:, 0, 0] * z[:, 0, 1]
    pull = product.mean() / (product.std() / len(product) ** 0.5)
    # Beyond 5 once in 10^6 runs.
    assert (abs(pull) < 5) == independent
    gaussian = branch[-1] == "dense"
    told = theory["excess_kurtosis"] if "excess_kurtosis" in theory else theory["four_point"]
    assert np.isfinite(told.sel(order="infinite_width")).all() == gaussian


def test_a_study_is_described_block_by_block():
    blocks = [{"name": "body", "repeat": 2, "residual": {"norm": "rms", "beta": 0.5}},
              {"branch": [{"dense": {"width": "4n"}}]}]  # fmt: skip
    text = networks_of(study(network={"blocks": blocks}, outputs=3))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:2] == ["Ensemble e, member only", "tanh, n = 8, 4 layers of results"]
    assert "100 networks on 2 inputs (x); sampler marginal (weights integrated out)" in lines[2]
    assert lines[3:] == [
        "input: 5 components",
        "dense 5 -> 8: 8 channels, 16 numbers",
        "layers 1 to 2 (body) z + 0.5 (RMS norm, tanh, dense 8 -> 8): 8 channels, 16 numbers",
        "layer 3 (block2) tanh, dense 8 -> 32: 32 channels, 64 numbers",
        "tanh: 32 channels",
        "layer 4 dense 32 -> 3: 3 channels, 6 numbers",
    ]
    drawn = networks_of(study(sampler="explicit"))
    assert "dense 5 -> 8: 8 channels, 48 numbers" in drawn
    assert "perceptron: 2 layers of 8 neurons, 8 outputs" in networks_of(
        study(network=None, depth=3)
    )


def test_the_networks_of_the_page_have_the_layers_that_it_says():
    page = (ROOT / "docs/architectures.md").read_text()
    entry, images, tokens = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    found = members(validate(yaml.safe_load(entry)), "resnet")
    assert [(m.width, m.depth) for m in found] == [(128, 7), (128, 11), (512, 7), (512, 11)]
    (cnn, _) = members(validate(yaml.safe_load(images)), "cnn")
    assert (cnn.depth, cnn.network.input.shape) == (7, (3, 8, 8))
    (former, _) = members(validate(yaml.safe_load(tokens)), "transformer")
    assert (former.depth, former.network.input.shape) == (3, (64, 8))


def test_one_network_of_the_library_has_no_sweeps():
    with pytest.raises(ValueError, match="one value of gamma"):
        layers({"residual": {"gamma": [0.5, 1.0]}})
