"""Mean, covariance, loss and drift of a trained ensemble, to first order in 1/n.

The kernel of a network is Theta + h, and moves by its differentials: predictions are expanded in
these (:mod:`finitewidth.theory.training.path_coefficients`), and means taken with the tensors of
first order of the start. "Frozen" is what h does alone, "moving" the rest (docs/theory.md 12.4,
derived here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.factor_means import FactorMeans
from finitewidth.theory.mlp_ntk import ntk_vertex
from finitewidth.theory.mlp_ntk.ntk_vertex import NTKFirstOrder
from finitewidth.theory.training.ddntk import SecondDifferentials, has_kink, second_differentials
from finitewidth.theory.training.lateness import lateness
from finitewidth.theory.training.modes import Modes
from finitewidth.theory.training.moments import Flow, Moment
from finitewidth.theory.training.path_coefficients import Path, coefficients
from finitewidth.theory.training.path_means import Parts, means, second_moments
from finitewidth.theory.training.start_tensors import StartTensors


@dataclass(frozen=True)
class Corrections:
    """What is added to infinite width; all hold their power of 1/n. Inputs: training, then test.

    Attributes
    ----------
    mean_frozen, mean_moving : array, shape (inputs, outputs)
    covariance_frozen, covariance_moving : array, shape (inputs, outputs, inputs, outputs)
    loss : array, shape ()
    drift : array, shape (inputs, outputs, inputs, outputs)
        E[H(t) - H(0)].
    sizes : dict
        The same names: about how large the terms are that such a number is the sum of, and by how
        much late times and large targets let the next order grow beside it.
    """

    mean_frozen: np.ndarray
    mean_moving: np.ndarray
    covariance_frozen: np.ndarray
    covariance_moving: np.ndarray
    loss: np.ndarray
    drift: np.ndarray
    sizes: dict[str, np.ndarray]

    def times(self, share: float) -> Corrections:
        """All numbers, which are of one order, times a number."""
        values = {name: share * getattr(self, name) for name in NAMES}
        return Corrections(**values, sizes={n: share * size for n, size in self.sizes.items()})


#: What is corrected.
NAMES = tuple(field.name for field in fields(Corrections) if field.name != "sizes")


class FirstOrder:
    """Training on some inputs; there may be test inputs beside them.

    Parameters
    ----------
    mlp : Perceptron
        With normal weights. At a kink what the motion of kernels adds is NaN.
    rates : LearningRates
    x : array, shape (inputs, n_0)
        The training inputs first.
    y : array, shape (training inputs, outputs)
    centred : bool
        Whether the function at the start is subtracted.
    means : FactorMeans, optional
        How Gaussian means are taken; by quadrature, for three different inputs at most, unless told
        otherwise.

    Raises
    ------
    ValueError
        As :func:`finitewidth.theory.training.ddntk.second_differentials`.
    """

    def __init__(
        self,
        mlp: Perceptron,
        rates: LearningRates,
        x: np.ndarray,
        y: np.ndarray,
        *,
        centred: bool = False,
        means: FactorMeans | None = None,
    ):
        self.y = np.asarray(y, dtype=float)
        p, k = self.y.shape
        # Inputs that are one are one to all means.
        own, at = different(x)
        first, second = _tensors(mlp, rates, x[own], means)
        first = NTKFirstOrder(*(_taken(tensor, at) for tensor in first))
        second = SecondDifferentials(*(_taken(tensor, at) for tensor in second))
        modes = Modes.of(first.Theta[:p, :p], float(np.finfo(float).eps))
        self.rates, U = modes.rates, modes.vectors
        self._modes = _rows(first.Theta, modes)
        self._back = np.linalg.inv(self._modes)
        start = np.zeros((len(x), k))
        start[:p] = -U.T @ self.y
        self.tensors = StartTensors(
            first, second, self._modes, np.append(self.rates == 0, np.zeros(len(x) - p, bool)),
            k, centred, start,
        )  # fmt: skip

    def at(self, moments: Sequence[Moment], share: float = 1.0) -> list[Corrections]:
        """The corrections at moments of training, which rise; ``share`` is what hidden widths over
        those of the networks in question are, all of one ratio."""
        paths = coefficients(self.rates, moments)
        return [
            self._at(path, *(self._late(moment, share, n) for n in (1, 2))).times(share)
            for path, moment in zip(paths, moments, strict=True)
        ]

    @property
    def is_known(self) -> bool:
        """Whether no mean was out of reach."""
        t = self.tensors
        return bool(np.isfinite(t.hh).all() and np.isfinite(t.X).all())

    def _at(self, path: Path, late: np.ndarray, twice: np.ndarray) -> Corrections:
        t, p, k = self.tensors, len(self.y), self.y.shape[1]
        path = _compound(path, t.rows, p, k)
        mean, second = means(t, path), second_moments(t, path)
        # Products of means are taken off, to first order.
        left = path.left * t.mean

        def covariance(parts: Parts, of: Parts) -> Parts:
            products = [np.outer(m, left) + np.outer(left, m) for m in of.terms]
            return Parts([s - q for s, q in zip(parts.terms, products, strict=True)])

        frozen, moving = (covariance(second[x], mean[x]) for x in (0, 1))
        drift = self._drift(path)
        train = np.arange(p * k)
        loss = sum(np.trace(part.total[np.ix_(train, train)]) for part in second) / 2
        back = np.kron(self._back, np.eye(k))
        shape = len(self._back), k

        def one(values: np.ndarray) -> np.ndarray:
            return (back @ values).reshape(shape)

        def two(values: np.ndarray) -> np.ndarray:
            return (back @ values @ back.T).reshape(shape * 2)

        def size(parts: Parts, late: np.ndarray) -> np.ndarray:
            each = parts.size * (late if parts.size.ndim == 1 else np.outer(late, late))
            if each.ndim == 1:
                return (np.abs(back) @ each).reshape(shape)
            return (np.abs(back) @ each @ np.abs(back).T).reshape(shape * 2)

        still = np.ones_like(late)
        return Corrections(
            one(mean[0].total), one(mean[1].total), two(frozen.total), two(moving.total),
            np.asarray(loss), two(drift.total),
            {
                "mean_frozen": size(mean[0], late),
                "mean_moving": size(mean[1], late),
                "covariance_frozen": size(frozen, np.sqrt(twice)),
                "covariance_moving": size(moving, np.sqrt(twice)),
                "loss": sum(
                    np.sum(np.diagonal(part.size)[train] * twice[train]) for part in second
                ) / 2,
                "drift": size(drift, still),
            },
        )  # fmt: skip

    def _drift(self, path: Path) -> Parts:
        t, P = self.tensors, len(path.drift_first)
        first = -np.einsum("abkk,k->ab", t.O3z[..., :P, :P], path.drift_first)
        M, four = t.M[:P, :P], (slice(None), slice(None), slice(P), slice(P))
        turned = path.drift_both * t.both[four] + path.drift_symmetric * t.symmetric[four]
        return Parts([first, np.einsum("abkl,kl->ab", turned, M)])

    def _late(self, moment: Moment, share: float, power: int) -> np.ndarray:
        """By how much more the next orders count of a row, or of a square of rows."""
        t, k = self.tensors, self.y.shape[1]
        lam = np.repeat(self.rates, k)
        P = len(lam)
        hh = np.einsum("ijij->ij", t.hh[:P, :P, :P, :P])
        # Of a rate, with what other modes mix in.
        apart = np.abs(lam[:, None] - lam)
        apart = np.where(apart > 0, apart, 1.0) * np.where(apart > 0, _time(moment), 0.0)
        s = share * np.sum(np.clip(hh, 0, None) / np.maximum(1, apart), axis=1)
        found = np.ones(t.rows * k)
        found[:P] = lateness(moment, lam, s, power)
        return found


def _tensors(
    mlp: Perceptron, rates: LearningRates, x: np.ndarray, means: FactorMeans | None
) -> tuple[NTKFirstOrder, SecondDifferentials]:
    if not has_kink(mlp):
        return second_differentials(mlp, rates, x, means)
    every = ntk_vertex.first_order(mlp, rates, x, [mlp.depth])
    first = NTKFirstOrder(*(values[0] for values in every))
    nothing = np.full((len(x),) * 4, np.nan)
    return first._replace(P=nothing, Q=nothing), SecondDifferentials(*(nothing for _ in range(4)))


def different(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of inputs that differ from each other, and of each input among these."""
    _, own, at = np.unique(x, axis=0, return_index=True, return_inverse=True)
    return own, at.ravel()


