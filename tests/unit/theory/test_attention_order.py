"""Attention to first order in 1/n: published numbers, derivatives, heads and dimensions drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from finitewidth.config.network import network
from finitewidth.models.activations.table import get
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.blocks.attention import attention_moments
from finitewidth.theory.blocks.place_pairs import off_pairs, on_pairs
from finitewidth.theory.blocks.places import first_order_on_places
from finitewidth.theory.gaussian.expectations import covariance
from finitewidth.theory.layers.attention import Parts, means
from finitewidth.theory.predict.predict_member import predict_network

#: Computed elsewhere, set up as the first test says.
GOLDEN = json.loads((Path(__file__).parent / "attention_golden.json").read_text())
GOLDEN = GOLDEN["order_1_over_n"]
LAWS = {
    "q": {"C_W": 1.2, "C_b": 0.1}, "k": {"C_W": 0.8, "C_b": 0.2}, "v": {"C_W": 1.5, "C_b": 0.3},
    "o": {"C_W": 1.3, "C_b": 0.4},
}  # fmt: skip
#: Tokens of covariance ((1, .3), (.3, .8)) behind a map with C_W = 1.
PAIR = np.linalg.cholesky([[1.0, 0.3], [0.3, 0.8]])[None] * 2**0.5


def single(tokens, channels, n=64, laws=None, readout="none", activation="linear", **how):
    attention = {"heads": n, "head_dim": n} | how | (laws or {})
    return network(
        inputs=tokens * channels, width=n, activation=activation, C_W=1.0, readout=readout,
        input={"tokens": tokens, "channels": channels}, read="first", outputs=1,
        blocks=[{"branch": [{"attention": attention}]}],
    )  # fmt: skip


def of_pair(n, scores, **how):
    made = single(2, 2, n, scores=scores, **how)
    return first_order_on_places(made, made.arranged(PAIR))[0]


def test_published_numbers_are_met():
    n, wanted = 64, GOLDEN["attention_identity"]
    found = of_pair(n, "identity")
    assert found.K[0, 0] == pytest.approx(wanted["K"], rel=1e-10)
    assert n * found.V[0, 0, 0, 0] == pytest.approx(wanted["V"], rel=1e-6)
    assert n * found.G1[0, 0] == pytest.approx(wanted["G1"], rel=1e-6)
    # Heads without end, of dimensions without end: each part alone.
    alone = of_pair(n, "identity", heads=10**9)
    assert n * alone.V[0, 0, 0, 0] == pytest.approx(wanted["V_tokens"], rel=1e-6)
    wanted = GOLDEN["attention_softmax"]
    some, none = of_pair(n, "softmax"), of_pair(n, "softmax", head_dim=10**9)
    # Six digits were published.
    assert n * none.G1[0, 0] == pytest.approx(wanted["K"], abs=3e-7)
    assert n * (some.G1 - none.G1)[0, 0] == pytest.approx(wanted["G1_of_head_dim"], abs=3e-7)


CASES = [("identity", 2, False), ("identity", 3, True), ("softmax", 2, False)]


def given(scores, tokens, causal, **how):
    """An attention layer with biases, a kernel of two inputs, a covariance of its pairs."""
    laws = LAWS | how.pop("laws", {})
    layer = single(tokens, 4, 8, laws, scores=scores, causal=causal, **how).layers[1].branch[0]
    stream, R = np.random.default_rng(0), 2 * tokens
    S, B = stream.normal(size=(R, R + 3)), stream.normal(size=(R * (R + 1) // 2,) * 2)
    return layer, S @ S.T / (R + 3), B @ B.T, stream.normal(size=len(B))


def limit(layer, tokens, A):
    """K' of the pairs at infinite width, from the other room."""
    q, k, v = (one.C_b + one.C_W * A for one in (layer.query, layer.key, layer.value))
    mixed = means(layer, Parts(tokens, layer.causal, q, k, v))[0]
    return on_pairs(layer.output.C_b + layer.output.C_W * mixed)


@pytest.mark.parametrize(("scores", "tokens", "causal"), CASES)
def test_derivatives_are_those_of_infinite_width(scores, tokens, causal):
    layer, A, W, shift = given(scores, tokens, causal, heads=10**9, head_dim=10**9)
    R, pairs, step = len(A), on_pairs(A), 1e-4 if scores == "identity" else 2e-3

    def at(move):
        return limit(layer, tokens, off_pairs(pairs + move, R))

    J = np.stack([(at(step * d) - at(-step * d)) / 2 / step for d in np.eye(len(pairs))], axis=1)
    bent = 0
    sizes, frame = np.linalg.eigh(W)
    for size, along in zip(sizes, frame.T, strict=True):
        bent = bent + size / 2 * (at(step * along) + at(-step * along) - 2 * at(0.0)) / step**2
    K, G1, V = attention_moments(layer, tokens, A, off_pairs(shift, R), off_pairs(W, R))
    np.testing.assert_allclose(on_pairs(K), limit(layer, tokens, A), rtol=1e-10)
    exact = J @ W @ J.T
    np.testing.assert_allclose(on_pairs(V), exact, atol=2e-5 * np.abs(exact).max())
    exact = bent + J @ shift
    np.testing.assert_allclose(on_pairs(G1), exact, atol=2e-5 * np.abs(exact).max())


