"""What Snakemake hands over, taken as a study; and what Snakemake is handed."""

import pytest
import yaml

from finitewidth.core.errors import ConfigError
from finitewidth.provenance.code import SNAKEFILE
from finitewidth.runtime.run import arguments
from finitewidth.study.handed import as_written, option, read
from finitewidth.study.study_file import content
from running import ROOT, TINY

pytestmark = pytest.mark.fast

DEFAULT = ROOT / "config.yaml"


@pytest.fixture(scope="module")
def tiny():
    return content([TINY])


def test_nothing_is_the_default_and_what_has_no_section_lies_on_it():
    default = content([DEFAULT])
    assert read({}, DEFAULT)[0] == default
    given, config = read({"seed": 5, "formats": ["svg"]}, DEFAULT)
    assert given == default | {"seed": 5, "formats": ["svg"]}
    assert config.seed == 5


def test_a_config_with_a_section_stands_alone(tiny):
    given, config = read(tiny, DEFAULT)
    assert given == tiny
    assert list(config.ensembles) == list(tiny["ensembles"])
    with pytest.raises(ConfigError, match=r"config key (inputs|ensembles)"):
        read({"seed": 1, "ensembles": {"a": {"width": 3}}}, DEFAULT)


def test_a_file_is_read_by_our_reader_with_the_rest_on_top(tiny, tmp_path):
    assert read({"study": str(TINY)}, DEFAULT)[0] == tiny
    given, _ = read({"study": [str(TINY)], "ensembles": {"norms": {"networks": "2100"}}}, DEFAULT)
    assert given["ensembles"]["norms"] == tiny["ensembles"]["norms"] | {"networks": 2100}
    path = tmp_path / "x.yaml"
    for text, said in {
        "seed: 1\nseed: 2\n": "twice",
        "seed: 010\n": "whole number",
        "__use_yte__: true\n": "__use_yte__",
        f"{TINY.read_text()}study: x\n": "unknown key",
    }.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            read({"study": str(path)}, DEFAULT)


@pytest.mark.parametrize("name", [None, 7, 1.5, True, {}, [], [7], ""])
def test_what_names_no_study_file_is_refused(name):
    with pytest.raises(ConfigError, match=r"config key study: given .*, allowed is the name of a"):
        read({"study": name}, DEFAULT)


def test_what_snakemake_made_texts_of_are_numbers_again(tiny):
    """A --config with a mapping on top of a --configfile, as Snakemake merges them."""
    changed = content([TINY], {"ensembles": {"norms": {"networks": "2100", "depth": "41"}}})
    given, config = read(changed, DEFAULT)
    assert config.ensembles["norms"].depth == [41]
    assert given["ensembles"]["norms"]["networks"] == 2100
    wrong = content([TINY], {"ensembles": {"norms": {"networks": "2100", "depth": "many"}}})
    with pytest.raises(ConfigError, match=r'ensembles\.norms\.depth: given "many"'):
        read(wrong, DEFAULT)
    # What is a valid text stays one.
    titled = content([TINY], {"studies": {"covariance": {"title": "2024"}}})
    assert read(titled, DEFAULT)[1].studies["covariance"].title == "2024"
    assert as_written({"a": ["1", "x", "1.5", "true", "{b: 1}", "{", "1e-5"]}) == {
        "a": [1, "x", 1.5, True, "{b: 1}", "{", "1e-5"]
    }


def test_what_no_reader_of_ours_would_take_is_refused_in_one_sentence(tiny):
    deep = []
    for _ in range(60):
        deep = [deep]
    wide = ["x"] * 1000
    endless = {}
    endless["x"] = endless
    for odd in (deep, [wide] * 200, endless, {1: 2}, {None: 1}, object(), {"x"}, "a\x00b", 1j):
        with pytest.raises(ConfigError) as refused:
            read(tiny | {"seed": odd}, DEFAULT)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["a.yaml", "a b: c.yaml", "[x].yaml", "nan", "7", "ü'\"$x.yaml", "{y}.yaml", "#", "a,b"]
)
def test_a_file_is_handed_over_by_its_whole_name(name, tmp_path, monkeypatch):
    """As Snakemake reads the value of a --config."""
    monkeypatch.chdir(tmp_path)
    for files in ([name], [name, "other.yaml"]):
        key, _, value = option(files).partition("=")
        assert key == "study"
        with pytest.raises(ValueError, match="could not convert"):
            float(value)
        got = yaml.load(value, Loader=yaml.BaseLoader)
        assert got == (
            str(tmp_path / name) if len(files) == 1 else [str(tmp_path / f) for f in files]
        )


def snakemake_gets(*words):
    return arguments(list(words))[2:]


def test_run_hands_over_study_files_and_leaves_the_rest_to_snakemake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine, yours = (f"study={tmp_path}/{n}.yaml" for n in ("mine", "yours"))
    assert arguments([]) == ["--snakefile", str(SNAKEFILE)]
    assert snakemake_gets("mine.yaml", "--cores", "2") == ["--cores", "2", "--config", mine]
    assert snakemake_gets("mine.yaml", "target") == ["target", "--config", mine]
    for word in ("--configfile", "--configfiles", "--configfi"):
        assert snakemake_gets("-n", word, "mine.yaml") == ["-n", "--config", mine]
        assert snakemake_gets("-n", f"{word}=yours.yaml") == ["-n", "--config", yours]
    two = f'study=["{tmp_path}/a", "{tmp_path}/b"]'
    assert snakemake_gets("--configfile", "a", "b", "-n") == ["-n", "--config", two]
    assert snakemake_gets("m.yaml", "--config", "seed=2", "device=cpu", "-n", "--", "t", "-x") == [
        "-n", "--config", f"study={tmp_path}/m.yaml", "seed=2", "device=cpu", "--", "t", "-x"
    ]  # fmt: skip
    assert arguments(["-s", "other"]) == ["-s", "other"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [("seed", 'given "seed", allowed is key=value'), ("=1", 'given "=1"'), ("7=1", 'given "7=1"'),
     ("studies={a: {title: a, title: b}}", '--config studies line 1: given the key "title" twice'),
     ("seed=017", "whole number"), ("abc=!!python/object:x y", "the tag")],
)  # fmt: skip
def test_run_reads_overrides_as_a_study_file(entry, said):
    with pytest.raises(ConfigError, match=said):
        arguments(["--cores", "1", "--config", "device=cpu", entry])
    with pytest.raises(ConfigError, match="--configfile: given nothing"):
        arguments(["--configfile", "--cores", "1"])
