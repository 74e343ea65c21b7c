"""What a run is called and where it stands."""

import re
from pathlib import Path

import pytest
import yaml

from finitewidth.core.errors import ConfigError
from finitewidth.core.places import alone, at, place, root_of, run_in
from finitewidth.study import runs
from finitewidth.study.handed import files_of
from finitewidth.study.study_file import load, validate

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "config.yaml"
SMALL = {"seed": 1}


def called(files, over=None, **content):
    return runs.name_of(validate({**SMALL, **content}), files, over or {}, DEFAULT)


@pytest.mark.parametrize(
    ("files", "over", "name"),
    [
        ([DEFAULT], {}, "default"),
        ([ROOT / "config" / ".." / "config.yaml"], {}, "default"),
        # A link to it.
        ([ROOT / "config" / "config.yaml"], {}, "default"),
        ([DEFAULT], {"seed": 2}, "default-seed-2"),
        ([DEFAULT], {"seed": 2, "device": "cpu"}, "default-device-cpu-seed-2"),
        ([DEFAULT], {"study": "x", "seed": 2}, "default-seed-2"),
        (["papers/foo.yaml"], {}, "foo"),
        (["/elsewhere/foo.v2.yaml"], {}, "foo.v2"),
        (["foo.yaml"], {"seed": "3"}, "foo-seed-3"),
        (["2024.yaml"], {}, "2024"),
        (["my study.yaml"], {}, "my_study"),
        (["-x.yaml"], {}, "x"),
        (["a.yaml", "b.yaml"], {}, "a-b"),
        ([DEFAULT, "b.yaml"], {}, "default-b"),
        (["foo.yaml"], {"run": "mine"}, "foo"),
    ],
)
def test_files_and_what_is_laid_on_top_name_a_run(files, over, name):
    assert called(files, over) == name


def test_the_key_names_a_run_and_the_command_line_has_the_last_word():
    assert called(["foo.yaml"], run="mine") == "mine"
    assert called([], run="mine") == "mine"
    # Another seed of it is another run, unless somebody says that it is not.
    assert called(["foo.yaml"], {"seed": 2}, run="mine") == "mine-seed-2"
    assert called(["foo.yaml"], {"seed": 2, "run": "mine"}, run="mine") == "mine"
    assert called(["foo.yaml"], run=2024) == "2024"


def test_different_things_laid_on_top_have_different_names():
    laid = [{"formats": ["svg"]}, {"formats": ["png"]}, {"formats": "['svg']"}, {"seed": -1},
            {"device": "a-b"}, {"device": "a b"}, {"ensembles": {"a": {"networks": 3}}},
            {"ensembles": {"a": {"networks": 4}}}, {"memory": 1e-30}, {"seed": "2-x"},
            {"job_minutes": 10**80}, {"job_minutes": 10**81}]  # fmt: skip
    names = [called(["foo.yaml"], over) for over in laid]
    assert len(set(names)) == len(laid)
    # Each is a name that the key takes, too.
    for name in names:
        assert validate({**SMALL, "run": name}).run == name


@pytest.mark.parametrize(
    "file",
    ["x" * 300 + ".yaml", "研究.yaml", ".yaml", "a{b}.yaml", "ü.yaml", "a\nb.yaml", "..yaml",
     "a\u202eb.yaml", "'; rm *.yaml"],
)  # fmt: skip
def test_a_file_of_any_name_names_a_run_that_is_a_folder(file):
    name = called([file], {"seed": 2})
    assert re.fullmatch(r"[A-Za-z0-9][\w.-]{0,59}", name, re.ASCII)
    assert validate({**SMALL, "run": name}).run == name
    assert name != called([f"y{file}"], {"seed": 2})


@pytest.mark.parametrize("file", ["default.yaml", "data.yaml", "Inputs.yml", "results.yaml"])
def test_a_file_whose_name_is_taken_is_refused(file):
    with pytest.raises(ConfigError, match=r"given a name that its run cannot have .* the key run"):
        called([file])
    assert called([file], run="mine") == "mine"


def test_what_stands_in_no_file_wants_a_name():
    with pytest.raises(ConfigError, match="config key run: given nothing"):
        called([])


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "..", ".a", "-a", "_a", "a b", "ä", 61 * "a", "a\n", "Data", "runs", "logs",
     "code", True, 1.5, []],
)  # fmt: skip
def test_a_name_is_one_of_a_folder_that_is_no_other(name):
    with pytest.raises(ConfigError, match=r"config key run: given .*letters, digits"):
        validate({**SMALL, "run": name})


