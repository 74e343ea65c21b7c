"""Ensembles of somebody's own modules: against the modules themselves, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from finitewidth.core.blocks import block_size
from finitewidth.core.errors import ConfigError
from finitewidth.models import own_networks
from finitewidth.models.own_network import OwnNetwork
from finitewidth.ntk.network import tangent_kernel
from finitewidth.sampling.own_checks import Making
from finitewidth.sampling.own_modules import sample_modules

X = np.random.default_rng(1).normal(size=(3, 12))
OUTPUTS = 3


@pytest.fixture(autouse=True)
def _of_a_file(monkeypatch):
    """As if an extension declared the networks."""

    def refused(given, allowed):
        return ConfigError(f"extension my.py: given {given}, allowed is {allowed}")

    stub = SimpleNamespace(refused=refused)
    monkeypatch.setattr(own_networks, "extension_of", lambda table, name: stub)


class Of(nn.Module):
    """What ``forward`` makes of submodules."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.call = forward
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x):
        return self.call(self, x)


def dense(n):
    return Of(lambda m, x: m.read(m.first(x).tanh()), first=nn.Linear(12, n),
              read=nn.Linear(n, OUTPUTS))  # fmt: skip


def gated(n):
    return Of(lambda m, x: m.read(nn.functional.glu(m.first(x))), first=nn.Linear(12, 2 * n),
              read=nn.Linear(n, OUTPUTS, bias=False))  # fmt: skip


def normed(n):
    return nn.Sequential(nn.Linear(12, n), nn.LayerNorm(n), nn.GELU(), nn.Linear(n, OUTPUTS))


def convolutional(n):
    return nn.Sequential(nn.Conv2d(3, n, 2), nn.ReLU(), nn.Flatten(), nn.Linear(n, OUTPUTS))


def tied(n):
    parts = {"first": nn.Linear(12, n), "again": nn.Linear(n, n), "read": nn.Linear(n, OUTPUTS)}
    return Of(lambda m, x: m.read(m.again(m.again(m.first(x)).relu()).relu()), **parts)


def one_matrix(n):
    """A read-out that is the embedding's own matrix."""
    one = nn.Linear(12, n, bias=False)
    return Of(lambda m, x: (m.first(x).relu() @ m.first.weight)[:, :OUTPUTS], first=one)


def attention(n):
    def forward(m, x):
        tokens = m.first(x.reshape(len(x), 4, 3))
        return m.read(m.mix(tokens, tokens, tokens, need_weights=False)[0].mean(1))

    mix = nn.MultiheadAttention(n, 2, batch_first=True)
    return Of(forward, first=nn.Linear(3, n), mix=mix, read=nn.Linear(n, OUTPUTS))


def buffered(n):
    """Random features that are no parameters."""
    return Of(lambda m, x: m.read((x @ m.features).cos()), features=torch.randn(12, n),
              read=nn.Linear(n, OUTPUTS))  # fmt: skip


def evaluated(n):
    layers = nn.Sequential(nn.Linear(12, n), nn.BatchNorm1d(n), nn.Dropout(0.3), nn.ReLU(),
                           nn.Linear(n, OUTPUTS))  # fmt: skip
    return layers.eval()


def branching(n):
    """What torch.func cannot batch: Python asks for a number."""

    def forward(m, x):
        z = m.first(x)
        return m.read(z.relu() if float(m.first.weight.detach().sum()) > 0 else z.tanh())

    return Of(forward, first=nn.Linear(12, n), read=nn.Linear(n, OUTPUTS))


def unlike(n):
    """Each with a constant that no stack of parameters holds."""
    scale = float(torch.rand(()))
    return Of(lambda m, x: m.read(scale * m.first(x)), first=nn.Linear(12, n),
              read=nn.Linear(n, OUTPUTS))  # fmt: skip


def overwriting(n):
    """Activations in place, after what is recorded."""
    return nn.Sequential(nn.Linear(12, n), nn.ReLU(inplace=True), nn.Linear(n, OUTPUTS))


#: Network, layers, shape of an input, whether torch.func runs several together.
FIRST = {"first": "n", "": OUTPUTS}
ZERO = {"0": "n", "": OUTPUTS}
CASES = {
    "dense": (dense, FIRST, None, True),
    "gated": (gated, {"first": "2n", "read": OUTPUTS}, None, True),
    "normed": (normed, {"0": "n", "1": "n", "3": OUTPUTS}, None, True),
    "convolutional": (convolutional, {"0": "n", "3": OUTPUTS}, (3, 2, 2), True),
    "tied": (tied, FIRST, (12,), True),
    "one matrix": (one_matrix, FIRST, None, True),
    "attention": (attention, {"first": "4n", "": OUTPUTS}, None, None),
    "buffered": (buffered, {"read": OUTPUTS}, None, True),
    "evaluated": (evaluated, ZERO, None, True),
    "branching": (branching, FIRST, None, False),
    "unlike": (unlike, FIRST, None, False),
    "overwriting": (overwriting, ZERO, None, True),
}
WIDTH, COUNT = 6, 50


