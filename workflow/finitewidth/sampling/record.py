"""What is kept of a layer: a few neurons, and sums over all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from finitewidth.core.indices import pairs, quad_positions, quads
from finitewidth.sampling import recorded


class Workspace:
    """Memory used again from layer to layer: fresh memory costs as much as a computation."""

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] = {}

    def __call__(
        self, name: str, shape: tuple, dtype: torch.dtype, device: torch.device | str
    ) -> torch.Tensor:
        """An uninitialised tensor, the same one for the same name, shape and precision.

        Only for what is no longer read when its name is next asked for.
        """
        kept = self._kept.get(name)
        if kept is None or (kept.shape, kept.dtype) != (shape, dtype):
            kept = self._kept[name] = torch.empty(shape, dtype=dtype, device=device)
        return kept


class Recorder:
    """Arrays for the recorded layers of ``networks`` networks, filled tile by tile.

    Parameters
    ----------
    networks : int
    layers : sequence of int
        The recorded layers, each from 1 to L.
    inputs : int
    neurons : int
        Neurons recorded in each layer.
    measure : collection of str
        ``preactivations`` for neurons and kernels; with it ``quartic``, and with that ``sextic``,
        for sums of higher powers; ``gradient`` for derivatives of outputs by layers and
        ``entropy`` for those of attention; ``log_norm`` for the norms alone.
    with_norm : bool
        Whether scales are carried apart, so that ``log_norm`` is recorded.
    arrays : mapping of arrays, optional
        What to fill, as :func:`finitewidth.sampling.recorded.of_layers` makes it; its own where
        left out.
    """

    def __init__(
        self,
        networks: int,
        layers: Sequence[int],
        inputs: int,
        neurons: int,
        measure: Collection[str],
        with_norm: bool,
        arrays: Mapping[str, np.ndarray] | None = None,
    ):
        self.layers = frozenset(layers)
        self.inputs = inputs
        self.workspace = Workspace()
        self._neurons = neurons
        self._moments = "preactivations" in measure
        self._tile: list[dict[str, torch.Tensor]] = []
        self._gradients: dict[int, torch.Tensor] = {}
        self._jacobians: dict[int, torch.Tensor] = {}
        if arrays is None:
            arrays = recorded.of_layers(networks, len(layers), inputs, neurons, measure, with_norm)
        self.arrays = arrays
        if "quartic" in measure:
            self._index_products()

    @property
    def numbers(self) -> int:
        """How many are recorded of one network."""
        return recorded.numbers_of(self.arrays)

    @property
    def with_gradient(self) -> bool:
        """Whether derivatives of outputs by layers are recorded."""
        return "gradient" in self.arrays

    @property
    def with_jacobian(self) -> bool:
        """Whether singular values of derivatives by the input are recorded."""
        return "jacobian" in self.arrays

    def _index_products(self) -> None:
        self._quads, self._pairs = quads(self.inputs), pairs(self.inputs)
        # Of the Gram matrix of products, pair by pair, one place a distinct quadruple.
        _, quad_places = np.unique(quad_positions(self.inputs), return_index=True)
        kernel_places = np.zeros((self.inputs, self.inputs), int)
        for place, (a, b) in enumerate(self._pairs):
            kernel_places[a, b] = kernel_places[b, a] = place
        self._places: dict[str, np.ndarray | torch.Tensor] = {
            "quad": quad_places,
            "kernel": kernel_places,
        }

    def _at(self, places: str, device: torch.device) -> torch.Tensor:
        """An index on the device, brought there once."""
        index = self._places[places]
        if not isinstance(index, torch.Tensor):
            index = self._places[places] = torch.from_numpy(index).to(device)
        return index

    def put(self, layer: int, z: torch.Tensor, log_scale: torch.Tensor | None) -> None:
        """Take one layer of the tile under way, if it is a recorded one.

        Parameters
        ----------
        z : tensor, shape (networks, inputs, neurons)
            Preactivations; exp(log_scale) times this where ``log_scale``, of shape
            (networks, inputs) and float64, is given. Read now: it may be overwritten later.
        """
        if layer not in self.layers:
            return
        kept = self._sums(z) if self._moments else {"square": _squared_norm(z)}
        kept = {name: value.double() / z.shape[2] for name, value in kept.items()}
        if log_scale is not None:
            kept["log_scale"] = log_scale
        if self._moments:
            kept["preactivation"] = z[..., : self._neurons].clone()
        self._tile.append(kept)

    def put_gradient(self, layer: int, squares: torch.Tensor) -> None:
        """Take the squared norms (networks, inputs) of derivatives by one layer, if recorded."""
        if layer in self.layers:
            self._gradients[layer] = squares

    def put_jacobian(self, layer: int, logs: torch.Tensor) -> None:
        """Take logarithms of singular values (networks, inputs, n_0) of one layer, if recorded."""
        if layer in self.layers:
            self._jacobians[layer] = logs

    def put_scores(self, layer: int, scores: Sequence[torch.Tensor]) -> None:
        """Take what tokens were weighted by since the layer before, if entropies are recorded.

        Parameters
        ----------
        scores : sequence of tensor, shape (networks, inputs, heads, tokens, tokens)
            Means over heads, and over tokens unless each is an input of its own; NaN of none.
        """
        if layer not in self.layers or "entropy" not in self.arrays:
            return
        kept = self._tile[-1]
        if not scores:
            kept["entropy"] = torch.full_like(kept["square"], torch.nan)
            return
        each = [torch.special.entr(P.double()).sum(-1).mean(2) for P in scores]
        entropy = torch.stack(each).mean(0)
        # Each token an input of its own, or their mean.
        by_token = entropy.numel() == kept["square"].numel()
        kept["entropy"] = entropy.flatten(1) if by_token else entropy.mean(2)

    def end_tile(self, at: slice) -> None:
        """Store the layers taken since the last tile as those of the networks ``at``.

        A product of scales may leave the range of floating-point numbers (log_norm still holds the
        truth then); a dead network stays exactly 0.
        """
        kept = {
            name: torch.stack([layer[name] for layer in self._tile], dim=1)
            for name in self._tile[0]
        }
        self._tile = []
        if self._gradients:
            each = [self._gradients[layer] for layer in sorted(self._gradients)]
            kept["gradient"], self._gradients = torch.stack(each, dim=1), {}
        if self._jacobians:
            each = [self._jacobians[layer] for layer in sorted(self._jacobians)]
            kept["jacobian"], self._jacobians = torch.stack(each, dim=1), {}
        log_scale = kept.pop("log_scale", None)
        square = kept.pop("square")
        if log_scale is not None:
            # Where it was computed: a GPU has done it before a processor has fetched it.
            kept["log_norm"] = log_scale + 0.5 * square.log()
            if self._moments:
                _rescale(kept, log_scale.exp(), getattr(self, "_quads", None))
        _store(kept, self.arrays, at)

    def _sums(self, z: torch.Tensor) -> dict[str, torch.Tensor]:
        """Sums over neurons; every pass over ``z`` counts, since drawing it is hardly dearer."""
        if "quartic" not in self.arrays:
            if self.inputs == 1:
                square = _squared_norm(z)
                return {"square": square, "kernel": square[..., None]}
            kernel = torch.bmm(z, z.transpose(1, 2))
            return {"square": torch.diagonal(kernel, dim1=1, dim2=2), "kernel": kernel}
        networks, _, width = z.shape
        products = self.workspace(
            "products", (networks, len(self._pairs), width), z.dtype, z.device
        )
        for place, (a, b) in enumerate(self._pairs):
            torch.mul(z[:, a], z[:, b], out=products[:, place])
        if self.inputs == 1:
            quartic = _squared_norm(products)
        else:
            gram = torch.bmm(products, products.transpose(1, 2))
            quartic = gram.flatten(1)[:, self._at("quad", z.device)]
        kernel = products.sum(2)[:, self._at("kernel", z.device)]
        square = torch.diagonal(kernel, dim1=1, dim2=2)
        sums = {"square": square, "kernel": kernel, "quartic": quartic}
        if "sextic" in self.arrays:
            own = [(place, a) for place, (a, b) in enumerate(self._pairs) if a == b]
            cubes = [_squared_norm(products[:, place].mul_(z[:, a])) for place, a in own]
            sums["sextic"] = torch.stack(cubes, dim=1)
        return sums


def _squared_norm(z: torch.Tensor) -> torch.Tensor:
    """Sum of squares over the last dimension: one pass, where square and sum would be two."""
    return torch.linalg.vector_norm(z, dim=-1).square_()


def _rescale(
    kept: dict[str, torch.Tensor], scale: torch.Tensor, quadruples: np.ndarray | None
) -> None:
    """Bring what was recorded at unit scale to natural units; ``scale`` is (..., inputs)."""
    kept["preactivation"] = kept["preactivation"] * scale[..., None].to(kept["preactivation"].dtype)
    kept["kernel"] = kept["kernel"] * (scale[..., :, None] * scale[..., None, :])
    if "sextic" in kept:
        kept["sextic"] = kept["sextic"] * scale**6
    if quadruples is not None:
        for column in quadruples.T:
            kept["quartic"] = kept["quartic"] * scale[..., column]


def _store(tensors: dict[str, torch.Tensor], arrays: Mapping[str, np.ndarray], at: slice) -> None:
    """Put each of ``tensors`` in its array as that of the networks ``at``, in one copy."""
    for name, values in tensors.items():
        torch.from_numpy(arrays[name][at]).copy_(values)


class NtkRecorder:
    """Tangent kernels of the output layer, filled tile by tile.

    Parameters
    ----------
    networks, inputs : int
    outputs : int
        How many output neurons are taken, the first ones.
    with_dntk : bool
        Whether derivatives of tangent kernels are recorded, too.
    arrays : mapping of arrays, optional
        What to fill, as :func:`finitewidth.sampling.recorded.of_tangents` makes it; its own where
        left out.
    """

    def __init__(
        self,
        networks: int,
        inputs: int,
        outputs: int,
        with_dntk: bool = False,
        arrays: Mapping[str, np.ndarray] | None = None,
    ):
        self.inputs, self.outputs, self.workspace = inputs, outputs, Workspace()
        if arrays is None:
            arrays = recorded.of_tangents(networks, inputs, outputs, with_dntk)
        self.arrays = arrays
        self._pairs = pairs(inputs).T
        self._tile: dict[str, torch.Tensor] = {}

    def put(
        self,
        ntk: torch.Tensor,
        output: torch.Tensor,
        conditional: torch.Tensor,
        dntk: torch.Tensor | None = None,
    ) -> None:
        """Take the tile under way.

        Parameters
        ----------
        ntk : tensor, shape (networks, outputs, outputs, inputs, inputs)
        output : tensor, shape (networks, inputs, outputs)
            Preactivations of the last layer.
        conditional : tensor, shape (networks, inputs, inputs)
            Their covariance given the layer before.
        dntk : tensor, shape (networks, outputs, outputs, outputs, inputs, inputs, inputs), optional
        """
        a, b = self._pairs
        self._tile = {
            "ntk": ntk,
            "output_preactivation": output.transpose(1, 2),
            "conditional_kernel": conditional[:, a, b],
        }
        if dntk is not None:
            self._tile["dntk"] = dntk

    def end_tile(self, at: slice) -> None:
        """Store the values taken last in the places ``at`` of their networks."""
        _store(self._tile, self.arrays, at)
