"""What every model of the config is made of: names, numbers, sweeps, and strictness."""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from finitewidth.core.places import run_name

# A name becomes a folder: letters, digits and _ only, so that it can neither leave the results
# folder nor upset a shell or a file system.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]


def key(allowed: str, default: Any = ..., **rules: Any) -> Any:
    """A field. Its errors, and its line in config/README.md, say what is ``allowed``."""
    return Field(default, description=allowed, **rules)


def _as_sweep(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def distinct(values: list) -> list:
    if not values:
        raise ValueError("a list needs at least one value")
    if len(set(values)) < len(values):
        raise ValueError("a value stands twice")
    return values


def finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def shown(text: str) -> str:
    """One line whose every character shows as itself, wherever it is printed."""
    hidden = [c for c in text if not (c.isprintable() or c in _SPACES)]
    if hidden:
        raise ValueError(f"it holds the character U+{ord(hidden[0]):04X}, which does not show")
    return text


def _shown_lines(text: str) -> str:
    """The same, over several lines."""
    for line in text.split("\n"):
        shown(line)
    return text


def _no_wildcard(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if "{" in text or "}" in text:
        raise ValueError("Snakemake takes braces in it for a wildcard: rename the file")
    return text


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: What does not print and any line of text may hold: spaces of every kind.
_SPACES = [chr(c) for c in (0x20, 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)]

Line = Annotated[str, Field(max_length=300), AfterValidator(shown)]
Lines = Annotated[str, Field(max_length=5000), AfterValidator(_shown_lines)]
#: A path or an address.
Place = Annotated[
    str, Field(min_length=1, max_length=1000), AfterValidator(shown), AfterValidator(_no_wildcard)
]
#: What a run is called. A whole number is one, too, as a year.
RunName = Annotated[str, BeforeValidator(_as_text), AfterValidator(run_name)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Real = Annotated[float, AfterValidator(finite)]
#: What no variance, rate or length is beyond that is meant: powers of it stay numbers.
LARGEST = 1e9
SMALLEST = 1e-9


def _within(value: float) -> float:
    if 0 < value < SMALLEST:
        raise ValueError(f"too small a number to compute with: 0, or at least {SMALLEST:g}")
    return value


Variance = Annotated[float, Field(ge=0, le=LARGEST), AfterValidator(_within)]
Positive = Annotated[float, Field(gt=0, le=LARGEST), AfterValidator(_within)]


_Item = TypeVar("_Item")
#: One value, or a list of different ones: always a list once it was read.
Sweep = Annotated[list[_Item], BeforeValidator(_as_sweep), AfterValidator(distinct)]


class Model(BaseModel):
    """Strict: no unknown keys, no coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
