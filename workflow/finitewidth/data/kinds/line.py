"""Points at equal distances on a line: inputs of one component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.fields import LARGEST, Count, Real, key
from finitewidth.data.kinds.kind import Kind

_Number = Annotated[Real, Field(ge=-LARGEST, le=LARGEST)]


class Inputs(Kind):
    """Vectors of one component, at equal distances from a first to a last one."""

    kind: Literal["line"] = key("line")
    first: _Number = key("a number from -1e9 to 1e9: the first vector")
    last: _Number = key("a number from -1e9 to 1e9: the last vector")
    count: Count = key("a whole number of at least 1: how many vectors")


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, 1)."""
    return np.linspace(spec["first"], spec["last"], spec["count"])[:, None]
