"""Every command of the documents is one: planned, or run where it takes no time."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from extending import OWN
from finitewidth.__main__ import main
from finitewidth.runtime.run import arguments
from running import ROOT, TINY, TINYS, together

DOCUMENTS = sorted(
    path
    for pattern in ("README.md", "docs/*.md", "*/README.md", "CHANGELOG.md")
    for path in ROOT.glob(pattern)
)
#: What a command of ours begins with, after variables, time and the like.
_OURS = re.compile(
    r"^(?:nohup )?(?P<what>(?:\.venv/bin/)?snakemake|make|(?:\.venv/bin/)?python3? -m finitewidth"
    r"|trace)(?= |$)"
)
#: Files that stand for a reader's own.
_OWN = re.compile(r"(?:mine|my|theirs)\.yaml$")
#: Targets of make that plan or run nothing of Snakemake's, and why they are not tried here.
_OTHERS = {"test", "test-fast", "slurm-test", "browser", "docs", "lock", "clean", "check", "hooks",
           "slurm", "benchmark", "calibrate", "site", "package", "paper",
           ".venv/.ready"}  # fmt: skip


def commands() -> list[tuple[str, str]]:
    """Every command line of the documents: indented or fenced lines, and code in a text."""
    found = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
        fences = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL)
        lines += [line.strip() for fence in fences for line in fence.splitlines()]
        lines += [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
        for line in lines:
            for part in re.split(r" && ", line):
                part = re.sub(r"\s+#.*", "", part).strip("$ ")
                part = re.sub(r"\s*(?:2?>|[|&<]).*", "", part)
                if _OURS.match(part) and "..." not in part and "…" not in part:
                    found.setdefault(part, path.name)
    return [(name, line) for line, name in found.items()]


COMMANDS = commands()
SNAKEMAKE = [line for _, line in COMMANDS if "snakemake" in _OURS.match(line)["what"]]
MAKE = [line for _, line in COMMANDS if _OURS.match(line)["what"] == "make"]
#: But for `--verify`, which runs a study (tests/workflow/test_trace.py does).
PYTHON = [
    line
    for _, line in COMMANDS
    if re.search("finitewidth|trace", _OURS.match(line)["what"]) and "--verify" not in line
]


def words_of(line: str, own: Path) -> list[str]:
    """The arguments, with files of a reader's own in place."""
    return [_OWN.sub(str(own), word) for word in shlex.split(line)]


def planning(line: str, own: Path, folder: Path) -> list[str | Path]:
    """What Snakemake gets to plan a command of its own in a folder."""
    # Ten thousand jobs, of which a document says how long it takes to plan them.
    words = [re.sub(r"(?<=^job_minutes=)0\.\d+", "8", word) for word in words_of(line, own)[1:]]
    # Names of study files are those from the folder of the run, which is the reader's own.
    words = [re.sub(r"^study=(?=\w)", f"study={ROOT}/", word) for word in words]
    if "--directory" in words:
        words[words.index("--directory") + 1] = str(folder)
    return [folder, "--dry-run", "--quiet", "all", *words]


def asked(line: str, own: Path) -> list[str]:
    """What a command of ours gets."""
    return words_of(re.sub(r"^.*?-m finitewidth ?", "", line), own)


def by_make(line: str, own: Path) -> list[str]:
    """The commands that make would run, of Snakemake's and of ours."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-o", ".venv/.ready", *words_of(line, own)[1:]],
        cwd=ROOT, text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [said.strip() for said in done.stdout.splitlines()]


def target(line: str) -> str:
    named = [w for w in shlex.split(line)[1:] if "=" not in w]
    return named[0] if named else "all"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return shutil.copy(TINY, tmp_path_factory.mktemp("own") / "own.yaml")


@pytest.fixture(scope="module")
def planned(own, tmp_path_factory):
    """Status and output of every command that is Snakemake's, by itself or through make."""
    folder = tmp_path_factory.mktemp("planned")
    lines = {line: planning(line, own, folder) for line in SNAKEMAKE}
    if shutil.which("make"):
        for line in MAKE:
            if target(line) in _OTHERS:
                continue
            for said in by_make(line, own):
                ours = ".venv/bin/python -m finitewidth run"
                if said.startswith(ours):
                    said = re.sub(r'--report ".*?"', "", said)
                    said = said.replace("$CONFIG", config_of(line, own))
                    said = said.replace("$WITH", laid_on_top(line))
                    words = arguments(shlex.split(said.removeprefix(ours)))
                    said = shlex.join(["snakemake", *words])
                    # A reader's own file is the example.
                    named = [
                        f"FINITEWIDTH_EXTENSIONS={ROOT / file if (ROOT / file).is_file() else OWN}"
                        for file in re.findall(r"EXTENSIONS=(\S+)", line)
                    ]
                    first, *words = planning(said, own, folder)
                    lines[f"{line}: {said}"] = [first, *named, *words]
    for line in PYTHON:
        words = asked(line, own)
        if words[:1] == ["run"]:
            lines[line] = [folder, "--dry-run", "--quiet", "all", *arguments(words[1:])]
    # Many come to the same.
    different = list({tuple(map(str, each)): each for each in lines.values()}.values())
    outcomes = dict(zip(map(str, different), together(different), strict=True))
    return {line: outcomes[str(each)] for line, each in lines.items()}


