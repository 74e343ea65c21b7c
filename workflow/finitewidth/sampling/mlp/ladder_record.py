"""What is kept of a ladder, and the dataset that it becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Kept:
    """What is recorded: kernels of recorded layers, kernels and means of every driven layer.

    Arrays (network, rung, ...) of the shard, or tensors of the tile under way on its device, from
    where they are fetched once: a GPU that is waited for at every layer does nothing meanwhile.
    """

    kernel: np.ndarray | torch.Tensor
    driven: np.ndarray | torch.Tensor | None
    drive: np.ndarray | torch.Tensor | None
    ntk: np.ndarray | torch.Tensor | None
    driven_ntk: np.ndarray | torch.Tensor | None

    @classmethod
    def empty(
        cls,
        networks: int,
        rungs: int,
        layers: Sequence[int],
        inputs: int,
        controls: int,
        tangent: bool,
    ) -> Kept:
        """Arrays for ``networks`` networks; ``controls`` is how many functions of neurons or of
        normals are kept, 0 for none, with the kernels that drive them."""
        shape, two = (networks, rungs), len(pairs(inputs))
        recorded, hidden = (*shape, len(layers)), (*shape, max(layers) - 1)
        return cls(
            np.zeros((*recorded, two)),
            np.zeros((*hidden, two), np.float32) if controls else None,
            np.zeros((*hidden, controls), np.float32) if controls else None,
            np.zeros((*recorded, two)) if tangent else None,
            np.zeros((*hidden, two), np.float32) if tangent and controls else None,
        )

    @property
    def numbers(self) -> int:
        """How many are recorded of one network."""
        return sum(math.prod(v.shape[1:]) for v in vars(self).values() if v is not None)

    def of_tile(self, networks: int, device: str) -> Kept:
        """Workspace for a tile's own, on its device."""
        import torch

        def workspace(array: np.ndarray | torch.Tensor) -> torch.Tensor:
            dtype = torch.as_tensor(array).dtype
            return torch.empty((networks, *array.shape[1:]), dtype=dtype, device=device)

        return Kept(
            workspace(self.kernel),
            *(
                None if v is None else workspace(v)
                for v in (self.driven, self.drive, self.ntk, self.driven_ntk)
            ),
        )

    def put(self, at: slice, tile: Kept) -> None:
        """Store the values of a tile in the places ``at`` of its networks."""
        for name, array in vars(self).items():
            if array is not None:
                array[at] = getattr(tile, name).cpu().numpy()


_MEANING = {
    "conditional_kernel": "covariance of the layer's neurons given the layer before",
    "driven_kernel": "conditional kernel that scales the normals of the layer",
    "conditional_ntk": "tangent kernel of a neuron, averaged over its way back",
    "driven_ntk": "tangent kernel of a neuron of the layer, averaged over its way back",
    "drive": "mean over the layer's neurons of functions of them or of their normals",
}


def dataset(
    kept: Kept,
    networks: np.ndarray,
    widths: Sequence[int],
    layers: np.ndarray,
    names: Sequence[str],
    inputs: int,
) -> xr.Dataset:
    arrays: dict[str, tuple[tuple[str, str], np.ndarray | torch.Tensor | None]] = {
        "conditional_kernel": (("layer", "pair"), kept.kernel)
    }
    if kept.ntk is not None:
        arrays["conditional_ntk"] = (("layer", "pair"), kept.ntk)
    if names:
        arrays["driven_kernel"] = (("driven", "pair"), kept.driven)
        if kept.driven_ntk is not None:
            arrays["driven_ntk"] = (("driven", "pair"), kept.driven_ntk)
        arrays["drive"] = (("driven", "control"), kept.drive)
    data = {
        name: (("network", "rung", *dims), values, {"long_name": _MEANING[name], "units": "1"})
        for name, (dims, values) in arrays.items()
    }
    a, b = pairs(inputs).T
    coordinates = {
        "network": ("network", networks, {"long_name": "index of the network in its ensemble"}),
        "rung": ("rung", np.arange(len(widths)), {"long_name": "rung of the ladder"}),
        "width": ("rung", np.array(widths), {"long_name": "neurons of every hidden layer"}),
        "layer": ("layer", layers, {"long_name": "layer l = 1..L"}),
        "pair_a": ("pair", a, {"long_name": "input a"}),
        "pair_b": ("pair", b, {"long_name": "input b"}),
        "input": ("input", np.arange(inputs), {"long_name": "input"}),
    }
    if names:
        driven = np.arange(1, max(layers))
        coordinates["driven"] = ("driven", driven, {"long_name": "layer whose neurons are driven"})
        coordinates["control"] = ("control", np.array(names), {"long_name": "function of normals"})
    return xr.Dataset(data, coords=coordinates)
