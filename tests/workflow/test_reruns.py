"""A stage reruns when what it depends on changed, and only then: edit this, these rules rerun."""

import os
import shutil

import numpy as np
import pytest
import xarray as xr
import yaml

from running import ROOT, TINY, planned, snakemake, together, variant

ON_ESTIMATES = {"compare", "figures"}
TRAINED = {"train", "measure", "generate", "predict"}


def set_key(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


#: What is changed in the study file; the stages that rerun, and the words that all jobs of the
#: stages before comparing are about, or none of them.
CONFIG = {
    "networks": (
        set_key("ensembles", "norms", "networks", 2100),
        {"sample", "estimate", "theory", *ON_ESTIMATES},
        {"norms"},
    ),
    "what is estimated": (
        set_key("ensembles", "jets", "estimate", ["ntk"]),
        {"estimate", "theory", *ON_ESTIMATES},
        {"jets"},
    ),
    "normality": (
        set_key("ensembles", "relu", "normality", "groups", 6),
        {"normality", *ON_ESTIMATES},
        {"relu"},
    ),
    "title": (set_key("studies", "covariance", "title", "Another"), ON_ESTIMATES, set()),
    "rainbow": (
        set_key("trained", "cnn", "rainbow", "networks", 3),
        {"generate", "predict", *ON_ESTIMATES},
        {"cnn"},
    ),
    "formats": (set_key("formats", ["pdf", "png", "svg"]), {"figures"}, set()),
    "seed": (
        set_key("seed", 8),
        {"inputs", "data", "sample", "estimate", "theory", "normality", *TRAINED, *ON_ESTIMATES},
        set(),
    ),
    "job_minutes": (set_key("job_minutes", 9.0), set(), set()),
    "memory of a new study": (set_key("studies", "more", {"ensembles": ["relu"]}), {"compare"},
                              set()),
}  # fmt: skip

#: Ensembles of the tiny study with this activation, and with this estimate.
GELU = ("phases",)
DIGITS = ("three", "relu", "norms", "scalar", "jets")
QUADRUPLES = ("relu",)

#: A module, what is added to it (or what replaces what in it), and the stages that rerun; of some
#: also words that every job of sampling, estimates and theory is about.
CODE = {
    "an activation": (
        "finitewidth/models/activations/gelu.py",
        "MORE = 1",
        {"sample", "estimate", "theory", *ON_ESTIMATES},
        GELU,
    ),
    "one more activation": (
        "finitewidth/models/activations/mish.py",
        "from finitewidth.models.activations.tanh import ACTIVATION as ACTIVATION",
        set(),
    ),
    "a kind of inputs": (
        "finitewidth/data/kinds/digits.py",
        "MORE = 1",
        {"inputs", "sample", "estimate", "theory", "normality", *ON_ESTIMATES},
        DIGITS,
    ),
    "a family's estimator": (
        "finitewidth/estimate/preactivations/quadruples.py",
        "MORE = 1",
        {"estimate", *ON_ESTIMATES},
        QUADRUPLES,
    ),
    "a family's description": (
        "finitewidth/quantities/preactivations.py",
        ("correlator of four different neurons", "correlator of four neurons"),
        {"estimate", "theory", *ON_ESTIMATES},
        QUADRUPLES,
    ),
    "one more family": (
        "finitewidth/quantities/preactivations.py",
        (
            '    Family(\n        "normality",',
            '    Family("more", (), (), ""),\n    Family(\n        "normality",',
        ),
        set(),
    ),
    "a figure's description": (
        "finitewidth/quantities/preactivations.py",
        ("Histograms of preactivations, layer", "Histograms, layer"),
        {"figures"},
    ),
    "one more figure": (
        "finitewidth/quantities/preactivations.py",
        'FIGURES["more"] = FIGURES["quantiles"]',
        set(),
    ),
    "a comment": ("finitewidth/sampling/mlp/marginal.py", "# more", set()),
    "a sampler": (
        "finitewidth/sampling/mlp/marginal.py",
        "MORE = 1",
        {"sample", "estimate", "normality", *ON_ESTIMATES},
    ),
    "theory": ("finitewidth/theory/mlp/vertex.py", "MORE = 1", {"theory", *ON_ESTIMATES}),
    "estimates": (
        "finitewidth/estimate/preactivations/pooled.py",
        "MORE = 1",
        {"estimate", *ON_ESTIMATES},
    ),
    "normality": (
        "finitewidth/estimate/preactivations/normality.py",
        "MORE = 1",
        {"normality", *ON_ESTIMATES},
    ),
    "clipping": (
        "finitewidth/trained/representations/rank_truncation.py",
        "MORE = 1",
        {"measure", "predict", *ON_ESTIMATES},
    ),
    "rainbow": (
        "finitewidth/trained/generation/rainbow.py",
        "MORE = 1",
        {"generate", *ON_ESTIMATES},
    ),
    "tables": ("finitewidth/comparison/tables.py", "MORE = 1", ON_ESTIMATES),
    "a figure": ("finitewidth/figures/preactivations/chaos.py", "MORE = 1", {"figures"}),
    "a script": ("scripts/theory.py", "MORE = 1", {"theory", *ON_ESTIMATES}),
    "tracing": ("finitewidth/provenance/trace.py", "MORE = 1", set()),
}


@pytest.fixture(scope="module")
def again(tiny, tmp_path_factory):
    """The tiny study, and every file of it touched: newer than what is made from it, same bytes."""
    folder = tmp_path_factory.mktemp("touched")
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    files = [p for p in sorted((folder / "results").rglob("*")) if p.is_file()]
    # Beyond what Snakemake takes checksums of by itself.
    assert max(p.stat().st_size for p in files if p.suffix == ".nc") > 10**6
    for k, path in enumerate(reversed(files)):
        os.utime(path, (2e9 + k, 2e9 + k))
    return folder


@pytest.fixture(scope="module")
def plans(again, tmp_path_factory):
    """The jobs that each change makes necessary: stage and what it is about."""
    commands = {None: ["--configfile", TINY]}
    for name, (change, *_) in CONFIG.items():
        path = tmp_path_factory.mktemp("variant") / "variant.yaml"
        same = ["--config", "run=tiny"]
        commands["config", name] = ["--configfile", variant(path, change), *same]
    for name, (module, line, *_) in CODE.items():
        copy = tmp_path_factory.mktemp("code")
        for part in ("Snakefile", "config.yaml", "profiles", "envs"):
            (copy / part).symlink_to(ROOT / part)
        shutil.copytree(ROOT / "workflow", copy / "workflow")
        file = copy / "workflow" / module
        text = file.read_text() if file.exists() else ""
        if isinstance(line, tuple):
            assert line[0] in text
            file.write_text(text.replace(*line))
        else:
            file.write_text(f"{text}\n{line}\n")
        snakefile = copy / "workflow" / "Snakefile"
        commands["code", name] = ["--snakefile", snakefile, "--configfile", TINY]
    outcomes = together([[again, "--dry-run", *arguments] for arguments in commands.values()])
    for status, said in outcomes:
        assert status == 0, said
    return {name: planned(said) for name, (_, said) in zip(commands, outcomes, strict=True)}


def test_what_is_only_newer_reruns_nothing(plans):
    assert plans[None] == set()


@pytest.mark.parametrize("name", CONFIG)
def test_of_the_config(plans, name):
    _, stages, about = CONFIG[name]
    jobs = plans["config", name]
    assert {stage for stage, _ in jobs} == stages
    for word in about:
        assert all(word in w for stage, w in jobs if stage not in ON_ESTIMATES)
    if name == "title":
        assert all("covariance" in w for _, w in jobs)


@pytest.mark.parametrize("name", CODE)
def test_of_the_code(plans, name):
    jobs = plans["code", name]
    assert {stage for stage, _ in jobs} == CODE[name][2]
    for stage, about in jobs:
        if CODE[name][3:] and stage not in ON_ESTIMATES:
            assert any(word in about for word in CODE[name][3])
    if name == "a figure":
        assert {about.strip() for _, about in jobs} == {"everything"}


def test_of_a_users_own_array(tmp_path):
    array, config = tmp_path / "mine.nc", tmp_path / "mine.yaml"

    def write(values):
        xr.Dataset({"x": (("input", "component"), values)}).to_netcdf(array)

    config.write_text(
        yaml.safe_dump(
            {
                "seed": 1,
                "inputs": {"mine": {"kind": "array", "file": "mine.nc",
                                    "variable": "x"}},
                "ensembles": {"small": {"activation": "relu", "init": "critical", "width": 4,
                                        "depth": 2, "inputs": "mine", "networks": 200,
                                        "estimate": ["covariance"]}},
            }
        )
    )  # fmt: skip

    def dry():
        ((status, said),) = together([[tmp_path, "--dry-run", "--configfile", config]])
        assert status == 0, said
        return said

    values = np.random.default_rng(3).standard_normal((2, 3))
    write(values)
    done = snakemake(tmp_path, "--configfile", config, "--cores", "2")
    assert done.returncode == 0, done.stdout
    first = array.stat().st_mtime
    os.utime(array, (2e9, 2e9))
    assert planned(dry()) == set()
    # Other numbers, with the time of the old ones.
    write(values + 1e-9)
    os.utime(array, (first, first))
    jobs = planned(dry())
    assert {stage for stage, _ in jobs} == {"inputs", "sample", "estimate", "theory"}
