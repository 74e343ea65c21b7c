"""Modules of every kind that a tangent kernel is asked of, and how to tell what is right.

TAKEN: name -> (module of a seed, inputs). Some way must take each. REFUSED: name -> (module, words
of the refusal, whether ``eval()`` cures it). The reference shares no code with the library: one
backward pass an output through the module's own parameters.
"""

import random

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm


def reference(model, x):
    """J, (outputs, inputs, P) by parameter, through the parameters themselves."""
    named = dict(model.named_parameters())
    for p in named.values():
        p.requires_grad_(True)
    z = model(x.clone())
    rows = {name: torch.zeros(*z.shape, p.numel(), dtype=z.dtype) for name, p in named.items()}
    for a in range(z.shape[0]):
        for i in range(z.shape[1]):
            if not z.requires_grad:
                continue
            found = torch.autograd.grad(
                z[a, i], list(named.values()), retain_graph=True, allow_unused=True
            )
            for J, g in zip(rows.values(), found, strict=True):
                if g is not None:
                    J[a, i] = g.to_dense().flatten() if g.is_sparse else g.flatten()
    return rows


def vectors(n=3, count=4, dtype=torch.float64, seed=5):
    return torch.randn(count, n, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def images(count=3):
    return vectors(2 * 6 * 6, count).view(count, 2, 6, 6)


def tokens(count=4, length=5):
    return torch.randint(0, 7, (count, length), generator=torch.Generator().manual_seed(3))


def mlp(*inside):
    return nn.Sequential(nn.Linear(3, 4), *inside, nn.Linear(4, 2))


class OwnForward(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 + x.square().sum(-1, keepdim=True))


class Quiet(nn.Linear):
    """A subclass that changes its output alone by little."""

    def forward(self, x):
        return super().forward(x) * (1 + 1e-4)


class Softer(nn.ReLU):
    def forward(self, x):
        return torch.nn.functional.softplus(x) * x.sum(-1, keepdim=True)


class OwnConv(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) ** 2


class Wrapped(nn.Module):
    """Any function of any modules."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def wrapped(function, **modules):
    return lambda: Wrapped(function, **{name: make() for name, make in modules.items()})


def changed(model, change):
    change(model)
    return model


class Cube(torch.autograd.Function):
    """Of the old kind, which torch.func does not take."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class Straight(torch.autograd.Function):
    """Its derivative is another function's, forwards and backwards another one again."""

    @staticmethod
    def forward(x):
        return torch.sign(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * torch.exp(-(ctx.saved_tensors[0] ** 2))

    @staticmethod
    def jvp(ctx, t):
        return 2 * t

    @staticmethod
    def vmap(info, dims, x):
        return Straight.apply(x), dims[0]


class Exponential(nn.Module):
    def forward(self, w):
        return w.exp()


def tie_weights(model):
    model[2].weight = model[0].weight


def tie_biases(model):
    model[2].bias = model[0].bias


def unregister(model):
    W = model[0].weight.detach().clone()
    del model[0].weight
    model[0].register_buffer("weight", W)


def no_gradient(model, x):
    with torch.no_grad():
        norm = model.a.weight.norm()
    return model.a(x) / norm


def by_gradient(model, x):
    with torch.enable_grad():
        x = x.requires_grad_() if x.is_leaf else x
        return torch.autograd.grad(model.a(x).tanh().sum(), x, create_graph=True)[0]


def branch(model, x):
    return torch.stack([model.a(row) if row.sum().item() > 0 else model.b(row) for row in x])


def counted(model, x):
    model.calls = getattr(model, "calls", 0) + 1
    model.log = [*getattr(model, "log", []), model.a(x)]
    return model.log[-1]


def hooked_gradient(model, x):
    h = model.a(x)
    if h.requires_grad:
        h.register_hook(lambda g: 3 * g)
    return h.tanh()


def recurrent(model, x):
    return model.a(x[:, :, None])[0][:, -1]


def attended(model, x):
    h = x.view(len(x), 3, 4)
    return model.a(h, h, h)[0].flatten(1)


def full_backward(model):
    model[0].register_full_backward_hook(lambda module, into, out: (2 * into[0],))
    model[2].register_full_backward_hook(lambda module, into, out: (2 * into[0],))


LAYERS = (
    lambda: nn.Linear(4, 4), lambda: nn.Linear(4, 4, bias=False), nn.Tanh, nn.ReLU, nn.GELU,
    lambda: nn.LayerNorm(4), lambda: nn.GroupNorm(2, 4), lambda: nn.BatchNorm1d(4).eval(),
    nn.PReLU, lambda: nn.Softmax(1), lambda: nn.Dropout(0.0), lambda: OwnForward(4, 4),
    lambda: weight_norm(nn.Linear(4, 4)), lambda: nn.SiLU(inplace=True),
    lambda: parametrizations.weight_norm(nn.Linear(4, 4)), nn.Identity, lambda: nn.RReLU().eval(),
    lambda: nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()), nn.Sequential, lambda: nn.Hardtanh(),
    lambda: prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.4),
    lambda: parametrizations.orthogonal(nn.Linear(4, 4)), lambda: Quiet(4, 4),
)  # fmt: skip


