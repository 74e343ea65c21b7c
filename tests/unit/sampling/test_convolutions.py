"""Networks on images: both samplers, and tangent kernels, against torch's own functions.

Where laws are compared by Kolmogorov-Smirnov tests a right sampler fails once in 10^4 runs of a
test: every p-value is held against 10^-4 over their number, and seeds are fixed.
"""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy import stats

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.layers import draws, many_rows
from finitewidth.sampling.layers.draws import Tile, with_weights, without_weights
from finitewidth.sampling.layers.many_rows import factor_of
from finitewidth.sampling.layers.networks import rows_of
from finitewidth.sampling.layers.patches import Patches
from finitewidth.sampling.layers.steps import forward
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams
from small_blocks import by_torch, through
from tangent_laws import check_tangent_law, check_tangents_of_both_samplers

FALSE_ALARM, NETWORKS = 1e-4, 3000
IMAGES = torch.sin(1.7 * torch.arange(64, dtype=torch.float64)).reshape(2, 2, 4, 4)
#: Once more the first, and its opposite; one that is dead.
TWINS = torch.stack([IMAGES[0], IMAGES[1], IMAGES[0], -IMAGES[0]])
ONE_DEAD = torch.stack([IMAGES[0], torch.zeros_like(IMAGES[0])])
LINE = torch.sin(1.3 * torch.arange(32, dtype=torch.float64)).reshape(2, 2, 1, 8)


