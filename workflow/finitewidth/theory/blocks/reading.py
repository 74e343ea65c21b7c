"""What a block, or a read-out, makes of a stream to first order in 1/n."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finitewidth.core.indices import quad_positions
from finitewidth.theory.blocks.sites import Site
from finitewidth.theory.blocks.stream import Stream
from finitewidth.theory.gaussian.four_activations import quartic


class Reading:
    """What a site makes of the stream: f_p = s(h_a) s(h_b), and psi_p with the norm's own part."""

    def __init__(self, stream: Stream, site: Site) -> None:
        self.stream, self.site, self.basis = stream, site, stream.basis
        variance = np.diagonal(stream.K)
        self.over = 1 / (variance + site.eps) if site.norm else np.ones(stream.inputs)
        self.f = [self._product(p) for p in stream.pairs]
        # Statistics of the norm: z_a^2 of each input, and z_a where it subtracts the mean.
        self.T: list[np.ndarray] = []
        self.of: list[Callable[[np.ndarray], np.ndarray]] = []
        if site.norm:
            self.T += [stream.square((a, a)) for a in range(stream.inputs)]
            self.of += [self._by_square(a) for a in range(stream.inputs)]
        if site.norm == "layer":
            self.T += [self.basis.times(self.basis.one(), a) for a in range(stream.inputs)]
            self.of += [self._by_mean(a) for a in range(stream.inputs)]
        weight = np.array([[by(c).flat[0] for by in self.of] for c in self.f])
        self.weight = weight.reshape(len(self.f), len(self.T))
        self.psi = [
            c + sum((w * t for w, t in zip(row, self.T, strict=True)), 0 * c)
            for c, row in zip(self.f, self.weight, strict=True)
        ]
        self.J = np.array([[self._by_pair(c, q).flat[0] for q in stream.pairs] for c in self.psi])
        #: The same pairs' places among the statistics, (T, P): how these follow K.
        self.follows = np.zeros((len(self.T), len(stream.pairs)))
        for a in range(stream.inputs if site.norm else 0):
            self.follows[a, stream.pairs.index((a, a))] = 1.0
        self.own = self._own_covariance()

    def _product(self, pair: tuple[int, ...]) -> np.ndarray:
        a, b = pair
        sigma, scale = self.site.activation.function, np.sqrt(self.over)

        def product(*z: np.ndarray) -> np.ndarray:
            return sigma(scale[a] * z[a]) * sigma(scale[b] * z[b])

        strip = self.site.strip
        return self.basis.coefficients(product, strip and strip / scale.max())

    def _by_pair(self, c: np.ndarray, pair: tuple[int, ...]) -> np.ndarray:
        """Pointwise d/dK_q: half the second derivative by one input, the mixed one by two."""
        a, b = pair
        return self.basis.slope(self.basis.slope(c, b), a) / (2 if a == b else 1)

    def _by_square(self, a: int) -> Callable[[np.ndarray], np.ndarray]:
        """Derivative of f by the mean square that input a is divided by."""
        return lambda c: -self.over[a] / 2 * self.basis.times(self.basis.slope(c, a), a)

    def _by_mean(self, a: int) -> Callable[[np.ndarray], np.ndarray]:
        """Derivative of f by the mean that is subtracted from input a."""
        return lambda c: -self.basis.slope(c, a)

    def _by_two(self, c: np.ndarray, T: int, U: int) -> np.ndarray:
        """Second derivative of f by statistics T and U."""
        # What the mean shifts stands inside of what is scaled.
        first, second = min(T, U), max(T, U)
        once = self.of[first](c)
        twice = self.of[second](once)
        if first == second < self.stream.inputs:
            twice = twice - self.over[first] * once
        return twice

    def _own_covariance(self) -> np.ndarray:
        """Cov(psi_p, psi_q) of one channel, (P, P); the fourfold products are exact."""
        inputs, scale = self.stream.inputs, np.sqrt(self.over)
        K = self.stream.K * np.outer(scale, scale)
        four = quartic(self.site.activation, K, estimate=False).values[quad_positions(inputs)]
        mean = np.array([c.flat[0] for c in self.f])
        covariance = self.basis.covariance
        mixed = np.array([[covariance(c, t) for t in self.T] for c in self.f])
        mixed = mixed.reshape(len(self.f), len(self.T)) @ self.weight.T
        among = np.array([[covariance(t, u) for u in self.T] for t in self.T])
        among = among.reshape(len(self.T), len(self.T))
        among = self.weight @ among @ self.weight.T
        return four - np.outer(mean, mean) + mixed + mixed.T + among

    def V(self) -> np.ndarray:
        """n Cov(Ghat_p, Ghat_q)."""
        X = np.array([self.stream.correlated(c) for c in self.psi]).T
        cross = self.J @ X
        of_stream = self.J @ self.stream.variance @ self.J.T
        return self.site.C_W**2 * (self.own + of_stream + cross + cross.T)

    def mean_correction(self) -> np.ndarray:
        """n (E[Ghat_p] - G_p)."""
        return self.site.C_W * np.array([self._mean(c) for c in self.f])

    def _mean(self, c: np.ndarray) -> float:
        stream, pairs_ = self.stream, self.stream.pairs
        first = [self._by_pair(c, q) for q in pairs_]
        second = np.array([[self._by_pair(d, r).flat[0] for r in pairs_] for d in first])
        total = sum(d.flat[0] * m for d, m in zip(first, stream.M, strict=True))
        total += (second * stream.variance).sum() / 2
        total += sum(stream.correlated(d)[q] for q, d in enumerate(first))
        if not self.T:
            return float(total)
        by = [of(c) for of in self.of]
        shift = self.follows @ stream.M
        if self.site.norm == "layer":
            # The variance over channels lacks the square of their mean.
            shift[: stream.inputs] -= np.diagonal(stream.K)
        total += sum(d.flat[0] * e for d, e in zip(by, shift, strict=True))
        total += sum(self.basis.covariance(t, d) for t, d in zip(self.T, by, strict=True))
        total += sum(row @ stream.correlated(d) for row, d in zip(self.follows, by, strict=True))
        mixed = np.array([[self._by_pair(d, q).flat[0] for q in pairs_] for d in by])
        X = np.array([stream.correlated(t) for t in self.T]).T
        total += (mixed * X.T).sum()
        total += np.einsum("tr,tq,rq", self.follows, mixed, stream.variance)
        among = np.array([[self.basis.covariance(t, u) for u in self.T] for t in self.T])
        cross = self.follows @ X
        among = among + cross + cross.T + self.follows @ stream.variance @ self.follows.T
        twice = np.array([[self._by_two(c, t, u).flat[0] for u in range(len(self.T))]
                          for t in range(len(self.T))])  # fmt: skip
        return float(total + (twice * among).sum() / 2)
