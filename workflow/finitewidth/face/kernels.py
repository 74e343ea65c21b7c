"""Kernels of infinitely wide networks between data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from finitewidth.core.words import check_word, check_words, named
from finitewidth.face.given_inputs import inputs_for, whole
from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.pairs.data_sets import Blocks, DataSets
from finitewidth.theory.pairs.plan import Plan

#: What :class:`InfiniteWidth` computes.
KERNELS = ("nngp", "ntk")
_MEMORY = 2**30


@dataclass(frozen=True)
class DataKernels:
    """What a network of infinite width makes of the inputs of two data sets, x1 and x2.

    Attributes
    ----------
    nngp : ndarray, shape (x1, x2), float64, or None
        Covariance over networks of one output at both inputs; None where it was not asked for.
    ntk : ndarray, shape (x1, x2), float64, or None
        Tangent kernel of one output with itself; None where it was not asked for.
    """

    nngp: np.ndarray | None
    ntk: np.ndarray | None


@dataclass(frozen=True)
class InfiniteWidth:
    """The kernel of a network: call it with data sets. See :func:`infinite_width`."""

    network: Architecture
    parameterisation: str
    _plans: dict[int, Plan] = field(default_factory=dict, repr=False, compare=False)

    @named
    def __call__(
        self,
        x1: np.ndarray,
        x2: np.ndarray | None = None,
        *,
        get: str | Sequence[str] = KERNELS,
        layer: int | None = None,
        block: int | None = None,
        memory: int = _MEMORY,
    ) -> DataKernels:
        """Kernels between all inputs of x1 and of x2, in double precision.

        Parameters
        ----------
        x1 : array, shape (inputs, n_0), or (inputs, channels, rows, columns) of images
            Channels come first, as in torch; images may be vectors in the same order. Sequences
            are (inputs, tokens, channels).
        x2 : array, optional
            Of the same kind; x1 itself where left out. Then kernels are symmetric to the last bit,
            and take half the time.
        get : str or sequence of str
            ``nngp``, ``ntk`` or both; only that is computed.
        layer : int, optional
            A layer of results, counted from 1; the last where left out. One that has places has a
            row for each input at each place, inputs slowest.
        block : int, optional
            Inputs that are computed with as many others at once; numbers depend on it by rounding
            alone, but for softmax of more than two tokens, which is integrated by random points to
            a thousandth of the largest number. Where left out as many as lie in a processor's
            cache.
        memory : int
            Bytes that may be taken beside the kernels and the inputs themselves.

        Returns
        -------
        DataKernels
            :func:`finitewidth.gradient_descent_mse` and :func:`finitewidth.gaussian_process` take
            it, where the training inputs come first.

        Raises
        ------
        ValueError
            In one sentence, where inputs or words do not fit, a kernel is not known, or one block
            wants more memory.
        """
        wanted = check_words("get", get, KERNELS)
        if not wanted:
            raise ValueError("get: given nothing, allowed are nngp, ntk or both")
        number = self._layer(layer)
        one = self.network.arranged(inputs_for(self.network, "x1", x1))
        two = None if x2 is None else self.network.arranged(inputs_for(self.network, "x2", x2))
        plan = self._plan(number)
        inputs = 0 if block is None else whole("block", block)
        blocks = Blocks.of(plan, inputs, whole("memory", memory))
        rates = None
        if "ntk" in wanted:
            rates = LearningRates.named(self.parameterisation, self.network)
        sets = DataSets(self.network, plan, one, two, rates, blocks, "nngp" in wanted)
        return DataKernels(*sets.kernels())

    def _plan(self, layer: int) -> Plan:
        if layer not in self._plans:
            self._plans[layer] = Plan.of(self.network, layer)
        return self._plans[layer]

    def _layer(self, given: int | None) -> int:
        count = len(self.network.ends)
        if given is None:
            return count
        if not 1 <= given <= count:
            raise ValueError(f"layer: given {given}, allowed is a whole number from 1 to {count}")
        return int(given)


@named
def infinite_width(
    network: Perceptron | Architecture, *, parameterisation: str = "ntk"
) -> InfiniteWidth:
    """The kernels of a network whose width goes to infinity, between data sets of any size.

    Parameters
    ----------
    network : Perceptron or Architecture
        As :func:`finitewidth.perceptron` and :func:`finitewidth.network` make it.
    parameterisation : str
        ``ntk`` or ``standard``: learning rates of the tangent kernel.

    Returns
    -------
    InfiniteWidth
        ``kernel(x1, x2=None, get=("nngp", "ntk"))`` has ``.nngp`` and ``.ntk``.

    Raises
    ------
    ValueError
        In one sentence, where a word is misspelt, weights are not normal, or the kernel of the
        network is not known.
    """
    check_word("parameterisation", parameterisation, ("ntk", "standard"))
    layers = network.architecture if isinstance(network, Perceptron) else network
    kernel = InfiniteWidth(layers, parameterisation)
    # What is not known is told before any inputs are there.
    kernel._plan(len(layers.ends))
    return kernel
