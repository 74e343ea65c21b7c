"""Options of Snakemake do here what its users expect: names of stages, batches, and the rest."""

import json
import re
import shutil

import pytest
import yaml

from finitewidth.provenance.code import packages
from finitewidth.runtime.run import STAGES, spelled_out
from running import KINDS, ROOT, digests, snakemake, together

BY_FILE = ["--configfile", KINDS]
#: Dry runs and questions, by name: where, and what snakemake gets.
ASKED = {
    "list": ("kinds", ["--list"]),
    "summary": ("kinds", ["--summary"]),
    "dag": ("kinds", ["--dag"]),
    "graph": ("kinds", ["--d3dag"]),
    "one rule": ("kinds", ["--dry-run", "--forcerun", "inputs"]),
    "omitted": ("empty", ["--dry-run", "--omit-from", "compare"]),
    "batch 1": ("empty", ["--dry-run", "--batch", "crate=1/3"]),
    "batch 2": ("empty", ["--dry-run", "--batch", "crate=2/3"]),
    "last batch": ("kinds", ["--dry-run", "--batch", "crate=3/3"]),
    "conda": ("empty", ["--dry-run", "--sdm", "conda"]),
}
#: What a conda says when it is asked about itself.
CONDA = """#!/bin/sh
case "$1" in
info) echo '{"platform": "linux-64", "conda_prefix": "/opt/conda", "envs": []}' ;;
--version) echo conda 25.1.0 ;;
config) echo '{"get": {"channel_priority": "strict"}}' ;;
*) echo "asked to $1" >&2; exit 1 ;;
esac
"""
#: How packages are called that Python imports by another name.
CALLED = {"sklearn": "scikit-learn", "yaml": "pyyaml", "torch": "pytorch", "netCDF4": "netcdf4"}


@pytest.fixture(scope="module")
def asked(kinds, tmp_path_factory):
    base = tmp_path_factory.mktemp("asked")
    (base / "bin").mkdir()
    (base / "bin/conda").write_text(CONDA)
    (base / "bin/conda").chmod(0o755)
    (base / "empty").mkdir()
    shutil.copytree(kinds, base / "kinds")
    lines = [[base / place, *BY_FILE, *words] for place, words in ASKED.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(base / "bin"), prepend=":")
        return dict(zip(ASKED, together(lines), strict=True))


def stages(said):
    """The stages of the jobs that a dry run lists, but for those of the run as a whole."""
    rules = set(re.findall(r"^(?:local)?rule (\w+):", said, re.MULTILINE))
    return {rule.partition("_")[0] for rule in rules} - {"study", "all", "crate", "gallery"}


def test_every_rule_says_what_it_is_for(asked):
    status, said = asked["list"]
    assert status == 0
    lines = [line for line in said.splitlines() if not line.startswith("Using")]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"\w+ \(\w.{20,}\.\)|\w+ \(\w.{20,}: stage (\w+)\.\)", line), line
    named = {m[1] for line in lines if (m := re.search(r"stage (\w+)\.\)$", line))}
    assert named == set(STAGES)


