"""Networks of infinite width under full-batch gradient descent on squared errors, exactly.

The loss is L = (1/2) sum over training inputs and outputs of (z - y)^2, with no mean: who takes
the mean over p training inputs and k outputs (``torch.nn.MSELoss``) multiplies the learning rate,
or the time, by 2/(p k). Parameters move by -lambda_mu dL/dmu. At infinite width the tangent kernel
stands still (Jacot et al. 2018; Lee et al. 2019, arXiv:1902.06720), so that predictions are linear
in where they began (docs/theory.md 12.1): with Theta_AA = U diag(x) U^T over training inputs,

    z(t) = z(0) - G (z_A(0) - y),    G = Theta_{.A} U phi(x + ridge) U^T,

phi(x) = (1 - e^{-x t})/x for gradient flow and (1 - (1 - eta x)^T)/x for T steps. ``ridge`` adds
(ridge/2) sum_mu (mu - mu(0))^2/lambda_mu to the loss: a pull to where each network began.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from finitewidth.core.words import named
from finitewidth.theory.training.modes import (
    Modes,
    columns,
    finite_columns,
    not_negative,
    precision_of,
    square,
)
from finitewidth.theory.training.moments import Moment, moment


class HasKernels(Protocol):
    """Anything with the kernels of all inputs, training inputs first; arrays of one shape."""

    @property
    def nngp(self) -> Any:
        """Covariance of one output at the start, shape (inputs, inputs); None if not known."""

    @property
    def ntk(self) -> Any:
        """Tangent kernel of one output with itself, shape (inputs, inputs)."""


@dataclass(frozen=True)
class TestErrors:
    """Expected squared errors at test inputs, and their parts.

    Attributes
    ----------
    bias : array, shape (test inputs, outputs)
        (mean - target)^2.
    variance : array, shape (test inputs, 1)
        Over networks, the same for every output.
    """

    #: Not a class of tests.
    __test__ = False
    bias: np.ndarray
    variance: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Their sum, shape (test inputs, outputs)."""
        return self.bias + self.variance


