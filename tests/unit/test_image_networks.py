"""Networks on images in study files: shapes that fit or are refused, what is described and run."""

import copy
from functools import partial

import numpy as np
import pytest

import finitewidth as fw
from block_studies import changed, content_of, one_member, sampled_and_predicted
from finitewidth.config.network import network
from finitewidth.core.errors import ConfigError
from finitewidth.data.inputs import vectors
from finitewidth.members import words
from finitewidth.members.plain import plain
from finitewidth.members.stages import PredictedNetworks, SampledNetworks, predicted, sampled
from finitewidth.models.block_maps import map_sizes
from finitewidth.models.block_network import architecture_of
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.planning import cost
from finitewidth.planning.describe import networks_of
from finitewidth.planning.members import members
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate
from finitewidth.theory.predict.predict_member import predict_member

LINE = {"positions": [6], "channels": 2}
BASE = content_of(
    {
        "digits": {"kind": "digits", "count": 2},
        "line": {"kind": "images", "count": 2, **LINE, "smooth": 1.0},
        "vectors": {"kind": "sphere", "dimension": 12, "count": 2, "norm": 2.0},
    },
    {"embed": {"map": "conv"}, "blocks": [{"repeat": 2, "branch": ["conv"]}]},
)


study, only = partial(changed, BASE), partial(one_member, BASE)


def conv(channels, neurons, kernel=(3, 3), padding=(1, 1), circular=True, stride=1):
    about = {"channels": channels, "neurons": neurons, "C_W": 1.5, "C_b": 0.1, "stride": stride}
    return Convolution(kernel=kernel, padding=padding, circular=circular, **about)


def test_words_become_layers_on_places():
    member = only()
    made = architecture_of(member, 64)
    tanh = Nonlinearity("tanh")
    block = Block([tanh, conv(8, 8)], 0.0, 1.0, "block1")
    read = Dense(inputs=8, neurons=8, C_W=1.5, C_b=0.1)
    assert made.shape == (1, 8, 8)
    assert made.layers == (conv(1, 8), block, block, tanh, AveragePool(), read)
    steps = [{"conv": {"kernel": 5, "stride": 2, "padding": "zero", "width": "2n"}},
             {"pool": {"average": 2}}, {"dense": {"width": "n/2"}}]  # fmt: skip
    other = only({"blocks": [{"branch": steps}], "readout": {"pool": "flatten"}}, outputs=3)
    *_, block, _, flat, read = architecture_of(other, 64).layers
    assert block.branch == (
        tanh, conv(8, 16, (5, 5), (2, 2), circular=False, stride=2), AveragePool((2, 2)), tanh,
        Dense(inputs=16, neurons=4, C_W=1.5, C_b=0.1),
    )  # fmt: skip
    assert (flat, read.inputs) == (Flatten(), 4 * 2 * 2)


def test_a_line_has_patches_of_one_row():
    made = architecture_of(only(inputs="line"), 12)
    assert made.shape == (2, 1, 6)
    assert made.layers[0] == conv(2, 8, (1, 3), (0, 1))
    given = {"input": {"positions": [1, 6], "channels": 2}}
    assert architecture_of(only(given, inputs="line"), 12).layers[0] == conv(2, 8)
    pooled = only({"blocks": [{"branch": ["conv", {"pool": {"average": 3}}]}]}, inputs="line")
    assert architecture_of(pooled, 12).shapes[2] == (8, 1, 2)


def test_images_are_vectors_to_a_dense_embedding_unless_input_says_so():
    dense = {"embed": {"map": "dense"}, "blocks": [{}]}
    assert architecture_of(only(dense), 64).shape == (64,)
    given = dense | {"input": {"positions": [4, 4], "channels": 4}}
    made = architecture_of(only(given), 64)
    assert made.shapes == ((4, 4, 4), (8, 4, 4), (8, 4, 4), (8, 4, 4), (8,), (8,))


def test_the_library_has_the_same_words():
    law = {"width": 8, "activation": "tanh", "C_W": 1.5, "C_b": 0.1}
    keys = copy.deepcopy(BASE["ensembles"]["e"]["network"])
    made = network(inputs=(1, 8, 8), **law, **keys)
    assert made == architecture_of(only(), 64)
    assert network(inputs=(2, 6), **law, **keys).shape == (2, 1, 6)


@pytest.mark.parametrize("given", [
    {}, {"blocks": [{"repeat": 3, "branch": [{"conv": {"stride": 2}}]}]},
    {"blocks": [{"repeat": 3, "branch": ["conv", {"pool": {"average": 2}}]}, {}]},
    {"blocks": [{"branch": [{"conv": {"width": "2n", "kernel": 1}}, "dense"]}], "readout": "none"},
    {"readout": {"pool": "flatten"}, "embed": {"map": "conv", "stride": 3, "kernel": 5}},
    {"input": {"positions": [64]}}, {"input": {"positions": [64]}, "embed": {"map": "dense"}},
    {"embed": {"map": "dense"}, "blocks": [{"repeat": 3, "branch": [{"dense": {"width": "3n"}}]}]},
])  # fmt: skip
def test_maps_have_the_sizes_of_the_layers_that_they_become(given):
    member = only(given)
    made = architecture_of(member, 64)
    counted = [size for size, k in map_sizes(member.network, member.outputs) for _ in range(k)]
    if member.network.input is None:
        # Vectors' dimension is not known to a member.
        counted[0] = counted[0]._replace(fan_in=64)
    assert sorted(counted) == sorted(made.map_sizes)