def _taken(tensor: np.ndarray, at: np.ndarray) -> np.ndarray:
    return tensor[np.ix_(*(at for _ in range(tensor.ndim)))]


def _rows(theta: np.ndarray, modes: Modes) -> np.ndarray:
    """Modes of training inputs, and what others have beyond their share of these."""
    p, U = len(modes.rates), modes.vectors
    found = np.eye(len(theta))
    found[:p, :p] = U.T
    with np.errstate(divide="ignore"):
        inverse = np.where(modes.rates > 0, 1 / modes.rates, 0.0)
    found[p:, :p] = -(theta[p:, :p] @ U * inverse) @ U.T
    return found


def _time(moment: Moment) -> float:
    return moment.time if isinstance(moment, Flow) else moment.learning_rate * moment.steps


def _compound(path: Path, rows: int, p: int, k: int) -> Path:
    """The same for indices of an input and an output, and for all rows."""
    row = np.append(np.arange(p), np.full(rows - p, p))

    def spread(values: np.ndarray, first: np.ndarray | None) -> np.ndarray:
        values = values if first is None else values[first]
        for axis in range(values.ndim):
            values = np.repeat(values, k, axis=axis)
        return values

    return Path(**{
        name: spread(values, None if name.startswith("drift") else row)
        for name, values in vars(path).items()
    })  # fmt: skip
