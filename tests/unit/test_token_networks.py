"""Networks on tokens in study files: shapes that fit or are refused, what is described and run."""

import copy
from functools import partial

import numpy as np
import pytest

import finitewidth as fw
from block_studies import changed, content_of, one_member, sampled_and_predicted
from finitewidth.config.network import network
from finitewidth.core.errors import ConfigError
from finitewidth.data.inputs import vectors
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.members import words
from finitewidth.members.plain import of_plain, plain
from finitewidth.members.stages import EstimatedNetworks, SampledNetworks
from finitewidth.models.block_maps import map_sizes
from finitewidth.models.block_network import architecture_of
from finitewidth.models.layers.attention import Attention, Heads
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.positions import Positions
from finitewidth.planning import cost
from finitewidth.planning.describe import networks_of
from finitewidth.planning.members import members
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate

ATTENTION = {"attention": {"heads": 2}}
BASE = content_of(
    {
        "words": {"kind": "tokens", "count": 2, "length": 3, "channels": 8, "overlap": 0.3},
        "pictures": {"kind": "images", "count": 2, "positions": [4, 6]},
        "vectors": {"kind": "sphere", "dimension": 24, "count": 2, "norm": 2.0},
    },
    {"blocks": [{"residual": {"norm": "layer"}, "branch": [ATTENTION]}]},
)
LAW = {"C_W": 1.5, "C_b": 0.1}


study, only = partial(changed, BASE), partial(one_member, BASE)


def branch(**keys):
    return {"blocks": [{"branch": [{"attention": {"heads": 2} | keys}]}]}


def of_heads(channels, heads, size, out, law=None, **how):
    each = {
        part: Heads(inputs=channels, neurons=heads * size, heads=heads, part=part,
                    **LAW | (law or {}).get(part, {}))
        for part in ("query", "key", "value")
    }  # fmt: skip
    output = Dense(inputs=heads * size, neurons=out, **LAW | (law or {}).get("output", {}))
    return Attention(**each, output=output, **how)


def test_words_become_layers_on_tokens():
    made = architecture_of(only({"embed": {"positions": 0.2}}), 24)
    assert made.shape == (8, 3)
    assert made.layers == (
        Dense(inputs=8, neurons=8, **LAW),
        Block([Positions(tokens=3, neurons=8, C_W=0.6000000000000001)], name="positions"),
        Block([LayerNorm(), of_heads(8, 2, 4, 8)], 1.0, 1.0, "block1"),
        Nonlinearity("tanh"), AveragePool(), Dense(inputs=8, neurons=8, **LAW),
    )  # fmt: skip
    laws = {"q": {"C_W": 2.0}, "k": {"C_b": 0.0}, "v": {"C_W": 3.0}, "o": {"C_b": 0.5}}
    keys = {"heads": "n/4", "head_dim": "2n", "width": "3n", "scale": "full", "causal": True,
            "scores": "identity"}  # fmt: skip
    other = only(branch(**keys, **laws) | {"readout": "none"}, outputs=None)
    own = {"query": {"C_W": 2.0}, "key": {"C_b": 0.0}, "value": {"C_W": 3.0},
           "output": {"C_b": 0.5}}  # fmt: skip
    how = {"scale": "full", "causal": True, "scores": "identity"}
    assert architecture_of(other, 24).layers[1].branch == (of_heads(8, 2, 16, 24, own, **how),)
    # An activation stands before maps, and not before attention.
    mixed = only({"blocks": [{"branch": [ATTENTION, "dense"]}]})
    kinds = [type(layer) for layer in architecture_of(mixed, 24).layers[1].branch]
    assert kinds == [Attention, Nonlinearity, Dense]


def test_members_go_through_plain_data():
    member = only(branch(causal=True) | {"embed": {"positions": 0.1}, "read": "first"})
    assert of_plain(plain(member, SampledNetworks), SampledNetworks).network == member.network


def test_the_library_has_the_same_words():
    keys = copy.deepcopy(BASE["ensembles"]["e"]["network"])
    wanted = architecture_of(only(), 24)
    about = {"width": 8, **LAW}
    given = {"tokens": 3, "channels": 8}
    assert network(inputs=24, activation="tanh", input=given, **about, **keys) == wanted
    assert fw.network("tanh", inputs=8, tokens=3, **about, **keys) == wanted
    with pytest.raises(ValueError, match="allowed is the channels of a token"):
        fw.network("tanh", inputs=(8, 2), tokens=3, **about, **keys)
    with pytest.raises(ValueError, match="take tokens"):
        fw.network("tanh", inputs=8, **about, **keys)


@pytest.mark.parametrize("given", [
    {}, branch(heads=4, head_dim=3, width="2n"), {"readout": {"pool": "flatten"}},
    {"embed": {"positions": 0.5}, "readout": "none", "read": "all"},
    {"blocks": [{"repeat": 3, "branch": [ATTENTION, {"dense": {"width": "2n"}}, "dense"]}, {}]},
])  # fmt: skip
def test_maps_have_the_sizes_of_the_layers_that_they_become(given):
    member = only(given)
    made = architecture_of(member, 24)
    counted = [size for size, k in map_sizes(member.network, member.outputs) for _ in range(k)]
    assert sorted(counted) == sorted(made.map_sizes)


