"""Attention: both samplers and tangent kernels against torch's own functions.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed. What heads are
made of hardly shows behind a read-out: it is looked for in the kernel of all heads side by side,
before the output's matrix.
"""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.attention import Attention, Heads
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.positions import Positions
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import draws, heads
from finitewidth.sampling.layers.draws import Tile, with_weights, without_weights
from finitewidth.sampling.layers.networks import rows_of
from finitewidth.sampling.layers.steps import forward
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams
from small_blocks import by_torch, mixed
from tangent_laws import check_tangent_law, check_tangents_of_both_samplers

FALSE_ALARM, NETWORKS = 1e-4, 10000
CHANNELS, TOKENS = 4, 6
#: One input of six tokens, two of three, and one with tokens that are equal, opposite and dead.
LONG = torch.sin(1.3 * torch.arange(24, dtype=torch.float64)).reshape(1, CHANNELS, TOKENS)
TWO = 1.5 * torch.sin(1.7 * torch.arange(24, dtype=torch.float64)).reshape(2, CHANNELS, 3)
TWINS = torch.stack([TWO[0, :, 0], TWO[0, :, 1], TWO[0, :, 0], -TWO[0, :, 1], 0 * TWO[0, :, 1]])
TWINS = TWINS.T[None]


def attention(count=2, size=8, channels=CHANNELS, out=CHANNELS, C_b=0.0, C_W=3.0, **how):
    def part(name):
        law = {"C_W": C_W, "C_b": C_b, "heads": count, "part": name}
        return Heads(inputs=channels, neurons=count * size, **law)

    each = {name: part(name) for name in ("query", "key", "value")}
    output = Dense(inputs=count * size, neurons=out, C_W=1.3, C_b=C_b)
    return Attention(**each, output=output, **how)


def tile(networks, seed=1, dtype=torch.float64):
    drawn_from = Streams([torch_stream(seed, "tokens")], [networks])
    return Tile(drawn_from, Workspace(), dtype, torch.device("cpu"))


def kernel_of(layer, x, draw, networks=NETWORKS, seed=1, dtype=torch.float64):
    """Of all heads side by side, (networks, rows, rows), for given tokens."""
    drawn, seen = partial(draw, tile=tile(networks, seed, dtype)), []

    def keep(one, given):
        if one is layer.output:
            seen.append(given.double())
        return drawn(one, given)

    forward(layer, rows_of(x, dtype), keep)
    return seen[0] @ seen[0].mT / layer.output.inputs


def kernel_of_torch(layer, x, networks=NETWORKS, seed=2):
    """The same from weights, through torch's own attention."""
    stream = torch.Generator().manual_seed(seed)

    def part(one):
        W = torch.randn(networks, one.heads, one.head_dim, one.inputs, generator=stream,
                        dtype=x.dtype)  # fmt: skip
        b = torch.randn(networks, one.heads, one.head_dim, generator=stream, dtype=x.dtype)
        z = torch.einsum("nhdc,act->nahtd", W, x) * (one.C_W / one.inputs) ** 0.5
        return z + (b * one.C_b**0.5)[:, None, :, None]

    q, k, v = (part(one) for one in (layer.query, layer.key, layer.value))
    flat = mixed(layer, q, k, v).permute(0, 1, 3, 2, 4).reshape(networks, -1, layer.output.inputs)
    return flat @ flat.mT / layer.output.inputs


def statistics_of(G):
    first, last = G[:, 0, 0], G[:, -1, -1]
    return [
        first, last, G[:, 0, 1], G[:, 0, -1], first - last, first * last, first.square(),
        G.diagonal(dim1=1, dim2=2).sum(1), G.flatten(1).amax(1), G.square().sum((1, 2)),
        torch.linalg.det(G[:, :2, :2]),
    ]  # fmt: skip


def p_values(one, other, of=statistics_of):
    pairs = zip(of(one), of(other), strict=True)
    return np.array([stats.ks_2samp(a.numpy(), b.numpy()).pvalue for a, b in pairs])


HEADS = {
    "in a basis": (attention(), LONG),
    "in a basis, biases": (attention(2, 7, C_b=0.3), LONG),
    "as they are": (attention(2, 5), LONG),
    "one number": (attention(3, 1, C_b=0.2), LONG),
    "two inputs": (attention(2, 8, C_b=0.2), TWO),
    "causal": (attention(causal=True), LONG),
    "full": (attention(2, 8, scale="full", C_W=6.0), LONG),
    "identity": (attention(scores="identity", C_W=1.0), LONG),
    "identity, causal": (attention(1, 3, scores="identity", causal=True, C_W=1.0), LONG),
    "twins": (attention(2, 6), TWINS),
}


