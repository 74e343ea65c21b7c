"""Networks made of blocks: both samplers, and tangent kernels, against torch's own functions.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed.
"""

from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import draws, tangent_draws
from finitewidth.sampling.layers.draws import Tile, draw_weights, with_weights, without_weights
from finitewidth.sampling.layers.networks import rows_of
from finitewidth.sampling.layers.steps import Rows, forward
from finitewidth.sampling.layers.tangents import marginal_tangent_tile, tangent_tile
from finitewidth.sampling.record import NtkRecorder, Workspace
from finitewidth.sampling.streams import Streams
from small_blocks import by_torch, stream, through

FALSE_ALARM, NETWORKS = 1e-4, 4000
X = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.7, -1.1]], dtype=torch.float64)
#: Once more the first, and its opposite.
TWINS = torch.stack([X[0], X[1], X[0], -X[0]])
MANY = torch.sin(1.7 * torch.arange(21, dtype=torch.float64)).reshape(7, 3)
ONE_DEAD = torch.stack([X[0], torch.zeros(3, dtype=torch.float64)])
TWO = ({"dense": {"width": "2n"}}, "activation", "dense")
SAME = {"norm": "same"}

CASES = {
    "skip": (stream(), X),
    "factors": (stream("gelu", gamma=0.8, beta="1/sqrt(L)"), X),
    "pre rms": (stream("gelu", norm="rms", readout=SAME), X),
    "pre layer, eps": (stream("relu", norm="layer", eps=0.1, readout=SAME), X),
    "post layer": (stream("relu", norm="layer", place="post"), X),
    "post rms": (stream("relu", norm="rms", place="post"), X),
    "two matrices": (stream("tanh", branch=TWO, norm="rms"), X),
    "no skip, two matrices": (stream("gelu", branch=TWO, gamma=0.0), X),
    "twins": (stream("relu", C_b=0.0), TWINS),
    "more rows than channels": (stream("tanh", width=3, norm="layer"), MANY),
    "dead": (stream("relu", width=2, C_b=0.0, norm="rms", readout=SAME), ONE_DEAD),
    "dead, layer": (stream("relu", width=3, C_b=0.0, norm="layer", readout=SAME), ONE_DEAD),
}


def tile(networks, seed=1, dtype=torch.float64):
    drawn_from = Streams([torch_stream(seed, "blocks")], [networks])
    return Tile(drawn_from, Workspace(), dtype, torch.device("cpu"))


def outputs(network, x, draw, networks=NETWORKS, seed=1, dtype=torch.float64, step=forward):
    """What comes out, (networks, inputs, outputs), of networks drawn in one of two ways."""
    rows, draw = rows_of(x, dtype), partial(draw, tile=tile(networks, seed, dtype))
    for layer in network.layers:
        rows = step(layer, rows, draw)
    return rows.values


def statistics_of(z):
    first, second = z[:, 0], z[:, 1]
    return [
        first[:, 0], second[:, -1], first[:, 0] * second[:, 0], first[:, 0] * second[:, 1],
        first[:, 0] * first[:, 1], (first * second).sum(1), first.square().sum(1),
        (first - second).abs().amax(1), z.flatten(1).amax(1), (first * second).square().sum(1),
        z[:, -1].square().sum(1), first.pow(4).sum(1),
    ]  # fmt: skip


def p_values(one, other):
    pairs = zip(statistics_of(one), statistics_of(other), strict=True)
    return np.array([stats.ks_2samp(a.numpy(), b.numpy()).pvalue for a, b in pairs])


@cache
def wanted(case):
    return by_torch(*CASES[case], NETWORKS)


@pytest.mark.parametrize("draw", [with_weights, without_weights])
@pytest.mark.parametrize("case", CASES)
def test_samplers_draw_what_torchs_own_functions_do(case, draw):
    found = outputs(*CASES[case], draw)
    assert torch.isfinite(found).all()
    p = p_values(found, wanted(case))
    assert p.min() > FALSE_ALARM / len(p), p.min()


