"""Words that a function takes: a misspelt one is refused in a sentence that names the others."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import ParamSpec, TypeVar

from finitewidth.core.arguments import check_kinds
from finitewidth.core.errors import describe, meant, one_line, one_of

Given = ParamSpec("Given")
Found = TypeVar("Found")


def check_word(key: str, given: object, allowed: Iterable[str]) -> str:
    """``given`` if it is one of the words that are ``allowed``; ``key`` is what it was given as.

    Raises ``ValueError`` in one sentence that names them.
    """
    words = list(allowed)
    if isinstance(given, str) and given in words:
        return given
    guess = f" ({m})" if (m := meant(given, words)) else ""
    raise ValueError(one_line(f"{key}: given {describe(given)}{guess}, allowed is {one_of(words)}"))


def check_words(key: str, given: str | Collection[str], allowed: Iterable[str]) -> tuple[str, ...]:
    """The same of several words, each once, in their order; a word alone is one of them."""
    words = list(allowed)
    if not isinstance(given, str | Collection):
        raise ValueError(
            one_line(f"{key}: given {describe(given)}, allowed are words: {one_of(words)}")
        )
    each = [given] if isinstance(given, str) else list(given)
    return tuple(dict.fromkeys(check_word(key, word, words) for word in each))


def named(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The same function, which refuses in one sentence a keyword that it does not have, and what
    does not fit the annotation of an argument.

    Raises ``TypeError``, as Python does, with the keywords that there are; ``ValueError`` as
    :func:`~finitewidth.core.arguments.check_kinds`.
    """
    parameters = inspect.signature(function).parameters.values()
    placed = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)

    @functools.wraps(function)
    def called(*given: Given.args, **more: Given.kwargs) -> Found:
        if unknown := [key for key in more if key not in keywords and not takes_any]:
            refuse_keyword(f"{function.__name__}()", unknown[0], keywords)
        check_kinds(function, {**dict(zip(placed, given, strict=False)), **more})
        return function(*given, **more)

    return called


def refuse_keyword(where: str, given: str, keywords: Sequence[str]) -> None:
    """Raise the ``TypeError`` of a keyword that a function does not have."""
    guess = f" ({m})" if (m := meant(given, keywords)) else ""
    raise TypeError(
        one_line(f"{where}: given the keyword {given}{guess}, allowed are {', '.join(keywords)}")
    )
