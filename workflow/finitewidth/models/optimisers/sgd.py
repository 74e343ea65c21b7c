"""Stochastic gradient descent with momentum, as ``torch.optim.SGD``."""

from __future__ import annotations

from types import ModuleType

from finitewidth.models.optimisers.optimiser import Optimiser


def _step_(torch: ModuleType, weights: list, buffers: list, rate: float, *_: float) -> None:
    """W <- W - rate v, where v <- momentum v + gradient."""
    torch._foreach_add_(weights, buffers[0], alpha=-rate)


SGD = Optimiser(buffers=1, kept=lambda momentum: momentum, step_=_step_)