def test_the_files_of_a_run_are_told_from_what_snakemake_hands_over():
    default, over, whole = "config.yaml", {"seed": 2}, {"seed": 1, "ensembles": {}}
    assert files_of({}, [], default) == ["config.yaml"]
    assert files_of(over, [], default) == ["config.yaml"]
    assert files_of(over, ["over.yaml"], default) == ["config.yaml", "over.yaml"]
    assert files_of(whole, ["whole.yaml"], default) == ["whole.yaml"]
    assert files_of({"study": "a.yaml"}, [], default) == ["a.yaml"]
    assert files_of({"study": ["a.yaml", "b.yaml"]}, ["c.yaml"], default) == [
        "a.yaml", "b.yaml", "c.yaml",
    ]  # fmt: skip
    assert files_of(whole, [], default) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("results/inputs/x.nc", ("", "results")),
        ("results/runs/foo/inputs/x.nc", ("", "results/runs/foo")),
        ("theirs/results/runs/foo/figures.md", ("theirs/", "results/runs/foo")),
        ("theirs/results/results/figures.md", ("theirs/results/", "results")),
        ("/a/results/b/results/ro-crate-metadata.json", ("/a/results/b/", "results")),
        # A prefix that looks like a folder of runs; and studies that are called as folders are.
        ("results/runs/results/studies/s/a.csv", ("results/runs/", "results")),
        ("results/studies/results/figures/f.png", ("", "results")),
        ("results/runs/foo/studies/runs/figures/f.png", ("", "results/runs/foo")),
        ("results/runs/foo/ensembles/results/only/theory.nc", ("", "results/runs/foo")),
        ("results/runs/foo/logs/x.log", ("", "results/runs/foo")),
        ("results/other/x.nc", None),
        ("own/x.nc", None),
        ("results/figures.md.part", None),
    ],
)
def test_the_folder_of_a_run_is_told_from_a_path(path, found):
    assert place(path) == found


def test_names_in_stamps_and_places_are_each_others_other_way_round():
    for run in ("default", "foo"):
        root = root_of(run)
        assert run_in(root) == run
        assert run_in(f"theirs/{root}") == run
        for path in ("results/inputs/x.nc", "own/x.npy", "/own/results/x.npy"):
            assert alone(root, at(root, path)) == path


def kept(folder, content, root="results"):
    path = folder / root / "configs" / "0123456789abcdef.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


def default():
    return load([DEFAULT])


def test_results_of_the_default_study_are_its_own_also_those_from_before(tmp_path):
    content = yaml.safe_load(DEFAULT.read_text())
    del content["ensembles"]["chaos"], content["studies"]["chaos"]
    for text in (content, {"run": "default", "seed": 1}, {"run": "default", **content}):
        kept(tmp_path, text)
        for run in ("default", "foo"):
            runs.check_layout(run, default, tmp_path)


@pytest.mark.parametrize(
    "content",
    [{"seed": 1, "ensembles": {"mine": {}}}, {"run": "foo", "seed": 1},
     {"seed": 1, "studies": {"chaos": {}, "mine": {}, "yours": {}}}, {"run": ["x"]}],
)  # fmt: skip
def test_results_of_another_study_are_not_taken_for_it(tmp_path, content):
    kept(tmp_path, content)
    for run in ("default", "foo"):
        with pytest.raises(ConfigError, match="results/ itself holds what"):
            runs.check_layout(run, default, tmp_path)
    # Who has begun anew in a folder of its own is not asked again.
    kept(tmp_path, {}, "results/runs/foo")
    runs.check_layout("foo", default, tmp_path)


def test_folders_tell_where_no_config_was_kept(tmp_path):
    (tmp_path / "results/downloads").mkdir(parents=True)
    (tmp_path / "results/runs/foo/ensembles/mine").mkdir(parents=True)
    (tmp_path / "results/ensembles/chaos").mkdir(parents=True)
    runs.check_layout("default", default, tmp_path)
    for name in ("mine", "yours"):
        (tmp_path / "results/ensembles" / name).mkdir()
    with pytest.raises(ConfigError, match="results/ itself holds what another study"):
        runs.check_layout("default", default, tmp_path)


@pytest.mark.parametrize("text", ["not json", "[]", '{"files": 3}', '{"files": [[]]}', "{}"])
def test_a_damaged_note_of_whose_a_run_is_counts_for_nothing(tmp_path, text):
    kept(tmp_path, {}, "results/runs/foo")
    record = tmp_path / "record.json"
    for owner in ("foo.yaml", "b/foo.yaml"):
        (tmp_path / owner).parent.mkdir(exist_ok=True)
        (tmp_path / owner).write_text("")
    given = runs.sources([tmp_path / "foo.yaml"], DEFAULT, tmp_path)
    assert given == ["foo.yaml"]
    record.write_text(runs.own(given, record))
    assert runs.own(given, record) is None
    with pytest.raises(ConfigError, match="results/runs/foo/ holds what"):
        runs.check_owner("foo", ["b/foo.yaml"], record, tmp_path)
    record.write_text(text)
    runs.check_owner("foo", ["b/foo.yaml"], record, tmp_path)