@pytest.mark.parametrize(("change", "words"), [
    ({"inputs": "vectors"}, "blocks of width 8 on vectors\", allowed is layers that fit each other:"
     " convolutions and means over places take images, whose positions and channels stand under"
     " input, not vectors"),
    ({"network": {"input": {"positions": [7, 9]}}},
     "images of 7 x 9 positions and 1 channel do not fit vectors of 64 components"),
    ({"inputs": "line", "network": {"input": {"positions": [6], "channels": 3}}},
     "images of 6 positions and 3 channels do not fit vectors of 12 components"),
    ({"network": {"input": {"positions": [2, 4, 8]}}}, "a list of one or two whole numbers"),
    ({"network": {"input": {"positions": []}}}, "a list of one or two whole numbers"),
    ({"network": {"embed": {"map": "conv", "kernel": 4}}}, "an odd whole number from 1 to 99"),
    ({"network": {"embed": {"map": "dense", "kernel": 3}}}, "a dense embedding has no kernel"),
    ({"network": {"embed": {"map": "conv", "padding": "same"}}}, "circular (the image goes round)"),
    ({"network": {"embed": {"map": "conv", "kernel": 19}}}, "images at least as large as"),
    ({"network": {"blocks": [{"branch": [{"pool": {"average": 3}}]}]}},
     "mean over 3 x 3 takes images that its windows cover, not 8 channels on 8 x 8 places"),
    ({"network": {"blocks": [{"repeat": 4, "branch": ["conv", {"pool": {"average": 2}}]}]}},
     "takes images that its windows cover, not 8 channels on 1 x 1 places"),
    ({"network": {"blocks": [
        {"repeat": [1, 9], "branch": [{"conv": {"stride": 2, "kernel": 5}}]}]}},
     "images at least as large as what is put beside them, not 8 channels on 1 x 1 places"),
    ({"network": {"blocks": [{"residual": {}, "branch": [{"conv": {"stride": 2}}]}]}},
     "a skip of 8 channels on 8 x 8 places cannot be added to a branch that ends with 8 channels on"
     " 4 x 4 places"),
    ({"network": {"embed": {"map": "dense"}, "blocks": [{"branch": ["conv"]}]}}, "take images"),
    ({"network": {"embed": {"map": "dense"}, "blocks": [{}], "readout": {"pool": "average"}}},
     "take images"),
    ({"network": {"blocks": [{"branch": [{"conv": {}, "dense": {}}]}]}},
     "exactly one key, not dense and conv"),
    ({"network": {"blocks": [{"branch": ["activation"]}]}}, "a branch needs a map, such as"),
    ({"network": {"read": "edge"}}, "centre, first, last"),
    ({"init": None, "weights": "pytorch",
      "network": {"blocks": [{"branch": [{"conv": {"C_b": 1.0}}]}]}},
     "nothing for pytorch weights"),
    ({"init": "critical"}, "no critical point is known"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(change, words):
    content = copy.deepcopy(BASE)
    content["ensembles"]["e"]["network"] |= change.pop("network", {})
    content["ensembles"]["e"] |= change
    own = {k: v for k, v in content["ensembles"]["e"].items() if v is not None}
    with pytest.raises(ConfigError) as refused:
        validate(content | {"ensembles": {"e": own}})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_users_array_is_an_image_where_input_says_which(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 12)))
    content = copy.deepcopy(BASE)
    content["inputs"] = {"mine": {"kind": "array", "file": "x.npy"}}
    content["ensembles"]["e"]["inputs"] = "mine"
    content["ensembles"]["e"]["network"]["input"] = {"positions": [2, 2], "channels": 3}
    check_given(validate(content), tmp_path)
    content["ensembles"]["e"]["network"]["input"] = {"positions": [2, 2], "channels": 4}
    with pytest.raises(ConfigError, match=r"images of 16 numbers.*, allowed is .* of 12 numbers"):
        check_given(validate(content), tmp_path)
    del content["ensembles"]["e"]["network"]["input"]
    with pytest.raises(ConfigError, match="positions and channels stand under input"):
        validate(content)


def test_random_images_are_standardised_and_smooth():
    spec = {"kind": "images", "count": 200, "positions": [4, 8], "channels": 3, "smooth": 0.0}
    rough = vectors("a", spec, 1)
    smooth = vectors("a", spec | {"smooth": 1.5}, 1)
    for x in (rough, smooth):
        assert x.shape == (200, 96)
        np.testing.assert_allclose(x.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(x.std(1), 1)
    beside = [(x.reshape(200, 3, 4, 8) * np.roll(x.reshape(200, 3, 4, 8), 1, 3)).mean()
              for x in (rough, smooth)]  # fmt: skip
    assert abs(beside[0]) < 0.05
    assert beside[1] > 0.5
    with pytest.raises(ConfigError, match="2 to 10000000 numbers"):
        validate({"seed": 1, "inputs": {"a": {"kind": "images", "count": 1, "positions": [1]}}})


def test_networks_are_described_block_by_block():
    text = networks_of(study({"read": "first"}, sampler="marginal"))
    assert "input: 1 channels on 8 x 8 places; layers keep that of the first place" in text
    # As many rows as 128, and no more numbers in a patch than 9 and 72: weights are drawn.
    lines = ["convolution 1 -> 8, 3 x 3, circular padding 1: 8 channels on 8 x 8 places, 80",
             "mean over places: 8 channels", "dense 8 -> 8: 8 channels, 16 numbers"]  # fmt: skip
    assert all(line in text for line in lines)
    drawn = networks_of(study(width=512, sampler="marginal"))
    assert "convolution 512 -> 512, 3 x 3, circular padding 1: 512 channels on 8 x 8 places," \
        f" {2 * 64 * 512} numbers" in drawn  # fmt: skip


@pytest.mark.parametrize(("width", "sampler"), [(16, "explicit"), (256, "marginal")])
def test_the_cheaper_sampler_is_taken_from_rows_against_width(width, sampler):
    assert only(width=width).sampler == sampler
    assert only(width=width, sampler="marginal").sampler == "marginal"


@pytest.mark.parametrize("inputs", ["digits", "line"])
@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
def test_members_are_sampled_and_predicted(inputs, sampler):
    member = only(inputs=inputs, sampler=sampler, outputs=3, networks=150, activation="relu")
    x = vectors(inputs, BASE["inputs"][inputs] | {"classes": [0, 1]}, 1)
    found, told = sampled_and_predicted(member, x)
    assert found["kernel"].shape == (150, 3, 2, 2)
    kernel = told["covariance"].sel(order="infinite_width").values
    assert np.isfinite(kernel).all()
    mean, error = found["kernel"].mean("network"), found["kernel"].std("network") / 150**0.5
    # Width 8 is far from infinite: to within a quarter, and four errors.
    assert (abs(mean - kernel) < 4 * error + 0.25 * np.abs(kernel).max()).all()


def test_memory_is_bounded_by_rows_and_planned():
    big = {"input": {"positions": [64, 64]}, "blocks": [{"branch": ["conv"]}]}
    content = copy.deepcopy(BASE)
    content["inputs"]["large"] = {"kind": "images", "count": 2, "positions": [64, 64]}
    content["ensembles"]["e"] |= {"inputs": "large"}
    content["ensembles"]["e"]["network"] |= big
    (member,) = members(validate(content), "e")
    x = vectors("large", validate(content).inputs["large"].model_dump(), 1)
    # 8192 rows have half a GiB of pairs: theory says nothing, and takes no memory for it.
    told = predict_member(predicted(plain(member, PredictedNetworks)), x)
    assert np.isnan(told["covariance"].sel(order="infinite_width")).all()
    assert cost.predicting(member, 2).memory < 600
    assert cost.predicting(only(), 2).memory < 110
    assert cost.sampling(member, 2).memory < 400
    drawn = sample_member(
        sampled(plain(member, SampledNetworks)), x, seed=1, device="cpu",
        blocks=(0, 1), on_tile=lambda done, total: None,
    )  # fmt: skip
    assert np.isfinite(drawn["kernel"]).all()


def test_the_library_samples_and_predicts_networks_on_images():
    x = fw.inputs("images", count=2, positions=[3, 4], channels=2)
    conv = {"embed": {"map": "conv"}, "blocks": [{"repeat": 2, "branch": ["conv"]}]}
    one = fw.network("erf", inputs=(2, 3, 4), width=16, C_W=1.5, outputs=4, read="last", **conv)
    assert (one.shape, one.read) == ((2, 3, 4), "last")
    samples = fw.sample(one, x, networks=60)
    assert samples.attrs["network"] == "6 layers of convolutions, dense maps, blocks and norms"
    told = fw.predict(one, x.reshape(2, 2, 3, 4))
    assert told.identical(fw.predict(one, x))
    limit = told["covariance"].sel(order="infinite_width").values[-1]
    np.testing.assert_allclose(fw.infinite_width(one)(x).nngp, limit, rtol=1e-14)
    for inputs, said in (((2, 3, 4, 5), "channels and one or two numbers of places"),
                         ((2, 0), "at least 1"), (24, "take images")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            fw.network("erf", inputs=inputs, width=16, C_W=1.5, **conv)


def test_tables_say_what_networks_on_images_are():
    steps = [{"conv": {"stride": 2, "padding": "zero"}}, {"pool": {"average": 2}}]
    member = only({"blocks": [{"branch": steps}], "readout": {"pool": "flatten"}})
    assert words.network(member)["network"] == (
        "1 blocks (activation, convolution (kernel 3, stride 2, zero padding), means over 2 places"
        " a side) and a read-out of all places"
    )
