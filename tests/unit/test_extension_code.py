"""What of an extension's file is the code of which entry, read without running it."""

import pytest

from extending import OWN, as_package, changed, distribution
from finitewidth.extensions import kept
from finitewidth.extensions.named import at
from finitewidth.provenance import own_code

TEXT = OWN.read_text()


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
