"""Extensions: how they are named, what they may declare, and sentences where they cannot."""

import ast
import re
import textwrap

import numpy as np
import pytest

from extending import OWN, STUDY, VARIABLE, as_package, distribution, said
from finitewidth.core.errors import LONGEST, ConfigError
from finitewidth.extensions import kept
from finitewidth.extensions.named import at, named
from finitewidth.models.activations.own import wrong, wrong_on_tensors
from finitewidth.models.activations.table import TABLE
from finitewidth.provenance import own_code
from running import ROOT

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


def changed(old, new):
    assert old in TEXT, old
    return TEXT.replace(old, new, 1)


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


def digests(text, tmp_path):
    (tmp_path / "own.py").write_text(text)
    one = at(tmp_path / "own.py")
    names = (
        "ACTIVATIONS.bump", "KINDS.spiral", "FAMILIES.participation",
        "FAMILIES.participation.estimator", "FAMILIES.participation.theory",
        "FIGURES.participation_by_layer",
    )  # fmt: skip
    found = {name: own_code.code_in(one, f"extensions/own.py:{name}") for name in names}
    return {name: code.digest for name, code in found.items()}


ALL = {
    "ACTIVATIONS.bump", "KINDS.spiral", "FAMILIES.participation",
    "FAMILIES.participation.estimator", "FAMILIES.participation.theory",
    "FIGURES.participation_by_layer",
}  # fmt: skip
#: An edit, and the entries whose code it is.
EDITS = {
    "a comment": (("# An activation", "# One activation"), set()),
    "a docstring": (("E[z^2]^2/E[z^4] over all", "The same over all"), set()),
    "a helper of the activation": (("-0.5 * z * z", "-z * z / 2"), {"ACTIVATIONS.bump"}),
    "its derivatives": (("1 + 0 * z", "1.0 + 0 * z"), {"ACTIVATIONS.bump"}),
    "a key of the inputs": (("a number above 0: degrees", "above 0: degrees"), {"KINDS.spiral"}),
    "their vectors": (("x[:, 0], x[:, 1]", "x[:, 1], x[:, 0]"), {"KINDS.spiral"}),
    "the estimator": (
        ("correct_bias=True", "correct_bias=False"),
        {"FAMILIES.participation.estimator"},
    ),
    "the theory": (("1 / (3 + values)", "1 / (values + 3)"), {"FAMILIES.participation.theory"}),
    "the description": (("ratio of a neuron, E", "ratio, E"), {"FAMILIES.participation"}),
    "the figure": (('"layer")', '"layers")'), {"FIGURES.participation_by_layer"}),
    "what runs by itself": (("# A figure of it", "np.seterr(all='ignore')\n# A figure"), ALL),
    "a name that all use": (("import numpy as np", "import numpy as np  # more"), set()),
    "one more activation": (
        ("ACTIVATIONS = [\n", 'ACTIVATIONS = [\n    Activation("more", *[bump] * 5),\n'),
        set(),
    ),
    "one more figure": (
        ("FIGURES = {\n", 'FIGURES = {\n    "more": FigureEntry(bump, ("participation",), "x"),\n'),
        set(),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_the_entries_whose_code_it_is(name, tmp_path):
    (old, new), expected = EDITS[name]
    before, after = digests(TEXT, tmp_path), digests(changed(old, new), tmp_path)
    assert {entry for entry in before if before[entry] != after[entry]} == expected


@pytest.mark.parametrize(
    "ending",
    [
        "ACTIVATIONS = [a for a in ACTIVATIONS]",
        "ACTIVATIONS += []",
        "globals()['ACTIVATIONS'] = []",
        "import importlib",
    ],
)
def test_where_the_text_does_not_tell_the_whole_file_counts(ending, tmp_path):
    before = digests(f"{TEXT}\n{ending}\n", tmp_path)
    after = digests(changed('"layer")', '"layers")') + f"\n{ending}\n", tmp_path)
    assert before["ACTIVATIONS.bump"] != after["ACTIVATIONS.bump"]


def test_a_module_of_a_package_counts_where_it_is_imported(tmp_path):
    def code():
        one = at(tmp_path / "ownpack/tables.py")
        assert one.name == "ownpack/tables.py"
        return own_code.code_in(one, "extensions/ownpack/tables.py:ACTIVATIONS.bump")

    distribution(tmp_path, {**as_package(TEXT), "ownpack/apart.py": "X = 1\n"})
    before = code()
    assert {"numpy", "finitewidth.core.fields"} <= before.imports
    assert not any(name.startswith("ownpack") for name in before.imports)
    (tmp_path / "ownpack/apart.py").write_text("X = 2\n")
    assert code() == before
    parts = tmp_path / "ownpack/parts.py"
    parts.write_text(parts.read_text().replace("MORE = 1", "MORE = 2"))
    assert code() != before


@pytest.mark.parametrize("content", [b"\0", b"(" * 10_000, b"def", b"\xff\xfe", b"x" * 10**6])
def test_a_file_of_any_content_is_read_as_text_or_not_at_all(content, tmp_path):
    (tmp_path / "own.py").write_bytes(content)
    found = own_code.code_in(at(tmp_path / "own.py"), "extensions/own.py:ACTIVATIONS.bump")
    assert found is None or len(found.digest) == 16


def test_reading_a_file_never_runs_it(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nACTIVATIONS = []\n")
    assert own_code.code_in(at(file), "extensions/own.py:ACTIVATIONS.a")
    assert kept.copy(at(file), tmp_path / "copies").read_text() == file.read_text()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", TABLE)
def test_every_activation_of_the_library_would_be_taken(name):
    import torch

    assert wrong(TABLE[name]) is None
    assert wrong_on_tensors(torch, TABLE[name]) is None


@pytest.mark.parametrize("field", ["on_tensor_", "derivative_on_tensor_", "second_on_tensor"])
def test_what_torch_computes_otherwise_is_refused(field):
    import dataclasses

    import torch

    for name, off in (("tanh", 1e-3), ("relu", 1e-3), ("gelu", 1e-3)):
        right = getattr(TABLE[name], field)

        def other(*given, right=right, off=off):
            return right(*given) * (1 + off) + off

        given, _ = wrong_on_tensors(torch, dataclasses.replace(TABLE[name], **{field: other}))
        assert f"{name}.{field}" in given


def test_what_torch_cannot_differentiate_is_refused():
    import dataclasses

    import torch

    def detached(torch, z):
        return torch.tanh(z.detach())

    one = dataclasses.replace(TABLE["tanh"], on_tensor_=detached)
    given, allowed = wrong_on_tensors(torch, one)
    assert "on_tensor_" in given
    assert "differentiates" in allowed


#: Draws random studies of each kind whose activation is that of the extension, and runs the first
#: that is accepted.
RANDOM = """
import pathlib, tempfile, warnings
import random_studies, whole_runs
warnings.simplefilter("ignore")
random_studies.ACTIVATIONS = ("bump",)
for kind in {kinds!r}:
    folder = pathlib.Path(tempfile.mkdtemp())
    for seed in range(7000, 7040):
        content = random_studies.drawn(seed, folder, kind)
        first = content["ensembles"]["e0"]
        first["estimate"] += ["participation"] * (kind == "layers")
        # Of the other ensembles of the study, which tests elsewhere run, none is needed.
        content["ensembles"], content["studies"]["s"]["ensembles"] = {{"e0": first}}, ["e0"]
        content.pop("trained", None), content["studies"]["s"].pop("trained", None)
        config, _ = random_studies.accepted(content, folder)
        if config and config.ensembles["e0"].activation == ["bump"]:
            found = whole_runs.run(config, folder)
            has_family = "participation" in set(found.rows["quantity"])
            print(kind, len(found.rows), has_family, found.faults)
            break
"""


def test_random_studies_of_its_activation_run_to_their_end():
    """A trusted z beyond 6 has odds of 2e-9 a row."""
    kinds = ["layers", "ntk", "ways", "ladder"]
    (told,) = said([(OWN, RANDOM.format(kinds=kinds))])
    for kind, line in zip(kinds, told.splitlines(), strict=True):
        word, rows, has_family, faults = line.split(" ", 3)
        assert (word, faults) == (kind, "[]")
        assert int(rows) > 0
        assert has_family == str(kind == "layers")


#: Families of a ladder and of tangent kernels, with theory and without.
OTHER_FAMILIES = """
import numpy as np
from finitewidth.quantities.description import AT_INPUT, Family, Quantity


def spread(ladder):
    from finitewidth.estimate.errors.jackknife import block_sums, jackknife
    shape = ladder.diagonal.shape[1:]  # (rung, layer, input)
    k = ladder.diagonal.reshape(-1, np.prod(shape))
    sums = block_sums(lambda at: {"k": k[at], "kk": k[at] ** 2}, ladder.bounds)
    ratio = lambda s, count: s["kk"] * count / s["k"] ** 2 - 1
    found = jackknife(sums, ladder.bounds, ratio, correct_bias=True)
    return {"kernel_spread": found.take(np.arange(k.shape[1]).reshape(shape))}


def spread_theory(rung):
    return {"kernel_spread": {"infinite_width": np.zeros((len(rung.layers), len(rung.x)))}}


def trace(last):
    from finitewidth.estimate.errors.jackknife import block_sums, jackknife
    theta = np.einsum("nooaa->na", last.read["ntk"]) / last.read["ntk"].shape[1]
    sums = block_sums(lambda at: {"t": theta[at]}, last.bounds)
    name = "own_trace"
    return {name: jackknife(sums, last.bounds, lambda s, count: s["t"] / count)}


def trace_theory(case):
    return {"own_trace": {"infinite_width": np.diagonal(case.theta)}}


def silent(last):
    return {"silent": trace(last)["own_trace"]}


def silent_spread(ladder):
    return {"silent_spread": spread(ladder)["kernel_spread"]}


IN_LADDER = ("rung", *AT_INPUT)
FAMILIES = [
    Family("spread", (Quantity("kernel_spread", IN_LADDER, "Var/E^2", unit=()),),
           ("conditional_kernel",), spread, spread_theory, made_of="ladder"),
    Family("silent_spread", (Quantity("silent_spread", IN_LADDER, "the same"),),
           ("conditional_kernel",), silent_spread, made_of="ladder"),
    Family("trace", (Quantity("own_trace", AT_INPUT, "Theta", unit=((0, 2),)),),
           ("ntk",), trace, trace_theory, made_of="last_layer"),
    Family("silent", (Quantity("silent", AT_INPUT, "Theta"),), ("ntk",), silent,
           made_of="last_layer"),
]
"""
#: Studies with these, or with these alone, run to their tables.
RUN_OTHERS = """
import pathlib, tempfile, warnings
import whole_runs
from finitewidth.study.study_file import validate
warnings.simplefilter("ignore")
shared = {"activation": "tanh", "init": "critical", "depth": 3, "inputs": "x", "networks": 2000}
for ensemble in (
    {"ladder": [8, 16, 32, 64], "estimate": ["kernel_moments", "spread", "silent_spread"]},
    {"ladder": [8, 16], "estimate": ["silent_spread"]},
    {"width": 16, "measure": ["ntk"], "estimate": ["ntk", "trace", "silent"]},
    {"width": 16, "measure": ["ntk"], "estimate": ["silent"]},
):
    config = validate({
        "seed": 1, "device": "cpu",
        "inputs": {"x": {"kind": "sphere", "dimension": 3, "count": 2, "norm": 1.7}},
        "ensembles": {"e": {**shared, **ensemble}}, "studies": {"s": {"ensembles": ["e"]}},
    })
    found = whole_runs.run(config, pathlib.Path(tempfile.mkdtemp()))
    assert not found.faults, found.faults
    rows = found.rows
    own = rows[rows["quantity"].isin(["kernel_spread", "silent_spread", "own_trace", "silent"])]
    off = rows[rows["quantity"].isin(["own_trace"])]
    same = rows[(rows["quantity"] == "ntk") & rows["inputs"].isin(["0 0", "1 1"])]
    same = same[same["order"] == "infinite_width"]
    print(found.faults, sorted(set(own["quantity"])), sorted(set(own["order"])),
          set(off["estimate"].round(9)) == set(same["estimate"].round(9)), own["trusted"].any())
"""


def test_families_of_ladders_and_of_tangent_kernels_with_theory_and_without(tmp_path):
    (tmp_path / "more.py").write_text(OTHER_FAMILIES)
    (told,) = said([(tmp_path / "more.py", RUN_OTHERS)])
    assert told.splitlines() == [
        "[] ['kernel_spread', 'silent_spread'] ['infinite_width', 'none'] True True",
        "[] ['silent_spread'] ['none'] True True",
        "[] ['own_trace', 'silent'] ['infinite_width', 'none'] True True",
        "[] ['silent'] ['none'] True True",
    ]


#: Calls of what an extension declares, as jobs do.
_CALL = {
    "estimator": "from finitewidth.quantities.vocabulary import FAMILIES as F\n"
    "from finitewidth.quantities.held import estimated, sizes\n"
    "estimated(F['participation'], None, sizes(2))",
    "theory": "from finitewidth.quantities.vocabulary import FAMILIES as F\n"
    "from finitewidth.quantities.held import predicted, sizes\n"
    "predicted(F['participation'], None, sizes(2, layer=3))",
    "vectors": "from finitewidth.data.inputs import vectors\nvectors('turned', {'kind': 'spiral',"
    " 'count': 2, 'dimension': 3, 'turn': 1.0, 'growth': 1.0}, 1)",
    "tensors": "import torch\nfrom finitewidth.models.activations import table\n"
    "table.check_on_tensors(torch, 'bump')",
}
_ARRAYS = "type('E', (), dict.fromkeys(['value', 'stderr', 'reason'], np.zeros((2, 2))))()"
#: What a function of the extension gives, and a word of the sentence that its job ends in.
IN_JOBS = {
    "no quantities": ("estimator", "estimator=lambda layer: {}", "a dictionary of participation"),
    "another one": ("estimator", "estimator=lambda layer: {'a': 1}", "that gives a,"),
    "no dictionary": ("estimator", "estimator=lambda layer: [1]", "that gives list"),
    "no estimate": (
        "estimator",
        "estimator=lambda layer: {'participation': 1.0}",
        "axes (input = 2)",
    ),
    "another shape": (
        "estimator",
        f"estimator=lambda layer: {{'participation': {_ARRAYS}}}",
        "axes (input = 2)",
    ),
    "another theory": ("theory", "theory=lambda case: {'a': {}}", "quantities among participation"),
    "no orders": ("theory", "theory=lambda case: {'participation': np.ones(2)}", "orders among"),
    "another order": (
        "theory",
        "theory=lambda case: {'participation': {'second': np.ones((2, 2))}}",
        "orders among infinite_width",
    ),
    "theory of another shape": (
        "theory",
        "theory=lambda case: {'participation': {'exact': np.ones(2)}}",
        "axes (layer = 3, input = 2)",
    ),
    "one vector": ("vectors", "    return x[0]\n", "(inputs, n_0)"),
    "a list": ("vectors", "    return x.tolist()\n", "list of shape"),
    "too few vectors": ("vectors", "    return x[:1]\n", "1 vectors where count is 2"),
    "vectors with a hole": ("vectors", "    return x * np.nan\n", "NaN"),
    "complex ones": ("vectors", "    return x * 1j\n", "real numbers"),
    "another slope": ("tensors", "s: z * s", "derivative, on tensors"),
}
_REPLACED = {
    "estimator": "estimator=participations",
    "theory": "theory=participation_theory",
    "vectors": "    return x\n",
    "tensors": "s: -z * s",
}


def test_what_a_function_gives_otherwise_ends_its_job_in_a_sentence(tmp_path):
    cases = []
    for k, (called, new, _) in enumerate(IN_JOBS.values()):
        (tmp_path / f"own{k}.py").write_text(changed(_REPLACED[called], new))
        cases.append((tmp_path / f"own{k}.py", _CALL[called]))
    cases += [(OWN, _CALL["vectors"]), (OWN, _CALL["tensors"])]
    answers = said(cases)
    for (_, _, words), told in zip(IN_JOBS.values(), answers[:-2], strict=True):
        assert told.startswith("ConfigError: "), told
        assert words in told
    assert answers[-2:] == ["", ""]


#: Estimates of extensions whose axes are of one length by chance: inputs and recorded neurons,
#: outputs, or rungs and layers.
_MIXED = """
import numpy as np
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
x = np.random.default_rng(0).standard_normal(({inputs}, 3))
names = dict(seed=1, ensemble="e", member="m")
mlps = [Perceptron.uniform_width("tanh", dimension=3, width=n, depth=3, C_W=1.0, outputs=3)
        for n in (8, 12, 16)]
if "{family}" == "participation":
    samples = sample(mlps[0], x, networks=60, seed=1, record=3)
    found = estimate([samples], ["participation"], **names)
elif "{family}" == "trace":
    rates = LearningRates.named("ntk", mlps[0])
    samples = sample_ntk(mlps[0], rates, x, networks=60, seed=1, outputs=3)
    found = estimate([samples], ["trace"], **names)
else:
    samples = sample_ladder(mlps, x, networks=60, seed=1)
    found = estimate_ladder([samples], ["spread"], **names)
print(sorted(name for name in found.data_vars if name.endswith("_stderr")))
"""
#: Family -> what makes its estimator's axes those of another dimension, and its quantity.
_OTHER_AXES = {
    "participation": (TEXT, "mean(axis=2)", "mean(axis=1)", "participation", "input"),
    "trace": (OTHER_FAMILIES, '"nooaa->na"', '"nooaa->no"', "own_trace", "input"),
    "spread": (OTHER_FAMILIES, "ladder.diagonal", "ladder.diagonal.swapaxes(1, 2)",
               "kernel_spread", "rung"),
}  # fmt: skip


@pytest.mark.parametrize("inputs", [2, 3])
def test_an_estimate_over_another_axis_is_refused_whatever_their_sizes(tmp_path, inputs):
    """With three inputs every axis is of length 3."""
    cases = []
    for family, (text, right, other, _, _) in _OTHER_AXES.items():
        for kind, content in ("right", text), ("wrong", text.replace(right, other)):
            file = tmp_path / f"{family}_{kind}.py"
            file.write_text(content)
            cases.append((file, _MIXED.format(inputs=inputs, family=family)))
    answers = said(cases)
    for k, (_, _, _, quantity, dim) in enumerate(_OTHER_AXES.values()):
        good, bad = answers[2 * k : 2 * k + 2]
        assert good.strip() == f"['{quantity}_stderr']", good
        assert bad.startswith("ConfigError: extension "), bad
        assert f"gives {quantity} as an array of shape" in bad
        assert f"{dim} = " in bad


def test_the_document_shows_the_code_that_is_tested():
    text = (ROOT / "docs/extensions.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shown = [b for b in blocks if "# docs/examples/own.py" in b]
    assert len(shown) == 4
    for block in shown:
        body = block.split("\n", 1)[1].strip()
        ast.parse(textwrap.dedent(body))
        assert body in TEXT
    assert np.all([name in text for name in ("ACTIVATIONS", "KINDS", "FAMILIES", "FIGURES")])