def conv(channels, neurons, kernel=(3, 3), C_b=0.2, C_W=1.6, **how):
    padding = tuple(k // 2 for k in kernel)
    about = {"channels": channels, "neurons": neurons, "C_b": C_b, "C_W": C_W, "circular": True}
    return Convolution(kernel=kernel, padding=padding, **about | how)


def read(channels, outputs=2, **law):
    return Dense(inputs=channels, neurons=outputs, **{"C_b": 0.2, "C_W": 1.6} | law)


def plain(n=4, activation="tanh", shape=(2, 4, 4), pool=True, middle=(), **how):
    """Two convolutions, and a read-out of means over places or of all of them."""
    layers = [conv(shape[0], n, **how), Nonlinearity(activation), *middle, conv(n, n, **how)]
    places = Architecture(shape, layers).shapes[-1][1:]
    last = AveragePool() if pool else Flatten()
    size = n if pool else n * int(np.prod(places))
    law = {"C_b": how["C_b"]} if "C_b" in how else {}
    return Architecture(shape, [*layers, Nonlinearity(activation), last, read(size, **law)])


def residual(n=4, norm=None, post=None, activation="relu"):
    """A stream of images with skips, one of them around a dense map at each place."""
    norms = [norm] if norm else []
    branch = [*norms, Nonlinearity(activation), conv(n, n)]
    dense = [*norms, Nonlinearity(activation), read(n, n)]
    body = [Block(branch, 1.0, 0.7), *([post] if post else []), Block(dense, 0.8, 1.0)]
    return Architecture((2, 4, 4), [conv(2, n), *body, *norms, AveragePool(), read(n)])


CASES = {
    "circular": (plain(), IMAGES),
    "zeros, flat": (plain(activation="relu", circular=False, pool=False), IMAGES),
    "stride": (plain(stride=2, circular=False), IMAGES),
    "circular, stride": (plain(stride=2), IMAGES),
    "pooled": (plain(middle=[AveragePool((2, 1))]), IMAGES),
    "line": (plain(shape=(2, 1, 8), kernel=(1, 3), circular=False), LINE),
    "wide patches": (plain(kernel=(5, 3), n=3), IMAGES),
    # 32 rows, and nine numbers in a patch; more rows than there are channels at all places.
    "more rows than numbers": (plain(n=1, activation="tanh"), IMAGES),
    "twins": (plain(activation="relu", C_b=0.0), TWINS),
    "dead": (plain(n=2, activation="relu", C_b=0.0), ONE_DEAD),
    "skips": (residual(), IMAGES),
    "pre layer": (residual(norm=LayerNorm(0.1)), IMAGES),
    "post rms": (residual(post=RmsNorm(), activation="gelu"), IMAGES),
}


def tile(networks, seed=1, dtype=torch.float64):
    drawn_from = Streams([torch_stream(seed, "places")], [networks])
    return Tile(drawn_from, Workspace(), dtype, torch.device("cpu"))


def outputs(network, x, draw, networks=NETWORKS, seed=1, dtype=torch.float64):
    """What comes out, (networks, inputs, outputs), of networks drawn in one of two ways."""
    rows, draw = rows_of(x, dtype), partial(draw, tile=tile(networks, seed, dtype))
    for layer in network.layers:
        rows = forward(layer, rows, draw)
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
def test_samplers_draw_what_torchs_own_networks_are(case, draw):
    found = outputs(*CASES[case], draw)
    assert torch.isfinite(found).all()
    p = p_values(found, wanted(case))
    assert p.min() > FALSE_ALARM / len(p), p.min()


@pytest.mark.parametrize("case", ["circular", "twins", "skips"])
def test_single_precision_and_other_roots_have_the_same_law(case, monkeypatch):
    network, x = CASES[case]
    found = [outputs(network, x, without_weights, dtype=torch.float32).double()]
    found.append(outputs(network, x, draws.by_basis))
    # Column by column where else the library's factor is taken.
    monkeypatch.setattr(many_rows, "FEW_ROWS", 10**6)
    found.append(outputs(network, x, without_weights, dtype=torch.float32).double())
    for one in found:
        p = p_values(one, wanted(case))
        assert p.min() > FALSE_ALARM / (3 * len(p)), p.min()


def bias_of_each_place(layer, seen, tile):
    """Wrong on purpose: a bias of its own at each place."""
    drawn = with_weights(replace(layer, C_b=0.0), seen, tile)
    return drawn + layer.C_b**0.5 * tile.streams.normal_(torch.empty(drawn.shape).double())


def other_padding(layer, seen, tile):
    """Wrong on purpose: zeros beside images that go round, and the other way about."""
    if isinstance(seen, Patches):
        layer = replace(layer, circular=not layer.circular)
        seen = replace(seen, layer=layer)
    return without_weights(layer, seen, tile)


def places_apart(layer, seen, tile):
    """Wrong on purpose: places with weights of their own."""
    if not isinstance(seen, Patches):
        return without_weights(layer, seen, tile)
    each = [without_weights(layer, row[:, None], tile).clone() for row in seen.matrix().unbind(1)]
    return torch.cat(each, dim=1)


@pytest.mark.parametrize(("case", "wrong"), [
    ("circular", bias_of_each_place), ("circular", other_padding), ("circular", places_apart),
    ("zeros, flat", other_padding), ("skips", places_apart),
])  # fmt: skip
def test_samplers_that_are_wrong_on_purpose_are_caught(case, wrong):
    p = p_values(outputs(*CASES[case], wrong), wanted(case))
    assert p.min() < 1e-8, p.min()


@pytest.mark.parametrize("layer", [
    conv(3, 1), conv(3, 1, circular=False), conv(3, 1, stride=2), conv(3, 1, kernel=(1, 5)),
    conv(3, 1, kernel=(3, 1), circular=False, stride=3),
])  # fmt: skip
def test_the_gram_matrix_of_patches_is_made_without_them(layer):
    values = torch.randn(5, 2 * 20, 3, generator=torch_stream(1, "gram"), dtype=torch.float64)
    seen = Patches(layer, values, (3, 4, 5))
    matrix = seen.matrix()
    assert matrix.shape == (5, seen.rows, layer.fan_in)
    torch.testing.assert_close(seen.gram(Workspace()), matrix @ matrix.mT)


def test_equal_images_stay_equal_and_opposite_ones_opposite():
    network = plain(n=8, C_b=0.0)
    for dtype, close in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        found = outputs(network, TWINS, without_weights, 200, dtype=dtype)
        torch.testing.assert_close(found[:, 2], found[:, 0], rtol=close, atol=close)
        torch.testing.assert_close(found[:, 3], -found[:, 0], rtol=close, atol=close)


@pytest.mark.parametrize("draw", [with_weights, without_weights])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dead_images_give_0(draw, dtype):
    found = outputs(plain(n=2, activation="relu", C_b=0.0), ONE_DEAD, draw, 500, dtype=dtype)
    assert torch.isfinite(found).all()
    assert (found[:, 1] == 0).all()


def test_a_factor_is_that_of_the_networks_own_whatever_stands_beside_it():
    s = torch.randn(3, 12, 20, generator=torch_stream(1, "factor"), dtype=torch.float64)
    s[1, 5] = s[1, 2]
    s[2, 7] = 0
    gram = s @ s.mT
    found = factor_of(gram)
    torch.testing.assert_close(found @ found.mT, gram, rtol=1e-11, atol=1e-11)
    assert torch.isfinite(found).all()
    for k in range(3):
        assert torch.equal(factor_of(gram[k : k + 1])[0], found[k])
    gram[1, 0, 0] = torch.nan
    assert torch.equal(factor_of(gram)[0], found[0])
    assert factor_of(gram)[1].isnan().any()


@pytest.mark.parametrize("where", ["centre", "first", "last"])
def test_one_place_of_each_layer_is_recorded(where):
    network = residual()
    ends = [1, 2, 3, len(network.layers)]
    network = Architecture(network.shape, network.layers, ends, where)
    places = {"first": (0, 0), "centre": (2, 2), "last": (3, 3)}[where]
    stream = torch.Generator().manual_seed(2)
    mine = torch.stack([
        torch.stack([through(network.layers[:k], IMAGES, stream)[:, :, *places] for k in (1, 3)])
        for _ in range(2000)
    ])  # fmt: skip
    kernels = torch.einsum("nlac,nlbc->nlab", mine, mine) / mine.shape[-1]
    for seed, sampler in enumerate(("marginal", "explicit")):
        found = sample(network, IMAGES.numpy(), networks=2000, seed=seed, sampler=sampler)
        assert found["width"].values.tolist() == [4, 4, 4, 2]
        for at, layer in enumerate((1, 3)):
            kernel = found["kernel"].sel(layer=layer).values
            for a, b in ((0, 0), (0, 1)):
                p = stats.ks_2samp(kernel[:, a, b], kernels[:, at, a, b].numpy()).pvalue
                assert p > FALSE_ALARM / 4
            z = found["preactivation"].sel(layer=layer).values[:, 1, 1]
            assert stats.ks_2samp(z, mine[:, at, 1, 1].numpy()).pvalue > FALSE_ALARM / 4
    flat = sample(network, IMAGES.flatten(1).numpy(), networks=20, seed=0)
    assert flat.identical(sample(network, IMAGES.numpy(), networks=20, seed=0))


TANGENTS = ["circular, stride", "zeros, flat", "pooled", "pre layer"]


@pytest.mark.parametrize("case", TANGENTS)
def test_tangent_kernels_have_the_law_of_automatic_differentiation(case):
    network, x = CASES[case]
    entries = (0, 0, 0, 0), (0, 0, 0, 1), (0, 1, 0, 0), (1, 1, 1, 1)
    check_tangent_law(network, x, entries, FALSE_ALARM)


def test_tangent_kernels_of_ensembles_on_images():
    network, x = CASES["circular"]
    check_tangents_of_both_samplers(network, x.numpy(), FALSE_ALARM)
    rates = LearningRates.named("ntk", network)
    with pytest.raises(ValueError, match="outputs have no places"):
        sample_ntk(Architecture((2, 4, 4), [conv(2, 3)]), rates, x.numpy(), networks=2, seed=1)
