"""At which learning rates every network of an ensemble is trained, and none diverges.

A network diverges where eta times the largest eigenvalue of its own tangent kernel is beyond 2.
That of one network varies: on one input Theta has the variance A + 2B to first order in 1/n
(docs/theory.md 9.2). Five standard deviations are allowed for, so that the mean of an ensemble of
many thousand exists in practice.

Of many training inputs the largest eigenvalue is bounded by the sum of those of groups of them, as
for any kernel that is not negative. Groups take every so-manieth input, so that each looks like the
whole and the bound is near: time grows with the number of inputs and not with its square. Where
inputs times layers are so many that even this takes long, some groups speak for the others.
"""

from __future__ import annotations

import numpy as np

from finitewidth.members.stages import PredictedTraining, SampledTraining
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp_ntk import ntk_chain
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.training.gradient_descent import max_learning_rate

#: Standard deviations that are allowed for.
_DEVIATIONS = 5.0
#: Training inputs of a group, fewer in deep networks; and inputs times layers that are looked at.
_FEWEST, _MOST, _WORK = 16, 64, 4096


def stable_learning_rate(
    member: PredictedTraining | SampledTraining, x: np.ndarray, *, spread: bool = True
) -> float:
    """The learning rate below which no network of a member is expected to diverge.

    Parameters
    ----------
    member : networks of one width that are trained
    x : array, shape (training inputs, n_0)
    spread : bool
        Whether networks differ; else it is 2 over the eigenvalue at infinite width.

    Returns
    -------
    float
        2/(largest eigenvalue at infinite width (1 + 5 relative spread)), the spread that of the
        training input where it is largest; of more than 64 training inputs not more than that.
        Infinite where the kernel is 0.
    """
    mlp = Perceptron.of_member(member, dimension=x.shape[1])
    rates = member.rates(mlp)
    groups = _groups(len(x), mlp.depth)
    kernels = [infinite_width_ntk(mlp, rates, x[group], [mlp.depth])[0] for group in groups]
    if not all(np.isfinite(theta).all() for theta in kernels):
        return 0.0
    seen = np.concatenate(groups)
    inverse = sum(1 / max_learning_rate(theta) for theta in kernels) * len(x) / len(seen)
    slowest = 1 / inverse if inverse > 0 else float("inf")
    if not spread:
        return slowest
    x, size = x[seen], np.concatenate([np.diagonal(theta) for theta in kernels])
    # Of inputs of one norm the spread is one number.
    _, first = np.unique(np.round(np.sum(x**2, axis=1), 12), return_index=True)
    found = ntk_chain.first_order(mlp, rates, x[first], [mlp.depth])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.sqrt(np.clip(found.A[0] + 2 * found.B[0], 0, None)) / size[first]
    relative = relative[np.isfinite(relative)]
    return slowest / (1 + _DEVIATIONS * float(relative.max(initial=0.0)))


def _groups(inputs: int, depth: int) -> list[np.ndarray]:
    """Which training inputs are looked at together, each group through the whole set."""
    size = int(np.clip(_WORK // depth, _FEWEST, _MOST))
    count = -(-inputs // size)
    looked_at = min(count, max(1, _WORK // (size * depth)))
    return [np.arange(g, inputs, count) for g in range(0, count, -(-count // looked_at))]
