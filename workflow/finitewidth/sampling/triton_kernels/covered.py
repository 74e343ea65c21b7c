"""Which ensembles the kernels draw; all others are drawn on a GPU by torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from typing import TypeGuard

from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.requirements import leaves_single_precision

#: Inputs at most: of ensembles, where four-point sums are recorded, and of tangent kernels. Beyond
#: these, sums do not fit into registers.
INPUTS, FOUR_POINT_INPUTS, NTK_INPUTS = 8, 4, 4
#: Inputs times outputs of tangent kernels at most.
NTK_ROWS = 6
#: Outputs at most: the neurons of the first vector that counters draw.
NTK_OUTPUTS = 16


def is_there(device: str) -> bool:
    """Whether kernels can run: on a GPU that Triton knows, with Triton beside torch."""
    if device != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    import torch

    return torch.cuda.get_device_capability() >= (8, 0)


def _is_known(network: Architecture | Perceptron, precision: str) -> TypeGuard[Perceptron]:
    return (
        isinstance(network, Perceptron)
        and network.weights == "normal"
        and precision == "float32"
        and code_of(network.activation) is not None
    )


def is_covered(
    network: Architecture | Perceptron,
    inputs: int,
    sampler: str,
    measure: Collection[str],
    precision: str,
) -> TypeGuard[Perceptron]:
    """Whether the kernels draw an ensemble; arguments as of :func:`..ensemble.sample`."""
    most = FOUR_POINT_INPUTS if "quartic" in measure else INPUTS
    return sampler == "marginal" and _is_known(network, precision) and inputs <= most


def is_ntk_covered(
    network: Architecture | Perceptron,
    inputs: int,
    outputs: int,
    sampler: str,
    measure: Collection[str],
    precision: str,
) -> TypeGuard[Perceptron]:
    """Whether the kernels draw tangent kernels; arguments as of :func:`..ntk_ensemble.sample_ntk`.

    Not where preactivations of the same networks are recorded, nor where kernels leave the range of
    single precision.
    """
    return (
        sampler == "marginal"
        and set(measure) == {"ntk"}
        and _is_known(network, precision)
        and inputs <= NTK_INPUTS
        and outputs <= NTK_OUTPUTS
        and inputs * outputs <= NTK_ROWS
        and network.depth > 1
        and not leaves_single_precision(network)
    )
