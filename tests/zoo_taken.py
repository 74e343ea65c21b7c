"""Modules that some way must take: name -> (a function that makes it, inputs)."""

import random

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

from module_zoo import (
    Cube,
    Exponential,
    OwnConv,
    OwnForward,
    Quiet,
    Softer,
    Straight,
    Wrapped,
    attended,
    branch,
    by_gradient,
    changed,
    counted,
    full_backward,
    hooked_gradient,
    images,
    mlp,
    no_gradient,
    no_gradient_of_little,
    on,
    recurrent,
    tie_biases,
    tie_weights,
    tokens,
    unregister,
    vectors,
    wrapped,
)

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


TAKEN = {
    "mlp": on(lambda: mlp(nn.Tanh())),
    "nested": on(lambda: mlp(nn.Sequential(nn.Tanh(), nn.Sequential(nn.Linear(4, 4), nn.ReLU())))),
    "empty Sequential": on(nn.Sequential),
    "no parameters": on(lambda: nn.Sequential(nn.Tanh(), nn.Softmax(1))),
    "parameters of no entries": on(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m.register_parameter("e", nn.Parameter(torch.zeros(0)))
        )
    ),
    "own forward": on(lambda: nn.Sequential(OwnForward(3, 4), nn.Tanh(), nn.Linear(4, 2))),
    "own forward, a little": on(lambda: nn.Sequential(Quiet(3, 4), nn.Tanh(), Quiet(4, 2))),
    "own activation": on(lambda: mlp(Softer())),
    "own convolution": on(lambda: nn.Sequential(OwnConv(2, 2, 3), nn.Flatten()), images(2)),
    "forward of an instance": on(
        lambda: changed(mlp(nn.Tanh()), lambda m: setattr(m[1], "forward", torch.sin))
    ),
    "forward hook": on(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[0].register_forward_hook(lambda m, i, o: o**2)
        )
    ),
    "forward hook on all": on(
        lambda: changed(mlp(nn.Tanh()), lambda m: m.register_forward_hook(lambda m, i, o: 2 * o))
    ),
    "pre-hook": on(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[2].register_forward_pre_hook(lambda m, i: i[0] + 1)
        )
    ),
    "pre-hook on an activation": on(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[1].register_forward_pre_hook(lambda m, i: i[0].cumsum(1))
        )
    ),
    "backward hook": on(lambda: changed(mlp(nn.Tanh()), full_backward)),
    "hook on a tensor": on(wrapped(hooked_gradient, a=lambda: nn.Linear(3, 2))),
    "weight norm, old": on(lambda: nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh())),
    "weight norm": on(lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)))),
    "spectral norm, old": on(lambda: nn.Sequential(spectral_norm(nn.Linear(3, 4))).eval()),
    "spectral norm": on(
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 4))).eval()
    ),
    "orthogonal": on(lambda: mlp(parametrizations.orthogonal(nn.Linear(4, 4)))),
    "own parametrization": on(
        lambda: changed(
            mlp(nn.Tanh()),
            lambda m: parametrize.register_parametrization(m[0], "bias", Exponential()),
        )
    ),
    "pruning": on(lambda: mlp(prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5))),
    "pruned bias": on(lambda: mlp(prune.l1_unstructured(nn.Linear(4, 4), "bias", 2))),
    "module twice": on(lambda: (lambda a: nn.Sequential(a, nn.Tanh(), a))(nn.Linear(3, 3))),
    "tied weights": on(
        lambda: changed(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), tie_weights)
    ),
    "shared bias": on(
        lambda: changed(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), tie_biases)
    ),
    "transposed tie": on(
        wrapped(lambda m, x: m.a(x).tanh() @ m.a.weight, a=lambda: nn.Linear(3, 4))
    ),
    "weight that is a buffer": on(lambda: changed(mlp(nn.Tanh()), unregister)),
    "unused parameter": on(
        wrapped(lambda m, x: m.a(x), a=lambda: nn.Linear(3, 2), b=lambda: nn.Linear(2, 2))
    ),
    "unused parameter of a Sequential": on(
        lambda: changed(
            mlp(nn.Tanh()), lambda m: m[1].register_parameter("w", nn.Parameter(torch.ones(2)))
        )
    ),
    "all parameters unused": on(wrapped(lambda m, x: x.sin(), a=lambda: nn.Linear(3, 2))),
    "frozen": on(lambda: changed(mlp(nn.Tanh()), lambda m: m[0].requires_grad_(False))),
    "all frozen": on(lambda: mlp(nn.Tanh()).requires_grad_(False)),
    "norm without gradient": on(wrapped(no_gradient, a=lambda: nn.Linear(3, 2))),
    "little without gradient": on(wrapped(no_gradient_of_little, a=lambda: nn.Linear(3, 2))),
    "detached": on(
        wrapped(lambda m, x: m.a(x) * m.a.weight.detach().sum(), a=lambda: nn.Linear(3, 2))
    ),
    "BatchNorm in eval": on(lambda: mlp(nn.BatchNorm1d(4)).eval()),
    "LayerNorm": on(lambda: mlp(nn.LayerNorm(4), nn.ReLU())),
    "GroupNorm": on(lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()),
                   images(2)),
    "InstanceNorm": on(
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, affine=True), nn.Flatten()),
        images(2),
    ),
    "InstanceNorm that tracks": on(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten()
        ),
        images(2),
    ),
    "InstanceNorm that has tracked": on(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten()
        ).eval(),
        images(2),
    ),
    "pooling": on(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3, bias=False), nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.Flatten()
        ),
        images(2),
    ),
    "Dropout in eval": on(lambda: mlp(nn.Dropout(0.5)).eval()),
    "RReLU in eval": on(lambda: mlp(nn.RReLU()).eval()),
    "in place": on(lambda: nn.Sequential(nn.ReLU(inplace=True), mlp(nn.ELU(inplace=True)))),
    "Embedding": on(
        lambda: nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.Linear(10, 2)), tokens()
    ),
    "Embedding, sparse": on(
        lambda: nn.Sequential(nn.Embedding(7, 2, sparse=True), nn.Flatten()), tokens()
    ),
    "Embedding of bounded norm": on(
        lambda: nn.Sequential(nn.Embedding(7, 2, max_norm=0.5), nn.Flatten()), tokens(2)
    ),
    "EmbeddingBag": on(lambda: nn.EmbeddingBag(7, 2), tokens()),
    "attention": on(
        wrapped(attended, a=lambda: nn.MultiheadAttention(4, 2, batch_first=True)), vectors(12, 2)
    ),
    "attention in eval": on(
        lambda: Wrapped(attended, a=nn.MultiheadAttention(4, 2, 0.3, batch_first=True)).eval(),
        vectors(12, 2),
    ),
    "transformer": on(
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 4)), nn.TransformerEncoderLayer(4, 2, 4, batch_first=True),
            nn.Flatten(), nn.Linear(8, 2),
        ).eval(),
        vectors(8, 2),
    ),
    "LSTM": on(wrapped(recurrent, a=lambda: nn.LSTM(1, 2, batch_first=True)), vectors(4, 2)),
    "GRU": on(wrapped(recurrent, a=lambda: nn.GRU(1, 2, 2, batch_first=True)), vectors(4, 2)),
    "RNN": on(wrapped(recurrent, a=lambda: nn.RNN(1, 2, batch_first=True)), vectors(4, 2)),
    "Function of the old kind": on(
        wrapped(lambda m, x: Cube.apply(m.a(x)), a=lambda: nn.Linear(3, 2))
    ),
    "Function whose derivatives differ": on(
        wrapped(lambda m, x: Straight.apply(m.a(x)), a=lambda: nn.Linear(3, 2))
    ),
    "gradient of its own": on(wrapped(by_gradient, a=lambda: nn.Linear(3, 2))),
    "branches": on(wrapped(branch, a=lambda: nn.Linear(3, 2), b=lambda: nn.Linear(3, 2))),
    "state that does not matter": on(wrapped(counted, a=lambda: nn.Linear(3, 2))),
    "squeezed": on(
        wrapped(lambda m, x: m.a(x[None]).squeeze(), a=lambda: nn.Linear(3, 2))
    ),
    "Bilinear": on(wrapped(lambda m, x: m.a(x, x), a=lambda: nn.Bilinear(3, 3, 2))),
    "Linear on matrices": on(
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Flatten()), vectors(6, 3).view(3, 2, 3)
    ),
    "mixed precision": on(
        wrapped(lambda m, x: m.b(m.a(x.float()).double().tanh()),
                a=lambda: nn.Linear(3, 4).float(), b=lambda: nn.Linear(4, 2)),
    ),
    "equal inputs": on(lambda: mlp(nn.LayerNorm(4)), torch.ones(3, 3).double()),
    "sorted, by a scalar": on(
        wrapped(lambda m, x: m.a(x).sort(1)[0] * m.b.bias, a=lambda: nn.Linear(3, 2),
                b=lambda: nn.Linear(1, 1))
    ),
    "of a fixed count": on(wrapped(lambda m, x: m.a(x.view(4, 3)), a=lambda: nn.Linear(3, 2))),
    "checkpointed": on(
        wrapped(lambda m, x: checkpoint(m.a, x, use_reentrant=False), a=lambda: nn.Linear(3, 2))
    ),
    "one input": on(lambda: mlp(nn.LayerNorm(4)), vectors(count=1)),
    "zeros": on(lambda: nn.Sequential(nn.Linear(3, 3, bias=False), nn.Hardtanh(0, 1),
                                     nn.Linear(3, 2, bias=False)), torch.zeros(2, 3).double()),
    **{f"drawn {seed}": on(lambda seed=seed: drawn(seed)) for seed in range(12)},
}  # fmt: skip
