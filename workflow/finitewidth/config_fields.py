"""What every model of the config is made of: names, numbers, sweeps, and strictness."""

from __future__ import annotations

import math
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


Count = Annotated[int, Field(ge=1, le=10**9)]
Real = Annotated[float, AfterValidator(finite)]
Variance = Annotated[float, Field(ge=0), AfterValidator(finite)]


def sweep_of(item: Any) -> Any:
    return Annotated[list[item], BeforeValidator(_as_sweep), AfterValidator(distinct)]


class Model(BaseModel):
    """Strict: no unknown keys, no coercion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
