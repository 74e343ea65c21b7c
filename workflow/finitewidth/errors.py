"""The error that a user's mistake ends in: one sentence, no traceback."""

from __future__ import annotations


class ConfigError(Exception):
    """A config that cannot be run; its message is one sentence for the person who wrote it."""

    def __init__(self, sentence: str) -> None:
        # What it quotes may come from anybody: a terminal is not to obey it.
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence))

    @classmethod
    def at(cls, path: str, given: object, allowed: str) -> ConfigError:
        """Name the key (dotted path), what was given and what is allowed."""
        return cls(f"config key {path}: given {describe(given)}, allowed is {allowed}")


def describe(value: object) -> str:
    """``value`` as a person would quote it: on one line, and not longer than a line."""
    if value is None:
        return "nothing"
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    text = " ".join(text.split())
    if len(text) > 90:
        text = text[:87] + "..."
    if isinstance(value, str) and _is_number(value):
        text += " (text to YAML: a number has no quotes, and a point and a sign as in 1.0e-5)"
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