@pytest.mark.parametrize("case", ["skip", "pre rms", "two matrices"])
def test_the_root_from_a_basis_has_the_same_law(case):
    p = p_values(outputs(*CASES[case], draws.by_basis), wanted(case))
    assert p.min() > FALSE_ALARM / len(p), p.min()


def drawn_anew(layer, rows, draw):
    """Wrong on purpose: a stream that is drawn from its Gram matrix after each block."""
    after = forward(layer, rows, draw)
    if not isinstance(layer, Block):
        return after
    channels = after.values.shape[2]
    mean = Dense(inputs=channels, neurons=channels)
    return Rows(draw(mean, after.values).clone(), after.shape)


def rms_for_layer(layer, rows, draw):
    """Wrong on purpose: no mean is subtracted."""
    return forward(_with(layer, LayerNorm, RmsNorm), rows, draw)


def layer_for_rms(layer, rows, draw):
    """Wrong on purpose: a mean is subtracted."""
    return forward(_with(layer, RmsNorm, LayerNorm), rows, draw)


def _with(layer, kind, other):
    if isinstance(layer, kind):
        return other(layer.eps)
    if isinstance(layer, Block):
        return Block([_with(inner, kind, other) for inner in layer.branch], layer.gamma, layer.beta)
    return layer


WRONG = [("skip", drawn_anew), ("factors", drawn_anew), ("pre layer, eps", rms_for_layer),
         ("pre rms", layer_for_rms), ("post layer", rms_for_layer)]  # fmt: skip


@pytest.mark.parametrize(("case", "step"), WRONG)
def test_samplers_that_are_wrong_on_purpose_are_caught(case, step):
    p = p_values(outputs(*CASES[case], without_weights, step=step), wanted(case))
    assert p.min() < 1e-8, p.min()


@pytest.mark.parametrize(("case", "norm"), [("post layer", "layer"), ("post rms", "rms")])
def test_norms_in_the_wrong_place_are_caught(case, norm):
    p = p_values(outputs(stream("relu", norm=norm), X, without_weights), wanted(case))
    assert p.min() < 1e-8, p.min()


