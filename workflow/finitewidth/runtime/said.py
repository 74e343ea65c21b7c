"""What processes write to standard error, line by line, without tracebacks; and spans of time."""

from __future__ import annotations

import re

_TRACE = re.compile(r"\s*[|+ ]*(Exception Group )?Traceback \(most recent call last\):$")
_AGAIN = re.compile(
    r"(During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):$"
)
_ABOUT = re.compile(r"(Exception ignored in|Exception in thread|Exception ignored on)\b.*:")
#: What Snakemake prints before it listens to anybody who would write for it.
_KNOWN = re.compile(r"Using (workflow specific )?profiles? .* for setting default command line arg")
_SYSTEM = re.compile(r"(?:\w+\.)*\w+: \[Errno \d+\] (.*?)(?:: '(.*)')?$")


class Lines:
    """Bytes in pieces as they come, cut into lines."""

    def __init__(self) -> None:
        self.kept = b""

    def add(self, data: bytes) -> list[str]:
        """The lines that are whole now."""
        *whole, self.kept = (self.kept + data).split(b"\n")
        # Of what was written over and over, as by a download, the last.
        return [line.decode(errors="replace").rstrip("\r").rpartition("\r")[2] for line in whole]

    def rest(self) -> list[str]:
        """What came without an end."""
        return self.add(b"\n") if self.kept else []


class Untraced:
    """Lines without tracebacks: of each its last line is left, of a chain of them one.

    Attributes
    ----------
    cut : bool
        Whether there was one that is no plain refusal.
    """

    def __init__(self) -> None:
        self.inside = self.usage = self.cut = False
        self.last: str | None = None

    def add(self, lines: list[str]) -> list[str]:
        """What is left of some lines; the end of a traceback comes with the next line."""
        left = []
        for line in lines:
            if _TRACE.match(line):
                self.inside, self.last = True, None
            elif _ABOUT.match(line) or _KNOWN.match(line):
                continue
            elif line.startswith("usage: snakemake"):
                # `snakemake --help` has it; what is wrong follows.
                self.usage = True
            elif self.usage and line.startswith(" "):
                continue
            elif self.inside:
                if line and not line.startswith((" ", "|")):
                    self.inside, self.last = False, self._sentence(line)
            elif self.last is not None and not line:
                # It may go on with another one.
                continue
            elif self.last is not None and _AGAIN.match(line):
                self.last = None
            else:
                self.usage = False
                left += [*self.rest(), *([line] if line else [])]
        return left

    def rest(self) -> list[str]:
        """The end of a traceback that nothing has followed yet."""
        last, self.last = self.last, None
        return [last] if last else []

    def _sentence(self, line: str) -> str:
        """The last line of a traceback; what the system refused, by the name of the file."""
        if match := _SYSTEM.match(line):
            return f"{match[2]}: {match[1]}" if match[2] else match[1]
        kind, _, said = line.partition(": ")
        if kind == "ValueError" and said:
            return said
        self.cut = True
        return line


def span(seconds: float) -> str:
    """A span of time in words, as exact as is of use: 45 s, 2 min 30 s, 3 h 10 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds / 10) * 10, 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(seconds / 60), 60)
    return (f"{hours} h {minutes} min" if minutes else f"{hours} h") if hours else f"{minutes} min"
