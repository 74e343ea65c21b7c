"""What samplers want of a network, told without torch."""

from __future__ import annotations

from finitewidth.core.blocks import block_width
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron

#: Sum of 1/n over hidden layers beyond which kernels of scale-invariant networks leave the range
#: of single precision.
_DEEP = 8


def require_normal(weights: str) -> None:
    """Raise ``ValueError`` for weights that cannot be integrated out."""
    if weights != "normal":
        raise ValueError(
            f"the marginal sampler integrates out normal weights only, not {weights} ones:"
            " use the explicit sampler"
        )


def leaves_single_precision(mlp: Perceptron) -> bool:
    """Whether tangent kernels of the perceptron must be computed in double precision."""
    return mlp.is_scale_invariant and sum(1 / n for n in mlp.widths[1:-1]) > _DEEP


def rows_read(network: Architecture | Perceptron, inputs: int) -> int:
    """Inputs that are recorded: each place of one counts where all places are."""
    return inputs * (network.places_read if isinstance(network, Architecture) else 1)


def drawn_width(network: Architecture | Perceptron, sampler: str) -> int:
    """The width that the size of a block follows from."""
    if isinstance(network, Perceptron):
        return network.widest
    return block_width(sampler, network.map_sizes)