@dataclass(frozen=True)
class Predictions:
    """What an ensemble of infinite width predicts at one moment of its training.

    Attributes
    ----------
    targets : array, shape (training inputs, outputs)
    remaining : array, shape (training inputs, training inputs)
        Residuals at training inputs are this times those of the start.
    gain : array, shape (test inputs, training inputs)
        Test outputs move by this times (y - z_A(0)).
    nngp : array, shape (inputs, inputs), or None
    """

    targets: np.ndarray
    remaining: np.ndarray
    gain: np.ndarray
    nngp: np.ndarray | None

    @cached_property
    def mean(self) -> np.ndarray:
        """Over networks that begin with mean 0, shape (inputs, outputs), training inputs first."""
        y = self.targets
        return np.concatenate([y - self.remaining @ y, self.gain @ y])

    def of(self, start: np.ndarray) -> np.ndarray:
        """Of the one network that begins at ``start``; both have shape (inputs, outputs)."""
        p = len(self.targets)
        residual = start[:p] - self.targets
        trained = self.targets + self.remaining @ residual
        return np.concatenate([trained, start[p:] - self.gain @ residual])

    def covariance_with(self, other: Predictions) -> np.ndarray:
        """Cov(z_a here, z_b there) of one output, shape (inputs, inputs).

        ``other`` is the same training at another moment. Raises ``ValueError`` without ``nngp``.
        """
        K, p = self._known, len(self.targets)
        mine = np.concatenate([self.remaining @ K[:p], K[p:] - self.gain @ K[:p]])
        return np.concatenate(
            [mine[:, :p] @ other.remaining.T, mine[:, p:] - mine[:, :p] @ other.gain.T], axis=1
        )

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of one output, shape (inputs, inputs); different outputs are independent.

        Raises ``ValueError`` where the kernels have no ``nngp``.
        """
        return self.covariance_with(self)

    @cached_property
    def variance(self) -> np.ndarray:
        """The diagonal of :attr:`covariance`, shape (inputs,), without the rest of it."""
        K, p = self._known, len(self.targets)
        A = K[:p, :p]
        trained = np.einsum("ab,ab->a", self.remaining @ A, self.remaining)
        moved = np.einsum("ta,ta->t", self.gain @ A - 2 * K[p:, :p], self.gain)
        return np.concatenate([trained, np.diagonal(K)[p:] + moved])

    @property
    def loss(self) -> float:
        """E[(1/2) sum (z - y)^2] over training inputs and outputs."""
        p = len(self.targets)
        spread = self.targets.shape[1] * np.sum(self.variance[:p])
        return float(np.sum((self.remaining @ self.targets) ** 2) + spread) / 2

    def test_errors(self, targets: np.ndarray) -> TestErrors:
        """E[(z - y*)^2] at the test inputs, ``targets`` y* of shape (test inputs[, outputs]).

        Raises ``ValueError`` for targets of another shape.
        """
        p, k = self.targets.shape
        wanted = columns(targets)
        if wanted.shape != (len(self.gain), k):
            raise ValueError(
                f"targets of shape {wanted.shape} do not fit {len(self.gain)} test inputs and {k}"
                " outputs"
            )
        return TestErrors((self.mean[p:] - wanted) ** 2, self.variance[p:, None])

    @property
    def _known(self) -> np.ndarray:
        if self.nngp is None:
            raise ValueError("a spread over networks wants kernels with nngp")
        return self.nngp


class FrozenTraining:
    """Training with a tangent kernel that stands still: one eigendecomposition for all moments.

    Parameters
    ----------
    kernels : object with ``nngp`` and ``ntk``
        Arrays of shape (inputs, inputs), the training inputs first. ``nngp`` may be None.
    y : array, shape (training inputs,) or (training inputs, outputs)
    ridge : float

    Raises
    ------
    ValueError
        In one sentence, where shapes do not fit, numbers are not finite, or the kernel has an
        eigenvalue below 0 by more than rounding.
    """

    def __init__(self, kernels: HasKernels, y: np.ndarray, *, ridge: float = 0.0):
        self.targets = finite_columns(y)
        p = len(self.targets)
        ntk = square("ntk", kernels.ntk, p)
        self.nngp = None if kernels.nngp is None else square("nngp", kernels.nngp, p)
        if self.nngp is not None and len(self.nngp) != len(ntk):
            raise ValueError(f"nngp has {len(self.nngp)} inputs and ntk {len(ntk)}")
        self.ridge = not_negative("ridge", ridge)
        self.modes = Modes.of(ntk[:p, :p], precision_of(kernels.ntk))
        self._cross = ntk[p:, :p] @ self.modes.vectors

    def at(self, moment: Moment) -> Predictions:
        """The predictions at a moment of training."""
        x, U = self.modes.rates, self.modes.vectors
        progress = self.modes.progress(moment, self.ridge)
        # Without ridge what is left is known to its own digits, however little that is.
        left = moment.left(x) if self.ridge == 0 else 1 - x * progress
        gain = (self._cross * progress) @ U.T
        return Predictions(self.targets, (U * left) @ U.T, gain, self.nngp)


@named
def gradient_descent_mse(
    kernels: HasKernels,
    y: np.ndarray,
    *,
    learning_rate: float | None = None,
    steps: int | None = None,
    time: float | None = None,
    ridge: float = 0.0,
) -> Predictions:
    """Mean, covariance, loss and test errors of an infinitely wide ensemble under training.

    Parameters
    ----------
    kernels : object with ``nngp`` and ``ntk``
        What ``fw.infinite_width(network)(x)`` gives: arrays of shape (inputs, inputs), the training
        inputs first.
    y : array, shape (training inputs,) or (training inputs, outputs)
        Targets. The loss is half the sum of squared errors over both, with no mean.
    ridge : float
        Strength of a pull to where each network began; 0 is none.
    learning_rate, steps : float, int
        Gradient descent of so many steps, exactly, also where it overshoots.
    time : float
        Gradient flow until then, instead; ``inf`` for its end. A combination of training inputs
        that the kernel does not see stays where it began.

    Raises
    ------
    ValueError
        As :class:`FrozenTraining`, and where the moment is none.
    """
    at = moment(learning_rate=learning_rate, steps=steps, time=time)
    return FrozenTraining(kernels, y, ridge=ridge).at(at)


@named
def max_learning_rate(
    ntk: np.ndarray, *, ridge: float = 0.0, spread: float = 0.0, sigmas: float = 5.0
) -> float:
    """The learning rate from which on gradient descent diverges, 2/(largest eigenvalue + ridge).

    Parameters
    ----------
    ntk : array, shape (training inputs, training inputs)
    ridge : float
    spread : float
        Standard deviation of the tangent kernel of one network over its mean. The kernel of each
        network decides whether it diverges, so that ``sigmas`` such deviations are allowed for: one
        network in very many spoils a mean.
    sigmas : float

    Returns
    -------
    float
        For the loss with a sum (see the module); infinite for a kernel of zeros.

    Raises
    ------
    ValueError
        In one sentence, where the kernel is none or a number is below 0.
    """
    kernel = square("ntk", ntk, 1)
    largest = max(float(np.linalg.eigvalsh(kernel)[-1]), 0.0)
    wider = not_negative("sigmas", sigmas) * not_negative("spread", spread)
    rate = largest * (1 + wider) + not_negative("ridge", ridge)
    return 2 / rate if rate > 0 else float("inf")
