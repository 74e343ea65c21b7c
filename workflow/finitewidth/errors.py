"""The error that a user's mistake ends in: one sentence, no traceback."""

from __future__ import annotations

import reprlib

#: Characters of a sentence at most; config/README.md says what is allowed without end.
LONGEST = 500
_MORE = " ... (config/README.md lists all that is allowed)"


class ConfigError(Exception):
    """A config that cannot be run; its message is one sentence for the person who wrote it.

    Whatever stood in the config, the sentence is one line of printable characters, at most
    ``LONGEST`` of them.
    """

    def __init__(self, sentence: str) -> None:
        text = one_line(sentence)
        if len(text) > LONGEST:
            text = text[: LONGEST - len(_MORE)].rpartition(" ")[0].rstrip(",") + _MORE
        super().__init__(text)

    @classmethod
    def at(cls, path: str, given: object, allowed: str) -> ConfigError:
        """Name the key (dotted path), what was given and what is allowed."""
        return cls(f"config key {path}: given {describe(given)}, allowed is {allowed}")


def one_line(text: str) -> str:
    """``text`` with its lines joined, and written out what would not show as itself."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """``text`` with what would not show as itself written out, ends of lines too.

    Control characters, marks that turn the direction of writing and halves of characters (lone
    surrogates) could hide the rest of a sentence, command a terminal, or not be printed at all.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def describe(value: object) -> str:
    """``value`` as a person would quote it: on one line, and not longer than a line."""
    if value is None:
        return "nothing"
    text = one_line(f'"{value[:400]}"' if isinstance(value, str) else _SHORT.repr(value))
    if len(text) > 90:
        text = text[:87] + "..."
    if isinstance(value, str) and _is_number(value):
        text += " (text to YAML: a number has no quotes, and a point and a sign as in 1.0e-5)"
    return text


class _Short(reprlib.Repr):
    """``repr`` that neither recurses without end nor writes out what is cut off anyhow."""

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write more than some thousand digits.
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "a huge whole number"


_SHORT = _Short()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = _SHORT.maxstring = _SHORT.maxother = 90


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
