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
rule job:
    output: "out"
    log: "a.log"
    script: "job.py"
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


@pytest.fixture
def ran(tmp_path):
    """Run a script: whether all went well, what the terminal showed, and the log."""

    def run(at_import="", inside=""):
        (tmp_path / "Snakefile").write_text(SNAKEFILE)
        (tmp_path / "job.py").write_text(SCRIPT.format(at_import=at_import, inside=inside))
        done = snakemake(tmp_path, "-s", tmp_path / "Snakefile", "--cores", "1", "out")
        return done.returncode == 0, done.stdout, (tmp_path / "a.log").read_text()

    return run


def test_what_a_script_prints_stands_in_its_log_alone(ran, tmp_path):
    well, terminal, log = ran()
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


@pytest.mark.parametrize(
    ("thrown", "line"),
    [
        ("raise ValueError('no such\\nluck')", "job: no such luck (log: a.log)"),
        ("raise KeyError('luck')", "job: KeyError: 'luck' (log: a.log)"),
        ("raise MemoryError", "job: MemoryError (log: a.log)"),
        ("raise SystemExit('no luck')", "job: SystemExit: no luck (log: a.log)"),
    ],
)
def test_what_a_script_throws_is_one_line_and_a_traceback_in_the_log(ran, thrown, line):
    well, terminal, log = ran(inside=thrown.replace("\n", "\\n"))
    assert not well
    assert line in terminal.splitlines()
    assert TRACED not in terminal
    assert "printed" in log
    assert TRACED in log
    assert "in main" in log


def test_of_several_members_the_one_that_fails_is_named(ran):
    inside = "begin('relu', 'width-4'); begin('relu', 'width-8'); raise ValueError('no luck')"
    well, terminal, log = ran(inside=inside)
    assert not well
    assert "job: relu, width-8: no luck (log: a.log)" in terminal.splitlines()
    assert log.index("relu, width-4") < log.index("relu, width-8")


def test_what_is_left_to_do_at_the_end_of_a_script_is_done(ran, tmp_path):
    """A script that ended well does not wait for its modules, but for all else."""
    inside = """
    import atexit, threading, time
    done = []
    def late():
        time.sleep(0.3)
        done.append("thread")
    atexit.register(lambda: open("end", "w").write(",".join([*done, "exit"])))
    threading.Thread(target=late).start()
"""
    well, terminal, log = ran(inside=inside)
    assert well, terminal
    assert (tmp_path / "end").read_text() == "thread,exit"
    assert "done in" in log


def test_a_script_that_ends_itself_after_its_work_has_its_own_status(ran, tmp_path):
    well, terminal, _ = ran(at_import="import atexit, os; atexit.register(os._exit, 3)")
    assert not well
    assert "returned non-zero exit status 3" in terminal


def test_what_is_thrown_while_importing_is_told_in_the_same_way(ran):
    well, terminal, log = ran(at_import="import no_such_module")
    assert not well
    line = "job: ModuleNotFoundError: No module named 'no_such_module' (log: a.log)"
    assert line in terminal.splitlines()
    assert TRACED not in terminal
    assert TRACED in log
