"""Networks that extensions declare: what a study file says of them, and theory of one's own."""

import re

import pytest

from extending import ROOT, said

MODULES = ROOT / "docs" / "examples" / "modules.py"
TEXT = MODULES.read_text()
#: The study of the document with some keys of the ensemble `looped` changed, checked and described.
CHECK = """
import yaml
from finitewidth.core.errors import ConfigError
from finitewidth.planning.describe import networks_of
from finitewidth.planning.members import members
from finitewidth.study.study_file import validate
content = yaml.safe_load(open("docs/examples/modules.yaml"))
content["ensembles"]["looped"] |= {keys!r}
try:
    config = validate(content)
except ConfigError as error:
    print(error)
else:
    print(networks_of(config))
    print([m.estimate for m in members(config, "looped")])
"""
KEYS = {
    "activation": ({"activation": "tanh"}, "nothing beside module"),
    "init": ({"init": "critical"}, "nothing beside module"),
    "depth": ({"depth": 3}, "nothing beside module"),
    "network": ({"network": {"blocks": [{"repeat": 2}]}}, "nothing beside module"),
    "outputs": ({"outputs": 3}, "nothing beside module"),
    "weights": ({"weights": "pytorch"}, "nothing beside module"),
    "ladder": ({"width": None, "ladder": [4, 8]}, "nothing beside module"),
    "population": ({"population": {}}, "nothing beside module"),
    "sampler": ({"sampler": "marginal"}, "explicit for a module"),
    "measure": ({"measure": ["log_norm"]}, "preactivations or ntk for a module"),
    "rates": ({"ntk": {"parameterisation": "ntk"}}, "standard for a module"),
    "family": ({"estimate": ["ntk_tensors"]}, "ntk_tensors of networks whose last layer"),
    "derivatives": ({"estimate": ["gradient_norm"]}, "(no module)"),
    "jacobians": ({"estimate": ["jacobian"]}, "(no module)"),
    "entropy": ({"estimate": ["attention_entropy"]}, "with attention of scores softmax"),
    "layers": ({"layers": [3]}, "a layer from 1 to the depth, 2"),
    "misspelt": ({"module": "loopt"}, "did you mean looped?"),
    "of nobody": ({"module": "x"}, "FINITEWIDTH_EXTENSIONS"),
}


@pytest.fixture(scope="module")
def checked():
    cases = [(MODULES, CHECK.replace("{keys!r}", repr(keys))) for keys, _ in KEYS.values()]
    more = [(MODULES, CHECK.replace("{keys!r}", repr({"ntk": {"outputs": 1}}))),
            ("", CHECK.replace("{keys!r}", "{}"))]  # fmt: skip
    return said([*cases, *more])


def test_keys_that_do_not_go_with_a_module_are_refused_in_a_sentence(checked):
    for (name, (_, words)), answer in zip(KEYS.items(), checked, strict=False):
        assert answer.startswith("config key ensembles.looped."), (name, answer)
        assert words in answer, (name, answer)
        assert answer.count("\n") == 1, (name, answer)


def test_what_is_taken_is_described_and_has_the_families_that_are_known(checked):
    answer = checked[len(KEYS)]
    assert "Ensemble looped, member only\n  a module, n = 16, 2 layers of results" in answer
    assert re.search(r"layer 1 +embed: 16 numbers", answer)
    assert re.search(r"layer 2 +the network itself: 4 numbers", answer)
    assert "'ntk'" in answer
    assert "ntk_tensors" not in answer


def test_a_module_without_its_extension_is_told_how_to_name_one(checked):
    assert "FINITEWIDTH_EXTENSIONS" in checked[-1]
    assert checked[-1].count("\n") == 1


#: Theory of the network of two factors by another function than that of the document.
THEORY = """
import yaml
import numpy as np
from finitewidth.core.errors import ConfigError
from finitewidth.models.own_networks import shape_of
from finitewidth.theory.predict.predict_own import predict_own
x = np.array([[1.0, 2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, -1.0, 0.0]])
try:
    found = predict_own(shape_of("bilinear", 8), 8, x, [1, 2], ["covariance"], 4)
    print(found["covariance"].dims, sorted(map(str, found.data_vars)))
    for order in ("infinite_width", "1/n", "exact"):
        print(found["covariance"].sel(order=order).values.ravel().tolist(),
              found["covariance_neglected"].sel(order=order).values.ravel().tolist())
except ConfigError as error:
    print(error)
"""
GIVEN = 'return {"covariance": {"exact": np.stack([each[layer] for layer in case.layers])}}'
THEORIES = {
    "return 3": "whose theory gives a int",
    "return {'covariance': {}}": "has no orders",
    "return {'covariance': {'next': K}}": "the order 'next'",
    "return {'covariance': {'exact': K}}": "(2, 2, 2), (layer, input, input_)",
    "return {'covariance': {'exact': 'K'}}": "is no array",
    "return {'covarianse': {'exact': K}}": "tells of 'covarianse'",
    "return {'covariance': {'exact': 1 / 0}}": "raises ZeroDivisionError",
}


