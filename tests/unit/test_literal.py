"""Words of users: they show as they are, on one line, and no name or path of a config leads out."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from finitewidth.comparison.tables import to_markdown, to_tex
from finitewidth.core.errors import ConfigError
from finitewidth.provenance.projections import parts
from finitewidth.provenance.rebuild import _with_given
from finitewidth.provenance.trace import Ancestry, Artifact
from finitewidth.study.study_file import load, validate

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
ODD = (
    r'Var $K$ & 50 % {x} \input{a} <b>bold</b> "q" $(touch x) `touch x` | a_b #1 ~ ^ \\ \\|'
    r" *i* __b__ _i_ [a](b) ![a](b) &lt; &amp; --> ]( \^^M \\"
)


def rows(text):
    """A comparison of one number with a text where a user's could come to stand."""
    line = {"ensemble": "e", "quantity": "covariance", "member": text, "order": "exact",
            "theory": 1.0, "estimate": 1.1, "standard_error": 0.1, "z": 1.0,
            "holds": True, "trusted": True}  # fmt: skip
    return pd.DataFrame([line, line | {"quantity": "correlation"}])


def test_markdown_shows_text_as_it_is():
    lines = to_markdown(rows(ODD)).splitlines()
    cells = [re.split(r"(?<!\\)(?:\\\\)*\|", line) for line in lines if line.startswith("|")]
    assert len(cells) == 4
    assert len({len(line) for line in cells}) == 1
    shown = next(c for c in re.split(r" \| ", lines[-1]) if c.startswith("Var"))
    # A backslash takes its meaning from a sign of punctuation; none is left with one.
    bare = re.sub(r"\\(?:[^\w\s]|_)", "", shown)
    assert not re.search(r"[\\`*|<>&$~]|\]\(|\b_|_\b|__", bare), bare
    assert re.sub(r"\\([^\w\s]|_)", r"\1", shown) == ODD


def test_tex_shows_text_as_it_is():
    named = {"backslash": "\\", "asciicircum": "^", "asciitilde": "~", "less": "<",
             "greater": ">", "bar": "|", "asciigrave": "`"}  # fmt: skip
    line = to_tex(rows(ODD)).splitlines()[-3]
    cells = re.split(r"(?<!\\) & ", line.removesuffix(r" \\"))
    assert len(cells) == len(re.search(r"\{(l+)\}", to_tex(rows(ODD)))[1])
    (shown,) = (c for c in cells if c.startswith("Var"))
    bare = re.sub(r"\\text[a-z]+\{\}|\\[_%&#${}]", "", shown)
    assert not re.search(r"[\\_%&#${}^~<>|`]", bare), bare
    plain = re.sub(r"\\text([a-z]+)\{\}", lambda m: named[m[1]], shown.replace("\\$", "$"))
    assert re.sub(r"\\([_%&#{}])", r"\1", plain) == ODD


@pytest.mark.parametrize("to_text", [to_markdown, to_tex])
def test_a_line_break_does_not_end_a_row(to_text):
    assert to_text(rows("a\nb\r\n\n c")) == to_text(rows("a b c"))


def config(**change):
    content = {
        "seed": 1,
        "inputs": {"a": {"kind": "sphere", "dimension": 3, "count": 1}},
        "ensembles": {"a": {"activation": "relu", "init": "critical", "width": 4, "depth": 2,
                            "inputs": "a", "networks": 60}},
        "studies": {"a": {"ensembles": ["a"], "figures": ["covariance"]}},
    }  # fmt: skip
    return content | change


CONTROLS = ["a\nb", "a\x1b]0;b\x07", "a\0", "a\u2028b", "a\x7f", "a\x9bb", "a\tb"]


@pytest.mark.parametrize("text", CONTROLS)
def test_a_title_of_several_lines_or_for_a_terminal_is_refused(text):
    with pytest.raises(ConfigError, match=r"studies\.a\.title: given .*a line of text") as caught:
        validate(config(studies={"a": {"ensembles": ["a"], "title": text}}))
    assert str(caught.value).isprintable()


def test_a_source_of_several_lines_is_refused():
    trained = {"data": "d", "mlp": [64, 8, 10], "epochs": 1, "learning_rate": 0.1}
    content = {"seed": 1, "data": {"d": {"kind": "digits"}}}
    says = r"trained\.t\.published\.source: given .*a line of text"
    with pytest.raises(ConfigError, match=says):
        validate(content | {"trained": {"t": trained | {"published": {"source": "a\0b"}}}})
    validate(content | {"trained": {"t": trained | {"published": {"source": ODD}}}})


