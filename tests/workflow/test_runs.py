"""Studies side by side in one folder: each has a run with a name, and none treads on another."""

import re
import shutil
import tarfile

import pytest
import yaml

from finitewidth.__main__ import main
from outside import outside
from running import digests, snakemake, together

#: Two studies that call the same things by the same names, and mean others.
ONE = {
    "seed": 1,
    "device": "cpu",
    "formats": ["png"],
    "inputs": {"x": {"kind": "sphere", "dimension": 3, "count": 1}},
    "ensembles": {
        "small": {"activation": "relu", "init": "critical", "width": 4, "depth": 2, "inputs": "x",
                  "networks": 200, "estimate": ["covariance"]},
    },
    "studies": {"all": {"ensembles": ["small"]}},
}  # fmt: skip
TWO = ONE | {
    "inputs": {"x": {"kind": "sphere", "dimension": 5, "count": 1}},
    "studies": {"all": {"ensembles": ["small"], "figures": ["covariance"]}},
}
#: What each of the runs is asked for by, and where it stands.
RUNS = {
    "results/runs/one": ["--config", "study=one.yaml"],
    "results/runs/two": ["--configfile", "two.yaml"],
    "results/runs/one-seed-2": ["--config", "study=one.yaml", "seed=2"],
}


def written(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def study(name, folder):
    """The options of a run, with its file found from anywhere."""
    return [word.replace("study=", f"study={folder}/").replace("two", f"{folder}/two")
            for word in RUNS[name]]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three runs in one folder, one after another."""
    folder = tmp_path_factory.mktemp("runs")
    written(folder / "one.yaml", ONE)
    written(folder / "two.yaml", TWO)
    for name in RUNS:
        done = snakemake(folder, *study(name, folder), "--cores", "2")
        assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def plans(folder, *commands):
    """What dry runs say, each in one text: what Snakemake reads first is left out."""
    outcomes = together([[folder, "--dry-run", *map(str, command)] for command in commands])
    lines = ([x for x in said.splitlines() if x and not x.startswith("Using")]
             for _, said in outcomes)  # fmt: skip
    return ["\n".join(said) for said in lines]


def jobs(said):
    return set(re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE)) - {"study"}


def test_runs_stand_side_by_side_and_nothing_of_one_is_stale(folder):
    assert sorted(p.name for p in (folder / "results").iterdir()) == ["runs"]
    assert {f"results/runs/{p.name}" for p in (folder / "results/runs").iterdir()} == set(RUNS)
    for said in plans(folder, *(study(name, folder) for name in RUNS)):
        assert "Nothing to be done" in said
    files = [digests(folder, name) for name in RUNS]
    assert set(files[0]) == set(files[2]) < set(files[1])
    shared = {name for name in files[0] if not name.startswith("code/")}
    alike = {name for name in shared if len({each[name] for each in files}) < 3}
    # Theory does not depend on the seed, but its stamp names the input that it was made for.
    assert alike == set()


def test_a_run_is_the_same_bytes_wherever_it_stands(folder, tmp_path):
    """Alone in a folder, as a module of another workflow's, it says nothing of its name."""
    outside(tmp_path, repr(TWO), prefix='prefix: "theirs"')
    done = snakemake(tmp_path, "-s", tmp_path / "Snakefile", "--cores", "2", "fw_all")
    assert done.returncode == 0, done.stdout
    alone, named = digests(tmp_path, "theirs/results"), digests(folder, "results/runs/two")
    different = {name for name in named if alone.pop(name) != named[name]}
    # What speaks of the run as a whole does.
    assert different == {"figures.md", "index.html", "ro-crate-metadata.json"}
    assert alone == {}


@pytest.mark.parametrize("name", RUNS)
def test_each_run_is_traced_by_what_it_was_given(folder, name, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    table = f"{name}/studies/all/comparison.csv"
    assert main(["trace", table]) == 0
    said = capsys.readouterr().out
    named = set(re.findall(r"^[│├└─ ]*(results/\S+)", said, re.MULTILINE))
    assert len(named) > 4
    assert all(path.startswith(f"{name}/") for path in named)
    assert f"config {name}/configs/" in said
    assert ("seed 2" in said) == ("seed" in name)
    # A copy that lies elsewhere is of the run that gives it.
    for more in ("", "-metadata.json"):
        shutil.copy(f"{table}{more}", f"away.csv{more}")
    assert main(["trace", "--rebuild", "away.csv"]) == 0
    said = capsys.readouterr().out
    assert f"run={name.rpartition('/')[2]}" in said
    assert said.endswith(f"-- {table}\n")


def test_all_runs_are_traced_at_once_and_two_are_compared(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["trace", "results"]) == 0, capsys.readouterr().out
    count = re.search(r"whole: (\d+) files", capsys.readouterr().out)[1]
    stamped = [name for name in digests(folder, "results/runs/one")
               if name.split("/")[0] in ("inputs", "ensembles", "studies")]  # fmt: skip
    # Of a figure, there is one file more.
    assert int(count) == 3 * len(stamped) + 1
    tables = [f"results/runs/{name}/studies/all/comparison.csv" for name in ("one", "one-seed-2")]
    assert main(["trace", "--diff", *tables]) == 1
    said = capsys.readouterr().out
    assert "config.seed: 1 | 2" in said
    # What has the same place in both was compared, and nothing was left without a partner.
    assert "nothing like it" not in said
    assert "results/runs/one/inputs/x.nc | results/runs/one-seed-2/inputs/x.nc" in said


def test_a_file_of_a_run_is_made_again_to_the_byte(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    file = "results/runs/one-seed-2/inputs/x.nc"
    assert main(["trace", "--verify", "--cores", "2", file]) == 0
    assert "the same bytes" in capsys.readouterr().out


def test_the_crate_the_page_and_the_report_name_their_run(folder):
    for name in RUNS:
        run = name.rpartition("/")[2]
        crate = (folder / name / "ro-crate-metadata.json").read_text()
        assert f'"Results of finitewidth, run {run}"' in crate
        assert "runs/" not in crate
    name = "results/runs/two"
    assert "# Figures of the run two\n" in (folder / name / "figures.md").read_text()
    done = snakemake(folder, *study(name, folder), "--report", f"{name}/report.html")
    assert done.returncode == 0, done.stdout
    front = (folder / ".snakemake/finitewidth/report/front.rst").read_text()
    assert "This is the run ``two``." in front
    assert "results/runs/two/ro-crate-metadata.json" in front
    (folder / name / "report.html").unlink()


@pytest.mark.parametrize(
    ("given", "name", "file"),
    [(["--configfile", "two.yaml"], "results/runs/two", "config/two.yaml"),
     (["--configfile", "one.yaml", "--config", "seed=2"], "results/runs/one-seed-2",
      "config/one-seed-2.yaml")],
)  # fmt: skip
def test_a_run_is_packed_alone(folder, tmp_path, monkeypatch, capsys, given, name, file):
    monkeypatch.chdir(folder)
    run = name.rpartition("/")[2]
    packed = [str(tmp_path / f"{how}.tar.gz") for how in ("given", "named")]
    assert main(["archive", *given, "--output", packed[0]]) == 0
    assert f'make CONFIG="{file}"' in capsys.readouterr().out
    with tarfile.open(packed[0]) as tar:
        tar.extractall(tmp_path, filter="data")
    there = tmp_path / "given"
    assert digests(there, name) == digests(folder, name)
    assert [p.name for p in (there / "results/runs").iterdir()] == [run]
    with tarfile.open(packed[0]) as tar:
        names = {n.removeprefix("given/") for n in tar.getnames()}
    assert main(["archive", "--run", run, "--output", packed[1]]) == 0
    with tarfile.open(packed[1]) as tar:
        assert {n.removeprefix("named/") for n in tar.getnames()} == names
    study = ["--config", f"study={there / file}"]
    (plan,) = plans(there, ["--snakefile", there / "Snakefile", *study])
    assert "Nothing to be done" in plan


def test_an_edit_reruns_in_place_what_depends_on_it(folder, copy):
    before = {name: digests(copy, name) for name in RUNS}
    assert before == {name: digests(folder, name) for name in RUNS}
    study_file = written(copy / "one.yaml", ONE | {"studies": {"some": {"ensembles": ["small"]}}})
    (plan,) = plans(copy, ["--config", f"study={study_file}"])
    # The crate has a message of its own.
    assert jobs(plan) == {"compare", "crate_config"}
    done = snakemake(copy, "--config", f"study={study_file}", "--cores", "2")
    assert done.returncode == 0, done.stdout
    after = {name: digests(copy, name) for name in RUNS}
    one = "results/runs/one"
    changed = {name for name in after[one] if after[one][name] != before[one].get(name)}
    assert {name.split("/")[1] for name in changed if "/" in name} == {"some"}
    assert {name for name in changed if "/" not in name} == {"index.html", "ro-crate-metadata.json"}
    assert {n: d for n, d in after.items() if n != one} == {
        n: d for n, d in before.items() if n != one
    }


def test_seeds_of_the_default_study_stand_side_by_side(tmp_path):
    one, two = "results/inputs/one.nc", "results/runs/default-seed-2/inputs/one.nc"
    done = snakemake(tmp_path, one, "--cores", "1")
    assert done.returncode == 0, done.stdout
    again, other, in_place = plans(
        tmp_path, [one], [two, "--config", "seed=2"], [one, "--config", "seed=2", "run=default"]
    )
    assert "Nothing to be done" in again
    assert jobs(in_place) == jobs(other) == {"inputs"}
    assert f"output: {two}" in other


def test_files_of_one_name_are_told_apart(copy):
    there = written(copy / "drafts/one.yaml", TWO)
    refused, named, by_run, kept, taken = plans(
        copy, ["--config", f"study={there}"], ["--config", f"study={there}", "run=other"],
        ["--configfile", written(copy / "three.yaml", {"run": "one"} | TWO)],
        ["--config", f"study={next((copy / 'results/runs/one/configs').iterdir())}"],
        ["--config", f"study={there}", "run=one"],
    )  # fmt: skip
    assert refused == (
        'run one: results/runs/one/ holds what "one.yaml" made, and not "drafts/one.yaml": give one'
        " of them another name by its key run, or say --config run=one if they are the same study"
    )
    assert '"three.yaml"' in by_run
    assert "results/runs/other/studies" in named
    assert "sample_small" in jobs(taken)
    # What the run itself has kept is no other study.
    assert "Nothing to be done" in kept
    # A file that was only moved is the same study.
    shutil.move(copy / "one.yaml", copy / "drafts/one.yaml")
    (plan,) = plans(copy, ["--config", f"study={there}"])
    assert "Nothing to be done" in plan


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [("default.yaml", ONE, []), ("a.yaml", ONE | {"run": "../a"}, []),
     ("a.yaml", ONE | {"run": "a b"}, []), ("a.yaml", ONE, ["run=results"])],
)  # fmt: skip
def test_a_name_that_no_run_can_have_is_refused_in_one_sentence(refusals, name, content, more):
    said = refusals[name, str(content), str(more)]
    assert said.count("\n") == 0
    assert "allowed is a" in said
    assert "letters, digits" in said


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    marks = test_a_name_that_no_run_can_have_is_refused_in_one_sentence.pytestmark[0].args[1]
    folder, commands = tmp_path_factory.mktemp("refused"), []
    for k, (name, content, more) in enumerate(marks):
        path = written(folder / f"{k}" / name, content)
        commands.append(["--config", f"study={path}", *more])
    said = plans(folder, *commands)
    return {(name, str(c), str(m)): x for (name, c, m), x in zip(marks, said, strict=True)}


def old_layout(copy):
    """The folder as it was before runs had names: one study in `results/`, whoever's it is."""
    for part in (copy / "results/runs/one").iterdir():
        part.rename(copy / "results" / part.name)
    shutil.rmtree(copy / "results/runs")
    for config in (copy / "results/configs").iterdir():
        content = yaml.safe_load(config.read_text())
        del content["run"]
        config.write_text(yaml.safe_dump(content))


def test_results_of_the_layout_before_are_told_in_one_sentence(copy, monkeypatch, capsys):
    old_layout(copy)
    monkeypatch.chdir(copy)
    words = [study(name, copy) for name in RUNS]
    said = plans(copy, [], words[0], words[1], ["results/inputs/one.nc"])
    for arguments in (["trace", "results/studies/all/comparison.csv"], ["trace", "results"],
                      ["archive"], ["archive", "--configfile", "one.yaml"]):  # fmt: skip
        assert main(arguments) == 1
        done = capsys.readouterr()
        assert done.out == ""
        said.append(done.err.rstrip("\n").removeprefix(f"{copy}/"))
    assert len(set(said)) == 1
    assert re.fullmatch(r"results/ itself holds what another study .*: move .*NAME/ .*", said[0])
    # Where they are moved as it says, nothing is lost.
    (copy / "results/runs/one").mkdir(parents=True)
    for part in list((copy / "results").iterdir()):
        if part.name != "runs":
            part.rename(copy / "results/runs/one" / part.name)
    (plan,) = plans(copy, words[0])
    assert jobs(plan) <= {"crate_config", "crate"}
    assert main(["trace", "results/runs/one/studies"]) == 0
