"""What every kind of inputs is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from finitewidth.core.fields import Model, key
from finitewidth.data.targets import Targets, check_targets, outputs_of


class Kind(Model):
    """The keys of a kind, and what they may be; ``count`` is how many vectors, None if unknown."""

    targets: Targets | None = key(
        "{kind: values, array, labels or sine, ...}: what ensembles are trained towards on these"
        " vectors",
        None,
    )

    @property
    def target_outputs(self) -> int | None:
        """How many outputs the targets have; None where there are none, or a file tells."""
        return None if self.targets is None else outputs_of(self.targets, len(self._classes or ()))

    def check_targets(self, path: str) -> None:
        """Raise a ``ConfigError`` for targets of the entry ``path`` that do not fit its vectors."""
        if self.targets is not None:
            check_targets(f"{path}.targets", self.targets, self.count, self._classes)

    @property
    def _classes(self) -> list[int] | None:
        return getattr(self, "classes", None)

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for keys of the entry ``path`` that do not go together."""

    @property
    def image(self) -> tuple[int, ...] | None:
        """Channels and places of each vector, whose numbers stand in the order (channel, row,
        column); None of vectors that are no images."""
        return None

    @property
    def tokens(self) -> tuple[int, int] | None:
        """Tokens of each vector and channels of a token, whose numbers stand token by token; None
        of vectors that are no sequences."""
        return None

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
