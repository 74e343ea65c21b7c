"""The parts of study files that are about trained networks: what is accepted, and what is not."""

import copy
import json

import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.members.plain import plain
from finitewidth.members.trained import PredictedReplicas, Rainbow, TrainedNetworks
from finitewidth.models.network_shape import ConvolutionShape
from finitewidth.planning.trained_members import trained_batches, trained_members
from finitewidth.study.study_file import validate

pytestmark = pytest.mark.fast

GOOD = {
    "seed": 1,
    "data": {
        "digits": {"kind": "digits"},
        "gray": {"kind": "cifar10"},
        "colour": {"kind": "cifar10", "grayscale": False},
        "mine": {"kind": "array", "file": "images.nc"},
    },
    "trained": {
        "m": {"data": "digits", "mlp": [64, 8, 8, 10], "epochs": 2, "learning_rate": 0.1},
        "c": {"data": "digits", "cnn": {"channels": [1, 4]}, "epochs": 2, "learning_rate": 0.1},
    },
    "studies": {"s": {"trained": ["m", "c"], "figures": ["rainbow"]}},
}
M, C = ("trained", "m"), ("trained", "c")
PUBLISHED = {"source": "a paper", "accuracy": 0.5}


def changed(*path_and_value):
    *path, value = path_and_value
    content = copy.deepcopy(GOOD)
    place = content
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return content


def without(*path):
    content = copy.deepcopy(GOOD)
    place = content
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return content


