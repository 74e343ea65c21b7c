"""Tokens that are all alike: their integrals against other integrals, and against plain draws."""

import numpy as np
import pytest
from scipy.integrate import quad

from finitewidth.config.network import network
from finitewidth.theory.layers import attention, entropies, equal_tokens, many_tokens
from finitewidth.theory.layers.attention import Parts, Tangents
from finitewidth.theory.layers.equal_tokens import Alike, entropy, of_alike, other, same
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.softmax_means import with_errors
from finitewidth.theory.layers.softmax_pairs import of_two
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_blocks import predict_blocks
from softmax_draws import brute_force

#: What an input's tokens have with themselves, with each other, and with those of another input.
KERNELS = {"q": (1.4, 0.5, 0.2), "k": (1.1, 0.3, -0.1), "v": (0.9, -0.2, 0.4)}


def alike(tokens, inputs, seed=0, tangents=True):
    """Kernels of such tokens, with any tangent kernels."""
    stream, rows = np.random.default_rng(seed), tokens * inputs
    within, own = np.kron(np.eye(inputs), np.ones((tokens, tokens))), np.eye(rows)

    def kernel(self, near, far):
        return (self - near) * own + (near - far) * within + far

    def any_kernel():
        S = stream.normal(size=(rows, rows + 2))
        return S @ S.T / (rows + 2)

    K = {name: kernel(*numbers) for name, numbers in KERNELS.items()}
    of = Tangents(any_kernel(), any_kernel(), any_kernel()) if tangents else None
    return Parts(tokens, False, **K, tangents=of)


def scores(A):
    P = np.exp(A - A.max(-1, keepdims=True))
    return P / P.sum(-1, keepdims=True)


