"""The posterior of a Gaussian process: what Bayes' rule makes of infinitely wide networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from finitewidth.core.words import named
from finitewidth.theory.training.modes import (
    Modes,
    finite_columns,
    not_negative,
    precision_of,
    square,
)
from finitewidth.theory.training.moments import Flow


class HasCovariance(Protocol):
    """Anything with the covariance of all inputs, training inputs first."""

    @property
    def nngp(self) -> Any:
        """Covariance of one output, shape (inputs, inputs)."""


@dataclass(frozen=True)
class Posterior:
    """Of one output: ``mean`` (inputs, outputs) and ``covariance`` (inputs, inputs)."""

    mean: np.ndarray
    covariance: np.ndarray


@named
def gaussian_process(kernels: HasCovariance, y: np.ndarray, *, ridge: float = 0.0) -> Posterior:
    """The posterior of outputs with covariance ``nngp``, given targets of the first inputs.

    mean = K_{.A} (K_AA + ridge)^+ y and covariance K - K_{.A} (K_AA + ridge)^+ K_{A.}; ``ridge`` is
    the variance of the noise of targets. What no training input tells (a null mode) is left as the
    prior has it.

    Parameters
    ----------
    kernels : object with ``nngp``
        Shape (inputs, inputs), the training inputs first.
    y : array, shape (training inputs,) or (training inputs, outputs)
    ridge : float

    Raises
    ------
    ValueError
        In one sentence, where shapes do not fit or numbers are not finite.
    """
    targets = finite_columns(y)
    p = len(targets)
    K = square("nngp", kernels.nngp, p)
    modes = Modes.of(K[:p, :p], precision_of(kernels.nngp))
    # The end of a flow is what inverts.
    inverse = modes.progress(Flow(float("inf")), not_negative("ridge", ridge))
    across = K[:, :p] @ modes.vectors
    mean = (across * inverse) @ (modes.vectors.T @ targets)
    return Posterior(mean, K - (across * inverse) @ across.T)
