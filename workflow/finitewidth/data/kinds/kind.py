"""What every kind of inputs is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from finitewidth.core.fields import Model


class Kind(Model):
    """The keys of a kind, and what they may be; ``count`` is how many vectors, None if unknown."""

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for keys of the entry ``path`` that do not go together."""

    if TYPE_CHECKING:

        @property
        def count(self) -> int | None: ...


class InputKind(NamedTuple):
    """A kind of inputs that an extension declares.

    Attributes
    ----------
    name : str
        As ``kind`` in a study file, and in the model of its keys.
    Inputs : type of Kind
        The model of its keys; ``count`` among them, or as a property.
    vectors : callable
        ``vectors(path, spec, stream)`` makes an array of shape (inputs, n_0) of the keys as plain
        data; ``path`` names the entry in sentences, and nobody else draws from ``stream``.
    """

    name: str
    Inputs: type[Kind]
    vectors: Callable[[str, Mapping, np.random.Generator], np.ndarray]
