"""Entropies of attention: both ways of drawing against weights that torch draws, theory, estimates.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed.
"""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad

from finitewidth.core.reasons import Reason
from finitewidth.face.networks import network
from finitewidth.face.one_ensemble import estimate, predict, sample
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.layers.entropies import attention_entropies

FALSE_ALARM, N = 1e-4, 3000
TOKENS = 1.5 * np.sin(1.7 * np.arange(18)).reshape(2, 3, 3)
MEASURE = ("preactivations", "entropy")


def attentive(heads=2, head_dim=3, C_W=2.0, width=4, blocks=(), **how):
    own = {"heads": heads, "head_dim": head_dim, "q": {"C_W": 3.0, "C_b": 0.2}} | how
    every = [{"branch": [{"attention": own}]}, *blocks]
    keys = {"tokens": 3, "width": width, "C_W": C_W, "outputs": 2, "blocks": every}
    return network("gelu", inputs=3, **keys)


def by_torch(heads, head_dim, causal, x, seed=3, n=4):
    """Entropy of the first attention's softmax, (networks, inputs), from weights."""
    g, x = torch.Generator().manual_seed(seed), torch.from_numpy(x)

    def drawn(*shape):
        return torch.randn(N, *shape, generator=g, dtype=torch.float64)

    z = torch.einsum("wic,atc->wati", drawn(n, 3) * (2 / 3) ** 0.5, x)
    q = torch.einsum("whdi,wati->whatd", drawn(heads, head_dim, n) * (3 / n) ** 0.5, z)
    q = q + 0.2**0.5 * drawn(heads, 1, 1, head_dim)
    k = torch.einsum("whdi,wati->whatd", drawn(heads, head_dim, n) * (2 / n) ** 0.5, z)
    A = q @ k.mT / head_dim**0.5
    if causal:
        A = A + torch.full((3, 3), -torch.inf, dtype=torch.float64).triu(1)
    each = torch.distributions.Categorical(logits=A.clamp(min=-1e300)).entropy()
    return each.mean((1, 3)).numpy()


CASES = {"few dimensions": (2, 3, False), "many": (2, 40, False), "a mask": (3, 3, True)}


@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
@pytest.mark.parametrize("case", CASES)
def test_entropies_have_the_law_of_drawn_weights(case, sampler):
    heads, head_dim, causal = CASES[case]
    of = attentive(heads, head_dim, causal=causal)
    how = {"networks": N, "sampler": sampler, "measure": MEASURE, "progress": False, "seed": 2}
    found = sample(of, TOKENS, **how)["entropy"].values
    assert np.isnan(found[:, 1]).all()
    wanted = by_torch(heads, head_dim, causal, TOKENS)
    p = [stats.ks_2samp(found[:, 0, a], wanted[:, a]).pvalue for a in range(2)]
    assert min(p) > FALSE_ALARM / 2, p
    # Wrong on purpose: with the mask that it has not.
    wrong = by_torch(heads, head_dim, not causal, TOKENS)
    assert stats.ks_2samp(found[:, 0, 0], wrong[:, 0]).pvalue < 1e-10


def test_entropies_beside_tangent_kernels_and_derivatives_are_the_same():
    of = attentive(blocks=[{"residual": {"norm": "layer"}, "branch": ["dense"]}])
    rates, p = LearningRates.named("ntk", of), []
    measure = ("ntk", "gradient", *MEASURE)
    found = sample_ntk(of, rates, TOKENS, networks=N, seed=5, measure=measure)["entropy"].values
    wanted = by_torch(2, 3, False, TOKENS)
    p = [stats.ks_2samp(found[:, 0, a], wanted[:, a]).pvalue for a in range(2)]
    assert min(p) > FALSE_ALARM / 2, p
    assert np.isnan(found[:, 1:]).all()


def test_each_token_has_its_own_where_all_are_recorded():
    own = {"attention": {"heads": 1, "causal": True}}
    keys = {"inputs": 3, "tokens": 3, "width": 4, "C_W": 2.0, "readout": "none", "read": "all"}
    of = network("gelu", blocks=[{"branch": [own]}], **keys)
    found = sample(of, TOKENS, networks=60, measure=MEASURE, progress=False)["entropy"].values
    assert found.shape == (60, 1, 6)
    assert (found[:, 0, [0, 3]] == 0).all()
    assert (found[:, 0, [1, 4]] <= np.log(2)).all()
    assert found[:, 0, [2, 5]].max() > np.log(2)


