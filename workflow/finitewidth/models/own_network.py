"""Networks of a person's own: any ``torch.nn.Module``, declared by an extension.

An extension imports this at its top; it asks for nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from finitewidth.models.multiples import multiple_of

#: Layers that one network may have recorded.
MOST_LAYERS = 1000


@dataclass(frozen=True)
class OwnNetwork:
    """One network of somebody's own, at any width.

    Attributes
    ----------
    name : str
        The word of a study file, after ``module``.
    factory : callable
        ``factory(width, seed)`` is a ``torch.nn.Module`` from inputs (N, *shape) to outputs
        (N, numbers), whose parameters are drawn: by torch's generator, which stands at a state of
        its own for each network, or from ``seed``, a whole number below 2^63.
    layers : mapping
        Module -> numbers of its output for one input: what is recorded, in this order. Names are
        those of ``named_modules()``, "" for the network itself; sizes are whole numbers or
        multiples of the width n, "4n". The last is the output.
    shape : tuple of int, optional
        Of one input; (n_0,) where left out. Input vectors are reshaped to it.
    theory : callable, optional
        ``theory(case)`` tells what is known: a mapping from quantities to a mapping from orders to
        arrays, (layer, ...) as the quantity has dimensions. ``case`` is an :class:`OwnCase`.
    """

    name: str
    factory: Callable[[int, int], Any]
    layers: Mapping[str, int | str]
    shape: tuple[int, ...] | None = None
    theory: Callable[[OwnCase], Mapping[str, Mapping[str, Any]]] | None = None

    def sizes(self, width: int) -> tuple[int, ...]:
        """Numbers of each recorded layer; raises ``ValueError`` where one is no whole number."""
        each = self.layers.values()
        return tuple(multiple_of(width, s) if isinstance(s, str) else s for s in each)

    def wrong(self) -> tuple[str, str] | None:
        """What is given and what is allowed, where a field cannot be as it is."""
        if not callable(self.factory):
            return f"{self.name} with a factory that is none", "a function of a width and a seed"
        if not isinstance(self.layers, Mapping) or not 1 <= len(self.layers) <= MOST_LAYERS:
            return f"{self.name} with layers that are none", "a mapping from modules to sizes"
        for module, size in self.layers.items():
            if not isinstance(module, str) or not _is_size(size):
                allowed = "names of modules with whole numbers of at least 1, or multiples as 4n"
                return f"{self.name} with the layer {module!r} of size {size!r}", allowed
        of = self.shape
        if of is not None and not (isinstance(of, tuple) and of and all(map(_is_whole, of))):
            return f"{self.name} with the shape {of!r}", "a tuple of whole numbers of at least 1"
        if self.theory is not None and not callable(self.theory):
            return f"{self.name} with a theory that is none", "a function of a case"
        return None

    def inputs_of(self, dimension: int) -> tuple[int, ...]:
        """The shape of one input of so many components; ``ValueError`` where they do not fit."""
        shape = self.shape or (dimension,)
        if prod(shape) != dimension:
            raise ValueError(
                f"inputs of {dimension} components do not fit the shape {shape} of {self.name}"
            )
        return shape


@dataclass(frozen=True)
class OwnCase:
    """What theory of an own network is asked for.

    Attributes
    ----------
    width : int
        n.
    layers : tuple of int
        The recorded ones, counted from 1.
    sizes : tuple of int
        Numbers of each of these.
    x : ndarray, shape (inputs, n_0)
    quantities : tuple of str
        What is estimated.
    """

    width: int
    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    x: Any
    quantities: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OwnShape:
    """An own network of a member: its name, and the numbers of each layer that can be recorded."""

    own: str
    sizes: tuple[int, ...]

    #: It has none of the places that networks made of blocks may have.
    input: ClassVar[None] = None
    activations: ClassVar[tuple[str, ...]] = ()

    @property
    def proportions(self) -> tuple:
        """What networks of different n share that are alike."""
        return (self.own,)


def _is_whole(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 10**9


def _is_size(size: object) -> bool:
    if isinstance(size, str):
        try:
            # At an n where it is a whole number.
            over = size.partition("/")[2]
            multiple_of(int(over) if over.isdecimal() else 1, size)
        except ValueError:
            return False
        return True
    return _is_whole(size)
