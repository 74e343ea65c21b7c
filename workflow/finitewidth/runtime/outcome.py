"""What a person is told of a run: warnings at once, and at the end the results or the failure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from finitewidth.runtime.said import Untraced, span

#: Seconds that a failure waits for the run to end by it, before it is told; and how many are told.
WAIT, MOST = 10.0, 8
_OWN = re.compile(r"[\w.-]+: .* \(log: (.+)\)$")
_KILLED = re.compile(r"died with <Signals\.(\w+)")
_STATUS = re.compile(r"returned non-zero exit status (\d+)")
_PLACE = re.compile(r'\s*File ".*", line \d+')
#: A warning of Snakemake at the first run of every study file, of what we do on purpose.
_EXPECTED = "output files of rule crate_config were not "
_NAMED = re.compile(r"\w*(Exception|Error|Exit)( in .*)?:$")


@dataclass
class Failure:
    """A job that failed: its rule, what Snakemake says of it, its logs, and since when (told or
    not) it is known."""

    rule: str
    said: str
    logs: list[str]
    since: float | None = None
    told: bool = False


@dataclass
class Outcome:
    """What was said, and what came of the run."""

    planned: bool = False
    began: bool = False
    interrupted: bool = False
    plain: bool = False
    status: int | None = None
    log: str = ""
    #: What to say at the end: a name and a file or folder each, shown where it exists.
    places: list[tuple[str, str, str]] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    #: What jobs said of why they failed, by their log.
    own: dict[str, str] = field(default_factory=dict)
    #: What Snakemake threw: the kind of exception, and the words.
    thrown: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    #: Whether anything from standard error was printed, for example the sentence of a refusal.
    heard: bool = False
    text: Untraced = field(default_factory=Untraced)

    def take(self, event: dict) -> None:
        """Take in an event."""
        kind = event["kind"]
        if kind in ("planned", "interrupted", "plain"):
            setattr(self, kind, True)
        elif kind == "study":
            self.places = event["places"]
        elif kind == "log":
            self.log = event["path"]
        elif kind == "jobs":
            self.began = True
        elif kind == "ended":
            self.status = event["status"]
        elif kind == "said" and not self.planned:
            # No run, perhaps: then this is what was asked for.
            self.held.append(event["said"])
        elif kind == "warning" and _EXPECTED not in event["said"]:
            self.waiting += event["said"].splitlines()
        elif kind == "error":
            self.errors.append(event["said"])
        elif kind == "thrown":
            self.thrown.append((event["by"], event["said"]))
        elif kind == "failed":
            said = event["said"] or (_short(self.thrown.pop()[1]) if self._rule_threw() else "")
            self.failures[event["job"]] = Failure(event["rule"], said.strip(), event["logs"])
        elif kind in ("begun", "finished"):
            # Another attempt, or one that went well.
            self.failures.pop(event["job"], None)

    def _rule_threw(self) -> bool:
        return bool(self.thrown) and self.thrown[-1][0] == "RuleException"

    def hear(self, lines: list[str]) -> list[str]:
        """What to print at once of some lines of standard error."""
        printed = []
        for line in self.text.add(lines):
            own = _OWN.match(line)
            if own:
                self.own[own[1]] = line
            else:
                printed.append(line)
        self.heard |= bool(printed)
        return [] if self.interrupted else printed

    def news(self, now: float) -> list[str]:
        """What to print at once besides: warnings, and failures that did not end the run."""
        printed, self.waiting = self.waiting, []
        for failure in self.failures.values():
            failure.since = now if failure.since is None else failure.since
            if not failure.told and now - failure.since > WAIT:
                failure.told = True
                printed.append(self.sentence(failure))
        return [] if self.interrupted else printed

    def sentence(self, failure: Failure) -> str:
        """Why a job failed, and where its log stands: its own words, if it left some."""
        for log in failure.logs:
            if log in self.own:
                return self.own[log]
        said = " ".join((failure.said or "it ended without a word").split())
        log = f" (log: {failure.logs[0]})" if failure.logs else ""
        return f"{failure.rule}: {said}{log}"

    def last(self, done: int, total: int, seconds: float) -> list[str]:
        """What to print at the end."""
        lines = self.hear(self.text.rest())
        if self.plain:
            return lines
        if self.interrupted:
            what = f" after {done} of {total} jobs" if self.began else ""
            return [f"Interrupted{what}. The same command goes on from there."]
        if self.status is None:
            return [*lines, f"The run was killed after {done} of {total} jobs."]
        if self.status:
            return [*lines, *self._failed(done, total)]
        if not self.planned:
            return [*lines, *(line for said in self.held for line in said.splitlines())]
        if self.began:
            lines.append(f"All {total} jobs are done, in {span(seconds)}.")
        else:
            lines.append("Nothing to do: everything is up to date.")
        return lines + [
            f"{name}: {_shown(path)}{how}" for name, path, how in self.places if _there(path, how)
        ]

    def _failed(self, done: int, total: int) -> list[str]:
        cleaned, known = Untraced(), bool(self.failures)
        lines: list[str] = []
        for kind, said in self.thrown:
            # What Snakemake throws at the end says only that a job failed.
            if not (kind == "WorkflowError" and (known or lines)):
                lines += [*cleaned.add(said.splitlines()), *cleaned.rest()]
        if not (known or lines or self.heard):
            lines = [line for said in self.errors for line in said.splitlines()]
        lines = [line for line in lines if not _NAMED.fullmatch(line) or len(lines) == 1]
        if self.began:
            lost = f", {len(self.failures)} failed" if known else ""
            log = f" Snakemake's log: {_shown(self.log)}" if self.log else ""
            lines.insert(0, f"{done} of {total} jobs are done{lost}.{log}")
        if self.text.cut or cleaned.cut:
            lines.insert(0, "What is told here in one line, --verbose tells with its traceback.")
        told = list(dict.fromkeys(map(self.sentence, self.failures.values())))
        if len(told) > MOST:
            told = [f"{len(told) - MOST} more failed: see Snakemake's log.", *told[-MOST:]]
        # Jobs that failed without being named by Snakemake, for example killed together with it.
        return lines + (told or list(self.own.values())[:MOST])


def _short(said: str) -> str:
    """What Snakemake throws for a job that failed, without the command."""
    if match := _KILLED.search(said):
        return f"its process was killed ({match[1]}), as for lack of memory"
    if match := _STATUS.search(said):
        return f"its process ended with status {match[1]}"
    lines = [line for line in said.splitlines() if line.strip() and not _PLACE.match(line)]
    return lines[-1] if lines else ""


def _shown(path: str) -> str:
    """A path as it is written here, where it is below this folder."""
    here = os.getcwd()
    return os.path.relpath(path, here) if path.startswith(here + os.sep) else path


def _there(path: str, how: str) -> bool:
    return os.path.exists(path) or bool(how)