def test_theory_that_is_none_of_its_quantity_is_refused_in_a_sentence(tmp_path):
    cases = []
    assert GIVEN in TEXT
    for number, line in enumerate(THEORIES):
        file = tmp_path / f"mine{number}.py"
        file.write_text(TEXT.replace(GIVEN, line))
        cases.append((file, THEORY))
    for (line, words), answer in zip(THEORIES.items(), said(cases), strict=True):
        assert "the network bilinear, whose theory" in answer, (line, answer)
        assert words in answer, (line, answer)
        assert answer.count("\n") == 1, (line, answer)


def test_an_order_leaves_out_what_the_next_one_adds(tmp_path):
    both = ("K = np.stack([K, K])\n    return {'covariance': {'infinite_width': K, '1/n': 3 * K,"
            " 'exact': 4 * K}}")  # fmt: skip
    (tmp_path / "mine.py").write_text(TEXT.replace(GIVEN, both))
    names, infinite, first, exact = said([(tmp_path / "mine.py", THEORY)])[0].splitlines()
    assert names == ("('order', 'layer', 'input', 'input_') ['covariance', 'covariance_neglected']")
    K = [1.2, 0.4, 0.4, 0.6] * 2

    def lists(text):
        return [[float(word) for word in part.strip("[] ").split(", ")]
                for part in text.split("] [")]  # fmt: skip

    for found, wanted in zip(lists(infinite), (K, [2 * k for k in K]), strict=True):
        assert found == pytest.approx(wanted)
    told, left = lists(first)
    assert told == pytest.approx([3 * k for k in K])
    assert all(value != value for value in left)
    told, left = lists(exact)
    assert told == pytest.approx([4 * k for k in K])
    assert left == [0.0] * 8


def test_a_declaration_that_cannot_be_is_refused_in_a_sentence(tmp_path):
    cases = {
        '{"embed": "n", "": OUTPUTS}': ('{"embed": 0}', "the layer 'embed' of size 0"),
        "looped, {": ("3, {", "a factory that is none"),
        'OwnNetwork("looped"': ('OwnNetwork("bilinear"', "a name once"),
        "OwnNetwork(\"looped\", looped, {\"embed\": \"n\", \"\": OUTPUTS})": ("abs",
                                                                         "a list of OwnNetwork"),
    }  # fmt: skip
    asked = []
    for number, (old, (new, _)) in enumerate(cases.items()):
        file = tmp_path / f"mine{number}.py"
        assert old in TEXT
        file.write_text(TEXT.replace(old, new))
        asked.append((file, CHECK.replace("{keys!r}", "{}")))
    for (_, words), answer in zip(cases.values(), said(asked), strict=True):
        assert words in answer, answer
        assert "mine" in answer


def test_the_page_shows_what_the_file_holds():
    page = (ROOT / "docs" / "own-networks.md").read_text()
    shown = [b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "# docs/" in b]
    assert len(shown) == 3
    for block in shown:
        assert block.partition("\n")[2].strip() in TEXT


#: Every family of the network that has no theory, and every figure of these.
FIGURES = """
import warnings
warnings.simplefilter("ignore")
import matplotlib.pyplot
matplotlib.use("agg")
import yaml
import finitewidth as fw
from finitewidth.quantities.vocabulary import FIGURES, OF_LAYERS
content = yaml.safe_load(open("docs/examples/modules.yaml"))
# Of modules neither derivatives by layers nor scores are recorded.
families = [f.name for f in OF_LAYERS
            if f.name != "normality" and not {"gradient", "jacobian", "entropy"} & set(f.records)]
families += ["ntk", "ntk_spectrum"]
content["ensembles"] = {"looped": content["ensembles"]["looped"] | {
    "networks": 60, "width": [8, 12], "record": 4, "estimate": families}}
content["studies"] = {"all": {"ensembles": ["looped"]}}
run = fw.load_study(content).run("all", progress=False)
for name, entry in FIGURES.items():
    if set(entry.families) <= set(families):
        try:
            fw.draw(run, name)
        except Exception as error:
            print(name, type(error).__name__)
        else:
            print(name, "drawn")
        matplotlib.pyplot.close("all")
"""


def test_every_figure_is_drawn_or_says_what_is_missing():
    lines = [line.split() for line in said([(MODULES, FIGURES)])[0].splitlines()]
    assert {what for _, what in lines} == {"drawn", "CannotDrawError"}
    drawn = {name for name, what in lines if what == "drawn"}
    assert drawn >= {"covariance", "intralayer", "kurtosis", "histograms", "ntk_fluctuations"}