def drawn(seed):
    """A Sequential of layers at random, one of them perhaps twice."""
    choose = random.Random(seed)
    inside = [choose.choice(LAYERS)() for _ in range(choose.randint(1, 6))]
    if choose.random() < 0.3:
        inside.append(inside[0])
    return mlp(*inside)


def _(make, x=None):
    return make, vectors() if x is None else x


TAKEN = {
    "mlp": _(lambda: mlp(nn.Tanh())),
    "nested": _(lambda: mlp(nn.Sequential(nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.ReLU())))),
    "empty Sequential": _(nn.Sequential),
    "no parameters": _(lambda: nn.Sequential(nn.Tanh(), nn.Softmax(1))),
    "parameters of no entries": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m.register_parameter("e", nn.Parameter(torch.zeros(0)))
        )
    ),
    "own forward": _(lambda: nn.Sequential(OwnForward(3, 4), nn.Tanh(), nn.Linear(4, 2))),
    "own forward, a little": _(lambda: nn.Sequential(Quiet(3, 4), nn.Tanh(), Quiet(4, 2))),
    "own activation": _(lambda: mlp(Softer())),
    "own convolution": _(lambda: nn.Sequential(OwnConv(2, 2, 3), nn.Flatten()), images(2)),
    "forward of an instance": _(
        lambda: changed(mlp(nn.Tanh()), lambda m: setattr(m[1], "forward", torch.sin))
    ),
    "forward hook": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[0].register_forward_hook(lambda m, i, o: o**2)
        )
    ),
    "forward hook on all": _(
        lambda: changed(mlp(nn.Tanh()), lambda m: m.register_forward_hook(lambda m, i, o: 2 * o))
    ),
    "pre-hook": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[2].register_forward_pre_hook(lambda m, i: i[0] + 1)
        )
    ),
    "pre-hook on an activation": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[1].register_forward_pre_hook(lambda m, i: i[0].cumsum(1))
        )
    ),
    "backward hook": _(lambda: changed(mlp(nn.Tanh()), full_backward)),
    "hook on a tensor": _(wrapped(hooked_gradient, a=lambda: nn.Linear(3, 2))),
    "weight norm, old": _(lambda: nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh())),
    "weight norm": _(lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)))),
    "spectral norm, old": _(lambda: nn.Sequential(spectral_norm(nn.Linear(3, 4))).eval()),
    "spectral norm": _(
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 4))).eval()
    ),
    "orthogonal": _(lambda: mlp(parametrizations.orthogonal(nn.Linear(4, 4)))),
    "own parametrization": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: parametrize.register_parametrization(m[0], "bias", Exponential())
        )
    ),
    "pruning": _(lambda: mlp(prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5))),
    "pruned bias": _(lambda: mlp(prune.l1_unstructured(nn.Linear(4, 4), "bias", 2))),
    "module twice": _(lambda: (lambda a: nn.Sequential(a, nn.Tanh(), a))(nn.Linear(3, 3))),
    "tied weights": _(
        lambda: changed(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), tie_weights)
    ),
    "shared bias": _(
        lambda: changed(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), tie_biases)
    ),
    "transposed tie": _(
        wrapped(lambda m, x: m.a(x).tanh() @ m.a.weight, a=lambda: nn.Linear(3, 4))
    ),
    "weight that is a buffer": _(lambda: changed(mlp(nn.Tanh()), unregister)),
    "unused parameter": _(
        wrapped(lambda m, x: m.a(x), a=lambda: nn.Linear(3, 2), b=lambda: nn.Linear(2, 2))
    ),
    "unused parameter of a Sequential": _(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[1].register_parameter("w", nn.Parameter(torch.ones(2)))
        )
    ),
    "all parameters unused": _(wrapped(lambda m, x: x.sin(), a=lambda: nn.Linear(3, 2))),
    "frozen": _(lambda: changed(mlp(nn.Tanh()), lambda m: m[0].requires_grad_(False))),
    "all frozen": _(lambda: mlp(nn.Tanh()).requires_grad_(False)),
    "norm without gradient": _(wrapped(no_gradient, a=lambda: nn.Linear(3, 2))),
    "detached": _(
        wrapped(lambda m, x: m.a(x) * m.a.weight.detach().sum(), a=lambda: nn.Linear(3, 2))
    ),
    "BatchNorm in eval": _(lambda: mlp(nn.BatchNorm1d(4)).eval()),
    "LayerNorm": _(lambda: mlp(nn.LayerNorm(4), nn.ReLU())),
    "GroupNorm": _(lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()),
                   images(2)),
    "InstanceNorm": _(
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, affine=True), nn.Flatten()),
        images(2),
    ),
    "InstanceNorm that tracks": _(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten()
        ),
        images(2),
    ),
    "InstanceNorm that has tracked": _(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten()
        ).eval(),
        images(2),
    ),
    "pooling": _(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3, bias=False), nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.Flatten()
        ),
        images(2),
    ),
    "Dropout in eval": _(lambda: mlp(nn.Dropout(0.5)).eval()),
    "RReLU in eval": _(lambda: mlp(nn.RReLU()).eval()),
    "in place": _(lambda: nn.Sequential(nn.ReLU(inplace=True), mlp(nn.ELU(inplace=True)))),
    "Embedding": _(
        lambda: nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.Linear(10, 2)), tokens()
    ),
    "Embedding, sparse": _(
        lambda: nn.Sequential(nn.Embedding(7, 2, sparse=True), nn.Flatten()), tokens()
    ),
    "Embedding of bounded norm": _(
        lambda: nn.Sequential(nn.Embedding(7, 2, max_norm=0.5), nn.Flatten()), tokens(2)
    ),
    "EmbeddingBag": _(lambda: nn.EmbeddingBag(7, 2), tokens()),
    "attention": _(
        wrapped(attended, a=lambda: nn.MultiheadAttention(4, 2, batch_first=True)), vectors(12, 2)
    ),
    "attention in eval": _(
        lambda: Wrapped(attended, a=nn.MultiheadAttention(4, 2, 0.3, batch_first=True)).eval(),
        vectors(12, 2),
    ),
    "transformer": _(
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 4)), nn.TransformerEncoderLayer(4, 2, 4, batch_first=True),
            nn.Flatten(), nn.Linear(8, 2),
        ).eval(),
        vectors(8, 2),
    ),
    "LSTM": _(wrapped(recurrent, a=lambda: nn.LSTM(1, 2, batch_first=True)), vectors(4, 2)),
    "GRU": _(wrapped(recurrent, a=lambda: nn.GRU(1, 2, 2, batch_first=True)), vectors(4, 2)),
    "RNN": _(wrapped(recurrent, a=lambda: nn.RNN(1, 2, batch_first=True)), vectors(4, 2)),
    "Function of the old kind": _(
        wrapped(lambda m, x: Cube.apply(m.a(x)), a=lambda: nn.Linear(3, 2))
    ),
    "Function whose derivatives differ": _(
        wrapped(lambda m, x: Straight.apply(m.a(x)), a=lambda: nn.Linear(3, 2))
    ),
    "gradient of its own": _(wrapped(by_gradient, a=lambda: nn.Linear(3, 2))),
    "branches": _(wrapped(branch, a=lambda: nn.Linear(3, 2), b=lambda: nn.Linear(3, 2))),
    "state that does not matter": _(wrapped(counted, a=lambda: nn.Linear(3, 2))),
    "squeezed": _(
        wrapped(lambda m, x: m.a(x[None]).squeeze(), a=lambda: nn.Linear(3, 2))
    ),
    "Bilinear": _(wrapped(lambda m, x: m.a(x, x), a=lambda: nn.Bilinear(3, 3, 2))),
    "Linear on matrices": _(
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Flatten()), vectors(6, 3).view(3, 2, 3)
    ),
    "mixed precision": _(
        wrapped(lambda m, x: m.b(m.a(x.float()).double().tanh()),
                a=lambda: nn.Linear(3, 4).float(), b=lambda: nn.Linear(4, 2)),
    ),
    "one input": _(lambda: mlp(nn.LayerNorm(4)), vectors(count=1)),
    "zeros": _(lambda: nn.Sequential(nn.Linear(3, 3, bias=False), nn.Hardtanh(0, 1),
                                     nn.Linear(3, 2, bias=False)), torch.zeros(2, 3).double()),
    **{f"drawn {seed}": _(lambda seed=seed: drawn(seed)) for seed in range(20)},
}  # fmt: skip


