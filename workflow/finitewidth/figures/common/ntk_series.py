"""What figures of tangent kernels share: series of members, their numbers, theory in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.comparison.results import MemberResults, Study
from finitewidth.core.indices import pairs
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import Measured
from finitewidth.models.parameterisation import Parameterisation
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.predict import predicted_ntk

#: What a tangent kernel depends on, and what a label calls it.
_ABOUT: dict[str, Callable[[Any], str]] = {
    "activation": str,
    "depth": lambda L: f"$L={L}$",
    "width": lambda n: f"$n={n}$",
    "hidden": lambda widths: "widths " + "-".join(str(n) for n in widths) if widths else "",
    "ladder": lambda widths: "",
    "C_W": lambda C: "" if C is None else f"$C_W={C:.4g}$",
    "C_b": lambda C: "" if C is None else f"$C_b={C:.4g}$",
    "weights": lambda mlp: f"{mlp} weights",
    "inputs": lambda name: f"inputs {name}".replace("_", " "),
    "ntk": lambda ntk: _rates(ntk),
    "network": lambda network: "" if network is None else "blocks",
}
#: Curves agree with the theory of the members to so much, or are not drawn.
_AGREE = 1e-6


def _rates(ntk: Parameterisation) -> str:
    if ntk.lambda_b is None or ntk.lambda_W is None:
        return f"{ntk.name} rates"
    return rf"$\lambda_b={ntk.lambda_b:g}$, $\lambda_W={ntk.lambda_W:g}$"


def _value(m: MemberResults, key: str) -> Any:
    """What a member has under a key of ``_ABOUT``; of its blocks what other widths share."""
    value = getattr(m.about, key)
    return value.proportions if key == "network" and value is not None else value


def series(
    study: Study, family: str, *along: str, said: Sequence[str] = ()
) -> dict[str, list[MemberResults]]:
    """The members that estimate a family, in series that differ in ``along`` alone, by label.

    A label is the activation, what is in ``said``, and what else tells it from another series of
    this activation. Members of a series rise in ``along``.
    """
    keys = [key for key in _ABOUT if key not in along]
    groups: dict[tuple, list[MemberResults]] = {}
    for m in study.members:
        if m.has(family):
            groups.setdefault(tuple(repr(_value(m, key)) for key in keys), []).append(m)
    found = {}
    for group, members in groups.items():
        others = [other for other in groups if other[0] == group[0]]
        differ = [k for k in range(1, len(keys)) if any(o[k] != group[k] for o in others)]
        chosen = [k for k in range(1, len(keys)) if k in differ or keys[k] in said]
        about = members[0].about
        words = [_ABOUT[keys[k]](getattr(about, keys[k])) for k in (0, *chosen)]
        members.sort(key=lambda m: tuple(getattr(m.about, key) for key in along))
        found[", ".join(word for word in words if word)] = members
    return found


def same_law(one: MemberResults, other: MemberResults, *along: str) -> bool:
    """Whether two members differ in ``along`` at most."""
    keys = [key for key in _ABOUT if key not in along]
    return all(_value(one, key) == _value(other, key) for key in keys)


def first_input(members: Sequence[MemberResults]) -> int | None:
    """The first input whose mean tangent kernel is measured and above 0 in all members."""
    for a in range(members[0].estimates.sizes["input"]):
        if all(at(m.estimates["ntk"], a) > 0 for m in members):
            return a
    return None


def of_input(a: int) -> str:
    """What a title says of an input that is not the first."""
    return f", input {a}" if a else ""


def place_of(values: xr.DataArray, a: int = 0, rank: int = 0) -> dict[str, int]:
    """Where the number of the last layer stands, at input ``a`` (with itself) or of a rank."""
    place = {}
    for name in values.dims:
        if name == "layer":
            place[name] = -1
        elif name in ("input", "input_"):
            place[name] = a
        elif name in ("pair", "pair_"):
            # Unordered pairs of N inputs are N (N + 1)/2.
            N = int((np.sqrt(8 * values.sizes[name] + 1) - 1) / 2)
            place[name] = int(np.flatnonzero((pairs(N) == a).all(1))[0])
        elif name in ("couple", "couple_"):
            place[name] = a * (round(np.sqrt(values.sizes[name])) + 1)
        elif name == "rank":
            place[name] = rank
    return place


def at(values: xr.DataArray, a: int = 0, rank: int = 0) -> float:
    """The number of the last layer at input ``a`` (with itself), or of an eigenvalue's rank."""
    return float(values.isel(place_of(values, a, rank)))


def measured(members: Sequence[MemberResults], quantity: str, **where: int) -> Measured:
    """The estimates of the last layer at one place (:func:`place_of`), one a member."""
    each = [
        Measured.of(m.estimates, quantity, **place_of(m.estimates[quantity], **where))
        for m in members
    ]
    return Measured(*(np.array(part) for part in zip(*each, strict=True)))


