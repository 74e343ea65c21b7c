"""The line of progress of a run: which jobs are running, how many are done, how much time is left.

This is the process that draws (``following.py`` has the one that is followed). On a terminal it
writes one line over and over; into a file or a pipe, a line now and then. It prints at once what is
to be seen: warnings, and whatever is written to standard error; at the end, where results stand, or
why a job failed. A traceback comes down to its last line.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

from finitewidth.runtime.outcome import Outcome
from finitewidth.runtime.said import Lines, span

#: Seconds between two lines where there is no terminal, and the part of all jobs that is news, too.
EVERY, NEWS = 30.0, 0.05
#: Seconds that a job is taken to last whose rule the plan does not name.
SHORT = 1.0


class Progress:
    """What is known of a run.

    Parameters
    ----------
    clock : callable
        Seconds since some time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start = clock()
        self.done = self.total = 0
        #: Seconds that a job of each rule should take, by the plan.
        self.seconds: dict[str, float] = {}
        #: Jobs of each rule that have not begun, by Snakemake's count.
        self.waiting: dict[str, int] = {}
        #: Of each running job: what it is called, its rule, and when it began.
        self.running: dict[int, tuple[str, str, float]] = {}
        self.finished = 0.0
        self.ending = False

    def take(self, event: dict) -> None:
        """Take in an event (``snakemake_logger_plugin_finitewidth`` has them all)."""
        kind = event["kind"]
        if kind == "study":
            self.seconds = event["seconds"]
        elif kind == "jobs":
            self.waiting = {rule: n for rule, n in event["counts"].items() if rule != "total"}
            self.total = event["counts"].get("total", 0)
            self.start = self.clock()
        elif kind == "progress":
            self.done, self.total = event["done"], event["total"]
        elif kind == "begun":
            rule = event["rule"]
            name = " ".join([rule, *event["words"]])
            self.running[event["job"]] = (name, rule, self.clock())
            self.waiting[rule] = max(0, self.waiting.get(rule, 0) - 1)
        elif kind in ("finished", "failed") and event["job"] in self.running:
            rule = self.running.pop(event["job"])[1]
            self.finished += self._expected(rule) if kind == "finished" else 0.0

    def _expected(self, rule: str) -> float:
        return self.seconds.get(rule, SHORT)

    def left(self) -> float | None:
        """Seconds that the run takes yet, at the pace so far; None where nothing is known.

        A job counts by what the plan says that it takes: of jobs alone, a study of many short ones
        and a long one could not be told.
        """
        now = self.clock()
        partly = 0.0
        todo = sum(n * self._expected(rule) for rule, n in self.waiting.items())
        for _, rule, begun in self.running.values():
            # One that takes longer than it should is nearly done.
            part = min(now - begun, 0.95 * self._expected(rule))
            partly += part
            todo += self._expected(rule) - part
        elapsed = now - self.start
        if self.finished == 0 or elapsed < 2:
            return None
        return todo * elapsed / (self.finished + partly)

    def line(self) -> str:
        """The line of progress, as long as it needs."""
        if self.ending:
            return "interrupted: ending what runs"
        if not self.total:
            return "planning"
        words = [f"{self.done} of {self.total} jobs done"]
        left = self.left()
        if left is not None:
            words.append(f"{span(left)} left")
        if self.running:
            names = [name for name, _, _ in self.running.values()]
            more = [f"{len(names) - 4} more"] if len(names) > 5 else []
            words.append("running " + ", ".join((names[:4] if more else names) + more))
        return "; ".join(words)


class Screen:
    """Where it is drawn: a terminal, or a file that nothing is ever taken back from."""

    def __init__(self, file: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self.clock = file, clock
        self.over = os.isatty(file) and os.environ.get("TERM") != "dumb"
        self.drawn = ""
        self.last, self.part = clock(), 0.0

    def write(self, text: str) -> None:
        """Write as it is; where nobody reads any more, nothing happens."""
        data = text.encode(errors="replace")
        try:
            while data:
                data = data[os.write(self.file, data) :]
        except OSError:
            pass

    def draw(self, progress: Progress) -> None:
        """Show how far the run is, if that changed."""
        if self.over:
            width = max(20, _width(self.file) - 1)
            line = progress.line()
            line = line if len(line) <= width else line[: width - 1] + "…"
            if line != self.drawn:
                # To the beginning of the line, and what it said before is gone.
                self.write(f"\r\x1b[K{line}")
                self.drawn = line
            return
        part, waited = progress.done / max(progress.total, 1), self.clock() - self.last
        news = part - self.part >= NEWS and waited >= 5 and progress.running
        if progress.total and (waited >= EVERY or news):
            self.write(progress.line() + "\n")
            self.last, self.part = self.clock(), part

    def tell(self, lines: list[str]) -> None:
        """Print lines that stay."""
        if lines:
            gone = "\r\x1b[K" if self.drawn else ""
            self.write(gone + "".join(f"{line}\n" for line in lines))
            self.drawn = ""

    def clear(self) -> None:
        """Take the line of progress away."""
        if self.drawn:
            self.write("\r\x1b[K")
            self.drawn = ""


def _width(file: int) -> int:
    try:
        return os.get_terminal_size(file).columns or 80
    except OSError:
        return 80


def follow(told: int, said: int, terminal: int) -> None:
    """Draw until the events end; never returns.

    Parameters
    ----------
    told, said : int
        Pipes: of events, and of what is written to standard error.
    terminal : int
        Where to draw.
    """
    outcome = Outcome()
    # What ends the run ends this process by and by: it is to see the end.
    signal.signal(signal.SIGINT, lambda *_: outcome.take({"kind": "interrupted"}))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        _follow(told, said, Screen(terminal), outcome)
    except BaseException:
        # Nothing that is said may be lost, nor anybody be kept waiting who writes.
        traceback.print_exc()
        while data := os.read(said, 65536):
            os.write(terminal, data)
    finally:
        sys.stderr.flush()
        os._exit(0)


def _follow(told: int, said: int, screen: Screen, outcome: Outcome) -> None:
    progress, events, lines = Progress(), Lines(), Lines()
    os.set_blocking(said, False)
    screen.draw(progress)
    going = True
    while going:
        ready, _, _ = select.select([told, said], [], [], 1.0)
        # A job says why it fails before Snakemake says that it did.
        while data := _read(said):
            screen.tell(outcome.hear(lines.add(data)))
        if told in ready:
            data = os.read(told, 65536)
            going = bool(data)
            for line in events.add(data):
                event = _event(line)
                progress.take(event)
                outcome.take(event)
        screen.tell(outcome.news(screen.clock()))
        if going:
            progress.ending = outcome.interrupted
            screen.draw(progress)
    screen.tell(outcome.hear(lines.rest()))
    screen.clear()
    screen.tell(outcome.last(progress.done, progress.total, progress.clock() - progress.start))


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _event(line: str) -> dict:
    try:
        event = json.loads(line)
        return event if "kind" in event else {"kind": ""}
    except (ValueError, TypeError):
        return {"kind": ""}
