"""From samples to estimates of neural tangent kernels, of the last layer alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import Estimate, stack
from finitewidth.estimate.ntk.last_layer import LastLayer, Variables
from finitewidth.estimate.ntk.scaled_kernels import Tangents
from finitewidth.estimate.samples import Samples
from finitewidth.quantities.held import Sizes, apart, estimated, sizes, try_out
from finitewidth.quantities.vocabulary import FAMILIES, FROM_NTK, OF_LAST_LAYER

Array = np.ndarray
_OUTPUT = "output_preactivation"
#: Shapes of variables of a network, from the numbers of outputs and of inputs.
_SHAPES = {
    "ntk": lambda outputs, inputs: (*(outputs,) * 2, *(inputs,) * 2),
    _OUTPUT: lambda outputs, inputs: (outputs, inputs),
    "conditional_kernel": lambda outputs, inputs: (inputs * (inputs + 1) // 2,),
    "dntk": lambda outputs, inputs: (*(outputs,) * 3, *(inputs,) * 3),
}


def estimate_ntk(
    samples: Samples, families: Collection[str], bounds: Array, *, isotropic: bool = False
) -> dict[str, Estimate]:
    """Estimate families of quantities from tangent kernels of the last layer.

    Parameters
    ----------
    samples : Samples
        With ``ntk`` (network, output, output_, input, input_); for ``ntk_tensors`` also
        ``conditional_kernel`` (network, pair) and, of two outputs or more,
        ``output_preactivation`` (network, output, input); for ``dntk`` also ``dntk`` (network,
        three times output, three times input) and ``output_preactivation``, and
        ``conditional_kernel`` makes its errors smaller.
    families : collection of str
        Of ``vocabulary.FROM_NTK``.
    bounds : array of int, shape (block + 1,)
        Blocks of networks of the jackknife.
    isotropic : bool
        Whether the law of the networks stays as it is when outputs are rotated among each other, as
        it does when weights and biases of the last layer are Gaussian, and not when they are
        uniform. Errors of the tensors are then smaller: the variance of ``ntk_B``, say, by up to
        (k + 2)/k for k outputs.

    Returns
    -------
    dict of Estimate
        Quantity -> estimate with the dimensions that ``quantities`` gives it, one layer long.
        Where a single output was recorded, A, B, F, P and Q are left out: they take two.

    Raises
    ------
    ValueError
        In one sentence: for an unknown family, for a variable that the samples lack or that has
        another shape, and for the spectrum on one input.
    """
    for family in families:
        if family not in FROM_NTK:
            raise ValueError(f"unknown family {family!r}; allowed are {', '.join(FROM_NTK)}")
    if "ntk_spectrum" in families and samples.size("input") == 1:
        raise ValueError("the family ntk_spectrum needs at least 2 inputs, not 1")
    found: dict[str, Estimate] = {}
    # Of one output there are no quantities of two.
    several = samples.size("output") != 1
    expected = sizes(samples.size("input"))
    more = apart(expected, output=samples.size("output"))
    last = _last_layer(samples, families, bounds, isotropic)
    with np.errstate(all="ignore"):
        for described in OF_LAST_LAYER:
            if described.name in families:
                found |= estimated(described, last, expected, all_of_them=several)
                if more:
                    one = [described.name]
                    try_out(described, partial(_other_axes, samples, more, one, last, expected))
    return {name: estimate.take(np.newaxis) for name, estimate in found.items()}


def _other_axes(
    samples: Samples,
    more: Mapping[str, int],
    families: Collection[str],
    last: LastLayer,
    expected: Sizes,
) -> tuple[LastLayer, Sizes]:
    other = samples.again(**more)
    return _last_layer(other, families, last.bounds, last.tangents.isotropic), expected


def _last_layer(
    samples: Samples, families: Collection[str], bounds: Array, isotropic: bool
) -> LastLayer:
    needed = _needed(samples, families)
    read = Variables({n: _read(samples, n, family) for n, family in needed.items()})
    tangents = Tangents(
        bounds,
        samples.size("output"),
        samples.size("input"),
        isotropic,
        read.get("ntk"),
        read.get(_OUTPUT),
        read.get("conditional_kernel"),
        samples.rounding,
    )
    return LastLayer(samples, bounds, tangents, read)


def at_last_layer(estimate: Estimate, layers: Array) -> Estimate:
    """One layer's estimate, shape (1, ...), among all the recorded ``layers``, (layer, ...).

    It stands at the last of them; the others, of which nothing was estimated, are NaN.
    """
    nothing = Estimate.unknown(estimate.value.shape[1:], Reason.NOT_MEASURED)
    every = [nothing] * len(layers)
    every[int(np.argmax(layers))] = estimate.take(0)
    return stack(every)


def _needed(samples: Samples, families: Collection[str]) -> dict[str, str]:
    """Variables of the samples that are to be read, and a family that each is for."""
    several = samples.size("output") != 1
    needed: dict[str, str] = {}
    for family in families:
        names = [n for n in FAMILIES[family].records if n in _SHAPES and (several or n != _OUTPUT)]
        if "dntk" in names:
            # A control of P and Q, where it is there.
            kernel = ["conditional_kernel"] if "conditional_kernel" in samples else []
            names = [*names, *kernel] if several else []
        needed |= dict.fromkeys(names, family)
    return needed


def _read(samples: Samples, name: str, family: str) -> Array:
    if name not in samples:
        raise ValueError(f"the family {family} needs the variable {name}, which the samples lack")
    outputs, inputs = samples.size("output"), samples.size("input")
    values = samples.values(name)
    expected = _SHAPES[name](outputs, inputs)
    if values.shape[1:] != expected:
        raise ValueError(
            f"the variable {name} has the shape {values.shape[1:]} a network, not {expected}"
        )
    return values