class Generators(nn.Module):
    """Chance that torch's own generator does not tell."""

    def __init__(self, kind):
        super().__init__()
        self.a, self.kind = nn.Linear(3, 2), kind
        self.torch, self.numpy = torch.Generator(), np.random.default_rng(1)

    def forward(self, x):
        noise = {
            "torch": lambda: float(torch.rand(1, generator=self.torch)),
            "numpy": lambda: self.numpy.random(),
            "global numpy": np.random.rand,
            "python": random.random,
        }[self.kind]()
        return self.a(x) * (1 + noise)


TRAINING = "training mode.*call model.eval.. first, and use (layerwise|jacobian|backward)$"
NO_WAY = "so that no way has a kernel that is its own$"
BESIDE = f"other outputs beside other inputs.*{NO_WAY}"
OF_CALL = f"other outputs at its next call.*{NO_WAY}"


def step(model, x):
    model.scale.mul_(1.5)
    return model.a(x) * model.scale


def buffered():
    model = Wrapped(step, a=nn.Linear(3, 2))
    model.register_buffer("scale", torch.ones(()))
    return model


def hidden():
    """A parameter that the module keeps in a list, too, and reads there."""
    model = Wrapped(lambda m, x: x @ m.held[0].T + m.a(x), a=nn.Linear(3, 2))
    model.held = [model.a.weight]
    return model


