"""One layer of an ensemble, its arrays read when they are first wanted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finitewidth.estimate.preactivations.pooled import Pooled
from finitewidth.estimate.samples import Samples
from finitewidth.quantities.held import sizes

Array = np.ndarray


@dataclass(frozen=True)
class Layer:
    """One layer of an ensemble.

    Attributes
    ----------
    samples : Samples
    place : int
        The layer's place among the recorded ones.
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    neurons : int
        How many recorded neurons are taken one by one.
    stream : tuple
        Seed and names that the layer's random streams begin with.
    """

    samples: Samples
    place: int
    bounds: Array
    neurons: int
    stream: tuple

    def read(self, name: str) -> Array:
        """The variable ``name``, shape (network, ...)."""
        return self.samples.of_layer(name, self.place)

    def maybe(self, name: str) -> Array | None:
        """The variable ``name``, or None where the samples do not hold it."""
        return self.read(name) if name in self.samples else None

    @cached_property
    def pooled(self) -> Pooled:
        """Means over all the neurons."""
        return Pooled(
            int(self.samples.widths[self.place]),
            self.bounds,
            self.read("kernel"),
            self.maybe("quartic"),
            self.maybe("sextic"),
            self.maybe("log_norm"),
            self.samples.rounding,
            int(self.samples.layers[self.place]),
        )

    @cached_property
    def z(self) -> Array:
        """Recorded preactivations, shape (network, input, neuron)."""
        return self.read("preactivation")

    @cached_property
    def dead(self) -> bool:
        """Whether every network is zero here, on every input."""
        norm = self.maybe("log_norm")
        if norm is not None:
            return bool(np.all(norm == -np.inf))
        # A kernel may be too small for a float, but then nothing tells it from zero.
        kernel = self.maybe("kernel")
        return kernel is not None and not kernel.any()

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the dimensions of its quantities."""
        neurons = min(self.neurons, self.samples.size("neuron"))
        return sizes(len(self.inputs), neuron=neurons, sample=2)

    @property
    def inputs(self) -> range:
        """Indices of the inputs."""
        return range(self.samples.size("input"))