def config_of(line: str, own: Path) -> str:
    return " ".join(w.removeprefix("CONFIG=") for w in words_of(line, own) if "CONFIG=" in w)


def laid_on_top(line: str) -> str:
    return " ".join(w.removeprefix("WITH=") for w in shlex.split(line) if "WITH=" in w)


def test_the_documents_have_commands_of_every_kind():
    assert len(SNAKEMAKE) > 8
    assert len(MAKE) > 8
    assert len(PYTHON) > 8
    assert any("results/" in line for line in SNAKEMAKE)


def test_every_command_of_snakemake_says_how_many_cores_it_takes_or_where_it_runs():
    """A dry run needs neither, so it cannot tell."""
    for line in SNAKEMAKE:
        words = set(shlex.split(line))
        assert words & {"--cores", "-c", "--dry-run", "-n", "--workflow-profile"}, line


def test_every_command_of_snakemake_is_planned(planned):
    assert len(planned) > 10
    for line, (status, out) in planned.items():
        assert status == 0, f"{line}\n{out[-2000:]}"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_every_target_of_make_is_there(own):
    for line in MAKE:
        assert by_make(line, own), line


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_every_estimate_that_make_prints_is_printed(own, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    lines = [line for line in MAKE if target(line) == "estimate"]
    assert len(lines) > 2
    for line in lines:
        (said,) = by_make(line, own)
        words = shlex.split(said.replace("$CONFIG", config_of(line, own)))
        assert words[1:3] == ["-m", "finitewidth"]
        assert main(words[3:]) == 0
        assert "core-hours" in capsys.readouterr().out


#: What stands for files of a reader's.
_STAND_FOR = {
    "theory/results": "results",
    "results/runs/mine": TINYS,
    "FILE": f"{TINYS}/studies/covariance/figures/histograms.png",
    "A": f"{TINYS}/studies/covariance/comparison.csv",
    "B": f"{TINYS}/studies/everything/comparison.csv",
}


def in_place(word: str, tiny: Path) -> str:
    """A word of a command of ours, with what it names standing in the tiny study."""
    word = _STAND_FOR.get(word, word)
    if word.startswith(("results", "~/")):
        kind = Path(word).suffix
        if word != "results" and not (tiny / word).exists():
            word = {".png": _STAND_FOR["FILE"], ".csv": _STAND_FOR["A"]}[kind]
        return str(tiny / word)
    return word


#: Of these a plan is made, together with those of Snakemake's.
RUN = [line for line in PYTHON if re.search("-m finitewidth run", line)]


@pytest.mark.parametrize("line", RUN)
def test_every_run_of_ours_is_planned(line, planned):
    status, out = planned[line]
    assert status == 0, out


@pytest.mark.parametrize("line", [line for line in PYTHON if line not in RUN])
def test_every_command_of_ours_runs(line, tiny, own, monkeypatch, capsys):
    words = [in_place(word, tiny) for word in asked(line, own)]
    monkeypatch.chdir(ROOT)
    # What a sentence calls by its first word alone.
    words += ["--help"] if len(words) < 2 and words != ["archive"] else []
    if words[0] == "archive":
        words += ["--directory", str(tiny), "--output", str(Path(own).with_name("a.tar.gz"))]
        words += [] if "--configfile" in words else ["--configfile", str(TINY)]
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status == (1 if "--diff" in words else 0), said.out[-500:] + said.err
    # It lists files, and says how many they are beside the list.
    assert not said.err or words[0] == "leftovers"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_a_paper_that_is_none_is_told_the_others_or_where_it_stands():
    for given, said in (
        ("nope", "hanin_nica2018, hanin_nica2020"),
        ("", "allowed are"),
        ("../config", "allowed are"),
        ("guth2023", "make CONFIG=config/cifar10.yaml"),
    ):
        words = ["make", "paper", f"NAME={given}", "-o", ".venv/.ready"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode != 0
        first = done.stderr.splitlines()[0]
        assert first.startswith(f"given NAME={given}")
        assert said in first
    assert (ROOT / "config/cifar10.yaml").exists()


def test_a_target_behind_configfile_is_what_this_looks_for(tmp_path):
    broken = "snakemake --cores 2 --configfile config/tiny.yaml results/runs/tiny/inputs/pair.nc"
    right = "snakemake --configfile config/tiny.yaml --cores 2 results/runs/tiny/inputs/pair.nc"
    outcomes = together([planning(line, TINY, tmp_path) for line in (broken, right)])
    assert outcomes[0][0] != 0
    assert outcomes[1][0] == 0, outcomes[1][1]