@cache
def wanted(case):
    return kernel_of_torch(*HEADS[case])


@pytest.mark.parametrize("draw", [with_weights, without_weights])
@pytest.mark.parametrize("case", HEADS)
def test_heads_are_those_of_drawn_weights(case, draw):
    found = kernel_of(*HEADS[case], draw)
    assert torch.isfinite(found).all()
    p = p_values(found, wanted(case))
    # A statistic that is the same number in all networks has no p-value below 1.
    assert np.nanmin(p) > FALSE_ALARM / len(p), p


def test_single_precision_and_the_other_root_have_the_same_law(monkeypatch):
    layer, x = HEADS["in a basis, biases"]
    single = kernel_of(layer, x, without_weights, dtype=torch.float32)
    monkeypatch.setattr(draws, "nearly_dependent", lambda gram: True)
    for found in (single, kernel_of(layer, x, without_weights)):
        p = p_values(found, wanted("in a basis, biases"))
        assert p.min() > FALSE_ALARM / (2 * len(p)), p


def with_another_freedom(layer, seen, tile):
    """Wrong on purpose: as if heads had one dimension more."""
    more = getattr(layer, "head_dim", 0) + 1
    if isinstance(layer, Heads):
        layer = replace(layer, neurons=layer.heads * more)
    return without_weights(layer, seen, tile)


def with_biases_of_tokens(layer, seen, tile):
    """Wrong on purpose: each token has biases of its own."""
    if not isinstance(layer, Heads):
        return without_weights(layer, seen, tile)
    drawn = with_weights(replace(layer, C_b=0.0), seen, tile)
    return drawn + layer.C_b**0.5 * tile.streams.normal_(torch.empty(drawn.shape).double())


def with_tokens_apart(layer, seen, tile):
    """Wrong on purpose: each token has weights of its own."""
    if not isinstance(layer, Heads):
        return without_weights(layer, seen, tile)
    return torch.cat([with_weights(layer, row[:, None], tile) for row in seen.unbind(1)], dim=1)


@pytest.mark.parametrize(("case", "wrong"), [
    ("in a basis", with_another_freedom), ("one number", with_biases_of_tokens),
    ("in a basis", with_tokens_apart), ("causal", with_tokens_apart),
])  # fmt: skip
def test_ways_to_draw_that_are_wrong_on_purpose_are_caught(case, wrong):
    p = p_values(kernel_of(*HEADS[case], wrong), wanted(case))
    assert p.min() < 1e-8, p


@pytest.mark.parametrize(("case", "other"), [
    ("one number", attention(3, 2, C_b=0.2)), ("in a basis", attention(4, 4)),
    ("in a basis", attention(causal=True)), ("causal", attention()),
    ("full", attention(2, 8, C_W=6.0)), ("one number", attention(1, 3, C_b=0.2)),
    ("identity", attention(scores="identity", causal=True, C_W=1.0)),
])  # fmt: skip
def test_other_attention_is_told_apart(case, other):
    p = p_values(kernel_of(other, HEADS[case][1], without_weights), wanted(case))
    assert p.min() < 1e-8, p


def test_factors_without_their_roots_of_chi_square_are_caught(monkeypatch):
    monkeypatch.setattr(heads, "_triangular_", lambda normals, dimension, streams: None)
    p = p_values(kernel_of(*HEADS["in a basis"], without_weights), wanted("in a basis"))
    assert p.min() < 1e-8, p


def dense(inputs, neurons, **law):
    return Dense(inputs=inputs, neurons=neurons, **{"C_W": 1.6, "C_b": 0.1} | law)


def transformer(n=4, norm=None, post=None, tokens=3, blocks=1, **how):
    """Attention and a branch of two maps, with skips, behind positional vectors."""
    norms = [norm] if norm else []
    after = [post] if post else []
    places = Block([Positions(tokens=tokens, neurons=n, C_W=0.3 * tokens)])
    one = Block([*norms, attention(2, 4, n, n, **how)], 1.0, 0.8)
    two = Block([*norms, dense(n, 2 * n), Nonlinearity("gelu"), dense(2 * n, n)], 0.9, 1.0)
    body = [one, *after, two, *after] * blocks
    return Architecture((CHANNELS, tokens), [
        dense(CHANNELS, n), places, *body, *norms, AveragePool(), dense(n, 2)
    ])  # fmt: skip


