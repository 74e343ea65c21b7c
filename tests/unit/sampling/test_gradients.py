"""Derivatives of an output by layers: both ways of drawing, against torch.autograd.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.torch_random import torch_stream
from finitewidth.face.networks import network
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import way_back
from finitewidth.sampling.layers.gradients import gradient_tile
from finitewidth.sampling.layers.tangent_draws import kept_basis, kept_weights
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.streams import Streams
from small_blocks import stream, through

FALSE_ALARM = 1e-4
X = np.array([[1.0, -0.5, 0.2], [0.3, 0.7, -1.1]])
TOKENS = np.sin(1.7 * np.arange(18)).reshape(2, 3, 3)
IMAGES = np.sin(1.7 * np.arange(48)).reshape(2, 2, 3, 4)
LAW = {"C_W": 1.6, "C_b": 0.2, "outputs": 2}
TWO = ({"dense": {"width": "2n"}}, "activation", "dense")
#: Logits that are large, so that what goes back through them counts.
ATTENTION = {"attention": {"heads": 2, "causal": True, "q": {"C_W": 6.0}, "k": {"C_W": 6.0}}}


def transformer():
    blocks = [
        {"residual": {"norm": "rms", "place": "post"}, "branch": list(TWO)},
        {"residual": {"norm": "layer"}, "branch": [ATTENTION]},
    ]
    keys = {"embed": {"positions": 0.3}, "blocks": blocks, "readout": {"norm": "layer"}}
    return network("gelu", inputs=3, tokens=3, width=4, **LAW, **keys)


def attention():
    """Without a skip, so that derivatives by logits are a large part of all."""
    blocks = [{"branch": [{"activation": "none"}, "dense"]}, {"branch": [ATTENTION]}]
    keys = {"blocks": blocks, "readout": {"pool": "flatten", "activation": "none"}}
    return network("gelu", inputs=3, tokens=3, width=4, **LAW | {"C_b": 0.0}, **keys)


def convolutional():
    conv = {"conv": {"padding": "zero"}}
    blocks = [
        {"residual": {"beta": 0.7}, "branch": [conv]},
        {"branch": [{"conv": {"kernel": 1, "width": "2n"}}]},
    ]
    keys = {"embed": {"map": "conv"}, "blocks": blocks, "readout": {"pool": "flatten"}}
    return network("tanh", inputs=(2, 3, 4), width=3, **LAW, **keys)


NETWORKS = {
    "skips": (stream("tanh", gamma=0.8, beta=0.7), X),
    "norms before": (stream("relu", norm="layer", readout={"norm": "same"}), X),
    "norms behind": (stream("gelu", norm="rms", place="post"), X),
    "two matrices": (stream("relu", branch=TWO, width=3), X),
    "no skips": (stream("tanh", gamma=0.0, width=2), X),
    "a transformer": (transformer(), TOKENS),
    "attention": (attention(), 2 * TOKENS),
    "convolutions": (convolutional(), IMAGES),
}


def shown(network, x):
    """The inputs as layers take them."""
    return torch.from_numpy(network.arranged(x))


def by_autograd(network, x, stream):
    """|df/dz|^2 of the first output, (layers of results, inputs), of weights that torch draws."""
    s, seen = shown(network, x).requires_grad_(), []
    for number, layer in enumerate(network.layers, 1):
        s = through([layer], s, stream)
        if number in network.ends:
            seen.append(s)
    # Inputs do not meet: each output depends on its own.
    each = torch.autograd.grad(s[:, 0].sum(), seen)
    return torch.stack([one.flatten(1).square().sum(1) for one in each])


@cache
def wanted(case):
    stream = torch.Generator().manual_seed(3)
    return torch.stack([by_autograd(*NETWORKS[case], stream) for _ in range(400)]).numpy()


def drawn(network, x, keep, networks=2000, seed=4):
    ends = len(network.ends)
    how = {"inputs": len(x), "neurons": 1, "measure": ("preactivations", "gradient")}
    recorder = Recorder(networks, range(1, ends + 1), with_norm=False, **how)
    streams = Streams([torch_stream(seed, "gradients")], [networks])
    gradient_tile(network, shown(network, x), streams, recorder, torch.float64, keep)
    recorder.end_tile(slice(0, networks))
    return recorder.arrays["gradient"]


def p_values(one, other):
    """Of each layer but the last, where it is 1, on both inputs; of products and differences."""
    found = []
    for layer in range(one.shape[1] - 1):
        a, b = one[:, layer], other[:, layer]
        pairs = [(a[:, 0], b[:, 0]), (a[:, 1], b[:, 1]), (a[:, 0] * a[:, 1], b[:, 0] * b[:, 1])]
        pairs += [(one[:, 0, 0] - a[:, 0], other[:, 0, 0] - b[:, 0])] if layer else []
        found += [stats.ks_2samp(*pair).pvalue for pair in pairs]
    return np.array(found)


@pytest.mark.parametrize("keep", [kept_weights, kept_basis])
@pytest.mark.parametrize("case", NETWORKS)
def test_derivatives_have_the_law_of_drawn_weights(case, keep):
    found = drawn(*NETWORKS[case], keep)
    np.testing.assert_array_equal(found[:, -1], 1.0)
    p = p_values(found, wanted(case))
    assert p.min() > FALSE_ALARM / len(p), p.min()


def without_logits(*given):
    """Wrong on purpose: what derivatives pass on to queries and keys is left out."""
    q, k, v = SCORES_BACK(*given)
    return 0 * q, 0 * k, v


SCORES_BACK = way_back.scores_back


def test_a_way_back_that_is_wrong_on_purpose_is_caught(monkeypatch):
    monkeypatch.setattr(way_back, "scores_back", without_logits)
    p = p_values(drawn(*NETWORKS["attention"], kept_basis), wanted("attention"))
    assert p.min() < 1e-6


def test_a_skip_that_is_forgotten_is_caught(monkeypatch):
    backwards = way_back._gone_back

    def forgetful(passed, back, at_map):
        given = list(passed)
        gone = backwards(given, back, at_map)
        block = len(given) == 1 and getattr(given[0].layer, "gamma", 0)
        return gone - given[0].layer.gamma * back if block else gone

    monkeypatch.setattr(way_back, "_gone_back", forgetful)
    p = p_values(drawn(*NETWORKS["skips"], kept_weights), wanted("skips"))
    assert p.min() < 1e-8


@pytest.mark.parametrize("sampler", ["marginal", "explicit"])
def test_ensembles_are_recorded_with_derivatives(sampler):
    measure = ("preactivations", "gradient")
    how = {"networks": 1500, "seed": 1, "sampler": sampler, "measure": measure}
    architecture, x = NETWORKS["norms before"]
    found = sample(architecture, x, layers=[1, 3], **how)["gradient"]
    assert found.dims == ("network", "layer", "input")
    assert found.shape == (1500, 2, 2)
    p = p_values(found.values, wanted("norms before")[:, [0, 2]])
    assert p.min() > FALSE_ALARM / len(p)


def test_a_perceptron_has_the_derivatives_of_its_layers():
    one = Perceptron("tanh", (3, 4, 5, 3), (0.1,) * 3, (1.5, 2.0, 1.7))
    stream = torch.Generator().manual_seed(5)
    exact = torch.stack([by_autograd(one.architecture, X, stream) for _ in range(400)]).numpy()
    measure = ("preactivations", "gradient")
    found = sample(one, X, networks=2000, seed=2, measure=measure)["gradient"].values
    p = p_values(found, exact)
    assert p.min() > FALSE_ALARM / len(p)


def test_derivatives_beside_tangent_kernels_are_means_over_their_outputs():
    architecture, x = NETWORKS["skips"]
    rates = LearningRates.named("ntk", architecture)
    measure = ("ntk", "preactivations", "gradient")
    how = {"networks": 3000, "seed": 3, "outputs": 2, "measure": measure, "precision": "float64"}
    found = sample_ntk(architecture, rates, x, **how)
    plain = sample_ntk(architecture, rates, x, **how | {"measure": ("ntk", "preactivations")})
    np.testing.assert_array_equal(found["ntk"], plain["ntk"])
    g, exact = found["gradient"].values[:, 0], wanted("skips")[:, 0]
    # One mean, and a smaller variance than that of one output. Four standard errors.
    error = np.hypot(g.std(0) / len(g) ** 0.5, exact.std(0) / len(exact) ** 0.5)
    assert (np.abs(g.mean(0) - exact.mean(0)) < 4 * error).all()
    assert (g.var(0) < 0.8 * exact.var(0)).all()


def test_what_has_no_derivative_is_refused():
    measure = ("preactivations", "gradient")
    keys = {"blocks": [{"branch": [ATTENTION]}], "readout": "none"}
    open_ended = network("gelu", inputs=3, tokens=3, width=4, C_W=1.0, **keys)
    with pytest.raises(ValueError, match="allowed is a read-out"):
        sample(open_ended, TOKENS, networks=2, seed=1, measure=measure)
    with pytest.raises(ValueError, match="gradient without preactivations"):
        sample(NETWORKS["skips"][0], X, networks=2, seed=1, measure=("gradient",))
