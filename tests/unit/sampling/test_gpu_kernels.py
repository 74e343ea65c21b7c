"""The GPU's kernels, network by network, against numpy alone on the same counters.

Without a GPU they are interpreted: the same operations, but for the card's own square root,
exponential, error function, sine and cosine.
"""

import numpy as np
import pytest
import torch

from card_kernels import evaluate, pairs_of
from cards import DEVICE
from finitewidth.models.activations import table
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import CODES, code_of
from finitewidth.sampling.record import Recorder
from finitewidth.sampling.triton_kernels.marginal import fill
from finitewidth.sampling.triton_kernels.shapes import Shape, shape_of
from plain_networks import network, normals, recorded

# What overflows does so on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ALL = ("preactivations", "quartic", "sextic")
#: Differences allowed, as a share of the largest number of a kind: rounding of so many layers.
CLOSE = 1e-4


def inputs(count, dimension=9):
    return np.random.default_rng(count).standard_normal((count, dimension))


def mlp(activation="tanh", widths=(70, 17, 65), C_b=0.2, C_W=1.8):
    depth = len(widths)
    return Perceptron(
        activation,
        (9, *widths),
        tuple(C_b * (1 + k) for k in range(depth)),
        tuple(C_W + k / 10 for k in range(depth)),
    )


def drawn(member, x, networks=3, first=2, layers=None, measure=ALL, **rest):
    layers = layers or range(1, member.depth + 1)
    neurons = min(8, *(member.widths[layer] for layer in layers))
    recorder = Recorder(networks, layers, len(x), neurons, measure, member.is_scale_invariant)
    about = {"seed": 5, "name": ("e", "m"), "layers": layers}
    fill(member, x, recorder.arrays, **about, first=first, networks=networks, device=DEVICE, **rest)
    return recorder.arrays


def assert_same(arrays, member, x, first=2, close=CLOSE):
    for at, values in enumerate(zip(*arrays.values(), strict=True)):
        plain = network(member, x, 5, ("e", "m"), first + at, normals)
        for layer, z in enumerate(plain):
            exact = recorded(z, arrays["preactivation"].shape[-1])
            for kind, found in zip(arrays, values, strict=True):
                gap = np.abs(found[layer] - exact[kind])
                same = found[layer] == exact[kind]  # minus infinity, of dead layers
                most = close * max(1e-3, np.abs(exact[kind][~same]).max(initial=0))
                assert gap[~same].max(initial=0) < most, (kind, layer)


@pytest.mark.parametrize("activation", [*table.TABLE, "leaky_relu(-0.3)"])
def test_every_activation(activation):
    assert code_of(mlp(activation).activation) is not None
    for C_b in (0.0, 0.2):
        member, x = mlp(activation, C_b=C_b), inputs(2)
        arrays = drawn(member, x)
        assert ("log_norm" in arrays) == member.is_scale_invariant
        assert_same(arrays, member, x)


@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_inputs(count):
    member, x = mlp("gelu", (65, 33), 0.1), inputs(count)
    measure = ALL if count <= 4 else ALL[:1]
    assert_same(drawn(member, x, 2, measure=measure), member, x, close=count * CLOSE)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63, 64, 65, 127, 128, 192, 513])
def test_widths_about_the_sizes_of_pieces(width):
    # cos(0) is not 0: what stands behind the last neuron would be seen.
    member, x = mlp("cos", (width, width), 0.3), inputs(1)
    for shape in (None, Shape(2, 128)):
        assert_same(drawn(member, x, shape=shape), member, x)


def test_any_division_of_the_work_gives_the_same_bytes():
    member, x = mlp("relu", (20, 150), 0.0), inputs(2)
    whole = drawn(member, x, networks=9, first=0)
    lanes = shape_of(member.widths[1:]).lanes
    for tile, networks in ((9, 16), (5, 2), (9, 1)):
        other = drawn(member, x, networks=9, first=0, tile=tile, shape=Shape(networks, lanes))
        for name in whole:
            assert whole[name].tobytes() == other[name].tobytes(), name
    part = drawn(member, x, networks=3, first=5)
    for name in whole:
        assert whole[name][5:8].tobytes() == part[name].tobytes(), name


