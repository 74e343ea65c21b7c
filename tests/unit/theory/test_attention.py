"""Attention at infinite width: published numbers, sampled networks, and other ways to integrate."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from finitewidth.config.network import network
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.layers import softmax_means
from finitewidth.theory.layers.attention import Parts, Tangents
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.softmax_means import by_points, with_errors
from finitewidth.theory.layers.softmax_pairs import of_two
from softmax_draws import brute_force

#: Computed elsewhere (neural-tangents, float64, of the identity), set up as the tests say.
GOLDEN = json.loads((Path(__file__).parent / "attention_golden.json").read_text())
LAWS = {"q": {"C_W": 1.2}, "k": {"C_W": 0.8}, "v": {"C_W": 1.5}, "o": {"C_W": 1.3}}
NO_BIAS = {part: {**law, "C_b": 0.0} for part, law in LAWS.items()}
TWO = np.array([[[1.0, -0.5, 0.3], [0.2, 0.8, -0.6]]])
THREE = np.sin(1.3 * np.arange(24)).reshape(2, 3, 4)


def on_tokens(x, width=8, **keys):
    """A network on tokens x (inputs, tokens, channels)."""
    tokens, channels = x.shape[1:]
    law = {"activation": "linear", "C_W": 1.0, "outputs": 1} | keys
    return network(inputs=tokens * channels, width=width,
                   input={"tokens": tokens, "channels": channels}, **law)  # fmt: skip


def single(x, scores, **more):
    """One attention layer behind a dense embedding, and all its tokens as one vector."""
    return on_tokens(
        x, embed={"C_W": 1.5}, blocks=[{"branch": [{"attention": {"scores": scores, **LAWS}}]}],
        readout={"pool": "flatten", "activation": "none"}, **more,
    )  # fmt: skip


def transformer(x, scores, **more):
    """Two transformer blocks with the norm before branches, and means over tokens."""
    law, mlp = {"norm": "layer"}, {"C_W": 2.0, "C_b": 0.1}
    wide = [{"dense": {"width": "4n", **mlp}}, "activation", {"dense": mlp}]
    blocks = []
    for k in range(2):
        attention = {"scores": scores, "heads": 2, **NO_BIAS}
        blocks.append({"name": f"a{k}", "residual": law, "branch": [{"attention": attention}]})
        blocks.append({"name": f"m{k}", "residual": law, "branch": wide})
    return on_tokens(
        x, activation="gelu", embed={"C_W": 1.5, "C_b": 0.1}, blocks=blocks,
        readout={"norm": "layer", "activation": "none", "pool": "average", "C_b": 0.0}, **more,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "made", "x"), [
    ("attention_identity", single(THREE, "identity"), THREE),
    ("attention_softmax", single(TWO, "softmax"), TWO),
    ("transformer_preLN_identity_gelu", transformer(THREE, "identity"), THREE),
])  # fmt: skip
def test_published_numbers_are_met(name, made, x):
    rates = LearningRates.named("ntk", made)
    last = infinite_width_kernels(made, x, rates)[-1]
    wanted = GOLDEN["infinite"][name]
    np.testing.assert_allclose(last.nngp, wanted["K"], rtol=1e-10)
    np.testing.assert_allclose(last.ntk, wanted["Theta"], rtol=1e-10)


def parts(tokens, inputs, causal=False, tangents=True, seed=0):
    stream, rows = np.random.default_rng(seed), tokens * inputs

    def kernel():
        S = stream.normal(size=(rows, rows + 2))
        return S @ S.T / (rows + 2)

    each = [kernel() for _ in range(6 if tangents else 3)]
    return Parts(tokens, causal, *each[:3], Tangents(*each[3:]) if tangents else None)


@pytest.mark.parametrize("causal", [False, True])
def test_two_tokens_by_points_are_those_of_one_number_a_row(causal):
    given = parts(2, 2, causal)
    exact = np.stack(of_two(given))
    value, error = with_errors(given)
    pull = np.abs(value - exact) / np.maximum(error, 1e-12)
    # Student's t of seven degrees of freedom: beyond 9 once in 10^5 (two-sided, 20 numbers).
    assert pull.max() < 9, pull.max()
    assert (error.max((1, 2)) < 1e-3 * np.abs(exact).max((1, 2))).all()


@pytest.mark.parametrize("causal", [False, True])
def test_more_tokens_by_points_are_those_of_plain_draws(causal):
    given = parts(3, 2, causal, seed=4)
    value, error = with_errors(given)
    exact, plain = brute_force(given, 40000)
    pull = np.abs(value - exact) / np.sqrt(error**2 + plain**2 + 1e-24)
    assert pull.max() < 7, pull
    np.testing.assert_allclose(value, value.swapaxes(1, 2), rtol=1e-10)


def test_errors_of_points_are_what_they_say():
    # A wide softmax with few points: 40 estimates with other scrambles, held against many points.
    given = parts(4, 1, tangents=False, seed=6)
    exact = with_errors(given)[0][0, 0, 1]
    F, G = softmax_means.root(given.q), softmax_means.root(given.k)
    pulls = []
    for k in range(40):
        each = [softmax_means._mean(given, F, G, 5, 100 + 8 * k + j)[0, 0, 1] for j in range(8)]
        pulls.append((np.mean(each) - exact) / (np.std(each, ddof=1) / np.sqrt(8)))
    # Root mean square of t with seven degrees of freedom: 1.18; 40 of them stay within these once
    # in 10^4 runs.
    assert 0.75 < np.sqrt(np.mean(np.square(pulls))) < 2.0


def test_what_is_not_integrated_closely_enough_is_not_told(monkeypatch):
    given = parts(3, 1)
    assert np.isfinite(by_points(given)[0]).all()
    monkeypatch.setattr(softmax_means, "LARGEST_ERROR", 1e-9)
    for value in by_points(given):
        assert np.isnan(value).all()
    monkeypatch.setattr(softmax_means, "_MOST", 4)
    assert np.isnan(by_points(given)[0]).all()


@pytest.mark.parametrize(("how", "tokens"), [
    ({"scores": "softmax"}, 3), ({"scores": "softmax", "causal": True}, 2),
    ({"scores": "softmax", "causal": True}, 3), ({"scores": "identity", "causal": True}, 3),
    ({"scores": "softmax", "scale": "full", "causal": True}, 3),
])  # fmt: skip
def test_sampled_networks_with_many_wide_heads_have_these_kernels(how, tokens):
    x = np.random.default_rng(1).normal(size=(2, tokens, 4))
    laws = {"q": {"C_W": 2.0, "C_b": 0.2}, "k": {"C_W": 1.5}, "v": {"C_b": 0.3}}
    # Heads and their dimensions alone: the kernel of fixed tokens is what a mean over heads is of.
    attention = {"heads": 64, "head_dim": 4096, **how, **laws}
    body = [{"residual": {"beta": 0.7}, "branch": [{"attention": attention}]}]
    made = on_tokens(x, width=2000, embed={"positions": 0.4}, blocks=body, C_b=0.1, read="all",
                     readout="none")  # fmt: skip
    theory = infinite_width_kernels(made, x)[-1].nngp
    found = sample(made, x, networks=256, seed=2, precision="float32")["kernel"].values[:, -1]
    error = found.std(0) / 16
    pull = (found.mean(0) - theory) / error
    # Corrections of order 1/n and 1/d are a tenth of an error.
    assert np.abs(pull).max() < 4.8, pull


def test_sampled_tangent_kernels_tend_to_these():
    x = 0.5 * np.random.default_rng(3).normal(size=(2, 3, 4))
    means, errors, sizes = [], [], (8, 16, 32)
    for n in sizes:
        made = on_tokens(x, width=n, activation="relu", C_W=1.2, C_b=0.1, blocks=[
            {"branch": [{"attention": {"heads": n, "head_dim": n, "causal": True}}]}],
        )  # fmt: skip
        rates = LearningRates.named("ntk", made)
        found = sample_ntk(made, rates, x, networks=600, seed=n, outputs=1)["ntk"].values[:, 0, 0]
        means.append(found.mean(0))
        errors.append(found.std(0) / np.sqrt(600))
    theory = infinite_width_kernels(made, x, rates)[-1].ntk
    # Straight lines in 1/n, fitted to three widths.
    design = np.stack([np.ones(3), 1 / np.array(sizes)], axis=1)
    for a, b in product(range(2), repeat=2):
        weight = 1 / np.array([e[a, b] for e in errors])
        normal = design * weight[:, None]
        value = np.linalg.lstsq(normal, weight * [m[a, b] for m in means], rcond=None)[0][0]
        error = np.sqrt(np.linalg.inv(normal.T @ normal)[0, 0])
        assert abs(value - theory[a, b]) < 4.5 * error, (a, b, value, theory[a, b], error)
