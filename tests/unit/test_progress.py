"""The line of progress: what is told of a run, from events and from what processes write."""

import logging
import os
import re
import traceback

import pytest

from finitewidth.runtime.outcome import Outcome
from finitewidth.runtime.progress import Progress, Screen
from finitewidth.runtime.said import Lines, Untraced, span
from snakemake_logger_plugin_finitewidth import _told

pytestmark = pytest.mark.fast
LOG = "results/logs/estimate/a.log"
OWN = f"estimate_a: no luck (log: {LOG})"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def begun(job, rule, *words):
    return {"kind": "begun", "job": job, "rule": rule, "words": list(words)}


def failed(job=1, said="", logs=(LOG,), rule="estimate_a"):
    return {"kind": "failed", "job": job, "rule": rule, "said": said, "logs": list(logs)}


def outcome_of(*events, text=(), interrupted=False):
    outcome = Outcome()
    outcome.take({"kind": "planned"})
    outcome.take({"kind": "jobs", "counts": {"total": 9}})
    printed = outcome.hear(list(text))
    for event in events:
        outcome.take(event)
    if interrupted:
        outcome.take({"kind": "interrupted"})
    return printed, outcome


def test_time_left_counts_what_jobs_should_take_and_not_how_many_they_are():
    clock = Clock()
    progress = Progress(clock)
    progress.take({"kind": "study", "seconds": {"long": 90.0, "short": 1.0}, "places": []})
    progress.take({"kind": "jobs", "counts": {"long": 1, "short": 10, "total": 11}})
    for job in range(10):
        progress.take(begun(job, "short"))
        clock.now += 2.0
        progress.take({"kind": "finished", "job": job})
        progress.take({"kind": "progress", "done": job + 1, "total": 11})
    # Each second of the plan took two.
    assert progress.left() == pytest.approx(180.0)
    progress.take(begun(10, "long", "a"))
    assert progress.line() == "10 of 11 jobs done; 3 min left; running long a"
    clock.now += 1000.0
    assert 0 < progress.left() < 100


def test_a_line_fits_its_terminal_and_a_file_gets_one_now_and_then(tmp_path):
    clock = Clock()
    progress = Progress(clock)
    progress.take({"kind": "jobs", "counts": {"rule": 100, "total": 100}})
    with open(tmp_path / "out", "wb") as file:
        screen = Screen(file.fileno(), clock)
        for job in range(100):
            progress.take(begun(job, "rule"))
            clock.now += 0.5
            screen.draw(progress)
            progress.take({"kind": "finished", "job": job})
            progress.take({"kind": "progress", "done": job + 1, "total": 100})
    lines = (tmp_path / "out").read_text().splitlines()
    assert 5 <= len(lines) <= 12
    assert all(re.match(r"\d+ of 100 jobs done; ", line) for line in lines)
    main, side = os.openpty()
    screen = Screen(side, clock)
    progress.take(begun(100, "x" * 300))
    screen.draw(progress)
    shown = os.read(main, 10000).decode()
    assert shown.startswith("\r\x1b[K")
    assert len(shown) < 90
    assert "\n" not in shown


def test_lines_come_whole_whatever_the_pieces():
    lines, text = Lines(), "one\ntwo ä\rthree ä\nrest".encode()
    got = [line for k in range(len(text)) for line in lines.add(text[k : k + 1])]
    assert [*got, *lines.rest()] == ["one", "three ä", "rest"]


def thrown(function):
    try:
        function()
    except BaseException:
        return traceback.format_exc().splitlines()


def chained():
    try:
        raise KeyError("first")
    except KeyError:
        raise TypeError("second\n  in two lines") from None


def nested():
    try:
        os.stat("/nowhere/file")
    except OSError as error:
        raise RuntimeError("second") from error


def during():
    try:
        int("x")
    except ValueError:
        os.mkdir("/proc/x")


@pytest.mark.parametrize(
    ("function", "left", "cut"),
    [
        (lambda: os.stat("/nowhere/file"), ["/nowhere/file: No such file or directory"], False),
        (lambda: int("x"), ["invalid literal for int() with base 10: 'x'"], False),
        (chained, ["TypeError: second"], True),
        (nested, ["RuntimeError: second"], True),
        (during, ["/proc/x: No such file or directory"], False),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), ["KeyboardInterrupt"], True),
    ],
)
def test_of_a_traceback_its_last_line_is_left(function, left, cut):
    for before, after in ((["before"], ["after"]), (["Exception in thread Thread-1 (x):"], [])):
        untraced = Untraced()
        said = untraced.add([*before, *thrown(function), *after]) + untraced.rest()
        kept = [line for line in before if line == "before"]
        assert [line for line in said if not line.startswith("  ")] == [*kept, *left, *after]
    assert not any("Traceback" in line or "File" in line for line in said)
    assert untraced.cut or not cut