def test_rules_that_run_beside_the_controller_say_so_themselves():
    """The list of their names would not be renamed in a module."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk"), ROOT / "workflow/Snakefile"]
    texts = {str(path): path.read_text(encoding="utf-8") for path in files}
    assert not [name for name, text in texts.items() if re.search(r"^localrules:", text, re.M)]
    found = {
        rule.partition(":")[0]
        for text in texts.values()
        for rule in re.split(r"^ *rule ", text, flags=re.MULTILINE)[1:]
        if "localrule: True" in rule
    }
    assert found == {
        "study",
        "all",
        "inputs",
        "data",
        "download",
        "gallery",
        "index",
        "crate_config",
        "crate",
        "crate_extension",
    }


def test_a_stage_is_a_name_of_all_its_rules(kinds, tmp_path):
    copy = shutil.copytree(kinds, tmp_path / "kinds")
    empty = tmp_path / "empty"
    empty.mkdir()
    lines = [
        (copy, "--forcerun", "estimate"),
        (empty, "--until", "estimate"),
        (empty, "--omit-from", "estimate", "train"),
    ]
    outcomes = together([[folder, *BY_FILE, "--dry-run", *words] for folder, *words in lines])
    assert [status for status, _ in outcomes] == [0, 0, 0], outcomes
    forced, until, omitted = (said for _, said in outcomes)
    count = len(re.findall(r"^rule estimate_\w+:", forced, re.MULTILINE))
    assert count == len(yaml.safe_load(KINDS.read_text())["ensembles"])
    assert stages(forced) == {"estimate", "compare", "figures"}
    assert stages(until) == {"inputs", "sample", "estimate"}
    assert stages(omitted) == {"inputs", "data", "sample", "theory", "normality"}


RULES = {"estimate_a", "estimate_b", "fw_estimate_c", "theory_a", "compare", "train"}


@pytest.mark.fast
@pytest.mark.parametrize(
    ("typed", "then"),
    [
        ("--forcerun estimate -n", "--forcerun estimate_a estimate_b -n"),
        ("--forcerun=estimate", "--forcerun estimate_a estimate_b"),
        ("-R estimate theory", "-R estimate_a estimate_b theory_a"),
        ("-Restimate", "-R estimate_a estimate_b"),
        ("-nR estimate", "-nR estimate_a estimate_b"),
        ("--until fw_estimate", "--until fw_estimate_c"),
        ("--unt estimate x", "--unt estimate_a estimate_b x"),
        ("--omit-from compare estimate", "--omit-from compare estimate_a estimate_b"),
    ],
)
def test_names_of_stages_are_spelled_out(typed, then):
    assert spelled_out(typed.split(), RULES) == then.split()


@pytest.mark.fast
@pytest.mark.parametrize(
    "typed",
    # Another option, a target, what is behind --, a rule of that very name, no stage, no rule.
    ["--prioritize estimate", "estimate", "--forcerun x -- estimate", "--forcerun train",
     "--until compare", "--until measure", "--force estimate", "--unlock estimate",
     "--config theory=1 estimate", "--forcerun results/estimate", "-n -F -k estimate"],
)  # fmt: skip
def test_nothing_else_is(typed):
    assert spelled_out(typed.split(), RULES) == typed.split()


def test_one_rule_is_forced_and_one_is_left_out(asked):
    status, said = asked["one rule"]
    assert status == 0, said
    assert {"inputs", "sample", "estimate", "compare"} <= stages(said)
    assert not {"train", "measure", "data"} & stages(said)
    status, said = asked["omitted"]
    assert status == 0, said
    assert "compare" not in stages(said)
    assert {"estimate", "figures"} <= stages(said)


def test_the_graph_holds_every_job(asked):
    status, said = asked["dag"]
    assert status == 0
    assert "digraph" in said
    for rule in ("estimate_plain", "train_mlp", "figures_kinds", "crate", "study"):
        assert f'label = "{rule}' in said
    status, said = asked["graph"]
    nodes = json.loads(said[said.index("{") :].splitlines()[0])["nodes"]
    assert len(nodes) == 26


def test_the_summary_lists_every_file_with_its_rule(asked, kinds):
    status, said = asked["summary"]
    assert status == 0
    rows = [line.split("\t") for line in said.splitlines() if line.startswith("results/")]
    assert {row[5] for row in rows} == {"no update"}
    files = {path for path, *_ in rows}
    made = {f"results/{name}" for name in digests(kinds) if not name.startswith("code/")}
    assert made <= files


def test_conda_environments_would_be_made(asked):
    status, said = asked["conda"]
    assert status == 0, said
    for name in ("analysis", "torch"):
        assert f"envs/{name}.yaml will be created" in said


def test_the_environment_of_a_rule_holds_what_its_code_imports():
    wanted = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        pairs = re.findall(r"envs/(\w+)\.yaml\"(?:(?!conda:).)*?scripts/(\w+)\.py", text, re.DOTALL)
        wanted |= {script: name for name, script in pairs}
    assert len(wanted) == len(list((ROOT / "workflow/scripts").glob("*.py")))
    for script, name in wanted.items():
        content = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
        held = {line.split()[0] for line in content["dependencies"]}
        imported = {CALLED.get(p, p) for p in packages(ROOT / f"workflow/scripts/{script}.py")}
        # Triton comes with torch for CUDA; without it torch draws (docs/architecture.md).
        assert imported - {"triton"} <= held, f"{script} in envs/{name}.yaml"


def test_touch_takes_what_stands_there_as_it_is(kinds, tmp_path):
    """Also without any record of what was run, as where results were unpacked."""
    folder = shutil.copytree(kinds, tmp_path / "kinds")
    shutil.rmtree(folder / ".snakemake")
    changed = tmp_path / "changed.yaml"
    changed.write_text(KINDS.read_text().replace("networks: 600", "networks: 610"))
    before = digests(folder)
    done = snakemake(folder, "--configfile", changed, "--cores", "1", "--touch")
    assert done.returncode == 0, done.stdout
    ((status, said),) = together([[folder, "--configfile", changed, "--dry-run"]])
    assert status == 0, said
    assert "Nothing to be done" in said
    assert digests(folder) == before


def test_batches_of_the_crate_divide_a_run(asked):
    """It takes every file, and `all` asks for no other while there are batches."""
    said = [asked[f"batch {k}"] for k in (1, 2)]
    assert [status for status, _ in said] == [0, 0], said
    first, second = (set(re.findall(r"^(?:local)?rule (\w+):", out, re.M)) for _, out in said)
    assert {"estimate_plain", "crate_config", "data"} <= first
    assert not {"theory_ways", "figures_kinds", "measure_mlp", "crate", "study"} & first
    assert {"theory_ways", "train_mlp"} <= second
    assert not {"crate", "study"} & second
    status, said = asked["last batch"]
    assert status == 0, said
    assert "Nothing to be done" in said