def test_two_tokens_are_those_of_one_number_a_row():
    given = alike(2, 2)
    for found, wanted in zip(of_alike(given), of_two(given), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("V", [0.3, 4.0, 60.0])
def test_the_entropy_of_two_tokens_is_that_of_their_difference(V):
    wanted = entropies._mean_entropy(V * np.eye(2))
    assert entropy(V, 2) == pytest.approx(wanted, abs=1e-9)


def test_kernels_and_tangent_kernels_are_those_of_plain_draws_and_of_points():
    given = alike(3, 2)
    found = np.stack(of_alike(given))
    plain, error = brute_force(given)
    # 72 numbers, half of them twice: Student's t of 19 beyond 6 once in 3000 such tests.
    assert np.abs((found - plain) / error).max() < 6
    value, error = with_errors(given)
    assert np.abs(found - value).max() < 12 * error.max() < 0.01


@pytest.mark.parametrize(("V", "r", "tokens"), [(40.0, 0.3, 100), (1.2, 0.8, 300), (9.0, 0.0, 7)])
def test_many_tokens_and_steep_scores_are_those_of_plain_draws(V, r, tokens):
    """15 numbers beyond 4.5 standard errors: one false alarm in 9000."""
    stream, each = np.random.default_rng(1), []
    for _ in range(40):
        Z = stream.normal(size=(2, 500, tokens))
        P, Q = scores(np.sqrt(V) * np.stack([Z[0], r * Z[0] + np.sqrt(1 - r * r) * Z[1]]))
        slopes = [
            (A * B).sum(1) - (A * A * B + A * B * B).sum(1) + (A * B).sum(1) ** 2
            for A, B in ((P, P), (P, Q))
        ]
        log = np.log(np.where(P > 0, P, 1.0))
        means = [(P * P).sum(1), (P * Q).sum(1), *slopes, -(P * log).sum(1)]
        each.append([one.mean() for one in means])
    one, two = same(V, tokens), other(V, r, tokens)
    found = [one.products, two.products, one.slopes, two.slopes, entropy(V, tokens)]
    error = np.std(each, 0, ddof=1) / np.sqrt(len(each))
    assert np.abs((np.mean(each, 0) - found) / error).max() < 4.5


@pytest.mark.parametrize(("V", "deep"), [(1.2, False), (60.0, True)])
def test_many_tokens_are_the_limit(V, deep):
    """Of logits that grow with log T: below freezing a power of T is left out, above it 1/log T."""
    sizes, left, share = (64, 4096, 2**18), [], []
    for tokens in sizes:
        now = V * np.log(tokens) / np.log(64)
        left.append(abs(entropy(now, tokens) - many_tokens.entropy(now, tokens)))
        share.append(abs(same(now, tokens).products - many_tokens.share(now, tokens)))
    for errors in (left, share):
        assert errors[0] > errors[1] > errors[2]
    # 64 tokens to the power of 3 are as many as the most: 1/log T falls to a third.
    low, high = (0.25, 0.55) if deep else (0.0, 0.02)
    assert low < left[2] / left[0] < high


def stacked(tokens, scores=None, overlap=0.2):
    """Two blocks of attention and ReLU on tokens of mean square 1 that share ``overlap``."""
    x = np.zeros((tokens, tokens + 1))
    x[:, :-1] = np.sqrt((1 - overlap) * (tokens + 1)) * np.eye(tokens)
    x[:, -1] = np.sqrt(overlap * (tokens + 1))
    norm = {"residual": {"norm": "layer", "place": "post"}}
    law = {"C_W": 3.0 * np.sqrt(np.log(tokens)), "C_b": 0.0}
    attend = {"attention": {"heads": 1, "q": law, "k": law, "o": {"C_W": 1.0, "C_b": 0.0}}}
    dense = ["dense", "activation", "dense"]
    made = network(
        activation="relu", C_W=0.2, C_b=4e-4, width=8, outputs=1, read="all", readout="none",
        inputs=x.size, input={"tokens": tokens, "channels": tokens + 1},
        embed={"C_W": 1.0, "C_b": 0.0},
        blocks=[{**norm, "branch": [attend]}, {**norm, "branch": dense}] * 2,
    )  # fmt: skip
    return made, x[None]


def test_the_recursion_of_many_tokens_is_that_of_its_authors():
    """Their map of p through a block (arXiv:2505.24333), of weights 0.2 and biases 4e-4."""
    made, x = stacked(30)
    p, w, b = 0.2, 0.2, 4e-4
    found = [K.nngp[0, 1] for K in infinite_width_kernels(many_tokens.among_many(made), x)[-4:]]
    for after_attention, after_dense in (found[:2], found[2:]):
        share = max(0.0, 1 - np.sqrt(2 / (1 - p)) / 3.0)
        p = (w * p + b + p) / (w * (p + (1 - p) * share) + b + 1)
        assert after_attention == pytest.approx(p, rel=1e-12)
        c = (w * p + b) / (w + b)
        relu = (np.sqrt(1 - c * c) + c * (np.pi - np.arccos(c))) / np.pi
        size = w * (w + b) / 2
        p = (size * relu + b + p) / (size + b + 1)
        assert after_dense == pytest.approx(p, rel=1e-12)


def test_predictions_have_the_limit_where_there_are_many_tokens_and_do_not_claim_its_error():
    for tokens in (15, 16):
        made, x = stacked(tokens)
        case = BlockCase(made, x, [1, 3, 4], 1, None)
        told = predict_blocks(case, ("rank_collapse", "attention_entropy"))
        limit = with_neglected(told, [], x, blocks=case).sel(order="many_tokens")
        many = tokens == 16
        assert (np.isfinite(limit["mean_cosine"]) == many).all()
        assert (np.isfinite(limit["attention_entropy"].sel(layer=3)) == many).all()
        for name in ("mean_cosine", "attention_entropy"):
            assert np.isnan(limit[f"{name}_neglected"]).all()


def test_the_limit_says_nothing_of_few_tokens_or_of_those_that_share_nothing():
    assert many_tokens.among_many(stacked(15)[0]) is None
    made, x = stacked(16, overlap=0.0)
    limit = infinite_width_kernels(many_tokens.among_many(made), x)
    assert np.isnan(limit[-1].nngp).all()
    x[0, 0] *= 1.01
    made, x = stacked(16)[0], x
    assert np.isnan(infinite_width_kernels(many_tokens.among_many(made), x)[-1].nngp).all()


def test_limits():
    for tokens in (3, 50):
        assert entropy(0.0, tokens) == pytest.approx(np.log(tokens), abs=1e-9)
        assert same(0.0, tokens).products == pytest.approx(1 / tokens)
        # Tokens alike in queries, too, are one token; those that share nothing are independent.
        np.testing.assert_allclose(other(5.0, 1.0, tokens), same(5.0, tokens), rtol=1e-8)
        assert other(5.0, 0.0, tokens).products == pytest.approx(1 / tokens, rel=1e-9)
        # Little that is shared goes on from nothing that is.
        near = [other(5.0, r, tokens).products for r in (0.0, 1e-9, 1e-6)]
        np.testing.assert_allclose(near, near[0], rtol=1e-5)
    # The largest logit takes all, of the largest of three normal numbers no less.
    assert same(1600.0, 3).products == pytest.approx(1.0, abs=0.05)


def test_the_mean_of_the_largest_is_met_where_scores_are_steep():
    # E[log Z] tends to sqrt(V) E[max of 3], which has a closed form, 3/(2 sqrt(pi)).
    V = 1600.0
    log_Z = entropy(V, 3) + V * (1 - same(V, 3).products)
    near = quad(lambda d: np.log1p(np.exp(-d)), 0, 60)[0]
    assert log_Z / np.sqrt(V) == pytest.approx(1.5 / np.sqrt(np.pi), abs=3 * near / np.sqrt(V))


def test_what_is_not_alike_or_too_steep_is_left_to_others():
    K = np.array([[1.0, 0.2, 0.2], [0.2, 1.0, 0.2], [0.2, 0.2, 1.0]])
    np.testing.assert_allclose(Alike.of(K), (1.0, 0.2), rtol=1e-14)
    for change in ((0, 0), (0, 1)):
        off = K.copy()
        off[change] += 1e-6
        assert Alike.of(off) is None
    given = alike(3, 1, tangents=False)
    given.k[0, 1] = given.k[1, 0] = 0.31
    assert of_alike(given) is None
    far = alike(3, 2, tangents=False)
    far.v[0, 4] = far.v[4, 0] = 0.5
    assert of_alike(far) is None
    assert of_alike(Parts(3, True, far.q, far.k, far.k)) is None
    assert np.isnan(entropy(equal_tokens._STEEPEST**2 + 1, 3))
    assert np.isnan(other(1.0, -0.2, 3).products)


def test_layers_upon_layers_keep_tokens_alike(monkeypatch):
    """Of five tokens points agree; of 40 there would be 1600 numbers to integrate over."""
    keys = {"activation": "linear", "C_W": 1.0, "width": 8, "outputs": 1, "read": "all"}
    laws = {"q": {"C_W": 1.3}, "k": {"C_W": 1.3}}
    blocks = [{"repeat": 3, "residual": {"norm": "rms", "place": "post"},
               "branch": [{"attention": {"heads": 2, **laws}}]}]  # fmt: skip

    def correlations(tokens):
        size = {"tokens": tokens, "channels": tokens + 1}
        x = np.sqrt(0.8 * (tokens + 1)) * np.eye(tokens, tokens + 1)
        x[:, -1] = np.sqrt(0.2 * (tokens + 1))
        made = network(inputs=tokens * (tokens + 1), input=size, blocks=blocks,
                       readout="none", **keys)  # fmt: skip
        return [one.nngp[0, 1] for one in infinite_width_kernels(made, x[None])[-3:]]

    few = correlations(5)
    assert np.all(np.diff(correlations(40)) > 0)
    monkeypatch.setattr(attention, "of_alike", lambda parts: None)
    np.testing.assert_allclose(correlations(5), few, rtol=3e-4)