@pytest.mark.parametrize("path", ["", " ", "{name}.npy", "a{b.npy", "a}.npy", *CONTROLS])
def test_a_path_that_cannot_be_one_is_refused(path):
    for section, entry in (
        ("inputs", {"kind": "array", "file": path}),
        ("data", {"kind": "array", "file": path}),
        ("data", {"kind": "cifar10", "archive": path}),
    ):
        key = "archive" if "archive" in entry else "file"
        says = rf"{section}\.b\.{key}: given .*, allowed is the path of .*without braces"
        with pytest.raises(ConfigError, match=says):
            validate(config(**{section: config().get(section, {}) | {"b": entry}}))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "data:,a", "/etc/passwd", "HTTP:x", " http://a", ""]
)
def test_only_addresses_of_the_web_are_allowed(url):
    with pytest.raises(ConfigError, match=r"data\.c\.url: given .*, allowed is the address, http"):
        validate(config(data={"c": {"kind": "cifar10", "url": url}}))


@pytest.mark.parametrize("key", ["a\x1b[2J", "a\nb\u202e"])
def test_a_sentence_holds_nothing_that_a_terminal_would_obey(key):
    with pytest.raises(ConfigError) as caught:
        validate({key: key, "seed": 1})
    assert str(caught.value).isprintable()
    assert repr(key.replace("\n", " "))[1:-1] in str(caught.value)


NAMES = ["../x", "a/b", "/etc", ".", "..", "a b", "", "ä", "-a", "1a", "a.b", "a\n", "$a", 41 * "a"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("section", ["inputs", "ensembles", "data", "trained", "studies"])
def test_a_name_that_leads_elsewhere_is_refused(section, name):
    entry = {"data": {"kind": "digits"}, "trained": {"data": "a", "mlp": [64, 8, 10], "epochs": 1,
             "learning_rate": 0.1}}.get(section) or config()[section]["a"]  # fmt: skip
    with pytest.raises(ConfigError, match="a name of at most 40 letters"):
        validate(config(**{section: {name: entry}}))


def test_no_output_lies_outside_results():
    known = [*(ROOT / "config").glob("*.yaml"), ROOT / "config.yaml"]
    odd = config(
        inputs={"results": config()["inputs"]["a"], "CON": {"kind": "array", "file": "/etc/x.npy"}},
        ensembles={
            "logs__": config()["ensembles"]["a"]
            | {"inputs": ["results", "CON"], "shards": 2, "init": {"C_W": [1e-9, 1e9]}},
        },
        data={"A" + 39 * "_": {"kind": "array", "file": "../../x.nc"},
              "c": {"kind": "cifar10", "archive": "-x", "url": "http://a/../../b"}},
        trained={"nul": {"data": "c", "mlp": [1024, 8, 10], "epochs": 1, "learning_rate": 0.1,
                         "widen": [1e-9, 1e6]}},
        studies={"studies": {"ensembles": ["logs__"], "trained": ["nul"], "title": "../../x"}},
    )  # fmt: skip
    odd["inputs"]["results"] |= {"count": 2}
    odd["inputs"]["CON"] |= {"count": 2}
    for given in (*(load([path]) for path in known), validate(odd)):
        paths = [path for one in parts(given) for path in one.paths]
        assert paths
        for path in paths:
            assert re.fullmatch(r"results(/[A-Za-z0-9][\w.,=+-]*)+\.\w+", path), path
            assert os.path.normpath(path) == path


def test_what_a_user_gave_from_above_is_linked_within_the_scratch_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    given = ["x.npy", "../y.npy", "../../z/../w.npy", "c/d.npy", str(tmp_path / "absolute.npy")]
    for path in given:
        target = folder / path
        Path(os.path.normpath(target)).parent.mkdir(parents=True, exist_ok=True)
        Path(os.path.normpath(target)).write_text(path)
    artifacts = {path: Artifact(path, kind="given") for path in given}
    before = set(tmp_path.rglob("*"))
    scratch = tmp_path / "scratch"
    inside = _with_given(Ancestry("r", artifacts, None, [], "r"), folder, scratch)
    assert all(scratch in p.parents for p in {*tmp_path.rglob("*")} - before - {scratch})
    for path in given[:-1]:
        assert Path(os.path.normpath(inside / path)).read_text() == path