BAD = [
    # Data.
    (changed("data", "digits", {"kind": "mnist"}), "data.digits.kind", '"mnist"', "cifar10"),
    (changed("data", "digits", "validation", 1.0), "data.digits.validation", "1.0", "below 1"),
    (changed("data", "digits", "validation", 0), "data.digits.validation", "0", "above 0"),
    (changed("data", "digits", "count", 9), "data.digits.count", "unknown key", "validation"),
    (changed("data", "digits", "normalise", 1), "data.digits.normalise", "1", "true or false"),
    (changed("data", "gray", "sha256", "abc"), "data.gray.sha256", '"abc"', "64 hexadecimal"),
    (changed("data", "gray", "url", "ftp://x/y"), "data.gray.url", '"ftp://x/y"', "http"),
    (changed("data", "gray", "train", 0), "data.gray.train", "0", "at least 1"),
    (without("data", "mine", "file"), "data.mine.file", "nothing", "path"),
    (changed("data", "mine", "classes", 1), "data.mine.classes", "1", "from 2 to 32768"),
    (changed("data", "a-b", {"kind": "digits"}), "data", '"a-b"', "letters"),
    # Models.
    (changed(*M, "data", "no"), "trained.m.data", '"no"', "one of digits, gray, colour, mine"),
    (without(*M, "data"), "trained.m.data", "nothing", "name"),
    (without(*M, "mlp"), "trained.m", '"neither"', "one of mlp and cnn"),
    (changed(*M, "cnn", {"channels": [1, 4]}), "trained.m", "mlp and cnn", "one of mlp and cnn"),
    (changed(*M, "mlp", [64, 10]), "trained.m.mlp", "[64, 10]", "at least three"),
    (changed(*M, "mlp", [64, 0, 10]), "trained.m.mlp", "0", "at least three"),
    (changed(*M, "mlp", [63, 8, 10]), "trained.m.mlp", "[63, 8, 10]", "64 first"),
    (changed(*M, "mlp", [64, 8, 9]), "trained.m.mlp", "[64, 8, 9]", "10 last"),
    (changed(*M, "data", "gray"), "trained.m.mlp", "[64, 8, 8, 10]", "1024 first"),
    (changed(*M, "data", "colour"), "trained.m.mlp", "[64, 8, 8, 10]", "3072 first"),
    (changed(*C, "data", "colour"), "trained.c.cnn.channels", "[1, 4]", "3 first"),
    (changed(*C, "cnn", "channels", [1]), "trained.c.cnn.channels", "[1]", "at least two"),
    (changed(*C, "cnn", "kernel", 9), "trained.c.cnn.kernel", "9", "at most 8"),
    (changed(*C, "cnn", "channels", [1, 4, 4]), "trained.c.cnn.kernel", "5", "at most 2"),
    (changed(*C, "cnn", "kernel", [3]), "trained.c.cnn.kernel", "[3]", "whole number"),
    (changed(*C, "cnn", "stride", 0), "trained.c.cnn.stride", "0", "at least 1"),
    (changed(*C, "cnn", "padding", -1), "trained.c.cnn.padding", "-1", "from 0 to 1000"),
    (changed(*C, "cnn", "filters", 3), "trained.c.cnn.filters", "unknown key", "kernel"),
    # Training.
    (without(*M, "epochs"), "trained.m.epochs", "nothing", "at least 1"),
    (without(*M, "learning_rate"), "trained.m.learning_rate", "nothing", "above 0"),
    (changed(*M, "learning_rate", 0), "trained.m.learning_rate", "0", "above 0"),
    (changed(*M, "learning_rate", "1e-3"), "trained.m.learning_rate", '"1e-3"', "above 0"),
    (changed(*M, "momentum", 1.0), "trained.m.momentum", "1.0", "below 1"),
    (changed(*M, "replicas", 0), "trained.m.replicas", "0", "at least 1"),
    (changed(*M, "replicas", 10**6), "trained.m.replicas", "1000000", "whole number"),
    (changed(*M, "weights", "pytorch"), "trained.m.weights", '"pytorch"', "uniform"),
    (changed(*M, "weights", ["normal", "normal"]), "trained.m.weights", "normal", "both"),
    (changed(*M, "C_W", 0.0), "trained.m.C_W", "0.0", "above 0"),
    (changed(*M, "widen", [1, 1.0]), "trained.m.widen", "[1, 1.0]", "different"),
    (changed(*M, "widen", -1), "trained.m.widen", "-1", "above 0"),
    (changed(*M, "checkpoint", 0), "trained.m.checkpoint", "0", "at least 1"),
    (changed(*M, "activation", "tanh"), "trained.m.activation", "unknown key", "mlp"),
    # Generated networks.
    (changed(*M, "rainbow", "network", 3), "trained.m.rainbow.network", "unknown key", "networks"),
    (changed(*M, "rainbow", "networks", 0), "trained.m.rainbow.networks", "0", "at least 1"),
    (changed(*M, "rainbow", "widen", [2, 2]), "trained.m.rainbow.widen", "[2, 2]", "different"),
    (changed(*M, "rainbow", "covariance", []), "trained.m.rainbow.covariance", "[]", "reference"),
    (
        changed(*M, "rainbow", "covariance", ["mean"]),
        "trained.m.rainbow.covariance",
        '"mean"',
        "average",
    ),
    (changed(*M, "rainbow", "layers", []), "trained.m.rainbow.layers", "[]", "from 1 to 2"),
    (changed(*M, "rainbow", "layers", [[]]), "trained.m.rainbow.layers", "[]", "from 1 to 2"),
    (changed(*M, "rainbow", "layers", [[3]]), "trained.m.rainbow.layers", "[3]", "from 1 to 2"),
    (changed(*C, "rainbow", "layers", [[2]]), "trained.c.rainbow.layers", "[2]", "from 1 to 1"),
    (changed(*M, "rainbow", "layers", [[0]]), "trained.m.rainbow.layers", "0", "from 1"),
    (changed(*M, "rainbow", "layers", [[1, 1]]), "m.rainbow.layers", "[1, 1]", "different"),
    (changed(*M, "rainbow", "layers", [1]), "trained.m.rainbow.layers", "1", "lists"),
    (changed(*M, "rainbow", "layers", ["al"]), "trained.m.rainbow.layers", '"al"', "all"),
    (
        changed(*M, "rainbow", "layers", ["all", "all"]),
        "trained.m.rainbow.layers",
        "['all', 'all']",
        "different",
    ),
    (
        changed(*M, "rainbow", "layers", [[1, 2], [2, 1]]),
        "trained.m.rainbow.layers",
        "[[1, 2], [2, 1]]",
        "different",
    ),
    # Published numbers.
    (changed(*M, "published", {}), "trained.m.published.source", "nothing", "text"),
    (
        changed(*M, "published", {**PUBLISHED, "accuracy": 97.0}),
        "trained.m.published.accuracy",
        "97.0",
        "below 1",
    ),
    (
        changed(*M, "published", {**PUBLISHED, "error": 0.1}),
        "trained.m.published.error",
        "unknown key",
        "accuracy",
    ),
    (
        changed(*M, "published", {**PUBLISHED, "alignment": [0.5]}),
        "trained.m.published.alignment",
        "[0.5]",
        "2 numbers",
    ),
    (
        changed(*M, "published", {**PUBLISHED, "alignment": []}),
        "trained.m.published.alignment",
        "[]",
        "2 numbers",
    ),
    # Studies.
    (changed("studies", "s", "trained", ["no"]), "studies.s.trained", '"no"', "one of m, c"),
    (
        changed("studies", "s", "trained", ["m", "m"]),
        "studies.s.trained",
        "['m', 'm']",
        "different",
    ),
    (changed("studies", "s", {"title": "t"}), "studies.s.ensembles", "nothing", "trained or both"),
    (changed("studies", "s", "trained", []), "studies.s.trained", "[]", "different"),
    (changed("studies", "s", "figures", ["covariance"]), "s.figures", '"covariance of', "estimate"),
    (
        changed("studies", "s", "quantities", ["covariance"]),
        "studies.s.quantities",
        '"covariance"',
        "accuracy",
    ),
    (changed("trained", "a/b", GOOD["trained"]["m"]), "trained", '"a/b"', "letters"),
    (changed("trained", "m", None), "trained.m", "nothing", "mapping"),
]


def test_the_config_that_others_are_made_from_is_good():
    config = validate(GOOD)
    assert list(config.trained) == ["m", "c"]