def network(case):
    make, layers, shape, _ = CASES[case]
    return OwnNetwork("mine", lambda width, seed: make(width), layers, shape)


def sampled(own, networks=COUNT, width=WIDTH, **how):
    about = {"networks": networks, "seed": 3, "name": ("e", "m"), "record": 2, "outputs": 2,
             "layers": range(1, len(own.layers) + 1), "precision": "float64",
             "measure": ("preactivations", "quartic", "sextic")}  # fmt: skip
    return sample_modules(own, width, X, **about | how)


def by_hand(own, number):
    """What network ``number`` gives at each layer, by hooks of our own."""
    model = Making(own, WIDTH, 3, ("e", "m"), torch.float64, "cpu")(number)
    x = torch.as_tensor(X).reshape(len(X), *own.inputs_of(12))
    found, modules = {}, dict(model.named_modules())
    for name in own.layers:
        modules[name].register_forward_hook(
            lambda module, given, out, name=name: found.__setitem__(name, out.detach().clone())
        )
    model(x)
    return model, x, [found[name].reshape(len(x), -1).numpy() for name in own.layers]


@pytest.mark.parametrize("case", CASES)
def test_samples_are_what_modules_give(case):
    own = network(case)
    found = sampled(own)
    batched = CASES[case][3]
    assert batched is None or found.attrs["batched"] == batched
    assert found["width"].values.tolist() == list(own.sizes(WIDTH))
    for number in (0, 1, 31, COUNT - 1):
        _, _, layers = by_hand(own, number)
        for place, z in enumerate(layers):
            one = found.isel(network=number, layer=place)
            tolerance = {"rtol": 1e-9, "atol": 1e-11 * np.abs(z).max() ** 2}
            np.testing.assert_allclose(one["preactivation"].values, z[:, :2], rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(one["kernel"].values, z @ z.T / z.shape[1], **tolerance)
            np.testing.assert_allclose(one["sextic"].values, (z**6).mean(1), rtol=1e-9)


@pytest.mark.parametrize("case", sorted({*CASES} - {"attention"}))
def test_tangent_kernels_are_those_of_the_modules(case):
    own = network(case)
    found = sampled(own, 50, measure=("ntk",))
    for number in (0, 17):
        model, x, layers = by_hand(own, number)
        exact = tangent_kernel(model, x, way="backward").total[:2, :2].numpy()
        one = found.isel(network=number)
        np.testing.assert_allclose(one["ntk"].values, exact, rtol=1e-9, atol=1e-10)
        last = one["output_preactivation"].values
        np.testing.assert_allclose(last, layers[-1][:, :2].T, rtol=1e-9)
    assert "conditional_kernel" not in found


@pytest.mark.parametrize("case", ["dense", "branching"])
def test_shards_have_the_bytes_of_the_whole(case):
    wide = 700
    own, size = network(case), block_size("explicit", wide)
    networks = 2 * size + 5
    assert networks < 500
    how = {"precision": "float32", "measure": ("preactivations",), "width": wide}
    whole = sampled(own, networks, **how)
    parts = [sampled(own, networks, blocks=blocks, **how) for blocks in ((0, 1), (1, 3))]
    for name in ("preactivation", "kernel"):
        together = np.concatenate([part[name].values for part in parts])
        assert np.array_equal(together, whole[name].values)


def test_torch_is_left_as_it_was():
    torch.manual_seed(8)
    before = torch.get_rng_state()
    sampled(network("dense"))
    assert torch.equal(before, torch.get_rng_state())


def own(make, layers=None, **more):
    return OwnNetwork("mine", make, layers or FIRST, **more)


def raising(width, seed):
    raise KeyError("no such thing")


def counting(n):
    """Remembers how often it was called."""

    def forward(m, x):
        m.calls += 1
        return m.read(m.first(x) * m.calls)

    return Of(forward, first=nn.Linear(12, n), read=nn.Linear(n, OUTPUTS), calls=torch.zeros(()))


def whitened(n):
    """A batch norm of its own kind."""

    def forward(m, x):
        z = m.first(x)
        return m.read(z - z.mean(0))

    return Of(forward, first=nn.Linear(12, n), read=nn.Linear(n, OUTPUTS))


def seeded(n):
    """The same network whatever the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return dense(n)


UNSEEDED = np.random.default_rng()


def unseeded(n):
    """Another one each time."""
    model = dense(n)
    with torch.no_grad():
        model.first.weight += float(UNSEEDED.normal())
    return model


REFUSED = {
    "no module": (own(lambda n, s: 3), "gives a int"),
    "a factory that raises": (own(raising), "factory raises KeyError"),
    "a factory of one argument": (own(lambda n: dense(n)), "factory raises TypeError"),
    "batch norm in training": (own(lambda n, s: evaluated(n).train(), ZERO), "BatchNorm1d"),
    "dropout in training": (
        own(lambda n, s: nn.Sequential(nn.Linear(12, n), nn.Dropout()), {"0": "n"}),
        "Dropout in training mode",
    ),
    "a batch norm of its own": (own(lambda n, s: whitened(n)), "depend on the others"),
    "a memory": (own(lambda n, s: counting(n)), "from call to call"),
    "chance": (
        own(lambda n, s: Of(lambda m, x: m.first(x) + torch.randn(()), first=nn.Linear(12, n)),
            {"": "n"}),
        "from call to call",
    ),
    "one network": (own(lambda n, s: seeded(n)), "one network for different seeds"),
    "chance elsewhere": (own(lambda n, s: unseeded(n)), "two networks for one seed"),
    "another size": (own(lambda n, s: dense(n + 1)), "gives 7 numbers an input at width 6"),
    "no such layer": (own(lambda n, s: dense(n), {"second": "n"}), "no module 'second'"),
    "called twice": (own(lambda n, s: tied(n), {"again": "n"}), "called 2 times"),
    "never called": (
        own(lambda n, s: Of(lambda m, x: m.first(x), first=nn.Linear(12, n), more=nn.Linear(1, 1)),
            {"more": 1}),
        "called 0 times",
    ),
    "no array": (
        own(lambda n, s: Of(lambda m, x: (m.first(x), 1), first=nn.Linear(12, n)), {"": "n"}),
        "no tensor of real numbers",
    ),
    "outputs of all inputs": (
        own(lambda n, s: Of(lambda m, x: m.first(x).sum(), first=nn.Linear(12, n)), {"": 1}),
        "an array of shape",
    ),
    "inputs that it does not take": (
        own(lambda n, s: nn.Sequential(nn.Linear(11, n)), {"0": "n"}), "forward pass raises",
    ),
    "without a shape yet": (own(lambda n, s: nn.Sequential(nn.LazyLinear(n)), {"0": "n"}),
                            "has no shape yet"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_ensemble_is_refused_in_a_sentence(case):
    network, said = REFUSED[case]
    with pytest.raises(ConfigError) as told:
        sampled(network)
    assert said in str(told.value)
    assert str(told.value).startswith("extension my.py: given the network mine, ")
    assert "\n" not in str(told.value)


def test_a_kernel_that_torch_cannot_differentiate_is_refused():
    network = own(lambda n, s: Of(lambda m, x: m.read(m.first(x).relu())[:, None],
                                  first=nn.Linear(12, n), read=nn.Linear(n, OUTPUTS)))  # fmt: skip
    with pytest.raises(ConfigError, match="tangent kernel cannot be computed"):
        sampled(network, measure=("ntk",))


@pytest.mark.parametrize(("fields", "said"), [
    ({"factory": 3}, "factory"), ({"layers": {}}, "layers"), ({"layers": ["first"]}, "layers"),
    ({"layers": {"first": 0}}, "size 0"), ({"layers": {"first": "n4"}}, "size 'n4'"),
    ({"layers": {"first": True}}, "size True"), ({"shape": 12}, "shape 12"),
    ({"shape": (3, 0)}, "shape (3, 0)"), ({"theory": 1}, "theory"),
])  # fmt: skip
def test_fields_that_cannot_be_are_told(fields, said):
    good = {"name": "mine", "factory": lambda n, s: dense(n), "layers": FIRST}
    assert OwnNetwork(**good).wrong() is None
    given, _ = OwnNetwork(**good | fields).wrong()
    assert said in given


def test_inputs_of_another_size_are_refused():
    network = OwnNetwork("mine", lambda n, s: convolutional(n), {"0": "n"}, (3, 2, 3))
    with pytest.raises(ValueError, match="12 components do not fit the shape"):
        sampled(network)
