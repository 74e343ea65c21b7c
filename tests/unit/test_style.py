"""A study's own style: what its file may set, refused in one sentence else, and what it changes."""

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finitewidth.config.style_file import ALLOWED, read_style
from finitewidth.core.errors import ConfigError
from finitewidth.provenance.projections import figures, study
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import load, validate
from running import TINY

pytestmark = pytest.mark.fast

GOOD = """
# A comment
font.family: serif      # another
font.size: 11
axes.edgecolor: "#0072B2"  # a colour
axes.facecolor: none

grid.linestyle: --
legend.frameon: True
savefig.dpi: 300
"""
#: What stands in the file, and a word of the sentence that refuses it.
REFUSED = {
    "text.usetex: True": "text.usetex",
    "text.latex.preamble: x": "text.latex.preamble",
    "axes.prop_cycle: cycler('color', ['r'])": "axes.prop_cycle",
    "savefig.directory: /tmp": "savefig.directory",
    "backend: pdf": "backend",
    "figure.figsize: 300, 300": "figure.figsize",
    "lines.linewdth: 2": "did you mean lines.linewidth?",
    "font.family: /etc/font.ttf": "no path",
    "font.family: no such font": "installed",
    "font.family: []": "installed",
    "font.size: 1e9": "from 4 to 40",
    "legend.fontsize: 0.001": "from 4 to 40",
    "savefig.dpi: 1e9": "from 50 to 1200",
    "savefig.dpi: figure": "from 50 to 1200",
    "grid.alpha: nan": "from 0 to 100",
    "xtick.major.size: -3": "from 0 to 100",
    "axes.grid: maybe": "axes.grid",
    "grid.linestyle: (0, (1, 1e9))": "one of -, --, -., :",
    "mathtext.fontset: custom": "dejavusans",
    "font.size: 8\nfont.size: 9": "once",
    "font.size": "name: value",
    "text.color:": "text.color",
    "# \0\nfont.size: \0": "font.size",
    "font.size: " + "9" * 70000: "65536 bytes",
}


def written(tmp_path, text):
    path = tmp_path / "own.mplstyle"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_is_allowed_is_what_matplotlib_takes(tmp_path):
    assert set(ALLOWED) <= set(mpl.rcParams)
    found = read_style(written(tmp_path, GOOD))
    assert found["font.family"] == ["serif"]
    assert found["axes.edgecolor"] == "#0072B2"
    assert found["savefig.dpi"] == 300
    mpl.RcParams(found)


@pytest.mark.parametrize("text", REFUSED)
def test_all_else_is_refused_in_a_sentence(tmp_path, text):
    with pytest.raises(ConfigError) as raised:
        read_style(written(tmp_path, text), "studies.a.style.file")
    sentence = str(raised.value)
    assert REFUSED[text] in sentence
    assert "studies.a.style.file" in sentence
    assert "\n" not in sentence


@given(
    name=st.sampled_from(ALLOWED),
    value=st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["(" * 5000, "[" * 5000, "1e400", "-0", "None", "0x10", "auto", "C0", "{}"]
        ),
        st.floats().map(str),
    ),
)
def test_any_value_is_taken_or_refused(tmp_path_factory, name, value):
    path = written(tmp_path_factory.mktemp("any"), f"{name}: {value}")
    try:
        found = read_style(path)
    except ConfigError:
        return
    mpl.RcParams(found)


@pytest.mark.parametrize(
    ("given_", "word"),
    [
        ({"width": 1e6}, "from 2 to 40"),
        ({"font_size": 0}, "from 4 to 40"),
        ({"file": "{x}.mplstyle"}, "braces"),
        ({"font": 3}, "font_size"),
    ],
)
@pytest.mark.parametrize("place", ["style", "studies.covariance.style"])
def test_the_config_is_bounded(given_, word, place):
    with pytest.raises(ConfigError) as raised:
        styled(place, given_)
    assert word in str(raised.value)
    assert place in str(raised.value)


def styled(place, style):
    """The tiny study with a style."""
    content = load([TINY]).model_dump(exclude_unset=True)
    if place == "style":
        content["style"] = style
    else:
        content["studies"]["covariance"]["style"] = style
    return validate(content)


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("none.mplstyle", "existing"), (".", "folder"), ("latin.mplstyle", "UTF-8"),
        ("bad.mplstyle", "text.usetex"), ("/proc/self/environ", "system"),
    ],
)  # fmt: skip
def test_a_file_is_read_before_the_first_job(tmp_path, file, word):
    (tmp_path / "latin.mplstyle").write_bytes(b"font.size: 9 # \xe9")
    (tmp_path / "bad.mplstyle").write_text("text.usetex: True")
    for place in ("style", "studies.covariance.style"):
        with pytest.raises(ConfigError, match=word) as raised:
            check_given(styled(place, {"file": file}), tmp_path)
        assert f"{place}.file" in str(raised.value)


def test_a_study_goes_before_the_file_and_tables_do_not_know(tmp_path):
    config = styled("style", {"width": 5.0})
    assert config.style_of("covariance").width == 5
    content = config.model_dump(exclude_unset=True)
    content["studies"]["covariance"]["style"] = {"font_size": 12.0}
    both = validate(content)
    assert both.style_of("covariance").width is None
    assert figures(both, "covariance")["style"]["font_size"] == 12
    assert study(both, "covariance") == study(load([TINY]), "covariance")
