"""What trained networks do on a GPU, as far as it can be seen without one."""

import pytest
import torch

from finitewidth.models.network_shape import widened
from finitewidth.trained.generation import rainbow
from finitewidth.trained.representations.rank_truncation import truncated_accuracy
from finitewidth.trained.representations.second_moments import moments
from finitewidth.trained.training import epochs, networks
from finitewidth.trained.training.epochs import Settings, State
from finitewidth.trained.training.networks import evaluate
from small_networks import CASES, architecture, drawn
from watched import Watched

IMAGES, REPLICAS = 40, 3


@pytest.fixture
def meta():
    """A function that makes architecture, weights, images and labels without numbers."""

    def make(case):
        weights, x, y = drawn(case, REPLICAS, IMAGES, 1, torch.float32)
        return architecture(case), [w.to("meta") for w in weights], x.to("meta"), y.to("meta")

    return make


@pytest.mark.parametrize("case", CASES)
def test_an_epoch_stays_on_its_device_and_is_not_looked_at(case, meta):
    shape, weights, x, y = meta(case)
    how = Settings(REPLICAS, 1, 16, 0.05, 0.9, (1, "trained"))
    state = State(1, weights, [[torch.zeros_like(w) for w in weights]])
    order = epochs._order(how, 1, len(x)).to(x.device)
    with Watched():
        found = (*epochs._epoch(shape, how, state, x, y, order), *evaluate(shape, weights, x, y))
    assert {v.device.type for v in (*found, *state.weights, *state.buffers[0])} == {"meta"}


@pytest.mark.parametrize("case", CASES)
def test_so_does_what_is_measured(case, meta):
    shape, weights, x, y = meta(case)
    with Watched():
        for layer, m in enumerate(moments(shape, weights, x)):
            assert {v.device.type for v in (m.centred().second, m.first, m.chance)} == {"meta"}
            count = shape.layers[layer].channels
            frame = torch.empty(REPLICAS, count, count, device="meta")
            curve = truncated_accuracy(shape, weights, layer, frame, x, y)
            assert curve.shape == (REPLICAS, count)
            assert curve.device.type == "meta"
        roots = rainbow.roots(weights)
        grown, generated = rainbow.generate(
            shape,
            [w[:1] for w in weights],
            [root[:1] for root in roots],
            x,
            networks=2,
            stream=torch.Generator(),
            widths=widened(shape.widths[1:-1], 2.0),
        )
        assert len(evaluate(grown, generated, x, y)[1]) == 2


@pytest.mark.parametrize("own", [False, True], ids=["shared images", "own images"])
@pytest.mark.parametrize("case", [c for c in CASES if not architecture(c).layers[0].is_linear])
def test_one_grouped_convolution_is_one_of_each_network(case, own):
    weights, x, _ = drawn(case, 3, 15)
    x = x.view(3, 5, *x.shape[1:]) if own else x[None, :5]
    layer = architecture(case).layers[0]
    kernels = weights[0].view(3, layer.out, layer.channels, *layer.kernel)
    found = networks._grouped(x, kernels, stride=layer.stride, padding=layer.padding)
    found = found.unflatten(1, (3, layer.out)).transpose(0, 1)
    assert torch.allclose(found, networks.apply(layer, weights[0], x), rtol=1e-11, atol=1e-12)