def test_the_shape_follows_from_widths_alone():
    for widths in ((1,), (64, 3), (100,), (2048,), (12288,), (16384,)):
        shape = shape_of(widths)
        assert shape.networks * shape.lanes == 128
        assert (shape.lanes <= 32) == (max(widths) < 2**14)
        assert shape.whole(widths) == all(n % max(64, 4 * shape.lanes) == 0 for n in widths)


def test_recorded_layers_leave_the_others_alone():
    member, x = mlp("relu", (40,) * 5, 0.0), inputs(2)
    every = drawn(member, x)
    few = drawn(member, x, layers=[2, 4])
    for name in every:
        assert np.array_equal(every[name][:, [1, 3]], few[name]), name
    assert np.array_equal(drawn(member, x, measure=["log_norm"])["log_norm"], every["log_norm"])


def test_dead_layers_and_dependent_inputs():
    x = inputs(2)
    for activation in ("relu", "tanh"):
        # No weights at all, an input of zeros, one twice, and sums of others.
        dead = mlp(activation, (30, 20), 0.0)
        dead = Perceptron(dead.activation_name, dead.widths, dead.C_b, (1.0, 0.0))
        arrays = drawn(dead, x)
        assert (arrays["kernel"][:, 1] == 0).all()
        assert (arrays["preactivation"][:, 1] == 0).all()
        if "log_norm" in arrays:
            assert (arrays["log_norm"][:, 1] == -np.inf).all()
        member = mlp(activation, (30, 20, 10), 0.0)
        together = np.vstack([x[0], 0 * x[0], x[0], x[1], x[0] + x[1]])
        arrays = drawn(member, together, measure=ALL[:1])
        kernel = arrays["kernel"]
        assert np.isfinite(kernel).all()
        assert (kernel[:, :, 1] == 0).all()
        assert np.array_equal(kernel[:, :, 0, 0], kernel[:, :, 2, 2])
        assert np.array_equal(kernel[:, :, 0, 0], kernel[:, :, 0, 2])
        # The sum is a sum in the first layer alone.
        z = arrays["preactivation"][:, 0]
        assert np.allclose(z[:, 4], z[:, 0] + z[:, 3], rtol=1e-5, atol=1e-5)
        alone = drawn(member, x[:1], measure=ALL[:1])
        assert np.allclose(alone["kernel"][:, :, 0, 0], kernel[:, :, 0, 0], rtol=1e-5)


def test_inputs_that_nearly_coincide_keep_what_is_their_own():
    """A part of 1e-5 of an input's length is a share of 1e-10 of its square."""
    x = inputs(1)
    x = np.vstack([x, x + 1e-5 * inputs(2)[1:]])
    for activation in ("linear", "tanh"):
        member = mlp(activation, (40, 40, 40), 0.0)
        arrays = drawn(member, x, networks=20)
        z = arrays["preactivation"].astype(float)
        for at in range(20):
            for layer, exact in enumerate(network(member, x, 5, ("e", "m"), 2 + at, normals)):
                own, expected = z[at, layer, 1] - z[at, layer, 0], (exact[1] - exact[0])[:8]
                # Neurons are recorded in single precision.
                rounding = 2e-7 * np.abs(z[at, layer]).max()
                assert np.abs(own - expected).max() < 0.02 * np.abs(expected).max() + rounding


def test_overflows_stay_visible():
    member = Perceptron("softplus", (9, *(30,) * 4), (0.1,) * 4, (1e30,) * 4)
    for count in (1, 2):
        last = drawn(member, inputs(count), measure=ALL[:1])["kernel"][:, -1]
        assert not np.isfinite(last).any()


