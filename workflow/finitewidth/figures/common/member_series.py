"""What figures take from members: estimates with their errors, names, and theory between layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from finitewidth.comparison.results import MemberResults
from finitewidth.core.reasons import Reason
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.predict.predict_preactivations import predict

#: Why an error is not trusted where the mean has a tail.
_TAILS = (
    Reason.ONE_BLOCK,
    Reason.HEAVY_TAIL,
    Reason.UNKNOWN_VARIANCE,
    Reason.UNSEEN_TAIL,
    Reason.ISLANDS,
    Reason.FEW_MEMBERS,
)
#: Quantities that are no means of powers: their tail may be on either side.
_EITHER_SIDE = ("log_norm_mean", "log_kernel_mean", "quantile")


class Measured(NamedTuple):
    """Estimates of one shape: what :func:`finitewidth.figures.common.style.points` takes after x.

    Attributes
    ----------
    value, error : ndarray
    trusted : ndarray of bool
    tail : ndarray
        +1 or -1 where the estimate is a mean with a heavy tail on that side, else 0.
    """

    value: np.ndarray
    error: np.ndarray
    trusted: np.ndarray
    tail: np.ndarray

    @classmethod
    def of(
        cls, estimates: xr.Dataset, quantity: str, **index: int | Sequence[int] | np.ndarray
    ) -> Measured:
        """A quantity at ``index``, a place for each dimension that is named."""
        value, error, trusted = (
            np.asarray(estimates[f"{quantity}{end}"].isel(index))
            for end in ("", "_stderr", "_trusted")
        )
        if f"{quantity}_reason" not in estimates:
            return cls(value, error, trusted == 1, np.zeros(value.shape))
        reason, number = (
            np.asarray(estimates[f"{quantity}_{end}"].isel(index))
            for end in ("reason", "diagnostic")
        )
        # A skewness has a sign. Other symptoms have none, but a mean of powers has its tail away
        # from 0.
        away = np.sign(np.nan_to_num(value)) * (quantity not in _EITHER_SIDE)
        tail = np.where(np.isin(reason, _TAILS), away, 0.0)
        tail = np.where(reason == Reason.SKEW, np.sign(np.nan_to_num(number)), tail)
        return cls(value, error, trusted == 1, tail)

    def at(self, where: int | slice | np.ndarray) -> Measured:
        """Those at ``where``, an index or a mask."""
        return Measured(*(np.asarray(a)[where] for a in self))

    def times(self, factor: np.ndarray | float) -> Measured:
        """Every value times ``factor``, which may be negative, 0, or not finite."""
        with np.errstate(all="ignore"):
            value, error = self.value * factor, self.error * np.abs(factor)
            return Measured(value, error, self.trusted, self.tail * np.sign(np.nan_to_num(factor)))

    def over(self, unit: ArrayLike) -> Measured:
        """Every value in units of ``unit``; nothing is left of it where that is 0."""
        unit = np.asarray(unit, float)
        return self.times(1 / np.where(unit == 0, np.nan, unit))

    def plus(self, shift: np.ndarray | float) -> Measured:
        """Every value moved by ``shift``."""
        return self._replace(value=self.value + shift)


def names(members: Sequence[MemberResults]) -> list[str]:
    """Each member in as few words as tell it from the others."""
    if len({m.about.ensemble for m in members}) > 1:
        return [m.label for m in members]
    return [", ".join(m.swept_words) or m.label for m in members]


def without_width(m: MemberResults) -> tuple:
    """What members of one curve over width share: all that their ensemble sweeps but the width."""
    swept = tuple((k, v) for k, v in m.swept.items() if k != "width")
    return m.about.ensemble, swept


def over_width(members: Iterable[MemberResults]) -> dict[str, list[MemberResults]]:
    """Members that differ in their width alone, narrow ones first, by a name for them all."""
    groups: dict[tuple, list[MemberResults]] = {}
    for m in sorted(members, key=lambda m: m.about.width):
        groups.setdefault(without_width(m), []).append(m)
    found = {}
    for (ensemble, swept), group in groups.items():
        words = MemberResults(group[0].about, dict(swept), group[0].estimates, group[0].theory)
        one = len({e for e, _ in groups}) == 1
        label = ", ".join(words.swept_words) if one and swept else words.label
        found[label or ensemble] = group
    return found


def first_input(m: MemberResults) -> int:
    """The first input that has a kernel above 0 in the last layer, or the first of all."""
    for kernel, dims in (("covariance", ("input", "input_")), ("excess_kurtosis", ("input",))):
        if kernel in m.estimates:
            last = m.estimates[kernel].isel(layer=-1)
            for k in range(m.estimates.sizes["input"]):
                value = float(last.isel(dict.fromkeys(dims, k)))
                if np.isfinite(value) and (value > 0 or kernel != "covariance"):
                    return k
            break
    return 0


def gram(m: MemberResults) -> np.ndarray | None:
    """x_a.x_b/n_0 of the member's inputs, (N, N), or None where no file tells."""
    if "overlap" in m.theory:
        a, b = m.theory["pair_a"].values, m.theory["pair_b"].values
        matrix = np.empty((max(b) + 1,) * 2)
        matrix[a, b] = matrix[b, a] = m.theory["overlap"].values
        return matrix
    known = "covariance" in m.theory and int(m.theory["layer"][0]) == 1
    if not known or m.about.C_W in (None, 0):
        return None
    first = m.theory["covariance"].sel(order="infinite_width").isel(layer=0).values
    return (first - m.about.C_b) / m.about.C_W


def anew(
    m: MemberResults,
    families: Sequence[str],
    layers: Sequence[int] | np.ndarray,
    width: int | None = None,
    inputs: int | None = None,
) -> xr.Dataset | None:
    """Theory of a member at other layers, or at another width, of its first ``inputs`` or of all.

    None where it cannot be made from its files alone: the inputs stand there only as their
    overlaps, which tell all that there is to normal weights and to no others.
    """
    overlaps = gram(m)
    if overlaps is None or m.about.weights != "normal" or (width and m.about.hidden):
        return None
    if m.about.network is not None:
        return None
    size, vectors = np.linalg.eigh(overlaps[:inputs, :inputs])
    x = np.sqrt(len(size)) * vectors * np.sqrt(np.clip(size, 0, None))
    about = m.about
    if width:
        outputs = width if about.outputs == about.width else about.outputs
        about = replace(about, width=width, outputs=outputs)
    mlp = Perceptron.of_member(about, dimension=len(size))
    try:
        return predict(mlp, x, list(layers), list(families), networks=about.networks)
    except (ValueError, ArithmeticError):
        return None


def between(layers: Sequence[int] | np.ndarray, most: int = 60) -> np.ndarray:
    """Layers from the first to the last of ``layers``: all, or ``most`` by equal factors."""
    first, last = int(min(layers)), int(max(layers))
    if last - first < most:
        return np.arange(first, last + 1)
    spread = np.geomspace(first, last, most).round().astype(int)
    return np.union1d(spread, np.asarray(layers, int))
