"""Attention to first order in 1/n: what tokens' kernel, heads and their dimension fluctuate by.

With A_rs the mean of z_r z_s over the n channels of tokens, M[A] the mean over infinitely many
heads (theory/layers/attention.py) and X that of one head, K' = C_b + C_O M and

    Cov(K'_p, K'_q) = C_O^2 (J Cov(A) J^T + Cov(X_p, X_q)/H),   J = dM/dA,
    E K' - K' = C_O (M''/2 : Cov(A) + J (E A - A) + g/d),

for H heads of dimension d, which are independent given A. g is what the products of d numbers of
keys fluctuate by: M''/2 by their covariances kappa, on Cov(kappa_ab, kappa_cd) = kappa_ac kappa_bd
+ kappa_ad kappa_bc. Known for scores that are the logits, where g = 0 and M is a polynomial, and
for the softmax of two tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finitewidth.core.indices import pairs
from finitewidth.models.activations.table import get
from finitewidth.models.layers.attention import Attention
from finitewidth.models.layers.dense import Dense
from finitewidth.theory.blocks.place_pairs import (
    fourfold,
    is_regular,
    off_pairs,
    on_pairs,
    places_of_pairs,
)
from finitewidth.theory.gaussian.covariance_derivatives import (
    pair_derivatives,
    variance_derivatives,
)

#: K', E K' - K' and Cov(K'), as (R, R), (R, R) and (R, R, R, R).
Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Jet:
    """A function of the pairs of A: its value, slopes (P,), and half its curvature on a covariance
    W (P, P) of them, summed."""

    value: float
    slope: np.ndarray
    bent: float

    def times(self, other: Jet, W: np.ndarray) -> Jet:
        """The product."""
        return Jet(
            self.value * other.value,
            self.value * other.slope + other.value * self.slope,
            self.value * other.bent + other.value * self.bent + self.slope @ W @ other.slope,
        )


def is_known(layer: Attention, tokens: int) -> bool:
    """Whether the first order is, of so many tokens."""
    if layer.scale != "sqrt":
        return False
    return layer.scores == "identity" or (tokens == 2 and not layer.causal)


def attention_moments(
    layer: Attention, tokens: int, A: np.ndarray, shift: np.ndarray, V: np.ndarray
) -> Moments | None:
    """Covariance of what comes out, for A (R, R) with mean correction and covariance (R, R, R, R).

    None where it is not known.
    """
    if not is_known(layer, tokens):
        return None
    W, R = on_pairs(V), len(A)
    found = _linear if layer.scores == "identity" else _softmax
    parts = found(layer, tokens, A, W)
    if parts is None:
        return None
    jets, of_heads, of_dimension = parts
    out = layer.output
    J = np.stack([one.slope for one in jets])
    value = np.array([one.value for one in jets])
    bent = np.array([one.bent for one in jets])
    G1 = bent + J @ on_pairs(shift) + of_dimension / layer.head_dim
    spread = J @ W @ J.T + of_heads / layer.heads
    return (
        off_pairs(out.C_b + out.C_W * value, R),
        off_pairs(out.C_W * G1, R),
        off_pairs(out.C_W**2 * spread, R),
    )


def _part(one: Dense, A: np.ndarray) -> np.ndarray:
    return one.C_b + one.C_W * A


def _seen(layer: Attention, tokens: int, rows: int) -> np.ndarray:
    """Which rows each row sees, (R, R)."""
    own = np.ones((tokens, tokens))
    return np.kron(np.eye(rows // tokens), np.tril(own) if layer.causal else own)


def _linear(
    layer: Attention, tokens: int, A: np.ndarray, W: np.ndarray
) -> tuple[list[Jet], np.ndarray, np.ndarray]:
    """X_tt' = a_t . Kv a_t' of Gaussian logits a_t, on the tokens that t and t' see."""
    R, place = len(A), places_of_pairs(len(A))
    query, key, value = layer.query, layer.key, layer.value
    q, k, v = (_part(one, A) for one in (query, key, value))
    seen, P = _seen(layer, tokens, R), len(W)
    own, jets, through, back = np.diagonal(W)[place], [], [], []
    for t, u in pairs(R):
        # Of ordered places, each of which is one of a pair.
        mask = np.outer(seen[t], seen[u])
        slope = np.bincount(place.ravel(), (mask * (key.C_W * v + value.C_W * k)).ravel(), P)
        bent = key.C_W * value.C_W * (mask * own).sum()
        summed = Jet((mask * k * v).sum(), slope, bent)
        of_query = Jet(q[t, u], query.C_W * (np.arange(P) == place[t, u]), 0.0)
        jets.append(of_query.times(summed, W))
        through.append((mask * v) @ k)
        back.append((mask * v).T @ k)
    a, b = pairs(R).T
    same = np.einsum("pij,qji->pq", through, np.array(back), optimize=True)
    crossed = np.einsum("pij,qji->pq", through, np.array(through), optimize=True)
    of_heads = q[a][:, a] * q[b][:, b] * same + q[a][:, b] * q[b][:, a] * crossed
    return jets, of_heads, np.zeros(P)


