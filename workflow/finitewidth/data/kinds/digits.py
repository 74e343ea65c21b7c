"""Real 8×8 images that ship with scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from finitewidth.core.errors import ConfigError
from finitewidth.core.fields import Count, distinct, key
from finitewidth.data.kinds.kind import Kind


class Inputs(Kind):
    """Real 8x8 images (64 components), each standardised to mean 0 and variance 1."""

    kind: Literal["digits"] = key("digits")
    count: Count = key("a whole number of at least 1: how many images")
    classes: Annotated[list[Annotated[int, Field(ge=0, le=9)]], AfterValidator(distinct)] = key(
        "a list of different digits 0 to 9, taken in turn", list(range(10))
    )

    @property
    def image(self) -> tuple[int, ...]:
        """One channel on 8 x 8 places."""
        return 1, 8, 8


def vectors(path: str, spec: Mapping, stream: np.random.Generator) -> np.ndarray:
    """x of shape (inputs, 64): images of the classes in turn, none twice."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    classes = spec["classes"]
    queues = [stream.permutation(np.flatnonzero(labels == c)) for c in classes]
    chosen = []
    for k in range(spec["count"]):
        queue, turn = queues[k % len(classes)], k // len(classes)
        if turn >= len(queue):
            raise ConfigError.at(
                f"{path}.count", spec["count"], f"at most {k}: there are no more such images"
            )
        chosen.append(queue[turn])
    x = images[chosen]
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
