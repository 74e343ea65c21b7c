"""Extensions: how they are named, what they may declare, and sentences where they cannot."""

import re

import pytest

from extending import OWN, STUDY, VARIABLE, as_package, changed, distribution, said
from finitewidth.core.errors import LONGEST, ConfigError
from finitewidth.extensions.named import named

TEXT = OWN.read_text()
#: What a process says of the registries that it has made.
KNOWN = """
from finitewidth.study.study_file import load
from finitewidth.models.activations import table
from finitewidth.data.inputs import KINDS
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, QUANTITIES
print("bump" in table.TABLE, "spiral" in KINDS, "participation" in FAMILIES,
      "participation" in QUANTITIES, "participation_by_layer" in FIGURES)
"""
LOAD = "from finitewidth.study.study_file import load"
#: The registries alone.
REGISTRIES = """
import finitewidth.models.activations.table, finitewidth.data.inputs
import finitewidth.quantities.vocabulary
"""


def test_every_kind_is_had_from_a_file_a_package_and_an_entry_point(tmp_path):
    installed = distribution(tmp_path / "site", as_package(TEXT), theirs="ownpack.tables")
    (tmp_path / "alone.py").write_text("ACTIVATIONS = []\n")
    named_as = [
        OWN, tmp_path / "site/ownpack/tables.py", "theirs", f"{tmp_path}/alone.py,{OWN}",
        f"{OWN}:{tmp_path}/alone.py", f" {OWN} , ",
    ]  # fmt: skip
    answers = said([(name, KNOWN) for name in (*named_as, "")], PYTHONPATH=str(installed))
    assert answers[:-1] == ["True True True True True\n"] * len(named_as)
    assert answers[-1] == "False False False False False\n"


def test_a_notebook_names_them_by_a_function():
    use = f"from finitewidth.extensions.named import use\nuse({str(OWN)!r})\n"
    late = f"import finitewidth.models.perceptron\n{use}"
    answers = said([("", use + KNOWN), ("", late)])
    assert answers[0] == "True True True True True\n"
    assert re.fullmatch(r"ConfigError: .*named too late, allowed is .*\n", answers[1])