def entropy(A):
    P = np.exp(A - A.max(-1, keepdims=True))
    P = P / P.sum(-1, keepdims=True)
    return -np.sum(np.where(P > 0, P * np.log(np.where(P > 0, P, 1)), 0), axis=-1)


def covariances(of, x):
    """Of logits of each token of an input x (tokens, channels): (tokens, tokens, tokens)."""
    K = 2.0 * x @ x.T / 3
    return (0.2 + 3.0 * np.diagonal(K))[:, None, None] * (2.0 * K)


def test_two_tokens_are_an_integral_over_one_number():
    of = attentive(causal=True)
    found = attention_entropies(of, TOKENS)[0]
    assert (found[:, 0] == 0).all()
    for a in range(2):
        C = covariances(of, TOKENS[a])[1]
        sd = np.sqrt(C[0, 0] + C[1, 1] - 2 * C[0, 1])

        def weighted(u, sd=sd):
            return entropy(np.array([sd * u, 0.0])) * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)

        assert found[a, 1] == pytest.approx(quad(weighted, -12, 12, limit=500)[0], abs=1e-9)


def test_three_tokens_are_met_by_plain_draws():
    """4.5 standard errors of six numbers, and the error that is told of them."""
    of, rng = attentive(), np.random.default_rng(4)
    found = attention_entropies(of, TOKENS)[0]
    for a in range(2):
        for t, C in enumerate(covariances(of, TOKENS[a])):
            drawn = entropy(rng.multivariate_normal(np.zeros(3), C, size=40000, method="eigh"))
            assert abs(drawn.mean() - found[a, t]) < 4.5 * drawn.std() / 200 + 1e-3 * found[a, t]


def test_logits_that_vanish_leave_the_logarithm_of_the_tokens_that_are_seen():
    seen = np.log([1.0, 2.0, 3.0])
    of = attentive(causal=True, scale="full")
    np.testing.assert_allclose(attention_entropies(of, TOKENS)[0], [seen] * 2, atol=1e-12)
    of = attentive(q={"C_W": 1e-9})
    np.testing.assert_allclose(attention_entropies(of, TOKENS)[0], np.log(3), atol=1e-6)
    how = {"networks": 60, "measure": MEASURE, "progress": False}
    np.testing.assert_allclose(sample(of, TOKENS, **how)["entropy"][:, 0], np.log(3), atol=1e-6)


def test_many_dimensions_tend_to_the_theory():
    """Behind a block of its own, to be met by 200 channels and heads of 400: 4.5 standard errors,
    and 2 % for what is of order 1/n."""
    block = {
        "residual": {"norm": "layer"},
        "branch": [{"attention": {"heads": 4, "head_dim": 400}}],
    }
    of = attentive(4, 400, width=200, blocks=[block])
    found = estimate(sample(of, TOKENS, networks=300, measure=MEASURE, progress=False),
                     ["attention_entropy"])  # fmt: skip
    theory = predict(of, TOKENS, ["attention_entropy"])["attention_entropy"]
    known = theory.sel(order="infinite_width").values[:2]
    value, error = (found[f"attention_entropy{end}"].values[:2] for end in ("", "_stderr"))
    assert (np.abs(value - known) < 4.5 * error + 0.02 * known).all()
    assert (error < 0.05 * known).all()


def test_estimates_are_means_and_layers_without_attention_have_none():
    rng = np.random.default_rng(1)
    values = rng.uniform(size=(200, 2, 3))
    values[:, 1] = np.nan
    arrays = {"entropy": values, "preactivation": np.ones((200, 2, 3, 2))}
    found = estimate(arrays, ["attention_entropy"])
    for a in range(3):
        own = [values[k, 0, a] for k in range(200)]
        here = found.isel(layer=0, input=a)
        assert here["attention_entropy"] == pytest.approx(sum(own) / 200)
        error = np.std(own, ddof=1) / 200**0.5
        assert here["attention_entropy_stderr"] == pytest.approx(error, rel=1e-3)
    assert (found["attention_entropy_reason"].sel(layer=2) == Reason.NOT_MEASURED).all()


def test_without_a_softmax_nothing_is_measured():
    with pytest.raises(ValueError, match="allowed is attention with scores: softmax"):
        sample(attentive(scores="identity"), TOKENS, networks=5, measure=MEASURE, progress=False)
