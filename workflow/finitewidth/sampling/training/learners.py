"""Many networks that learn: batched products with gradients by hand, or compiled kernels.

For each network of a batch the loss is (1/2) sum over training inputs and outputs of (z - y)^2, and
a step takes W^(l) to W^(l) - eta lambda_W^(l)/n_{l-1} delta^(l)T s^(l-1) and b^(l) to
b^(l) - eta lambda_b^(l) (sum over inputs of delta^(l)), where delta^(L) = z - y and
delta^(l) = sigma'(z^(l)) o (delta^(l+1) W^(l+1)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from finitewidth.models.activations.activation import Activation
from finitewidth.models.parameterisation import LearningRates
from finitewidth.ntk.layerwise import Layerwise, layerwise
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.fused.descent import descend
from finitewidth.sampling.record import Workspace

#: So many numbers of a network, and two copies of each matrix, stay in the second cache. Beyond,
#: compiled kernels are no faster than batched products.
IN_CACHE = 2**17
#: Coefficients of the classical method of Runge and Kutta: how far along the last velocity the next
#: one is taken, and what it counts.
STAGES = ((0.5, 1 / 6), (0.5, 1 / 3), (1.0, 1 / 3), (0.0, 1 / 6))


class Learners:
    """A batch of networks of one architecture on shared training inputs.

    Parameters
    ----------
    activation : Activation
    weights : sequence of tensor, shape (networks, n_l, n_{l-1})
        Changed in place.
    biases : sequence of tensor, shape (networks, n_l), or None where a layer has none
        Changed in place.
    rates : LearningRates
    x : tensor, shape (training inputs, n_0)
    y : tensor, shape (networks, training inputs, n_L)
        Targets of each network.
    """

    def __init__(
        self,
        activation: Activation,
        weights: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor | None],
        rates: LearningRates,
        x: torch.Tensor,
        y: torch.Tensor,
    ):
        self.activation, self.weights, self.biases = activation, list(weights), list(biases)
        self.y = y
        # Of one batch each: an expanded matrix would be copied at every product.
        self._x = x.expand(len(y), *x.shape).contiguous()
        self._lambda_W = [
            rate / W.shape[2] for rate, W in zip(rates.lambda_W, self.weights, strict=True)
        ]
        self._lambda_b, self._rates = rates.lambda_b, rates
        self._memory = Workspace()

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """z^(L) of every network on inputs (inputs, n_0), shape (networks, inputs, n_L)."""
        return self.with_seen(x)[0]

    def with_seen(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and what the last layer sees, shape (networks, inputs, n_{L-1})."""
        s = x.expand(len(self.y), *x.shape)
        for layer, W in enumerate(self.weights):
            z = torch.bmm(s, W.transpose(1, 2))
            bias = self.biases[layer]
            if bias is not None:
                z += bias[:, None]
            if layer < len(self.weights) - 1:
                s = self.activation.on_tensor_(torch, z)
        return z, s

    def residual(self) -> torch.Tensor:
        """z - y at the training inputs, shape (networks, training inputs, n_L)."""
        return self.outputs(self._x[0]) - self.y

    def kernel(self, x: torch.Tensor, networks: slice = slice(None)) -> Layerwise:
        """Tangent kernels of some networks on inputs (inputs, n_0), layer by layer."""
        weights = [W[networks] for W in self.weights]
        biases = [b if b is None else b[networks] for b in self.biases]
        return layerwise(self.activation, weights, biases, x, self._rates)

    def step(self, learning_rate: float) -> None:
        """One step of gradient descent."""

        def learn(layer: int, delta: torch.Tensor, s: torch.Tensor) -> None:
            rate = learning_rate * self._lambda_W[layer]
            self.weights[layer].baddbmm_(delta.transpose(1, 2), s, alpha=-rate)
            bias = self.biases[layer]
            if bias is not None:
                bias.sub_(delta.sum(1), alpha=learning_rate * self._lambda_b[layer])

        self._back(learn)

    def descend(self, learning_rate: float, steps: int) -> None:
        """So many steps; by compiled kernels where these know the activation and a network stays in
        the cache. How many steps are taken at once changes no number."""
        parameters = self._parameters()
        sizes = [p[0].numel() for p in parameters]
        known = self.y.device.type == "cpu" and code_of(self.activation) is not None
        if not known or sum(sizes) > IN_CACHE:
            for _ in range(steps):
                self.step(learning_rate)
            return
        whole = torch.cat([p.flatten(1) for p in parameters], dim=1)
        descend(
            self.activation,
            whole.numpy(),
            [self.weights[0].shape[2], *(W.shape[1] for W in self.weights)],
            [b is not None for b in self.biases],
            self._x[0].numpy(),
            self.y.numpy(),
            (
                [learning_rate * rate for rate in self._lambda_W],
                [learning_rate * rate for rate in self._lambda_b],
            ),
            steps,
        )
        for p, after in zip(parameters, whole.split(sizes, dim=1), strict=True):
            p.copy_(after.view_as(p))

    def flow(self, time: float) -> None:
        """Gradient flow for a short while, to fourth order in ``time``."""
        parameters = self._parameters()
        begin = [p.clone() for p in parameters]
        total = [torch.zeros_like(p) for p in parameters]
        for ahead, share in STAGES:
            for p, at, v, moved in zip(parameters, begin, self._velocity(), total, strict=True):
                moved.add_(v, alpha=share)
                torch.add(at, v, alpha=ahead * time, out=p)
        for p, at, moved in zip(parameters, begin, total, strict=True):
            torch.add(at, moved, alpha=time, out=p)

    def _parameters(self) -> list[torch.Tensor]:
        """Weights and biases, layer by layer, without the biases that are not there."""
        both = zip(self.weights, self.biases, strict=True)
        return [p for pair in both for p in pair if p is not None]

    def _velocity(self) -> list[torch.Tensor]:
        """How the parameters move in a unit of time."""
        found: dict[tuple[int, str], torch.Tensor] = {}

        def keep(layer: int, delta: torch.Tensor, s: torch.Tensor) -> None:
            found[layer, "W"] = torch.bmm(delta.transpose(1, 2), s).mul_(-self._lambda_W[layer])
            if self.biases[layer] is not None:
                found[layer, "b"] = delta.sum(1).mul_(-self._lambda_b[layer])

        self._back(keep)
        return [found[key] for key in sorted(found)]

    def _back(self, use: Callable[[int, torch.Tensor, torch.Tensor], None]) -> None:
        """One pass forwards and one back; ``use`` takes each layer, the last one first, with delta
        (networks, training inputs, n_l) and what the layer sees (networks, inputs, n_{l-1}); it may
        change the layer."""
        last, seen, slopes = len(self.weights) - 1, [self._x], []
        for layer in range(last + 1):
            z = self._product(layer, seen[-1])
            if layer < last:
                s = self._memory(f"s{layer}", tuple(z.shape), z.dtype, z.device).copy_(z)
                s = self.activation.on_tensor_(torch, s)
                # Of z nothing is read any more.
                slopes.append(self.activation.derivative_on_tensor_(torch, z, s))
                seen.append(s)
        delta = z.sub_(self.y)
        for layer in range(last, -1, -1):
            before = delta
            if layer > 0:
                s = seen[layer]
                before = self._memory(f"delta{layer}", tuple(s.shape), s.dtype, s.device)
                if delta.shape[2] == 1:
                    # Of one output: a matrix product of that shape takes ten times as long.
                    torch.mul(delta, self.weights[layer], out=before)
                else:
                    torch.bmm(delta, self.weights[layer], out=before)
                before.mul_(slopes[layer - 1])
            use(layer, delta, seen[layer])
            delta = before

    def _product(self, layer: int, s: torch.Tensor) -> torch.Tensor:
        """z of a layer, in memory of its own."""
        W, bias = self.weights[layer], self.biases[layer]
        shape = (len(s), s.shape[1], W.shape[1])
        z = self._memory(f"z{layer}", shape, s.dtype, s.device)
        if bias is None:
            return torch.bmm(s, W.transpose(1, 2), out=z)
        return torch.baddbmm(bias[:, None], s, W.transpose(1, 2), out=z)
