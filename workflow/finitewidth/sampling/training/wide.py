"""What infinite width makes of the same start: a control of second moments whose mean is known.

There a prediction is P z plus a number, z being the start and P one matrix for all networks
(docs/theory.md 12.1). Given all layers but the last, z has the mean 0 and the covariance
Ghat = C_b + (C_W/n) s s^T, exactly and at any width. So for each network

    (P z)_a (P z)_b - (P Ghat P^T)_ab

has the mean 0, whichever P is taken: that of the mean tangent kernel of a few other networks is
near enough to that of infinite width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from finitewidth.core.indices import pairs
from finitewidth.sampling.training.frozen import frozen_predictions
from finitewidth.sampling.training.starts import Ensemble, drawn

#: Networks whose mean tangent kernel stands for that of infinite width. What a control leaves is
#: larger by some 1/8 for their chance.
_PILOT = 8


class Wide:
    """The matrices P of every moment, and what they make of the starts of a block.

    Parameters
    ----------
    one : Ensemble
    pilot : callable
        Given a block, the random stream of the networks that P is taken from: of no other ones.
    size : int
        Networks of a block.
    """

    def __init__(self, one: Ensemble, pilot: Callable[[int], torch.Generator], size: int):
        self._one, training = one, len(one.y)
        if one.schedule.centred:
            # Nothing is left of the start.
            self._taught = None
            return
        apart, kernels = replace(one, stream=pilot), []
        for block in range(-(-_PILOT // size)):
            count = min(size, _PILOT - block * size)
            kernel = drawn(apart, block, count).kernel(one.x, slice(count)).total
            kernels.append(kernel.double().diagonal(dim1=1, dim2=2).mean(-1))
        mean = torch.cat(kernels).mean(0)
        unit = torch.eye(training, len(one.x), dtype=mean.dtype, device=mean.device)
        moved = frozen_predictions(
            mean[None, None, None],
            unit[None, :, :, None],
            mean.new_zeros(1, training, training, 1),
            one.schedule.moments,
            one.schedule.learning_rate,
        )
        # (moment, input, training input): what a start at a training input does to predictions.
        self._taught = moved[0, ..., 0].permute(1, 2, 0)

    def recorded(self, start: torch.Tensor, seen: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of networks, float64.

        Parameters
        ----------
        start : tensor, shape (networks, inputs, outputs)
            z at the start.
        seen : tensor, shape (networks, inputs, n_{L-1})
            What the last layer sees there.

        Returns
        -------
        dict of tensors
            ``wide_prediction`` P z (network, moment, output, input); of P Ghat P^T
            ``wide_variance`` (network, moment, input) and ``wide_covariance`` (network, moment,
            pair), pairs of inputs whose kernels are recorded.
        """
        one, scale = self._one, self._one.schedule.scale
        C_b, C_W = one.mlp.C_b[-1], one.mlp.C_W[-1]
        features = (C_W / seen.shape[2]) ** 0.5 * seen
        features = torch.cat([features, torch.full_like(features[..., :1], C_b**0.5)], dim=2)
        a, b = pairs(one.kernels).T
        found: dict[str, list] = {f"wide_{x}": [] for x in ("prediction", "variance", "covariance")}
        for moment in range(len(one.schedule.moments)):
            z, of = (self._ahead(v, moment) for v in (start, features))
            between = torch.bmm(of[:, : one.kernels], of[:, : one.kernels].transpose(1, 2))
            found["wide_prediction"].append(scale * z.transpose(1, 2))
            found["wide_variance"].append(scale**2 * of.square().sum(2))
            found["wide_covariance"].append(scale**2 * between[:, a, b])
        return {name: torch.stack(each, dim=1).double() for name, each in found.items()}

    def _ahead(self, values: torch.Tensor, moment: int) -> torch.Tensor:
        """P of a moment times numbers (networks, inputs, ...), in double precision."""
        if self._taught is None:
            return torch.zeros_like(values, dtype=torch.float64)
        values, training = values.double(), len(self._one.y)
        found = self._taught[moment] @ values[:, :training]
        found[:, training:] += values[:, training:]
        return found
