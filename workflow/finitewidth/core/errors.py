"""The error that a user's mistake ends in: one sentence, no traceback."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable

#: Characters of a sentence at most; config/README.md says what is allowed without end.
LONGEST = 500
#: Text that would be a number without quotes, or with a point and a sign.
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)?(?<=[0-9])(\.[0-9]*)?([eE][-+]?[0-9]+)?")
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

    @classmethod
    def of_words(
        cls, path: str, given: object, words: Iterable[str], note: str = ""
    ) -> ConfigError:
        """As :meth:`at`, where some words are allowed; ``note`` is what else helps."""
        notes = ", ".join(part for part in (meant(given, words), note) if part)
        said = f"{describe(given)} ({notes})" if notes else describe(given)
        return cls(f"config key {path}: given {said}, allowed is {one_of(words)}")


def one_of(words: Iterable[str]) -> str:
    """What is allowed where some words are; one that is alone stands in quotes, for what it is."""
    words = list(words)
    if not words:
        return "none, since none is there"
    return f'"{words[0]}"' if len(words) == 1 else f"one of {', '.join(words)}"


def meant(given: object, words: Iterable[str]) -> str:
    """The word that a misspelt one is closest to, as a question; "" where none is close."""
    by_spelling = {word.lower().replace("-", "_"): word for word in words}
    if not isinstance(given, str):
        return ""
    spelt = given[:80].strip().lower().replace("-", "_").replace(" ", "_")
    close = difflib.get_close_matches(spelt, by_spelling, n=1, cutoff=0.65)
    return f"did you mean {by_spelling[close[0]]}?" if close else ""


def one_line(text: str) -> str:
    """``text`` with its lines joined, and written out what would not show as itself."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    """``text`` with what would not show as itself written out, ends of lines too.

    Control characters, marks that turn the direction of writing and halves of characters (lone
    surrogates) could hide the rest of a sentence, command a terminal, or not be printed at all.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def describe(value: object, hint: bool = True) -> str:
    """``value`` as a person would quote it: on one line, and not longer than a line.

    Where text looks like a number, a ``hint`` says why it is none.
    """
    if value is None:
        return "nothing"
    text = one_line(f'"{value[:400]}"' if isinstance(value, str) else _SHORT.repr(value))
    if len(text) > 90:
        text = text[:87] + "..."
    if hint and isinstance(value, str) and _NUMBER.fullmatch(value):
        text += " (text to YAML: a number has no quotes, and a point and a sign as in 1.0e-5)"
    return text


class _Short(reprlib.Repr):
    """``repr`` that neither recurses without end nor writes out what is cut off anyhow."""

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write more than some thousand digits.
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "a huge whole number"


_SHORT = _Short()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = _SHORT.maxstring = _SHORT.maxother = 90
