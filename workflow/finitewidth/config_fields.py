"""What every model of the config is made of: names, numbers, sweeps, and strictness."""

from __future__ import annotations

import math
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

# A name becomes a folder: letters, digits and _ only, so that it can neither leave the results
# folder nor upset a shell or a file system.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]


def key(allowed: str, default: Any = ..., **rules: Any) -> Any:
    """A field whose errors (and whose line in config/README.md) say what is ``allowed``."""
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


def one_line(text: str) -> str:
    # In a file of results, a log or a terminal these would do something instead of being seen.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise ValueError("it holds a line break or a control character")
    return text


def path_of_file(text: str) -> str:
    if not text.strip() or set("{}") & set(text):
        raise ValueError("it is empty, or has braces, which Snakemake takes for wildcards")
    return one_line(text)


Line = Annotated[str, AfterValidator(one_line)]
FilePath = Annotated[str, AfterValidator(path_of_file)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Real = Annotated[float, AfterValidator(finite)]
Variance = Annotated[float, Field(ge=0), AfterValidator(finite)]


def sweep_of(item: Any) -> Any:
    return Annotated[list[item], BeforeValidator(_as_sweep), AfterValidator(distinct)]


class Model(BaseModel):
    """Strict: no unknown keys, no coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
