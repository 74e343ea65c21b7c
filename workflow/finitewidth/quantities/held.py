"""Estimators and theories called, and held to what their family says that they give.

The library's own and those of extensions alike: what fits no entry ends the job in a sentence that
names whose it is, and which axes are expected.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from finitewidth.core.bins import EDGES, PROBABILITIES
from finitewidth.core.errors import ConfigError
from finitewidth.extensions.loaded import OwnFunction, extension_of
from finitewidth.quantities.description import Family, Quantity, look_up

#: Orders that theory may tell of; the coordinate ``order``.
ORDERS = ("infinite_width", "1/n", "1/n^2", "double_scaling", "many_tokens", "exact")
#: A dimension -> its size.
Sizes = Mapping[str, int]


def sizes(inputs: int, **more: int) -> dict[str, int]:
    """Sizes of dimensions of quantities on so many inputs; ``more`` are those of others.

    A dimension whose name ends in ``_`` is as long as that without.
    """
    pairs = inputs * (inputs + 1) // 2
    return {
        "input": inputs,
        "rank": inputs,
        "pair": pairs,
        "couple": inputs**2,
        "quad": pairs * (inputs + 2) * (inputs + 3) // 12,
        "bin": len(EDGES) - 1,
        "standard_bin": len(EDGES) - 1,
        "probability": len(PROBABILITIES),
        **more,
    }


def estimated(family: Family, of: object, expected: Sizes, *, all_of_them: bool = True) -> dict:
    """What the estimator of a family gives of a layer, a ladder or a last layer.

    Parameters
    ----------
    family : Family
    of : Layer, Ladder or LastLayer
    expected : mapping
        Sizes of dimensions; those of a quantity that are not here belong to another axis, which is
        added later.
    all_of_them : bool
        Whether it has to give every quantity of the family.

    Returns
    -------
    dict
        Quantity -> its estimate.

    Raises
    ------
    ConfigError
        In one sentence, where it gives something else.
    """
    found = look_up(family.estimator)(of)
    _check_estimates(family, found, expected, all_of_them)
    return found


def try_out(family: Family, make: Callable[[], tuple[object, Sizes]]) -> None:
    """Hold an extension's estimator to its axes on samples in which these have other lengths.

    For samples in which axes are of one length by chance, so that one in place of another fits.
    ``make`` makes what it takes of them, and tells the sizes; of the library's own estimators,
    which tests hold, nothing is made. What is raised there says nothing: such samples are none of
    a study.
    """
    if not isinstance(family.estimator, OwnFunction):
        return
    try:
        of, expected = make()
        found = family.estimator(of)
    except Exception:
        return
    _check_estimates(family, found, expected, all_of_them=False)


def apart(expected: Sizes, **lengths: int) -> dict[str, int]:
    """How many places more make each of these axes as long as no other; {} where none is.

    ``expected`` are the sizes of the others.
    """
    others = [n for dim, n in expected.items() if dim not in lengths]
    if len({*others, *lengths.values()}) == len(set(others)) + len(lengths):
        return {}
    taken, more = set(others), {}
    for dim, length in lengths.items():
        more[dim] = next(k for k in itertools.count(1) if length + k not in taken)
        taken.add(length + more[dim])
    return more


def _check_estimates(family: Family, found: Any, expected: Sizes, all_of_them: bool) -> None:
    names = set(found) if isinstance(found, dict) else None
    fits = names is not None and names <= set(family.names)
    if names is None or not fits or (all_of_them and names != set(family.names)):
        given = ", ".join(sorted(map(str, names))) if names is not None else type(found).__name__
        allowed = f"a dictionary of {', '.join(family.names)}"
        raise _refused(family, "estimator", f"gives {given or 'nothing'}", allowed)
    for q in family.quantities:
        # Moments of a ladder hold an estimate.
        one = getattr(found.get(q.name), "estimate", found.get(q.name))
        for part in ("value", "stderr", "reason") if q.name in found else ():
            if problem := _misfit(q, getattr(one, part, None), expected):
                given, axes = problem
                what = f"gives {q.name} as {given}"
                raise _refused(family, "estimator", what, f"an Estimate {axes}")


def predicted(family: Family, case: object, expected: Sizes) -> dict[str, dict]:
    """What the theory of a family gives of a case: quantity -> order -> array.

    Raises as :func:`estimated` does.
    """
    found = look_up(family.theory)(case)
    names = set(family.names)
    if not (
        isinstance(found, dict)
        and set(found) <= names
        and all(isinstance(o, dict) and set(o) <= set(ORDERS) for o in found.values())
    ):
        allowed = "{quantity: {order: array}}, with quantities among"
        allowed += f" {', '.join(family.names)} and orders among {', '.join(ORDERS)}"
        raise _refused(family, "theory", "gives something else", allowed)
    for q in family.quantities:
        for order, values in found.get(q.name, {}).items():
            if problem := _misfit(q, values, expected):
                given, axes = problem
                what = f"gives {order} of {q.name} as {given}"
                raise _refused(family, "theory", what, f"an array {axes}")
    return {name: orders for name, orders in found.items() if orders}


def _misfit(q: Quantity, values: Any, expected: Sizes) -> tuple[str, str] | None:
    """What an array is that has not the axes of a quantity, and these with their sizes."""
    has = {dim: expected.get(dim.rstrip("_")) for dim in q.dims}
    # What nobody counts here is of any size, but for axes that are added later.
    dims = [dim for dim in q.dims if has[dim] is not None or dim not in _ADDED]
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) == len(dims):
        counted = [has[dim] for dim in dims]
        if all(n in (None, size) for n, size in zip(counted, shape, strict=True)):
            return None
    axes = ", ".join(f"{dim} = {has[dim]}" if has[dim] is not None else dim for dim in dims)
    given = type(values).__name__ if shape is None else f"an array of shape {tuple(shape)}"
    return given, f"with the axes ({axes})"


#: Dimensions that whoever calls adds, one call after another.
_ADDED = ("rung", "layer")


def _refused(family: Family, part: str, given: str, allowed: str) -> ConfigError:
    function = getattr(family, part)
    if isinstance(function, OwnFunction):
        one = extension_of("FAMILIES", family.name)
        return one.refused(f"{family.name}.{part} that {given}", allowed)
    return ConfigError(f"{function}, the {part} of {family.name}: it {given}, allowed is {allowed}")