@pytest.mark.parametrize("draw", [with_weights, without_weights])
@pytest.mark.parametrize("norm", ["rms", "layer"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_rows_give_0_and_are_never_nan(draw, norm, dtype):
    network = stream("relu", width=2, C_b=0.0, norm=norm, repeat=3, readout=SAME)
    found = outputs(network, ONE_DEAD, draw, 500, dtype=dtype)
    assert torch.isfinite(found).all()
    assert (found[:, 1] == 0).all()
    # With two channels many networks are dead behind a ReLU, but not with one above their mean.
    dead = int((found[:, 0] == 0).all(1).sum())
    assert (dead == 0) == (norm == "layer")
    assert dead < 500


def test_what_rounding_leaves_of_a_row_without_variance_is_0():
    rows = Rows(torch.full((1, 2, 7), 0.1, dtype=torch.float32), (7,))
    rows.values[0, 1] = torch.linspace(0, 1, 7)
    found = forward(LayerNorm(), rows, None).values
    assert (found[0, 0] == 0).all()
    torch.testing.assert_close(found[0, 1].square().mean(), torch.tensor(1.0))


def test_equal_inputs_stay_equal_and_opposite_ones_opposite():
    found = outputs(stream("tanh", C_b=0.0, norm="rms"), TWINS, without_weights, 100)
    torch.testing.assert_close(found[:, 2], found[:, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[:, 3], -found[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gap", [1e-5, 1e-9, 1e-12])
def test_differences_of_nearly_equal_rows_are_kept(gap):
    # In the limit a network is linear in what takes its inputs apart.
    near = torch.stack([X[0], X[0] + gap * X[1]])
    network = stream("tanh", norm="layer", repeat=3)
    found = outputs(network, near, without_weights, 3000)
    apart = (found[:, 1] - found[:, 0]) / gap
    other = outputs(network, near, with_weights, 3000, seed=7)
    exact = (other[:, 1] - other[:, 0]) / gap
    for one, other in ((apart[:, 0], exact[:, 0]), (apart.square().sum(1), exact.square().sum(1))):
        assert stats.ks_2samp(one.numpy(), other.numpy()).pvalue > FALSE_ALARM / 2


def test_a_gram_matrix_alone_loses_them(monkeypatch):
    # What the test above is held by: without the way around, differences are rounding.
    monkeypatch.setattr(draws, "nearly_dependent", lambda gram: False)
    near = torch.stack([X[0], X[0] + 1e-9 * X[1]])
    found = outputs(stream("tanh", norm="layer", repeat=3), near, without_weights, 3000)
    apart = (found[:, 1] - found[:, 0]).abs() / 1e-9
    assert not 0.1 < float(apart.median()) < 10


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rows", [2, 4, 5, 21])
def test_ensembles_of_any_number_of_rows_are_drawn(precision, rows):
    # As many as the four channels, as the three components, and more than either.
    x = np.sin(1.7 * np.arange(3 * rows)).reshape(rows, 3)
    network = stream("tanh", norm="rms")
    how = {"networks": 2000, "precision": precision, "layers": [3]}
    found = [sample(network, x, seed=seed, sampler=sampler, **how)["kernel"].values[:, 0, 0, -1]
             for seed, sampler in enumerate(("marginal", "explicit"))]  # fmt: skip
    assert stats.ks_2samp(*found).pvalue > FALSE_ALARM


def test_the_stream_is_recorded_after_each_block():
    network = stream("tanh", repeat=3, norm="rms")
    assert network.result_widths == (3, 4, 4, 4, 2)
    for sampler in ("marginal", "explicit"):
        found = sample(network, X.numpy(), networks=400, seed=3, sampler=sampler)
        assert found["layer"].values.tolist() == [1, 2, 3, 4]
        assert found["width"].values.tolist() == [4, 4, 4, 2]
        # A skip keeps what was there: streams of layers after each other are correlated.
        z = found["preactivation"].sel(input=0, neuron=0).values
        assert np.corrcoef(z[:, 0], z[:, 1])[0, 1] > 0.4
        one = sample(network, X.numpy(), networks=400, seed=3, sampler=sampler, layers=[2])
        np.testing.assert_array_equal(one["kernel"][:, 0], found["kernel"][:, 1])


NTK_CASES = {
    "pre rms": (stream("tanh", norm="rms", readout=SAME), X),
    "pre layer": (stream("gelu", norm="layer", beta=0.7, readout=SAME), X),
    "post layer": (stream("erf", norm="layer", place="post"), X),
    "two matrices": (stream("tanh", branch=TWO, gamma=0.9, norm="layer"), X),
    "more rows than channels": (stream("tanh", width=3), MANY[:4]),
    "dead": (stream("relu", width=2, C_b=0.0), ONE_DEAD),
}


def kernels_of(run, network, x, networks, seed, dtype=torch.float64):
    rates = LearningRates.named("ntk", network)
    kernels = NtkRecorder(networks, len(x), 2)
    drawn_from = Streams([torch_stream(seed, "blocks")], [networks])
    run(network, rates, x, drawn_from, None, kernels, dtype)
    kernels.end_tile(slice(0, networks))
    return kernels.arrays


def outputs_of(layers, s, parameters):
    """One network as torch's own functions, of weights and biases of unit variance."""
    for layer in layers:
        if isinstance(layer, Block):
            s = layer.gamma * s + layer.beta * outputs_of(layer.branch, s, parameters)
        elif isinstance(layer, Dense):
            W, b = next(parameters), next(parameters)
            s = functional.linear(s, W * (layer.C_W / layer.inputs) ** 0.5, layer.C_b**0.5 * b)
        else:
            s = through([layer], s, None)
    return s


def tangents_by_autograd(network, x, drawn):
    """Tangent kernel (output, output, input, input) of one network."""
    parameters = []
    for layer, (W, b) in zip(network.maps, drawn, strict=True):
        b = torch.zeros_like(W[:, 0]) if b is None else b / layer.C_b**0.5
        parameters += [W / (layer.C_W / layer.inputs) ** 0.5, b]
    parameters = [p.clone().requires_grad_() for p in parameters]
    z, rows = outputs_of(network.layers, x, iter(parameters)), []
    for each in z.flatten():
        found = torch.autograd.grad(each, parameters, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in found]))
    jacobian = torch.stack(rows).view(*z.shape, -1)
    return torch.einsum("aip,bjp->ijab", jacobian, jacobian)


def ntk_statistics(theta, z):
    """Numbers of one network each; z is (networks, inputs, outputs)."""
    flat = theta.transpose(2, 3).flatten(1, 2).flatten(2, 3)
    return [
        theta[:, 0, 0, 0, 0], theta[:, 1, 1, 1, 1], theta[:, 0, 0, 0, 1], theta[:, 0, 1, 0, 0],
        theta[:, 0, 1, 0, 1], z[:, 0, 0] * z[:, 0, 1] * theta[:, 0, 1, 0, 0],
        z[:, 0, 0].square() * theta[:, 0, 0, 1, 1], flat.square().sum((1, 2)),
        torch.diagonal(flat, dim1=1, dim2=2).sum(1),
    ]  # fmt: skip


@pytest.mark.parametrize("case", [case for case in NTK_CASES if case != "dead"])
def test_tangent_kernels_are_those_of_automatic_differentiation(case):
    network, x = NTK_CASES[case]
    found = kernels_of(tangent_tile, network, x, 3, 4)
    again = tile(3, 4)
    drawn = [draw_weights(layer, again, f"{k}") for k, layer in enumerate(network.maps)]
    for number, theta in enumerate(found["ntk"]):
        own = [(W[number], None if b is None else b[number]) for W, b in drawn]
        expected = tangents_by_autograd(network, x, own).numpy()
        np.testing.assert_allclose(theta, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", NTK_CASES)
def test_tangent_kernels_without_weights_have_the_law_of_those_with(case):
    network, x = NTK_CASES[case]
    laws = []
    for seed, run in enumerate((tangent_tile, marginal_tangent_tile)):
        found = kernels_of(run, network, x, 6000, seed)
        theta, z = (torch.from_numpy(found[name]) for name in ("ntk", "output_preactivation"))
        assert torch.isfinite(theta).all()
        laws.append(ntk_statistics(theta, z.transpose(1, 2)))
    p = np.array([stats.ks_2samp(a.numpy(), b.numpy()).pvalue for a, b in zip(*laws, strict=True)])
    assert p.min() > FALSE_ALARM / len(p), p.min()


class _Forgetful(tangent_draws.KeptBasis):
    """Wrong on purpose: nothing off the span of what was multiplied."""

    def back(self, back):
        along = back.flatten(1, 2) @ self.within.mT @ self.basis.expand(len(back), -1, -1).mT
        return (self.scale * along).view(*back.shape[:3], -1)


def test_a_way_back_that_is_wrong_on_purpose_is_caught(monkeypatch):
    monkeypatch.setattr(tangent_draws, "KeptBasis", _Forgetful)
    network, x = NTK_CASES["pre rms"]
    laws = []
    for seed, run in enumerate((tangent_tile, marginal_tangent_tile)):
        found = kernels_of(run, network, x, 6000, seed)
        laws.append(found["ntk"][:, 0, 0, 0, 0])
    assert stats.ks_2samp(*laws).pvalue < 1e-8


def test_skips_that_do_not_fit_are_refused():
    narrow = Dense(inputs=4, neurons=3)
    with pytest.raises(ValueError, match=r"a skip of 4 channels .* ends with 3 channels"):
        Architecture((4,), [Block([narrow])])
    with pytest.raises(ValueError, match="a layer in its branch"):
        Block([])
    with pytest.raises(ValueError, match="layer norm takes two channels or more, not 1 channels"):
        Architecture((1,), [LayerNorm(), Dense(inputs=1, neurons=2)])
    with pytest.raises(ValueError, match="do not rise"):
        Architecture((4,), [Dense(inputs=4, neurons=3)], ends=(2,))
