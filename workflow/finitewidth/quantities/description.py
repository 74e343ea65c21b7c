"""What a quantity is, and a family of quantities that are estimated together: data, no more.

A family names its estimator and its theory by their places, ``module:function``, which are looked
up when they are used: so reading a config imports neither, and they do not import each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from finitewidth.extensions.loaded import OwnFunction

PDLT = "Roberts, Yaida, Hanin, arXiv:2106.10165"
PDLT_NTK = f"{PDLT}, chapter 8"
HANIN_NICA = "Hanin, Nica, Commun. Math. Phys. 376 (2020), arXiv:1812.05994"
HANIN_NICA_NTK = "Hanin, Nica, arXiv:1909.05989"
ZAVATONE = "Zavatone-Veth, Pehlevan, arXiv:2104.11734"

#: Most inputs of families with a number for each quadruple of them, and for each two pairs.
FOUR_POINT_MOST_INPUTS = 8
TANGENTS_MOST_INPUTS = 16
#: Most inputs whose tangent kernels populations are grown for: a network carries 20,000 numbers of
#: four inputs from layer to layer, and 90,000 of five.
TANGENT_FORMS_MOST_INPUTS = 4

AT_INPUT = ("layer", "input")
AT_INPUTS = ("layer", "input", "input_")
AT_PAIR = ("layer", "pair")
AT_PAIRS = ("layer", "pair", "pair_")
AT_COUPLES = ("layer", "couple", "couple_")
#: Indices of inputs that a dimension is made of.
_INDICES = {"input": 1, "pair": 2, "couple": 2, "quad": 4}

#: A function by its place, ``module:function`` of the library, or as it is.
Function = str | Callable


@dataclass(frozen=True)
class Quantity:
    """One variable of ``estimates.nc``, and of ``theory.nc`` where theory knows of it.

    Attributes
    ----------
    name : str
    dims : tuple of str
        Dimensions of the estimate; in ``theory.nc`` they stand behind ``order``.
    meaning : str
        What it is, with its formula: the variable's long name.
    equation : str
        Where docs/theory.md has its theory; "" where nothing is predicted.
    source : str
        Whose result that is.
    exchanged : bool
        Whether it stays as it is when its two inputs, pairs or neurons are exchanged: then a table
        has each number once.
    symmetries : tuple
        Of a quantity of two couples of inputs, (0, 1) and (2, 3): the orders of these four under
        which it stays as it is.
    known_diagonal : bool
        Whether it is known without a measurement where the two inputs are one.
    unit : tuple of pairs of int, or None
        Its unit, for how much an order of theory leaves out. Exponents of sqrt(K) and of
        sqrt(Theta), a pair of them for each index of its inputs (``input`` has one, ``pair`` and
        ``couple`` two, ``quad`` four); () for a pure number. None where that is not known, or no
        expansion in 1/n describes it: then only exact theory is held against the estimate.
    """

    name: str
    dims: tuple[str, ...]
    meaning: str
    equation: str = ""
    source: str = ""
    exchanged: bool = True
    symmetries: tuple[tuple[int, ...], ...] = ()
    known_diagonal: bool = False
    unit: tuple[tuple[int, int], ...] | None = None

    @property
    def indices(self) -> int:
        """How many indices of inputs it has."""
        return sum(_INDICES.get(dim.rstrip("_"), 0) for dim in self.dims)


@dataclass(frozen=True)
class Family:
    """Quantities that are estimated together, because they are made of the same samples.

    Attributes
    ----------
    name : str
        The word of a study file.
    quantities : tuple of Quantity
    records : tuple of str
        The variables of the samples that it is estimated from.
    estimator, theory : str, or function
        Places of functions, ``module:function`` in the library; an extension has the functions
        themselves. ``theory`` is "" where a function for all families at once predicts them, or
        nothing does.
    most_inputs : int or None
        More inputs than these are refused, since a number for each set of them would be too many.
    price : float
        Nanoseconds of the estimator for each number that it reads (``benchmarks/cost.py``).
    reads : callable
        How many numbers it reads of a network and layer: of the number of inputs, and of neurons
        that are recorded.
    made_of : str
        Of a family of an extension: what its estimator takes. ``layer`` (a layer of networks of one
        width), ``ladder`` (of widths) or ``last_layer`` (tangent kernels). The library's own stand
        in a file for each.
    orders : tuple of int
        Of the moments of conditional kernels that it is made of, where populations of networks can
        tell them (-1 is the inverse).
    tangent_orders : tuple of int
        The same of moments of tangent kernels, on one input.
    """

    name: str
    quantities: tuple[Quantity, ...]
    records: tuple[str, ...]
    estimator: Function
    theory: Function = ""
    most_inputs: int | None = None
    price: float = 0.0
    reads: Callable[[int, int], int] = lambda inputs, recorded: 0
    made_of: str = "layer"
    orders: tuple[int, ...] = ()
    tangent_orders: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its quantities."""
        return tuple(quantity.name for quantity in self.quantities)


@dataclass(frozen=True)
class Coefficient:
    """The coefficient of 1/n^power in the expansion of a quantity, fitted over several widths."""

    of: str
    power: int
    quantity: Quantity


class FigureEntry(NamedTuple):
    """Where a figure is drawn, and what its study's ensembles have to estimate for it.

    ``module`` is one of `figures/`, with a function of the figure's name; of an extension it is the
    function itself.
    """

    module: Function
    families: tuple[str, ...]
    caption: str

    @property
    def file(self) -> str:
        """What stands for the figure's code: its file in the library, or an extension's entry."""
        return file_of(f"figures.{self.module}" if isinstance(self.module, str) else self.module)


def one_each(inputs: int, recorded: int) -> int:
    """A number an input."""
    return inputs


def pairs_of(inputs: int, recorded: int) -> int:
    """A number for each unordered pair of inputs, (a, a) included."""
    return math.comb(inputs + 1, 2)


def quads_of(inputs: int, recorded: int) -> int:
    """A number for each unordered quadruple of inputs."""
    return math.comb(inputs + 3, 4)


def look_up(place: Function) -> Callable:
    """The function that stands at ``module:function`` of the library, or that is one itself."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(f"finitewidth.{module}"), name)


def file_of(place: Function) -> str:
    """The file of the library in which ``module:function`` stands; of a function of an extension
    what stamps call it."""
    if isinstance(place, OwnFunction):
        return place.entry
    if not isinstance(place, str):
        raise ValueError("a function that no extension declares stands in no file")
    return f"{place.partition(':')[0].replace('.', '/')}.py"