def theory(members: Sequence[MemberResults], quantity: str, order: str, **where: int) -> np.ndarray:
    """One order of theory, one number a member; NaN where it says nothing."""
    found = []
    for m in members:
        line = style.predicted(m.theory, quantity, order)
        found.append(np.nan if line is None else at(line, **where))
    return np.array(found)


def widths_between(members: Sequence[MemberResults]) -> np.ndarray:
    """Widths for a curve over those of members, and a little beyond."""
    n = [m.about.width for m in members]
    low, high = (min(n) / 1.1, max(n) * 1.1) if min(n) < max(n) else (n[0] / 1.7, n[0] * 1.7)
    between = np.geomspace(low, high, 40).round().astype(int)
    return np.unique([*between[between > 0], *n])


def depths_between(members: Sequence[MemberResults]) -> np.ndarray:
    """Depths for a curve over those of members: all of them, or 16 that lie evenly."""
    L = [m.about.depth for m in members]
    return np.unique([*np.geomspace(min(L), max(L), 16).round().astype(int), *L])


class Between:
    """Theory of members that differ in ``key`` (width or depth), at values in between, too.

    Parameters
    ----------
    members : sequence of MemberResults
    key : str
    values : ndarray, shape (V,)
        The members' own among them.
    family : str
        Of quantities: ntk, ntk_tensors, dntk or ntk_spectrum.
    a : int, optional
        One input, alone; all of them where left out.
    """

    def __init__(
        self,
        members: Sequence[MemberResults],
        key: str,
        values: np.ndarray,
        family: str,
        a: int | None = None,
    ) -> None:
        self.members, self.key, self.values, self.a = members, key, np.asarray(values), a
        x = _inputs(members[0], a)
        self._found: list[dict] = []
        one = members[0].about
        if x is not None and one.hidden is None and one.network is None:
            for value in self.values:
                about = members[0].about
                sizes = {"width": about.width, "depth": about.depth, key: int(value)}
                about = replace(about, width=sizes["width"], depth=sizes["depth"])
                mlp = Perceptron.of_member(about, dimension=x.shape[1])
                case = predicted_ntk.TangentCase(mlp, about.rates(mlp), x)
                with np.errstate(all="ignore"):
                    self._found.append(getattr(predicted_ntk, family)(case))

    def __call__(self, quantity: str, order: str, rank: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Values of ``key`` and the theory there.

        Where it cannot be computed again from what the files say, or not to the same numbers, it
        is theirs, at the members alone.
        """
        own = np.array([getattr(m.about, self.key) for m in self.members])
        known = theory(self.members, quantity, order, a=self.a or 0, rank=rank)
        if not self._found or not np.isfinite(known).any():
            return own, known
        unknown = np.full(rank + 1, np.nan)
        found = np.array([np.ravel(f[quantity].get(order, unknown))[rank] for f in self._found])
        again = found[np.searchsorted(self.values, own)]
        same = np.isclose(again, known, rtol=_AGREE, atol=0, equal_nan=True)
        return (self.values, found) if same.all() else (own, known)


def _inputs(m: MemberResults, a: int | None) -> np.ndarray | None:
    """Vectors with the overlaps of a member's inputs, (N, n_0), or of input ``a`` alone.

    None where its theory does not say what they are. Tangent kernels depend on no more.
    """
    if "overlap" not in m.theory.coords or "dimension" not in m.theory.attrs:
        return None
    first, second = m.theory["pair_a"].values, m.theory["pair_b"].values
    N, dimension = int(second.max()) + 1, int(m.theory.attrs["dimension"])
    gram = np.empty((N, N))
    gram[first, second] = gram[second, first] = m.theory["overlap"].values
    if a is not None:
        gram = gram[a : a + 1, a : a + 1]
    return np.sqrt(dimension) * _vectors(gram, dimension)


def _vectors(gram: np.ndarray, dimension: int) -> np.ndarray:
    """Vectors (N, dimension) whose products are ``gram``; equal ones are equal to the last bit."""
    x = np.zeros((len(gram), dimension))
    corners: list[int] = []
    for k, row in enumerate(gram):
        size = np.sqrt(np.abs(gram[k, k] * np.diagonal(gram)))
        equal = [j for j in range(k) if (np.abs(row - gram[j]) <= 1e-14 * size).all()]
        if equal:
            x[k] = x[equal[0]]
            continue
        for place, j in enumerate(corners):
            x[k, place] = (row[j] - x[k, :place] @ x[j, :place]) / x[j, place]
        rest = row[k] - x[k] @ x[k]
        if rest > 1e-12 * row[k] and len(corners) < dimension:
            x[k, len(corners)] = np.sqrt(rest)
            corners.append(k)
    return x