@pytest.mark.parametrize(("change", "words"), [
    ({"network": branch(heads=3)}, "3 heads do not divide 8 channels"),
    ({"network": branch(heads="n/16")}, "n/16 is no whole number at n = 8"),
    ({"inputs": "vectors"}, "attention and positional vectors take tokens, whose number and"
     " channels stand under input, not vectors"),
    ({"inputs": "vectors", "network": {"blocks": [{}], "embed": {"positions": 0.1}}},
     "positional vectors take tokens"),
    ({"inputs": "pictures", "network": {"embed": {"map": "conv"}}}, "take tokens"),
    ({"network": {"embed": {"map": "conv"}}}, "convolution 8 -> 8, 3 x 3"),
    ({"network": {"input": {"tokens": 5, "channels": 8}}},
     "5 tokens of 8 channels do not fit vectors of 24 components"),
    ({"network": {"input": {"tokens": 3, "positions": [3], "channels": 8}}},
     "either positions, of images, or tokens"),
    ({"network": {"input": {"channels": 8}}}, "either positions, of images, or tokens"),
    ({"network": {"blocks": [{"branch": [{"pool": {"average": 3}}]}]}},
     "takes images that its windows cover, not 8 channels of 3 tokens"),
    ({"network": branch(width="2n") | {"blocks": [
        {"residual": {}, "branch": [{"attention": {"heads": 2, "width": "2n"}}]}]}},
     "a skip of 8 channels of 3 tokens cannot be added to a branch that ends with 16 channels of 3"
     " tokens"),
    ({"network": branch(scale="root")}, "sqrt"), ({"network": branch(scores="relu")}, "softmax"),
    ({"network": branch(heads=0)}, "a whole number of at least 1"),
    ({"network": {"blocks": [{"branch": ["attention"]}]}}, "a list of steps"),
    ({"network": {"read": "all"}}, "none where read is all: means over places leave one"),
    ({"network": {"read": "all", "readout": "none"}, "inputs": "many"},
     "four_point on 12 inputs"),
    ({"init": None, "weights": "pytorch", "network": branch(k={"C_b": 1.0})},
     "nothing for pytorch weights"),
    ({"init": "critical"}, "no critical point is known"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(change, words):
    content = copy.deepcopy(BASE)
    content["inputs"]["many"] = BASE["inputs"]["words"] | {"length": 6, "channels": 40}
    content["ensembles"]["e"]["network"] |= change.pop("network", {})
    content["ensembles"]["e"] |= change
    own = {k: v for k, v in content["ensembles"]["e"].items() if v is not None}
    with pytest.raises(ConfigError) as refused:
        validate(content | {"ensembles": {"e": own}})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_tokens_have_the_overlaps_that_are_asked_for():
    spec = {"kind": "tokens", "count": 2, "length": 3, "channels": 8, "overlap": 0.4,
            "between": -0.1}  # fmt: skip
    x = vectors("a", spec, 1).reshape(6, 8)
    within = np.where(np.eye(3), 1.0, 0.4)
    wanted = np.block([[within, np.full((3, 3), -0.1)], [np.full((3, 3), -0.1), within]])
    np.testing.assert_allclose(x @ x.T / 8, wanted, atol=1e-12)
    free = vectors("a", spec | {"count": 4000, "overlap": None, "between": None}, 1)
    assert free.shape == (4000, 24)
    assert abs(free.var() - 1) < 0.02


@pytest.mark.parametrize(("change", "words"), [
    ({"overlap": -0.8}, "overlaps that tokens can have together"),
    ({"between": 0.9}, "overlaps that tokens can have together"),
    ({"channels": 5}, "at least 6 for 6 tokens with these overlaps"),
    ({"overlap": None, "between": 0.1}, "nothing without overlap"),
    ({"length": 2000}, "at most 2000 tokens in all"), ({"length": 10**7}, "at most 10000000"),
])  # fmt: skip
def test_tokens_that_there_are_not_are_refused(change, words):
    spec = BASE["inputs"]["words"] | change
    with pytest.raises(ConfigError, match=words):
        validate({"seed": 1, "inputs": {"a": spec}})
    assert vectors("a", BASE["inputs"]["words"] | {"overlap": 1.0, "between": 1.0}, 1).shape


def test_a_users_array_is_a_sequence_where_input_says_which(tmp_path):
    sequences = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.save(tmp_path / "x.npy", sequences.reshape(2, 12))
    content = copy.deepcopy(BASE)
    content["inputs"] = {"mine": {"kind": "array", "file": "x.npy"}}
    content["ensembles"]["e"]["inputs"] = "mine"
    content["ensembles"]["e"]["network"]["input"] = {"tokens": 3, "channels": 4}
    check_given(validate(content), tmp_path)
    (member,) = members(validate(content), "e")
    made = architecture_of(member, 12)
    # Token by token.
    np.testing.assert_array_equal(made.arranged(sequences.reshape(2, 12)), sequences.swapaxes(1, 2))
    np.testing.assert_array_equal(made.arranged(sequences), sequences.swapaxes(1, 2))
    content["ensembles"]["e"]["network"]["input"] = {"tokens": 4, "channels": 4}
    with pytest.raises(ConfigError, match=r"sequences of 16 numbers.*, allowed is tokens .* of 12"):
        check_given(validate(content), tmp_path)


def test_networks_are_described_block_by_block():
    text = networks_of(study({"embed": {"positions": 0.2}, "read": "first"} | branch(
        heads=2, head_dim=1000, causal=True), width=64, sampler="marginal"))  # fmt: skip
    assert "input: 8 channels of 3 tokens; layers keep that of the first token" in text
    # Of two heads six numbers a row, three times, and 64 of the output.
    assert "attention 64 -> 64, 2 heads of 1000, causal: 64 channels of 3 tokens," \
        f" {6 * (3 * 2 * 6 + 64)} numbers" in text  # fmt: skip
    assert "positional vectors of 3 tokens" in text
    every = networks_of(study({"read": "all", "readout": "none"}))
    assert "layers keep every place" in every


def test_the_cheaper_sampler_is_taken():
    assert only(width=512).sampler == "marginal"
    few = {"blocks": [{"branch": [ATTENTION]}], "input": {"tokens": 24, "channels": 1}}
    assert only(few, inputs="vectors", width=64).sampler == "explicit"
    # A head costs what rows cost, and not what its dimension would.
    big = only(branch(heads=8, head_dim=10**6), width=64, sampler="marginal")
    small = only(branch(heads=8, head_dim=64), width=64, sampler="marginal")
    assert cost.sampling(big, 2).seconds < 1.1 * cost.sampling(small, 2).seconds
    assert big.block == small.block


@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
@pytest.mark.parametrize("given", [
    {}, {"embed": {"positions": 0.3}, "readout": {"pool": "flatten"}},
    {"read": "all", "readout": "none", "blocks": [{"repeat": 2, "branch": [ATTENTION]}]},
])  # fmt: skip
def test_members_are_sampled_and_predicted(given, sampler):
    member = only(given, sampler=sampler, width=64, networks=150)
    x = vectors("words", BASE["inputs"]["words"] | {"between": None}, 1)
    found, told = sampled_and_predicted(member, x)
    rows = 6 if given.get("read") == "all" else 2
    assert found["kernel"].shape == (150, 2, rows, rows)
    kernel = told["covariance"].sel(order="infinite_width").values
    assert np.isfinite(kernel).all()
    mean, error = found["kernel"].mean("network"), found["kernel"].std("network") / 150**0.5
    # To within a tenth at this width, and four and a half errors.
    assert (abs(mean - kernel) < 4.5 * error + 0.1 * np.abs(kernel).max()).all()


def test_every_token_has_its_estimates():
    member = only({"read": "all", "readout": "none"}, estimate=["covariance", "correlation"],
                  inputs=["words"])  # fmt: skip
    found, told = sampled_and_predicted(
        member, vectors("words", BASE["inputs"]["words"] | {"between": None}, 1)
    )
    estimates = estimate_member(
        of_plain(plain(member, EstimatedNetworks), EstimatedNetworks), [found], seed=1)  # fmt: skip
    assert estimates["correlation"].shape == told["correlation"].shape[1:] == (1, 6, 6)
    assert (estimates["correlation"].values.diagonal(axis1=1, axis2=2) == 1).all()


def test_tables_say_what_networks_on_tokens_are():
    member = only(branch(causal=True, scale="full", scores="identity"))
    assert words.network(member)["network"] == (
        "1 blocks (attention (2 heads of 4, identity scores, scale 1/d, causal)) and a read-out of"
        " means over places"
    )
    x = fw.inputs("tokens", count=2, length=3, channels=8)
    one = fw.network("tanh", inputs=8, tokens=3, width=16, C_W=1.5, outputs=4,
                     blocks=[{"branch": [ATTENTION]}])  # fmt: skip
    samples = fw.sample(one, x, networks=60)
    assert samples.attrs["network"] == "5 layers of attention, dense maps, blocks and norms"
    told = fw.predict(one, x.reshape(2, 3, 8))
    assert told.identical(fw.predict(one, x))
    limit = told["covariance"].sel(order="infinite_width").values[-1]
    kernel = fw.infinite_width(one)
    # Points of a softmax of three tokens are others for other rows: to a thousandth of the largest.
    close = pytest.approx(limit, abs=1e-3 * limit.max())
    assert kernel(x, get="nngp").nngp == close
    # Two data sets, and sequences as vectors; in the wrong order they are refused.
    apart = kernel(x.reshape(2, 3, 8)[:1], x[1:], get="nngp").nngp
    assert apart == pytest.approx(limit[:1, 1:], abs=1e-3 * limit.max())
    with pytest.raises(ValueError, match=r"shape \(2, 8, 3\), allowed is \(inputs, 3, 8\)"):
        kernel(x.reshape(2, 8, 3), get="nngp")
    with pytest.raises(ValueError, match=r"the tangent kernel of infinite width .* is not known"):
        kernel(x)
