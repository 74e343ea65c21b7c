"""One input with itself: the variances that activations and norms ask for, kept while there is
room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from finitewidth.models.layers.layer import Layer
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.theory.pairs.plan import WITH_SITE, Plan
from finitewidth.theory.pairs.sites import Site
from finitewidth.theory.pairs.state import Pairs, step


@dataclass
class _Recorder:
    """Makes the sites of inputs on their way through the layers."""

    layers: Sequence[Layer]
    slopes: bool
    sites: list[Site] = field(default_factory=list)

    def next(self, state: Pairs) -> tuple[Site, Site]:
        layer, variance = self.layers[len(self.sites)], state.variances()
        if isinstance(layer, Nonlinearity):
            site = Site.of(layer.activation, variance, self.slopes)
        else:
            site = Site(variance)
        self.sites.append(site)
        return site, site


@dataclass
class Replayed:
    """Hands out the sites of two blocks of inputs, one after another."""

    one: list[Site]
    two: list[Site]
    at: int = 0

    def next(self, state: Pairs) -> tuple[Site, Site]:
        """Those of the next activation or norm."""
        self.at += 1
        return self.one[self.at - 1], self.two[self.at - 1]


def sites_of(plan: Plan, x: np.ndarray, slopes: bool) -> list[Site]:
    """The sites of some inputs, (inputs, channels, places), in the order of a forward pass."""
    asking = [one for one in _inner(plan.layers) if isinstance(one, WITH_SITE)]
    recorder = _Recorder(asking, slopes)
    layout, axes = ("own", "acp,acq->apq") if plan.own_pairs[0] else ("diagonal", "acp,acp->pa")
    nngp = np.einsum(axes, x, x, optimize=True) / x.shape[1]
    state = Pairs(plan.shape, layout, nngp, None, recorder)
    for layer, full in zip(plan.layers[: plan.own_layers], plan.own_pairs, strict=False):
        state = step(layer, state if full else state.narrowed(), iter(()))
    return recorder.sites


def _inner(layers: tuple[Layer, ...]) -> list[Layer]:
    found: list[Layer] = []
    for layer in layers:
        found += _inner(layer.branch) if hasattr(layer, "branch") else [layer]
    return found