#: name -> module, inputs, words, whether eval() cures it.
REFUSED = {
    "BatchNorm": (*_(lambda: mlp(nn.BatchNorm1d(4))), TRAINING),
    "BatchNorm of one image": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.Flatten()),
        images(1), TRAINING,
    ),
    "BatchNorm without statistics": (
        *_(lambda: mlp(nn.BatchNorm1d(4, track_running_stats=False)).eval()),
        f"layer 1 is a BatchNorm1d without running statistics.*{NO_WAY}",
    ),
    "BatchNorm without statistics, in training": (
        *_(lambda: mlp(nn.BatchNorm1d(4, track_running_stats=False))), NO_WAY,
    ),
    "Dropout": (*_(lambda: mlp(nn.Dropout(0.5))), TRAINING),
    "Dropout of little": (*_(lambda: mlp(nn.Dropout(1e-6))), TRAINING),
    "AlphaDropout": (*_(lambda: mlp(nn.AlphaDropout(0.1))), TRAINING),
    "Dropout2d": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.Dropout2d(), nn.Flatten()), images(2), TRAINING,
    ),
    "RReLU": (*_(lambda: mlp(nn.RReLU())), TRAINING),
    "dropout in attention": (
        lambda: Wrapped(attended, a=nn.MultiheadAttention(4, 2, 0.3, batch_first=True)),
        vectors(12, 2), "layer a is a MultiheadAttention in " + TRAINING,
    ),
    "dropout in an LSTM": (
        lambda: Wrapped(recurrent, a=nn.LSTM(1, 2, 2, batch_first=True, dropout=0.3)),
        vectors(4, 2), "layer a is a LSTM in " + TRAINING,
    ),
    "dropout always": (
        *_(wrapped(lambda m, x: nn.functional.dropout(m.a(x), 0.2), a=lambda: nn.Linear(3, 2))),
        f"draws random numbers, {NO_WAY}",
    ),
    "spectral norm in training": (
        *_(lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 4)))),
        "next call: call model.eval.. first, and use jacobian",
    ),
    **{
        f"chance of {kind}": (*_(lambda kind=kind: Generators(kind)), NO_WAY)
        for kind in ("torch", "numpy", "global numpy", "python")
    },
    "state": (*_(buffered), OF_CALL),
    "mean over inputs": (
        *_(wrapped(lambda m, x: m.a(x) - m.a(x).mean(0), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "a little of the inputs beside": (
        *_(wrapped(lambda m, x: m.a(x + 1e-6 * x.roll(1, 0)), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "derivatives of the inputs beside": (
        *_(wrapped(lambda m, x: m.a(x) + (h := m.a(x).mean(0)) - h.detach(),
                   a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "divided by their number": (
        *_(wrapped(lambda m, x: m.a(x) / len(x), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "hook over inputs": (
        *_(lambda: changed(mlp(nn.Tanh()),
                           lambda m: m[0].register_forward_hook(lambda m, i, o: o - o.mean(0)))),
        BESIDE,
    ),
    "a parameter held elsewhere": (*_(hidden), f"reads a.weight otherwise.*{NO_WAY}"),
    "two outputs": (*_(wrapped(lambda m, x: (m.a(x), x), a=lambda: nn.Linear(3, 2))),
                    "one tensor .inputs, outputs., not a tuple: wrap"),
    "outputs of three dimensions": (
        *_(wrapped(lambda m, x: m.a(x)[:, None], a=lambda: nn.Linear(3, 2))),
        r"not of shape \(4, 1, 2\) for 4 inputs: wrap",
    ),
    "whole numbers": (*_(wrapped(lambda m, x: m.a(x).long(), a=lambda: nn.Linear(3, 2))),
                      "real numbers, not torch.int64: no way"),
    "complex": (*_(lambda: Wrapped(lambda m, x: m.a(x + 0j).abs(),
                                   a=nn.Linear(3, 2, dtype=torch.complex128))),
                "parameter a.weight is complex, and no way takes that: hold"),
    "a whole number as parameter": (
        *_(lambda: changed(nn.Linear(3, 2), lambda m: m.register_parameter(
            "n", nn.Parameter(torch.tensor(3), requires_grad=False)))),
        "parameter n holds torch.int64, by which no way can differentiate: make it a buffer",
    ),
    "lazy": (*_(lambda: nn.Sequential(nn.LazyLinear(2))), "0.weight has no shape yet: call"),
    "script": (*_(lambda: torch.jit.script(nn.Linear(3, 2).double())),
               "cannot be replaced .*: give the plain module"),
}  # fmt: skip