def test_a_job_that_failed_comes_last_in_its_own_words_with_its_log():
    text = ["a warning", OWN]
    thrown_ = {"kind": "thrown", "by": "RuleException", "said": "RuleException:\nexit status 1."}
    end = {"kind": "thrown", "by": "WorkflowError", "said": "WorkflowError:\nAt least one job."}
    printed, outcome = outcome_of(thrown_, failed(), end, {"kind": "ended", "status": 1}, text=text)
    assert printed == ["a warning"]
    last = outcome.last(3, 9, 5.0)
    assert last == ["3 of 9 jobs are done, 1 failed.", OWN]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("died with <Signals.SIGKILL: 9>.", "killed (SIGKILL)"),
        ("returned non-zero exit status 3.", "ended with status 3"),
        ('\nthe process was killed\n  File "x.py", line 1, in y', "the process was killed"),
    ],
)
def test_a_job_that_said_nothing_is_told_by_how_it_ended(how, said):
    text = f"RuleException:\nCalledProcessError in file x, line 6:\nCommand 'set; python' {how}"
    _, outcome = outcome_of(
        {"kind": "thrown", "by": "RuleException", "said": text},
        failed(),
        {"kind": "ended", "status": 1},
    )
    last = outcome.last(0, 9, 5.0)[-1]
    assert said in last
    assert last.endswith(f"(log: {LOG})")
    assert "set; python" not in last


def test_what_a_cluster_says_of_a_job_is_told():
    _, outcome = outcome_of(
        failed(said="SLURM ended it: no memory. "), {"kind": "ended", "status": 1}
    )
    assert outcome.last(0, 9, 5.0)[-1] == f"estimate_a: SLURM ended it: no memory. (log: {LOG})"


def test_an_attempt_that_was_made_good_is_not_told_and_a_long_run_tells_a_failure_meanwhile():
    _, outcome = outcome_of(failed(), begun(1, "estimate_a"))
    assert outcome.news(0.0) == outcome.news(100.0) == []
    outcome.take(failed())
    assert outcome.news(0.0) == outcome.news(9.0) == []
    assert outcome.news(11.0) == [f"estimate_a: it ended without a word (log: {LOG})"]
    assert outcome.news(30.0) == []


def test_warnings_are_printed_at_once_after_ctrl_c_nothing_but_that():
    warning = {"kind": "warning", "said": "SLURM does not answer"}
    _, outcome = outcome_of(warning)
    assert outcome.news(0.0) == ["SLURM does not answer"]
    _, outcome = outcome_of(failed(), interrupted=True)
    assert outcome.hear(["KeyboardInterrupt", OWN]) == []
    outcome.take({"kind": "ended", "status": 1})
    assert outcome.last(3, 9, 5.0) == [
        "Interrupted after 3 of 9 jobs. The same command goes on from there."
    ]


def test_a_run_that_went_well_says_where_results_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    places = [["tables", str(tmp_path / "there"), ""], ["none", str(tmp_path / "gone"), ""]]
    study = {"kind": "study", "seconds": {}, "places": places}
    _, outcome = outcome_of(study, {"kind": "ended", "status": 0})
    assert outcome.last(9, 9, 66.0) == ["All 9 jobs are done, in 1 min 10 s.", "tables: there"]
    _, outcome = outcome_of()
    # Without a word at the end.
    assert outcome.last(4, 9, 65.0) == ["The run was killed after 4 of 9 jobs."]


def test_what_asks_snakemake_for_a_list_gets_it():
    outcome = Outcome()
    outcome.take({"kind": "said", "said": "rule one\nrule two"})
    outcome.take({"kind": "ended", "status": 0})
    assert outcome.last(0, 0, 1.0) == ["rule one", "rule two"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (95, "1 min 40 s"), (601, "10 min"),
     (3599, "1 h"), (3700, "1 h 2 min")],
)  # fmt: skip
def test_spans_of_time(seconds, words):
    assert span(seconds) == words


def test_a_record_of_any_kind_is_told_or_passed_over():
    logger = logging.getLogger("a test of records")
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        for message in (None, "", "text", 3, ("a", "b")):
            told = _told(logger.makeRecord("n", level, "f", 1, message, (), None))
            assert told["kind"] in ("said", "warning", "error")
            assert isinstance(told["said"], str)