WHOLE = {
    "plain": (transformer(), TWO),
    "pre layer": (transformer(norm=LayerNorm(), C_b=0.2), TWO),
    "post rms": (transformer(post=RmsNorm(0.1)), TWO),
    "causal, more tokens than channels": (transformer(tokens=6, causal=True, n=3), LONG),
}


def outputs(network, x, draw, networks=3000, seed=1):
    rows, draw = rows_of(x, torch.float64), partial(draw, tile=tile(networks, seed))
    for layer in network.layers:
        rows = forward(layer, rows, draw)
    return rows.values


def of_outputs(z):
    first, last = z[:, 0], z[:, -1]
    return [
        first[:, 0], last[:, -1], first[:, 0] * first[:, 1], first.square().sum(1),
        (first * last).sum(1), (first - last).abs().amax(1), first.pow(4).sum(1),
        (first * last).square().sum(1),
    ]  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_samplers_draw_what_torchs_own_transformers_are(case):
    exact = by_torch(*WHOLE[case], 2000)
    for draw in (with_weights, without_weights):
        found = outputs(*WHOLE[case], draw)
        assert torch.isfinite(found).all()
        p = p_values(found, exact, of_outputs)
        assert p.min() > FALSE_ALARM / (2 * len(p)), p


def test_what_comes_in_is_not_written_over():
    # Six rows of twelve channels, and of heads no more dimensions: all draws have one shape.
    layers = [dense(CHANNELS, 12), dense(12, 12), attention(2, 6, 12, 12)]

    def drawn(own):
        given = tile(50, dtype=torch.float32)
        rows = rows_of(LONG, torch.float32)
        for layer in layers:
            # As if each draw stood in memory of its own, or as it is.
            rows = forward(layer, rows, lambda one, seen: own(without_weights(one, seen, given)))
        return rows.values

    assert torch.equal(drawn(lambda values: values), drawn(torch.clone))


def test_a_head_of_many_dimensions_takes_as_many_numbers_as_a_small_one():
    many = attention(2, 10**6)
    assert kernel_of(many, LONG, without_weights, 20).shape == (20, 6, 6)
    found = kernel_of(replace(many, scale="full"), LONG, without_weights, 200)
    # Scores are uniform then, and values have no other kernel than their mean.
    K = 3.0 * (LONG[0].T @ LONG[0]) / CHANNELS
    torch.testing.assert_close(found.mean(0), K.mean().expand(6, 6), rtol=0.01, atol=0.01)


def test_ensembles_record_one_token_or_all():
    layers = [dense(CHANNELS, 8), Block([attention(2, 8, 8, 8)]), Block([attention(2, 8, 8, 8)])]
    every = Architecture((CHANNELS, 3), layers, [1, 2, 3], "all")
    found = sample(every, TWO.mT.numpy(), networks=64, seed=1)
    assert found["kernel"].shape == (64, 3, 6, 6)
    for read, at in (("first", 0), ("centre", 1), ("last", 2)):
        alone = Architecture((CHANNELS, 3), layers, [1, 2, 3], read)
        one = sample(alone, TWO.mT.flatten(1).numpy(), networks=64, seed=1)
        rows = [at, 3 + at]
        own = found["kernel"].values[:, :, rows][..., rows]
        np.testing.assert_allclose(one["kernel"].values, own)
    with pytest.raises(ValueError, match="all places are recorded of layers that have as many"):
        Architecture((CHANNELS, 3), [*layers, AveragePool()], [1, 2, 4], "all")


@pytest.mark.parametrize("case", ["pre layer", "causal, more tokens than channels"])
def test_tangent_kernels_have_the_law_of_automatic_differentiation(case):
    network, x = WHOLE[case]
    entries = (0, 0, 0, 0), (0, 0, 0, len(x) - 1), (0, 1, 0, 0)
    check_tangent_law(network, x, entries, FALSE_ALARM)


def test_tangent_kernels_of_ensembles_on_tokens():
    network, x = WHOLE["pre layer"]
    check_tangents_of_both_samplers(network, x.mT.numpy(), FALSE_ALARM)
