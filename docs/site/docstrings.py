"""Docstrings as reStructuredText: they hold formulas, in which its marks mean something else."""

from __future__ import annotations

import re

#: What stands between marks that are meant: code, and names of functions with their role.
_MEANT = re.compile(r"(``.+?``|:\w[\w:]*:`[^`]+`|`[^`]+`)")
_MARKS = re.compile(r"[*|]|_(?!\w)")


def escape(lines: list[str]) -> list[str]:
    """The same text, in which formulas stand word for word.

    An indented paragraph before the first section is a formula on lines of its own: it keeps them.
    """
    end = next((i - 1 for i, line in enumerate(lines) if re.fullmatch(r"-{3,}", line)), len(lines))
    result: list[str] = []
    literal = False
    for place, line in enumerate(lines):
        indented = line[:1] == " " and place < end
        if indented and not literal and result and not result[-1].strip():
            literal = True
            result += ["::", ""]
        literal = literal and (indented or not line.strip())
        result.append(line if literal else _escaped(line))
    return result


def _escaped(line: str) -> str:
    bullet = re.match(r"\s*\* |", line)[0]
    parts = _MEANT.split(line.removeprefix(bullet))
    parts[::2] = [_MARKS.sub(lambda mark: "\\" + mark[0], part) for part in parts[::2]]
    return bullet + "".join(parts)