@pytest.mark.parametrize(("scores", "tokens", "causal"), CASES)
def test_variance_between_heads_is_that_of_gaussian_logits(scores, tokens, causal):
    layer, A, _, _ = given(scores, tokens, causal, heads=1)
    R, stream = len(A), np.random.default_rng(5)
    nothing = np.zeros((R,) * 4)
    theory = on_pairs(attention_moments(layer, tokens, A, np.zeros((R, R)), nothing)[2])
    F, G = (np.linalg.cholesky(one.C_b + one.C_W * A) for one in (layer.query, layer.key))
    each = []
    for _ in range(20):
        logits = F @ stream.normal(size=(10000, R, R)) @ G.T
        P = np.zeros_like(logits)
        for a in range(0, R, tokens):
            own = slice(a, a + tokens)
            A_own = logits[:, own, own]
            if scores == "softmax":
                P[:, own, own] = np.exp(A_own) / np.exp(A_own).sum(2, keepdims=True)
            else:
                P[:, own, own] = np.tril(A_own) if causal else A_own
        v = layer.value.C_b + layer.value.C_W * A
        X = layer.output.C_W * P @ v @ P.swapaxes(1, 2)
        each.append(np.cov(np.stack([on_pairs(x) for x in X]).T))
    error = np.std(each, axis=0, ddof=1) / 20**0.5
    pull = (np.mean(each, axis=0) - theory) / error
    # Student's t of 19 degrees of freedom, 462 numbers at most: beyond 6.5 once in 10^3 runs.
    assert np.abs(pull).max() < 6.5, np.abs(pull).max()
    assert 0.3 < np.sqrt(np.mean(pull**2)) < 2


def test_few_dimensions_shift_the_mean_of_softmax():
    layer, A, _, _ = given("softmax", 2, False, heads=10**9, head_dim=200)
    R, d, stream = 4, 200, np.random.default_rng(7)
    nothing = np.zeros((R,) * 4)
    G1 = on_pairs(attention_moments(layer, 2, A, np.zeros((R, R)), nothing)[1])
    q, k, v = (one.C_b + one.C_W * A for one in (layer.query, layer.key, layer.value))
    signs = np.kron(np.eye(2), [[1.0, -1.0]])
    kappa, odd = signs @ k @ signs.T, np.kron(signs @ v @ signs.T, np.ones((2, 2)))
    a, b = np.triu_indices(R)

    def value(kappa):
        """C_O <r r'> e Kv e of all pairs, for covariances (.., 2, 2) of differences of keys."""
        C = q * np.kron(kappa, np.ones((2, 2))) / 4
        C = np.moveaxis(C, (-2, -1), (0, 1))
        found = covariance(get("tanh"), *(C[i, j].ravel() for i, j in ((a, a), (b, b), (a, b))))
        return layer.output.C_W * odd[a, b][:, None] * found.reshape(len(a), -1) / 4

    L = np.linalg.cholesky(kappa)
    keys = stream.normal(size=(2000, 2, d))
    drawn = L @ keys @ keys.swapaxes(1, 2) @ L.T / d
    # Twice the mean at the middle, less what lies opposite: slopes drop out.
    both = np.stack([value(drawn), value(2 * kappa - drawn)])
    shifts = both.mean(0) - value(kappa[None])
    error = shifts.std(1) / 2000**0.5
    pull = (shifts.mean(1) - G1) / (error + 0.02 * np.abs(G1))
    assert np.abs(pull).max() < 4.5, pull
    assert (np.abs(G1) > 5 * error).any()


@pytest.mark.parametrize(("how", "n"), [
    ({"scores": "identity", "heads": 2}, 400), ({"scores": "softmax"}, 48),
])  # fmt: skip
def test_sampled_networks_fluctuate_so(how, n):
    x = np.random.default_rng(2).normal(size=(1, 2, 3))
    made = single(2, 3, n, activation="relu", readout={}, **how)
    orders = predict_network(
        made, x.reshape(1, 6), [1, 2], ["covariance", "four_point"], neurons=1, networks=None,
        rates=None)  # fmt: skip
    V = orders["intralayer"].sel(order="1/n").values[:, 0]
    found = sample(made, x, networks=20000, seed=3)["kernel"].values[:, 0, 0, 0]
    blocks = found.reshape(20, -1)
    variance, spread = found.var(), blocks.var(1).std(ddof=1) / 20**0.5
    # The channels of a layer are n themselves: the kernel recorded has K^2 2/n more.
    K = orders["covariance"].sel(order="infinite_width").values[0, 0, 0]
    theory = V[0] + 2 * (K**2 + V[0]) / n
    assert abs(variance - theory) < 4 * spread + 0.1 * theory, (variance, theory, spread)
    assert np.isfinite(V).all()


@pytest.mark.parametrize("how", [
    {"scores": "softmax", "causal": True}, {"scores": "softmax", "scale": "full"},
    {"scores": "identity", "scale": "full"},
])  # fmt: skip
def test_what_is_not_known_is_not_told(how):
    assert of_pair(16, **how) is None
    three = single(3, 2, 16, scores="softmax")
    x = np.random.default_rng(1).normal(size=(1, 3, 2))
    assert first_order_on_places(three, three.arranged(x))[0] is None
