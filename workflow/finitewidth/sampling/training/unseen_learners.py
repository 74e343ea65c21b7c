"""Networks that learn without a weight matrix between two hidden layers: pairs of mirrored ones.

Steps are those of :mod:`finitewidth.sampling.training.learners`. A matrix between hidden layers is
W + P^T M Q: W as it was drawn, of which only that is known which vectors have met
(:mod:`finitewidth.sampling.training.unseen`), and what training added, whose rows and columns are
vectors that were met, so that a small matrix M holds it. Both networks of a pair share W.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.ntk.layerwise import Layerwise
from finitewidth.sampling.training.learners import STAGES
from finitewidth.sampling.training.unseen import Unseen


class _Between:
    """The matrices between two hidden layers, (2 networks, n_l, n_{l-1}), mirrored ones last."""

    def __init__(self, unseen: Unseen, moved: torch.Tensor):
        self._unseen = unseen
        #: M, (2 networks, rows of P, rows of Q), of as many as had been met at its last change.
        self.moved = moved

    def forward(self, s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What they make of s (2 networks, rows, n_{l-1}), and its coordinates along Q."""
        return self._through(s, self.moved, transposed=False)

    def back(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same transposed, of (2 networks, rows, n_l), with coordinates along P."""
        return self._through(delta, self.moved.transpose(1, 2), transposed=True)

    def _through(
        self, v: torch.Tensor, M: torch.Tensor, *, transposed: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        unseen = self._unseen
        here, there = unseen.right, unseen.left
        if transposed:
            here, there = there, here
        along = unseen.meet(_together(v), transposed=transposed)
        image = torch.bmm(along, here.images)
        along = _apart(along)
        if M.shape[1]:
            added = torch.bmm(along[..., : M.shape[2]], M.transpose(1, 2))
            image.baddbmm_(_together(added), there.rows[:, : M.shape[1]])
        return _apart(image), along


@dataclass(frozen=True)
class _Forward:
    """What one pass forwards leaves: of inputs x, with the weights as they are."""

    x: torch.Tensor
    #: Layer by layer, z^(l), and in hidden ones sigma'(z^(l)).
    z: list[torch.Tensor]
    slopes: list[torch.Tensor]
    #: What layer l sees, and its coordinates where its matrix is not known (None elsewhere).
    seen: list[torch.Tensor]
    along: list[torch.Tensor | None]

    def of_first(self, inputs: int) -> _Forward:
        """The same of the first inputs."""
        z, slopes, seen = (
            [v[:, :inputs] for v in each] for each in (self.z, self.slopes, self.seen)
        )
        along = [met if met is None else met[:, :inputs] for met in self.along]
        return _Forward(self.x[:inputs], z, slopes, seen, along)


class UnseenLearners:
    """A batch of networks of one architecture on shared training inputs.

    Parameters
    ----------
    activation : Activation
    widths : sequence of int
        n_0 to n_L.
    weights : dict
        By layer, from 0, (2 networks, n_l, n_{l-1}): of the first and the last; changed in place.
    biases : sequence of tensor, shape (2 networks, n_l), or None where a layer has none
        Changed in place.
    fresh : callable
        Given a layer, what :class:`finitewidth.sampling.training.unseen.Unseen` draws from.
    rates : LearningRates
    x : tensor, shape (training inputs, n_0)
    y : tensor, shape (2 networks, training inputs, n_L)
        Targets of each network.
    """

    def __init__(
        self,
        activation: Activation,
        widths: Sequence[int],
        weights: dict[int, torch.Tensor],
        biases: Sequence[torch.Tensor | None],
        fresh: Callable[[int], Callable[[torch.Tensor, bool], torch.Tensor]],
        rates: LearningRates,
        x: torch.Tensor,
        y: torch.Tensor,
    ):
        self.activation, self.weights, self.biases = activation, weights, list(biases)
        self.y, self._x, self._rates = y, x, rates
        self._depth = len(widths) - 1
        self._lambda_W = [rate / n for rate, n in zip(rates.lambda_W, widths, strict=False)]
        self._between = {
            layer: _Between(
                Unseen(len(y) // 2, widths[layer + 1], widths[layer], fresh(layer), x),
                x.new_zeros(len(y), 0, 0),
            )
            for layer in range(self._depth)
            if layer not in weights
        }
        self._last: _Forward | None = None

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """z^(L) of every network on inputs (inputs, n_0), shape (2 networks, inputs, n_L)."""
        return self._forward(x).z[-1]

    def with_seen(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and what the last layer sees, shape (2 networks, inputs, n_{L-1})."""
        of = self._forward(x)
        return of.z[-1], of.seen[-1]

    def residual(self) -> torch.Tensor:
        """z - y at the training inputs, shape (2 networks, training inputs, n_L)."""
        return self.outputs(self._x) - self.y

    def step(self, learning_rate: float) -> None:
        """One step of gradient descent."""
        self._set(self._values(), self._velocity(), learning_rate)

    def descend(self, learning_rate: float, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            self.step(learning_rate)

    def flow(self, time: float) -> None:
        """Gradient flow for a short while, to fourth order in ``time``."""
        begin = self._values()
        total: dict[tuple[int, str], torch.Tensor] = {}
        for ahead, share in STAGES:
            velocity = self._velocity()
            total = {key: _sum(total.get(key), v, share) for key, v in velocity.items()}
            self._set(begin, velocity, ahead * time)
        self._set(begin, total, time)

    def kernel(self, x: torch.Tensor, networks: slice = slice(None)) -> Layerwise:
        """Tangent kernels of some networks on inputs (inputs, n_0), layer by layer."""
        of, k = self._forward(x), self.y.shape[2]
        inputs = len(x)
        unit = torch.eye(k, dtype=x.dtype, device=x.device)
        rows = unit.repeat_interleave(inputs, 0).expand(len(self.y), -1, -1)
        weight: list[torch.Tensor] = []
        bias: list[torch.Tensor] = []
        for layer, back, _ in self._back(of, rows):
            s, back = of.seen[layer][networks], back[networks]
            squared = torch.bmm(back, back.transpose(1, 2))
            squared = squared.view(-1, k, inputs, k, inputs).transpose(2, 3)
            count = torch.bmm(s, s.transpose(1, 2)) * self._lambda_W[layer]
            weight.insert(0, squared * count[:, None, None])
            rate = self._rates.lambda_b[layer] if self.biases[layer] is not None else 0.0
            bias.insert(0, squared * rate)
        return Layerwise([z[networks] for z in of.z], weight, bias)

    def _forward(self, x: torch.Tensor) -> _Forward:
        """Through all layers; inputs that were there since the last change are not met again."""
        last = self._last
        if last is not None and torch.equal(last.x[: len(x)], x):
            return last.of_first(len(x))
        found = _Forward(x, [], [], [], [])
        s = x.expand(len(self.y), *x.shape)
        for layer in range(self._depth):
            met = None
            if layer in self._between:
                z, met = self._between[layer].forward(s)
            else:
                z = torch.bmm(s, self.weights[layer].transpose(1, 2))
            bias = self.biases[layer]
            if bias is not None:
                z = z + bias[:, None]
            found.z.append(z)
            found.seen.append(s)
            found.along.append(met)
            if layer < self._depth - 1:
                s = self.activation.on_tensor(torch, z)
                found.slopes.append(self.activation.derivative_on_tensor(torch, z, s))
        self._last = found
        return found

    def _back(
        self, of: _Forward, rows: torch.Tensor
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor | None]]:
        """From the last layer to the first: its number, the derivatives (2 networks, rows, n_l) of
        what ``rows`` weigh the outputs by, and their coordinates where its matrix is not known.

        Rows go through outputs slowest, one for each input, or are one for each input.
        """
        times = rows.shape[1] // len(of.x)
        for layer in range(self._depth - 1, -1, -1):
            along = None
            if layer in self._between:
                before, along = self._between[layer].back(rows)
            elif layer:
                before = torch.bmm(rows, self.weights[layer])
            yield layer, rows, along
            if layer:
                rows = before * of.slopes[layer - 1].repeat(1, times, 1)

    def _velocity(self) -> dict[tuple[int, str], torch.Tensor]:
        """How weights, biases and the small matrices move in a unit of time."""
        of, found = self._forward(self._x), {}
        for layer, delta, beside in self._back(of, of.z[-1] - self.y):
            met = of.along[layer]
            own, seen = (delta, of.seen[layer]) if beside is None or met is None else (beside, met)
            found[layer, "W"] = torch.bmm(own.transpose(1, 2), seen).mul_(-self._lambda_W[layer])
            if self.biases[layer] is not None:
                found[layer, "b"] = delta.sum(1).mul_(-self._rates.lambda_b[layer])
        return found

    def _values(self) -> dict[tuple[int, str], torch.Tensor]:
        found = {(layer, "W"): one.moved for layer, one in self._between.items()}
        found |= {(layer, "W"): W for layer, W in self.weights.items()}
        return found | {(k, "b"): b for k, b in enumerate(self.biases) if b is not None}

    def _set(self, begin: dict, velocity: dict, time: float) -> None:
        """Values that have moved from ``begin`` on for a while."""
        self._last = None
        for (layer, what), at in begin.items():
            moved = _sum(at, velocity[layer, what], time)
            if what == "b":
                self.biases[layer] = moved
            elif layer in self._between:
                self._between[layer].moved = moved
            else:
                self.weights[layer] = moved


def _sum(a: torch.Tensor | None, b: torch.Tensor, times: float) -> torch.Tensor:
    """a + times b, where either may lack the last rows and columns of the other."""
    if a is None or a.shape == b.shape:
        return b * times if a is None else torch.add(a, b, alpha=times)
    found = b.new_zeros(*(max(sizes) for sizes in zip(a.shape, b.shape, strict=True)))
    found[:, : a.shape[1], : a.shape[2]] = a
    found[:, : b.shape[1], : b.shape[2]].add_(b, alpha=times)
    return found


def _together(v: torch.Tensor) -> torch.Tensor:
    """(2 networks, rows, ...) to (networks, 2 rows, ...)."""
    _, rows, length = v.shape
    return v.reshape(2, -1, rows, length).transpose(0, 1).reshape(-1, 2 * rows, length)


def _apart(v: torch.Tensor) -> torch.Tensor:
    """And back."""
    networks, rows, length = v.shape
    return (
        v.reshape(networks, 2, rows // 2, length).transpose(0, 1).reshape(2 * networks, -1, length)
    )
