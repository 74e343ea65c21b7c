"""What a person reads who gives the workflow a study file, good or bad."""

import os
import re
import time

import pytest
import yaml

from running import ROOT, TINY, together

#: What is changed in the tiny study's file, and what is said of it.
BAD = {
    "seed": ({"seed": "1e-5"}, 'config key seed: given "1e-5"'),
    "unknown": ({"sede": 1}, "config key sede: given an unknown key"),
    "figure": (
        {"studies": {"s": {"ensembles": ["linear"], "figures": ["pie"]}}},
        'config key studies.s.figures: given "pie" (FINITEWIDTH_EXTENSIONS names',
    ),
    "inputs": (
        {"inputs": {}},
        'config key ensembles.both.inputs: given "pair", allowed is none, since none is there',
    ),
}
TINILY = ["--configfile", TINY]
BY_NAME = ["--config", f"study={TINY}"]
#: A user's array that no run could read, and what is said of it. Some are looked at before a job.
UNREADABLE = {
    "results/x.npy": "allowed is a file outside results/",
    "results/inputs/deep/../x.nc": "allowed is a file outside results/",
    "./results/downloads/deep/x.nc": "allowed is a file outside results/",
    "own/x.npy": "allowed is a file outside results/",
    "pipe.npy": "(it is a device, a pipe or a socket, and no file)",
    "folder.npy": "(it is a folder)",
    "circle.npy": "symbolic links",
    "/dev/zero": "(it is a device",
    "/proc/kmsg": "(it is what the system shows of itself",
    "/proc/self/../kmsg": "(it is what the system shows of itself",
}
#: Dry runs, by name: what snakemake gets.
DRY = {
    "default": [],
    "tiny": TINILY,
    "by name": BY_NAME,
    "by name, bad seed": [*BY_NAME, "seed=-7"],
    "by name, seed": [*BY_NAME, "seed=7"],
    "by name, nested": [*BY_NAME, "ensembles={linear: {networks: 700, init: {C_W: [1.5, 2.5]}}}"],
    "two files": ["--config", f'study=["{TINY}", "{TINY}"]'],
    "no file": ["--config", "study="],
    "default, no section": ["--config", "formats=[svg]", "device=cpu"],
    "default, bad seed": ["--config", "seed=-7"],
    "tiny, bad seed": [*TINILY, "--config", "seed=-7"],
    "default, seed": ["--config", "seed=7"],
    "tiny, seed": [*TINILY, "--config", "seed=7"],
    "nested": [*TINILY, "--config",
               "ensembles={linear: {networks: 700, init: {C_W: [1.5, 2.5]}}}", "seed=3"],
    "word": [*TINILY, "--config", "ensembles={linear: {networks: ten}}"],
    "no member": ["results/ensembles/chaos/width-3/estimates.nc"],
    "Snakefile": [*TINILY, "-s", ROOT / "Snakefile"],
    "workflow/Snakefile": [*TINILY, "-s", ROOT / "workflow/Snakefile"],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def said(folder):
    """Status and output of every command line above, and of real runs of every bad file."""
    commands = {name: ["--dry-run", *arguments] for name, arguments in DRY.items()}
    for name, (change, _) in BAD.items():
        content = yaml.safe_load(TINY.read_text()) | change
        commands[name] = ["--cores", "1", "--configfile", write(folder / f"{name}.yaml", content)]
    (folder / "own").symlink_to("results")
    os.mkfifo(folder / "pipe.npy")
    (folder / "folder.npy").mkdir()
    (folder / "circle.npy").symlink_to("circle.npy")
    for k, file in enumerate(UNREADABLE):
        content = yaml.safe_load(TINY.read_text())
        content["inputs"]["pair"] = {"kind": "array", "file": file, "variable": "x"}
        commands[file] = ["--dry-run", "--configfile", write(folder / f"file{k}.yaml", content)]
    for name in ("folder.npy", "pipe.npy", "gone.yaml", "/dev/zero"):
        commands[f"config {name}"] = ["--dry-run", "--config", f"study={folder / name}"]
    not_yaml = write(folder / "not.yaml", "seed: 1\nseed: 2\n")
    commands["not YAML"] = ["--dry-run", "--config", f"study={not_yaml}"]
    odd = folder / "back\\slash"
    odd.mkdir()
    places = [*([folder] * len(commands)), odd, odd]
    commands["backslash"] = ["--cores", "1", *TINILY]
    commands["backslash, planned"] = ["--dry-run", *TINILY]
    lines = zip(places, commands.values(), strict=True)
    start = time.monotonic()
    outcomes = together([[place, *arguments] for place, arguments in lines])
    assert time.monotonic() - start < 300
    return dict(zip(commands, outcomes, strict=True))


def write(path, content):
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_study_file_ends_before_the_first_job_in_one_sentence(said, folder, name):
    status, out = said[name]
    assert status != 0
    assert "Traceback" not in out
    assert sum(BAD[name][1] in line for line in out.splitlines()) == 1
    assert not (folder / "results").exists()


def test_a_study_file_stands_alone_and_overrides_go_on_top(said):
    assert "sample_chaos" in said["default"][1]
    assert "sample_norms" in said["tiny"][1]
    assert "sample_chaos" not in said["tiny"][1]
    assert said["by name"][1].count("\nrule ") == said["tiny"][1].count("\nrule ") > 10
    assert "sample_chaos" in said["default, no section"][1]
    assert said["two files"][1].count("\nrule ") == said["tiny"][1].count("\nrule ")
    for study in ("default", "tiny", "by name"):
        status, out = said[f"{study}, bad seed"]
        assert status != 0
        assert "config key seed: given -7" in out
        assert said[f"{study}, seed"][0] == 0


def test_overrides_are_read_as_a_study_file_is(said):
    for how in ("nested", "by name, nested"):
        status, out = said[how]
        assert status == 0, out
        assert "C_W-2.5" in out
    status, out = said["word"]
    assert status != 0
    assert 'config key ensembles.linear.networks: given "ten"' in out
    assert "Traceback" not in out


def test_a_file_that_is_not_yaml_is_named(said):
    status, out = said["not YAML"]
    assert status != 0
    assert 'given the key "seed" twice' in out
    assert "Traceback" not in out
    assert "config key study: given nothing, allowed is the name" in said["no file"][1]


def test_a_member_that_does_not_exist_is_named(said):
    status, out = said["no member"]
    assert status != 0
    assert "width-3" in out
    assert "Traceback" not in out


def test_both_entry_points_plan_the_same_jobs(said):
    for entry in ("Snakefile", "workflow/Snakefile"):
        assert said[entry][0] == 0, said[entry][1]
    counts = [said[entry][1].count("\nrule ") for entry in ("Snakefile", "workflow/Snakefile")]
    assert counts[0] == counts[1] > 10


def refusals(out):
    """What is said of why nothing is planned."""
    return re.sub("^(Using|Assuming).*\n", "", out, flags=re.MULTILINE).split("\n")


@pytest.mark.parametrize("file", UNREADABLE)
def test_a_file_that_no_run_could_read_to_its_end_is_named_before_the_first_job(said, file):
    status, out = said[file]
    assert status != 0
    (line,) = filter(None, refusals(out))
    assert line.startswith(f'config key inputs.pair.file: given "{file}", allowed is')
    assert UNREADABLE[file] in line


@pytest.mark.parametrize(
    ("name", "what"),
    [("folder.npy", "it is a folder"), ("pipe.npy", "it is a device, a pipe"),
     ("/dev/zero", "it is a device"), ("gone.yaml", "there is no such file")],
)  # fmt: skip
def test_what_is_no_study_file_is_told_by_what_it_is(said, name, what):
    status, out = said[f"config {name}"]
    assert status != 0
    (line,) = filter(None, refusals(out))
    assert f"{name} cannot be read: {what}" in line.replace("\\", "")


@pytest.mark.parametrize("how", ["backslash", "backslash, planned"])
def test_a_folder_in_which_no_netcdf_file_can_stand_is_refused(said, how):
    status, out = said[how]
    assert status != 0
    (line,) = filter(None, refusals(out))
    assert "libnetCDF takes a backslash" in line