def test_scales_of_any_size_come_back():
    for C_W, sign in ((1e-25, -1), (1e25, 1)):
        member, x = Perceptron("relu", (9, *(16,) * 20), (0.0,) * 20, (C_W,) * 20), inputs(2)
        arrays = drawn(member, x, networks=1)
        norm, kernel = arrays["log_norm"], np.einsum("nlaa->nla", arrays["kernel"])
        assert np.abs(norm - 0.5 * np.arange(1, 21)[:, None] * np.log(C_W)).max() < 40
        inside = np.abs(norm) < 300
        assert inside.any()
        assert np.allclose(np.log(kernel[inside]) / 2, norm[inside], rtol=1e-12, atol=1e-10)
        out = kernel[np.abs(norm) > 380]
        assert len(out)
        assert (out == (0 if sign < 0 else np.inf)).all()


def test_moments_of_the_normals():
    """Against the same grids in double precision (tests/unit/sampling/test_fused_normals.py tells
    these apart from the normal law): what rounding does to E[u^2] and E[u^4] of a pair.

    Evenly spaced words stand for all; errors of single normals, 1e-7 of each, are then far below
    1e-8 on the average of a million, unless they have a direction.
    """
    count = 2**20
    words = np.arange(count, dtype=np.uint64)
    second = words * np.uint64(2654435761) % np.uint64(2**32)
    # Lowest bits of every kind, lest all be rounded the same way.
    first = words * np.uint64(2**12) + words * np.uint64(1597334677) % np.uint64(2**12)
    pairs = np.stack([first, second], 1).astype(np.uint32)
    given = torch.from_numpy(pairs.view(np.int32)).to(DEVICE)
    found = torch.empty(count, 2, dtype=torch.float32, device=DEVICE)
    pairs_of[(4,)](given, found, COUNT=count // 4)
    u = found.cpu().numpy().astype(float)
    r = np.sqrt(-2 * np.log(((first >> np.uint64(1)).astype(float) + 0.5) / 2.0**31))
    y = (second << np.uint64(1) | np.uint64(1)).astype(np.uint32).view(np.int32) * 2.0**-31
    sign = np.where(second < 2**31, 1.0, -1.0)
    exact = np.stack([r * np.cos(np.pi / 2 * y) * sign, r * np.sin(np.pi / 2 * y)], 1)
    gap = np.abs(u - exact)
    assert gap[r > 0.01].max() < 3e-6
    # The first word is rounded to 24 bits, of which the smallest radii feel most.
    assert gap.max() < 1e-4
    for power, value, most in ((2, 1, 1e-8), (4, 3, 1e-7)):
        assert abs((u**power - exact**power).mean() / value) < most
    # Words that differ in the highest bit of the second make normals of opposite sign.
    turned = torch.from_numpy((pairs ^ np.array([0, 2**31], np.uint32)).view(np.int32)).to(DEVICE)
    other = torch.empty_like(found)
    pairs_of[(4,)](turned, other, COUNT=count // 4)
    assert torch.equal(found[:, 0], -other[:, 0])
    assert torch.equal(found[:, 1], other[:, 1])


@pytest.mark.parametrize("activation", [*table.TABLE, "leaky_relu(-0.3)"])
def test_activations_and_their_slopes(activation):
    entry = mlp(activation).activation
    x = np.concatenate([np.linspace(-30, 30, 6001), np.geomspace(1e-30, 1, 1000), [-100, 100]])
    x = np.concatenate([x, np.zeros(8192 - len(x))]).astype(np.float32)
    values, slopes = (torch.empty(8192, device=DEVICE) for _ in range(2))
    plus, minus = (float(a) for a in entry.slopes or (1.0, 1.0))
    given = torch.from_numpy(x).to(DEVICE)
    evaluate[(1,)](given, values, slopes, code_of(entry), plus, minus, COUNT=8192)
    for found, exact in ((values, entry.function), (slopes, entry.derivative)):
        expected = exact(x.astype(float))
        gap = np.abs(found.cpu().numpy() - expected)
        assert (gap <= 1e-6 * np.maximum(1, np.abs(expected)))[x != 0].all()
    assert set(CODES) <= set(table.TABLE)
