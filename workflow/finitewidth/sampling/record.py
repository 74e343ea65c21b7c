"""What is kept of a layer: a few neurons, and sums over all of them."""

from __future__ import annotations

import numpy as np
import torch

from finitewidth.indices import pairs, quad_positions, quads

#: Four-point sums grow as the fourth power of the number of inputs; beyond this they are left out.
MOST_INPUTS_FOR_QUARTIC = 8


class Recorder:
    """Arrays for the recorded layers of ``networks`` networks, filled block by block.

    Parameters
    ----------
    networks : int
    layers : tuple of int
        The recorded layers, each from 1 to L.
    inputs : int
    neurons : int
        Neurons recorded in each layer.
    measure : collection of str
        ``preactivations`` for all but the norms; ``log_norm`` for the norms alone.
    with_norm : bool
        Whether scales are carried apart, so that ``log_norm`` is recorded.
    """

    def __init__(self, networks, layers, inputs, neurons, measure, with_norm):
        self.layers = {layer: place for place, layer in enumerate(layers)}
        self.inputs = inputs
        self.arrays: dict[str, np.ndarray] = {}
        shape = (networks, len(layers))
        self._moments = "preactivations" in measure
        if self._moments:
            self.arrays["preactivation"] = np.zeros((*shape, inputs, neurons), np.float32)
            self.arrays["kernel"] = np.zeros((*shape, inputs, inputs))
            self.arrays["sextic"] = np.zeros((*shape, inputs))
            if inputs <= MOST_INPUTS_FOR_QUARTIC:
                self.arrays["quartic"] = np.zeros((*shape, len(quads(inputs))))
                self._quads, self._pairs = quads(inputs), pairs(inputs)
                positions = quad_positions(inputs)
                # One place of the pair-by-pair Gram matrix for each distinct quadruple.
                _, self._places = np.unique(positions, return_index=True)
        if with_norm:
            self.arrays["log_norm"] = np.zeros((*shape, inputs))

    def put(self, layer: int, at: slice, z: torch.Tensor, log_scale: torch.Tensor | None) -> None:
        """Record layer ``layer`` of the networks ``at``.

        Parameters
        ----------
        z : tensor, shape (networks, inputs, neurons)
            Preactivations; exp(log_scale) times this where ``log_scale``, of shape
            (networks, inputs) and float64, is given.
        """
        if layer not in self.layers:
            return
        here = (at, self.layers[layer])
        width = z.shape[2]
        kernel = (_gram(z) / width).cpu().numpy()
        scale = None
        if log_scale is not None:
            scale = np.exp(log_scale.cpu().numpy())
            with np.errstate(divide="ignore"):
                half = 0.5 * np.log(np.einsum("baa->ba", kernel))
            self.arrays["log_norm"][here] = log_scale.cpu().numpy() + half
        if self._moments:
            self._put_moments(here, z, kernel, scale)

    def _put_moments(self, here, z, kernel, scale) -> None:
        kept = self.arrays["preactivation"].shape[-1]
        values = {"preactivation": z[..., :kept].cpu().numpy(), "kernel": kernel}
        squares = z * z
        width = z.shape[2]
        values["sextic"] = ((squares * squares * squares).sum(2) / width).cpu().numpy()
        if "quartic" in self.arrays:
            values["quartic"] = (self._quartic(z, squares) / width).cpu().numpy()
        if scale is not None:
            a, b = scale[:, :, None], scale[:, None, :]
            # A product of scales may leave the range of float64 (then log_norm still holds the
            # truth); a dead network is exactly 0 and must not become inf * 0.
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                values["preactivation"] = values["preactivation"] * a
                values["kernel"] = kernel * (a * b)
                values["sextic"] = values["sextic"].astype(float) * scale**6
                if "quartic" in self.arrays:
                    four = np.prod(scale[:, self._quads], axis=2)
                    values["quartic"] = values["quartic"].astype(float) * four
        with np.errstate(over="ignore"):
            for name, value in values.items():
                self.arrays[name][here] = value

    def _quartic(self, z: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        if self.inputs == 1:
            return torch.linalg.vecdot(squares, squares)
        products = z[:, self._pairs[:, 0]] * z[:, self._pairs[:, 1]]
        gram = torch.bmm(products, products.transpose(1, 2))
        return gram.flatten(1)[:, self._places]


def _gram(z: torch.Tensor) -> torch.Tensor:
    """Sums over neurons of z_a z_b, shape (networks, inputs, inputs), float64."""
    if z.shape[1] == 1:
        return torch.linalg.vecdot(z, z)[..., None].double()
    z = z.double()
    return torch.bmm(z, z.transpose(1, 2))
