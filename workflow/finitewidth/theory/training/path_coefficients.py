"""What perturbations of a kernel do until a moment of training, mode by mode.

Rows are the modes of the kernel over training inputs, of rates lam_i, and one more that stands
still: what a test input has beyond its share of the training inputs. Until the moment a row x_i
becomes

    left_i x_i + c_ij h_ij e_j + cc_ijk h_ij h_jk e_k + move_ijk O3_ijk e_j e_k
    + turn_ijk dH_i;jk e_j e_k + (sum of four parts) e_j e_k e_l,

h = H - Theta, e the residuals at the start, O3_abc = dH_a;bc + dH_b;ac, and the parts of the last
term as in :class:`Path` (docs/theory.md 12.4). Axes behind the first are modes of training inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import expm

from finitewidth.theory.training.moments import Flow, Moment

#: Decay times of the slowest mode after which nothing is left.
_LATE = 60.0


@dataclass(frozen=True)
class Path:
    """Coefficients of all rows; p training modes, p + 1 rows.

    Attributes
    ----------
    left : array, shape (rows,)
        Of what a row was at the start.
    c, cc : arrays, shape (rows, p), (rows, p, p)
        Of h_ij e_j and h_ij h_jk e_k.
    move, turn : arrays, shape (rows, p, p)
        Of O3_ijk e_j e_k and dH_i;jk e_j e_k.
    both : array, shape (rows, p, p, p)
        Of (X_i;jkl + X_j;ikl) e_j e_k e_l, X_a;bcd = ddI_a;bcd + ddII_ab;cd + ddII_ac;bd.
    symmetric : array, shape (rows, p, p, p)
        Of W_ij;kl e_j e_k e_l, W_ab;cd = ddI_a;bcd + ddI_b;acd + ddII_ab;cd + ddII_ab;dc.
    own, third : arrays, shape (rows, p, p, p)
        Of X_i;jkl and ddI_i;jkl, contracted in the same way.
    drift_first : array, shape (p,)
        Of -O3_abk e_k in H - H(0).
    drift_both, drift_symmetric : arrays, shape (p, p)
        Of (X_a;bkl + X_b;akl) e_k e_l and W_ab;kl e_k e_l there.
    """

    left: np.ndarray
    c: np.ndarray
    cc: np.ndarray
    move: np.ndarray
    turn: np.ndarray
    both: np.ndarray
    symmetric: np.ndarray
    own: np.ndarray
    third: np.ndarray
    drift_first: np.ndarray
    drift_both: np.ndarray
    drift_symmetric: np.ndarray


def coefficients(rates: np.ndarray, moments: Sequence[Moment]) -> list[Path]:
    """Of modes of the given rates, (p,), and of the row that stands still, at each moment.

    Moments are of one kind, and rise; steps are of one learning rate.
    """
    return _remembered(tuple(rates.tolist()), tuple(moments))


@lru_cache(maxsize=4)
def _remembered(given: tuple[float, ...], moments: tuple[Moment, ...]) -> list[Path]:
    """The same for every test input beside the same training inputs."""
    rates = np.array(given)
    if not moments:
        return []
    if isinstance(moments[0], Flow):
        return [_flow(rates, moment.time) for moment in moments if isinstance(moment, Flow)]
    return _descent(rates, moments)


def _flow(rates: np.ndarray, time: float) -> Path:
    moving = rates[rates > 0]
    t = min(time, _LATE / moving.min()) if len(moving) else 0.0
    if len(moving) == 0 and np.isfinite(time):
        t = time
    p, a = len(rates), np.append(rates, 0.0)
    j, k, m = (rates.reshape(shape) for shape in ((p, 1, 1), (p, 1), (p,)))
    i = a[:, None, None, None]

    def nested(*exponents: np.ndarray) -> np.ndarray:
        """Integral over t > s1 > ... > 0 of exp(-a0 (t - s1) - ... - ak sk)."""
        each = np.stack(np.broadcast_arrays(*exponents), axis=-1)
        M = np.eye(each.shape[-1], k=1) - each[..., None] * np.eye(each.shape[-1])
        return expm(t * M)[..., 0, -1]

    two = nested(i[..., 0, 0], rates)
    three = nested(i[..., 0], rates[:, None], rates)
    move = nested(i[..., 0], rates[:, None], rates[:, None] + rates)
    four = nested(i, j, j + k, j + k + m)
    nothing3, nothing4 = np.zeros_like(move), np.zeros_like(four)
    return Path(
        np.exp(-a * t), -two, three, move, nothing3, -four, nothing4, nothing4, nothing4,
        nested(0 * rates, rates),
        nested(0 * rates, rates[:, None] + 0 * rates, rates[:, None] + rates),
        np.zeros((p, p)),
    )  # fmt: skip


def _descent(rates: np.ndarray, moments: Sequence[Moment]) -> list[Path]:
    p = len(rates)
    wanted = [moment.steps for moment in moments if not isinstance(moment, Flow)]
    eta = next(m.learning_rate for m in moments if not isinstance(m, Flow))
    keep = np.append(1 - eta * rates, 1.0)
    k2, k3, k4 = (keep.reshape(-1, *(1,) * n) for n in (1, 2, 3))
    left, a, moved = np.ones(p + 1), np.ones(p), np.zeros(p)
    c, (cc, move, turn) = np.zeros((p + 1, p)), np.zeros((3, p + 1, p, p))
    both, symmetric, own, third = np.zeros((4, p + 1, p, p, p))
    drift_both, drift_symmetric = np.zeros((2, p, p))
    found, step = {}, 0
    for until in wanted:
        for _ in range(step, until):
            square = np.multiply.outer(a, a)
            # As H and dH were before the step.
            cc = k3 * cc - eta * c[:p]
            c = k2 * c - eta * a
            move = k3 * move + eta * np.multiply.outer(a, moved)
            turn = k3 * turn + eta**2 / 2 * square
            both = k4 * both - eta * np.multiply.outer(a, drift_both)
            symmetric = k4 * symmetric - eta * np.multiply.outer(a, drift_symmetric)
            own = k4 * own - eta**2 / 2 * np.multiply.outer(square, moved)
            third = k4 * third - eta**3 / 6 * np.multiply.outer(square, a)
            drift_both = drift_both + eta * np.multiply.outer(a, moved)
            drift_symmetric = drift_symmetric + eta**2 / 2 * square
            moved = moved + eta * a
            a, left = a * keep[:p], left * keep
        step = until
        found[until] = Path(left, c, cc, move, turn, both, symmetric, own, third, moved,
                            drift_both, drift_symmetric)  # fmt: skip
    return [found[steps] for steps in wanted]