def _softmax(
    layer: Attention, tokens: int, A: np.ndarray, W: np.ndarray
) -> tuple[list[Jet], np.ndarray, np.ndarray] | None:
    """X_tt' = (u + 2 r_t e) Kv (u + 2 r_t' e)/4, u = (1, 1), e = (1, -1), of r = tanh(d/2)/2 and
    Gaussian differences d of two logits."""
    R, place = len(A), places_of_pairs(len(A))
    P, tanh = len(W), get("tanh")
    q, k, v = (_part(one, A) for one in (layer.query, layer.key, layer.value))
    plus, minus = np.ones(2), np.array([1.0, -1.0])
    kappa = _over_inputs(k, minus, minus)
    # Of tanh, whose argument is half the difference.
    C = q * kappa / 4
    if not is_regular(C, tanh):
        return None

    def linear(matrix: np.ndarray, C_W: float, t: int, u: int, left: np.ndarray) -> Jet:
        """Of a sum over the tokens of two inputs, with signs ``left`` (both alike)."""
        a, b = t - t % 2, u - u % 2
        slope = np.zeros(P)
        for i in range(2):
            for j in range(2):
                slope[place[a + i, b + j]] += C_W * left[i] * left[j]
        return Jet(matrix[t, u], slope, 0.0)

    def of_query(t: int, u: int) -> Jet:
        slope = layer.query.C_W * (np.arange(P) == place[t, u])
        return Jet(q[t, u], slope, 0.0)

    def covariance(t: int, u: int) -> Jet:
        both = of_query(t, u).times(linear(kappa, layer.key.C_W, t, u, minus), W)
        return Jet(both.value / 4, both.slope / 4, both.bent / 4)

    even, odd = _over_inputs(v, plus, plus), _over_inputs(v, minus, minus)
    jets, of_dimension, products = [], np.zeros(P), np.zeros(P)
    for number, (t, u) in enumerate(pairs(R)):
        value, first, second = _product(C, t, u)
        arguments = [(t, t), (u, u), (t, u)] if t != u else [(t, t)]
        each = [covariance(*one) for one in arguments]
        slopes = np.stack([one.slope for one in each])
        bent = first @ [one.bent for one in each] + np.sum(second * (slopes @ W @ slopes.T)) / 2
        r = Jet(value / 4, first @ slopes / 4, bent / 4)
        mixed = r.times(linear(odd, layer.value.C_W, t, u, minus), W)
        flat = linear(even, layer.value.C_W, t, u, plus)
        jets.append(Jet(flat.value / 4 + mixed.value, flat.slope / 4 + mixed.slope, mixed.bent))
        products[number] = r.value
        by = np.array([q[one] / 4 for one in arguments])
        spread = np.array([[kappa[i, m] * kappa[j, n] + kappa[i, n] * kappa[j, m]
                            for m, n in arguments] for i, j in arguments])  # fmt: skip
        of_dimension[number] = odd[t, u] / 4 * np.sum(second * np.outer(by, by) * spread) / 2
    a, b = pairs(R).T
    of_r = off_pairs(products, R)
    # Of one input's u v e with another's: where rows of X change place they are another's e v u.
    left, right = _over_inputs(v, minus, plus)[a, b], _over_inputs(v, plus, minus)[a, b]
    of_heads = np.outer(odd[a, b], odd[a, b]) * (
        fourfold(tanh, C) / 16 - np.outer(products, products)
    )
    of_heads += (
        np.outer(left, left) * of_r[a][:, a] / 4 + np.outer(right, right) * of_r[b][:, b] / 4
    )
    crossed = np.outer(left, right) * of_r[a][:, b] / 4
    return jets, of_heads + crossed + crossed.T, of_dimension


def _product(C: np.ndarray, t: int, u: int) -> tuple[float, np.ndarray, np.ndarray]:
    """<tanh tanh> of two rows with its derivatives by C_tt, C_uu and C_tu; of one by C_tt alone."""
    tanh = get("tanh")
    if t == u:
        one = variance_derivatives(tanh, C[[t], [t]])
        return float(one.value[0]), one.first, one.second[:, None]
    both = pair_derivatives(tanh, C[[t], [t]], C[[u], [u]], C[[t], [u]])
    # There in the order (1 1), (1 2), (2 2).
    order = [0, 2, 1]
    return float(both.value[0]), both.first[0][order], both.second[0][np.ix_(order, order)]


def _over_inputs(X: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sums over the two tokens of each two inputs with such signs, on their rows: (R, R)."""
    inputs = len(X) // 2
    by_input = np.einsum("asbt,s,t->ab", X.reshape(inputs, 2, inputs, 2), left, right)
    return np.kron(by_input, np.ones((2, 2)))