@pytest.mark.parametrize(("content", "key", "given", "allowed"), BAD)
def test_a_bad_config_is_refused_in_one_sentence(content, key, given, allowed):
    with pytest.raises(ConfigError) as caught:
        validate(content)
    sentence = str(caught.value)
    assert "\n" not in sentence
    head, tail = sentence.split(", allowed ", 1)
    assert key in head
    assert given in head
    assert allowed in tail


def test_a_figure_of_trained_networks_needs_some():
    content = copy.deepcopy(GOOD)
    content["inputs"] = {"a": {"kind": "sphere", "dimension": 4, "count": 2}}
    lin = {"activation": "linear", "init": {"C_W": 1.0}, "width": 8, "depth": 2}
    content["ensembles"] = {"lin": lin | {"inputs": "a", "networks": 100}}
    content["studies"]["s"] = {"ensembles": ["lin"], "figures": ["rainbow"]}
    with pytest.raises(ConfigError, match=r'studies\.s\.figures: given "rainbow of lin", allowed'):
        validate(content)
    content["studies"]["s"]["trained"] = ["m"]
    content["studies"]["s"]["figures"] = ["rainbow", "covariance"]
    assert validate(content).studies["s"].trained == ["m"]


def test_the_shape_of_a_file_that_is_not_read_yet_is_not_guessed():
    content = changed(*M, "data", "mine")
    content["trained"]["m"]["mlp"] = [5, 4, 3]
    assert validate(content).trained["m"].mlp == [5, 4, 3]


def test_values_where_nothing_is_said():
    config = validate(GOOD)
    assert config.data["digits"].model_dump() == {
        "kind": "digits",
        "validation": 0.2,
        "normalise": True,
    }
    assert config.data["gray"].grayscale is True
    (m,), (c,) = (trained_members(config, name) for name in ("m", "c"))
    assert (m.name, m.swept, m.widen, m.folder) == ("only", {}, 1.0, "results/trained/m/only")
    assert (m.mlp, m.cnn) == ((64, 8, 8, 10), None)
    assert (m.replicas, m.batch, m.momentum, m.weights) == (8, 64, 0.9, "uniform")
    assert pytest.approx(1 / 3) == m.C_W
    assert m.checkpoint == 1
    assert m.published is None
    assert m.rainbow == Rainbow(
        networks=8, covariance=("reference", "average", "white"), widen=(1.0,), layers=("all",)
    )
    convolutions = ConvolutionShape(channels=(1, 4), kernel=5, stride=2, padding=0)
    assert (c.mlp, c.cnn) == (None, convolutions)


def test_a_sweep_is_one_member_for_each_combination():
    content = changed(*M, "widen", [0.5, 1, 2.25])
    content["trained"]["m"]["weights"] = ["normal", "uniform"]
    found = trained_members(validate(content), "m")
    assert [m.name for m in found] == [
        f"weights-{law}_widen-{factor}"
        for law in ("normal", "uniform")
        for factor in ("0.5", "1", "2.25")
    ]
    assert [m.mlp for m in found[:3]] == [(64, 4, 4, 10), (64, 8, 8, 10), (64, 18, 18, 10)]
    assert found[4].swept == {"weights": "uniform", "widen": 1.0}
    assert len({m.folder for m in found}) == 6


def test_widening_a_convolutional_network_leaves_the_channels_of_images():
    content = changed(*C, "widen", [0.1, 3.0])
    narrow, wide = trained_members(validate(content), "c")
    assert (narrow.name, wide.name) == ("widen-0.1", "widen-3")
    assert narrow.cnn.channels == (1, 1)
    assert wide.cnn.channels == (1, 12)
    # The config's own lists are not touched.
    assert validate(content).trained["c"].cnn.channels == [1, 4]


def test_lists_of_layers_are_kept_as_they_stand():
    content = changed(*M, "rainbow", "layers", ["all", [1], [2], [1, 2]])
    (m,) = trained_members(validate(content), "m")
    assert m.rainbow.layers == ("all", (1,), (2,), (1, 2))


def test_a_slice_of_a_member_is_plain_data():
    (m,) = trained_members(validate(changed(*M, "published", PUBLISHED)), "m")
    found = plain(m, TrainedNetworks)
    assert json.loads(json.dumps(found)) == found
    assert {"published", "rainbow", "swept"}.isdisjoint(found)
    assert plain(m, PredictedReplicas)["published"]["source"] == "a paper"
    assert plain(m, PredictedReplicas)["published"]["alignment"] is None


def test_members_share_a_job_until_they_are_dear():
    content = changed(*M, "widen", [1, 2])
    assert [len(b.members) for b in trained_batches(validate(content))] == [2, 1]
    content["trained"]["m"] |= {"epochs": 1000, "replicas": 1000}
    found = trained_batches(validate(content))
    assert [len(b.members) for b in found] == [1, 1, 1]
    assert len({b.name for b in found}) == 3
    assert [b.data for b in found] == ["digits"] * 3
