"""What every kind of inputs is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finitewidth.core.fields import Model


class Kind(Model):
    """The keys of a kind, and what they may be; ``count`` is how many vectors, None if unknown."""

    def check(self, path: str) -> None:
        """Raise a ``ConfigError`` for keys of the entry ``path`` that do not go together."""

    if TYPE_CHECKING:

        @property
        def count(self) -> int | None: ...