#: What stands in the file, and words of the sentence that refuses it.
REFUSED = {
    # At import.
    "raises": ("x = 1\ny = 1 / 0\n", "line 2 raises ZeroDivisionError"),
    "exits": ("import sys\n\nsys.exit(3)\n", "line 3 raises SystemExit"),
    "no Python": ("def f(:\n", "no Python in line 1"),
    "a package that is not there": (
        "import nothing_of_that_name\n",
        "line 1 raises ModuleNotFound",
    ),
    "what asks for extensions": (
        "import numpy\nfrom finitewidth.models.perceptron import Perceptron\n",
        "line 2 cannot be run",
    ),
    "figures at its top": (
        "from finitewidth.figures.common import panels\n",
        "import that inside the function",
    ),
    # Tables.
    "nothing": ("ACTIVATION = 1\n", "one or more of ACTIVATIONS, KINDS, FAMILIES, FIGURES"),
    "no list": ("ACTIVATIONS = 3\n", "a list of Activation"),
    "another thing in it": ("ACTIVATIONS = [abs]\n", "a list of Activation"),
    "figures as a list": ("FIGURES = [1]\n", "a dictionary of FigureEntry"),
    "a figure as a function": ("FIGURES = {'f': len}\n", "a dictionary of FigureEntry"),
    "a family as a name": ("FAMILIES = ['covariance']\n", "a list of Family"),
    # Names.
    "an activation of the library": (changed('"bump",', '"tanh",'), "that the library has not"),
    "an activation with a number": (
        changed('"bump",', '"leaky_relu",'),
        "that the library has not",
    ),
    "a name with a sign": (changed('"bump",', '"my-bump",'), "letters, digits and _"),
    "a name beyond a folder's": (changed('"bump",', f'"{"b" * 41}",'), "at most 40"),
    "twice": (TEXT + "\nACTIVATIONS = ACTIVATIONS * 2\n", "a name once"),
    "a kind of the library": (
        changed('"spiral", Spiral', '"arc", Spiral'),
        "that the library has not",
    ),
    "a family of the library": (
        changed('Family(\n        "participation"', 'Family(\n        "covariance"'),
        "that the library has not",
    ),
    "a family of trained networks": (
        changed('Family(\n        "participation"', 'Family(\n        "alignment"'),
        "that the library has not",
    ),
    "a quantity of the library": (
        changed('"participation",\n                AT', '"intralayer",\n                AT'),
        "a name that is new",
    ),
    "a quantity of errors": (
        changed('"participation",\n                AT', '"covariance_stderr",\n                AT'),
        "errors and coefficients",
    ),
    "a figure of the library": (
        changed('"participation_by_layer": ', '"covariance": '),
        "that the library has not",
    ),
    # Activations.
    "no derivatives": (
        changed("        derivatives=bump_derivatives,\n", ""),
        "slopes, or derivat",
    ),
    "no strip": (changed("        strip=1.5,\n", ""), "slopes, or derivatives and strip"),
    "a wrong derivative": (
        changed("lambda z: -z * bump(z)", "lambda z: z * bump(z)"),
        "derivative of",
    ),
    "a wrong third derivative": (changed("(3 - q) * z", "(2 - q) * z"), "five derivatives"),
    "four derivatives": (changed(", ((10 - q) * q - 15) * z]", "]"), "(6, *z.shape)"),
    "slopes of another function": (
        changed("        strip=1.5", "        slopes=(1.0, 0.0),\n        strip=1.5"),
        "on both sides of 0",
    ),
    "no function": (
        changed("        bump,\n        lambda", "        None,\n        lambda"),
        "a function",
    ),
    "a strip in words": (changed("strip=1.5", "strip='1.5'"), "TypeError"),
    "records of a number": (changed('records=("preactivation",)', "records=3"), "TypeError"),
    "a function that fails": (changed("np.exp(-z * z / 2)", "z.nothing"), "AttributeError"),
    # Kinds.
    "a kind of another name": (changed('"spiral", Spiral', '"coil", Spiral'), 'Literal["coil"]'),
    "no model": (changed("Spiral, spiral)", "dict, spiral)"), "a class below Kind"),
    "vectors that are none": (changed("Spiral, spiral)", "Spiral, 3)"), "vectors that is no func"),
    "no count": (
        changed("    count: Count = ", "    number: Count = "),
        "a key or a property count",
    ),
    # Families.
    "records": (changed('records=("preactivation",)', 'records=("z",)'), "some of kernel"),
    "dimensions": (changed("AT_INPUT,\n", '("input",),\n'), "layer and then some of"),
    "of nothing": (
        changed('records=("pre', 'made_of="networks",\n        records=("pre'),
        "one of layer",
    ),
    "a unit of two indices": (changed("unit=(),", "unit=((1, 0), (1, 0)),"), "1 pairs of exp"),
    "a unit in words": (changed("unit=(),", "unit='K',"), "1 pairs of exponents"),
    "no estimator": (
        changed("estimator=participations", "estimator='a:b'"),
        "estimator that is no",
    ),
    "no quantities": (
        changed("FAMILIES = [", "FAMILIES = [Family('a', (), ('kernel',), len),"),
        "tuple of Quantity",
    ),
    # Figures.
    "a family that is not": (
        changed('        ("participation",),\n', '        ("parts",),\n'),
        "one of covariance",
    ),
    "no caption": (
        changed('"Participation ratio of a neuron against layer, beside the Gaussian one."', "''"),
        "a sentence",
    ),
    "a module": (
        changed("FigureEntry(\n        participation_by_layer", "FigureEntry(\n        'a.b'"),
        "FigureEntry(function",
    ),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """What is said of each file."""
    folder, cases = tmp_path_factory.mktemp("refused"), []
    for k, (text, _) in enumerate(REFUSED.values()):
        file = folder / f"own{k}.py"
        file.write_text(text)
        cases.append((file, REGISTRIES))
    return dict(zip(REFUSED, zip(cases, said(cases), strict=True), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_is_refused_in_one_sentence(refusals, name):
    (file, _), sentence = refusals[name]
    assert sentence.startswith("ConfigError: "), sentence
    assert sentence.count("\n") == 1
    assert str(file) in sentence
    assert "allowed is" in sentence
    assert REFUSED[name][1] in sentence, sentence
    assert len(sentence) < LONGEST + 20


def test_names_of_files_that_lead_nowhere_are_refused(tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("")
    (tmp_path / "my-own.py").write_text("")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in "ab":
        (tmp_path / folder / "own.py").write_text("")
    for name, words in {
        tmp_path / "none.py": "there is no such file",
        tmp_path / "own.txt": "Python file",
        tmp_path / "my-own.py": "letters, digits and _",
        tmp_path / "a": "there is no such file",
        "no_such_point": "an entry point of the group finitewidth.extensions",
        f"{tmp_path}/a/own.py,{tmp_path}/b/own.py": "one that",
    }.items():
        monkeypatch.setenv(VARIABLE, str(name))
        with pytest.raises(ConfigError, match=words):
            named()
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/a/own.py,{tmp_path}/a/own.py")
    assert len(named()) == 1


@pytest.mark.parametrize("value", ["nothing_there", "ownpack.tables:ACTIVATIONS", "ownpack.none"])
def test_an_entry_point_that_names_no_module_is_refused(tmp_path, value):
    site = distribution(tmp_path, as_package(TEXT), theirs=value)
    (sentence,) = said([("theirs", LOAD)], PYTHONPATH=str(site))
    assert "an entry point that names" in sentence


#: Where a study has a name that is not known, and its key.
UNKNOWN = {
    "activation": ("ensembles", "bumps", "activation", "my_act"),
    "family": ("ensembles", "bumps", "estimate", ["my_family"]),
    "figure": ("studies", "own", "figures", ["my_figure"]),
    "quantity": ("studies", "own", "quantities", ["my_quantity"]),
    "kind": ("inputs", "turned", "kind", "my_kind"),
}


def test_a_name_that_no_extension_has_is_told_with_what_names_extensions():
    code = "from finitewidth.study.study_file import read_yaml, validate\n"
    code += f"content = read_yaml({str(STUDY)!r})\ncontent{{keys}} = {{value!r}}\nvalidate(content)"
    cases = []
    for *keys, value in UNKNOWN.values():
        path = "".join(f"[{key!r}]" for key in keys)
        cases.append((OWN, code.format(keys=path, value=value)))
    for (*keys, value), sentence in zip(UNKNOWN.values(), said(cases), strict=True):
        word = value if isinstance(value, str) else value[0]
        assert sentence.startswith(f"ConfigError: config key {keys[0]}.{keys[1]}"), sentence
        assert word in sentence
        assert VARIABLE in sentence
        assert "allowed is" in sentence
    # Without the extension, the study itself is one.
    (sentence,) = said([("", f"{LOAD}\nload([{str(STUDY)!r}])")])
    assert VARIABLE in sentence
    assert "spiral" in sentence
