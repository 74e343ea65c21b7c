"""A rule's log holds all that its script said; the terminal one line, and where the log stands."""

import pytest

from finitewidth.provenance import code
from running import snakemake

WORKFLOW = code.PACKAGE.parent
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(WORKFLOW)!r})
from finitewidth.runtime.environment import prepare
prepare()
"""
#: A job of its own for each script, all in one run.
RULE = """
rule {name}:
    output: "{name}.out"
    log: "{name}.log"
    script: "{name}.py"
"""
SCRIPT = """
from finitewidth.runtime.job import begin, log, run
{at_import}

def main(job):
    import logging, os, subprocess, warnings
    print("printed")
    os.write(2, b"from C\\n")
    subprocess.run(["echo", "from a process of its own"])
    warnings.warn("warned of")
    for name in ("fontTools.subset", "matplotlib.font_manager", "anything"):
        logging.getLogger(name).info("a glyph more")
        logging.getLogger(name).warning("no glyph")
    log.info("what matters")
    open(job.output[0], "w").close()
    {inside}

run(main, snakemake)
"""
TRACED = "Traceback (most recent call last)"
#: What a script throws once it has begun, and the line that tells it.
THROWN = {
    "value": ("raise ValueError('no such\\nluck')", "no such luck"),
    "key": ("raise KeyError('luck')", "KeyError: 'luck'"),
    "memory": ("raise MemoryError", "MemoryError"),
    "exit": ("raise SystemExit('no luck')", "SystemExit: no luck"),
}
LATE = """
    import atexit, threading, time
    done = []
    def late():
        time.sleep(0.3)
        done.append("thread")
    atexit.register(lambda: open("end", "w").write(",".join([*done, "exit"])))
    threading.Thread(target=late).start()
"""
#: What each job does at import and inside.
JOBS = {
    "well": ("", ""),
    **{name: ("", thrown) for name, (thrown, _) in THROWN.items()},
    "several": ("", "begin('relu', 'width-4'); begin('relu', 'width-8'); raise ValueError('no')"),
    "late": ("", LATE),
    "status": ("import atexit, os; atexit.register(os._exit, 3)", ""),
    "importing": ("import no_such_module", ""),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def ran(folder):
    """What a job left: whether all went well, what the terminal showed of all, and its log."""
    rules = "".join(RULE.format(name=name) for name in JOBS)
    (folder / "Snakefile").write_text(SNAKEFILE + rules)
    for name, (at_import, inside) in JOBS.items():
        (folder / f"{name}.py").write_text(SCRIPT.format(at_import=at_import, inside=inside))
    targets = [f"{name}.out" for name in JOBS]
    words = ("-s", folder / "Snakefile", "--cores", "1", "--keep-going", *targets)
    terminal = snakemake(folder, *words).stdout

    def of(name):
        # Snakemake takes away what a job made that did not end well.
        there = (folder / f"{name}.out").exists()
        return there, terminal, (folder / f"{name}.log").read_text()

    return of


def test_what_a_script_prints_stands_in_its_log_alone(ran):
    well, terminal, log = ran("well")
    assert well, terminal
    said = [
        "printed",
        "from C",
        "from a process of its own",
        "warned of",
        "what matters",
        "done in",
    ]
    places = [log.index(line) for line in said]
    assert places == sorted(places)
    assert not any(line in terminal for line in said)
    assert "a glyph more" not in log
    assert log.count("no glyph") == 3


@pytest.mark.parametrize("name", THROWN)
def test_what_a_script_throws_is_one_line_and_a_traceback_in_the_log(ran, name):
    well, terminal, log = ran(name)
    assert not well
    assert f"{name}: {THROWN[name][1]} (log: {name}.log)" in terminal.splitlines()
    assert TRACED not in terminal
    assert "printed" in log
    assert TRACED in log
    assert "in main" in log


def test_of_several_members_the_one_that_fails_is_named(ran):
    well, terminal, log = ran("several")
    assert not well
    assert "several: relu, width-8: no (log: several.log)" in terminal.splitlines()
    assert log.index("relu, width-4") < log.index("relu, width-8")


def test_what_is_left_to_do_at_the_end_of_a_script_is_done(ran, folder):
    """A script that ended well does not wait for its modules, but for all else."""
    well, terminal, log = ran("late")
    assert well, terminal
    assert (folder / "end").read_text() == "thread,exit"
    assert "done in" in log


def test_a_script_that_ends_itself_after_its_work_has_its_own_status(ran):
    well, terminal, _ = ran("status")
    assert not well
    assert "returned non-zero exit status 3" in terminal


def test_what_is_thrown_while_importing_is_told_in_the_same_way(ran):
    well, terminal, log = ran("importing")
    assert not well
    line = "importing: ModuleNotFoundError: No module named 'no_such_module' (log: importing.log)"
    assert line in terminal.splitlines()
    assert TRACED not in terminal
    assert TRACED in log
