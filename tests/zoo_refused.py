"""Modules that no way can take as they are, and what must be said."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations

from module_zoo import (
    Wrapped,
    attended,
    changed,
    images,
    mlp,
    on,
    recurrent,
    vectors,
    wrapped,
)


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
NO_WAY = "and no way gives a kernel for that$"
BESIDE = f"other outputs beside other inputs.*{NO_WAY}"
OF_CALL = f"other outputs at its next call.*{NO_WAY}"


def step(model, x):
    model.scale.mul_(1.5)
    return model.a(x) * model.scale


def buffered():
    model = Wrapped(step, a=nn.Linear(3, 2))
    model.register_buffer("scale", torch.ones(()))
    return model


def shrink(model, x):
    model.a.weight.data.mul_(0.9)
    return model.a(x)


class NoBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()


def grow(module, into, out):
    module.calls = getattr(module, "calls", 0) + 1
    return module.calls * out


def hidden():
    """A parameter that the module keeps in a list, too, and reads there."""
    model = Wrapped(lambda m, x: x @ m.held[0].T + m.a(x), a=nn.Linear(3, 2))
    model.held = [model.a.weight]
    return model


#: Name -> a function that makes the module, inputs, words of the refusal.
REFUSED = {
    "BatchNorm": (*on(lambda: mlp(nn.BatchNorm1d(4))), TRAINING),
    "BatchNorm of one input": (*on(lambda: mlp(nn.BatchNorm1d(4)), vectors(count=1)), TRAINING),
    "BatchNorm of equal inputs": (
        *on(lambda: mlp(nn.BatchNorm1d(4)), torch.ones(3, 3).double()), TRAINING,
    ),
    "BatchNorm of equal tokens": (
        lambda: nn.Sequential(nn.Embedding(7, 2), nn.Flatten(), nn.BatchNorm1d(10)),
        torch.ones(2, 5, dtype=int), TRAINING,
    ),
    "BatchNorm of one image": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.Flatten()),
        images(1), TRAINING,
    ),
    "BatchNorm without statistics": (
        *on(lambda: mlp(nn.BatchNorm1d(4, track_running_stats=False)).eval()),
        f"layer 1 is a BatchNorm1d without running statistics.*{NO_WAY}",
    ),
    "BatchNorm without statistics, in training": (
        *on(lambda: mlp(nn.BatchNorm1d(4, track_running_stats=False))), NO_WAY,
    ),
    "Dropout": (*on(lambda: mlp(nn.Dropout(0.5))), TRAINING),
    "Dropout of little": (*on(lambda: mlp(nn.Dropout(1e-6))), TRAINING),
    "AlphaDropout": (*on(lambda: mlp(nn.AlphaDropout(0.1))), TRAINING),
    "Dropout2d": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.Dropout2d(), nn.Flatten()),
        images(2), TRAINING,
    ),
    "RReLU": (*on(lambda: mlp(nn.RReLU())), TRAINING),
    "dropout in attention": (
        lambda: Wrapped(attended, a=nn.MultiheadAttention(4, 2, 0.3, batch_first=True)),
        vectors(12, 2), "layer a is a MultiheadAttention in " + TRAINING,
    ),
    "dropout in an LSTM": (
        lambda: Wrapped(recurrent, a=nn.LSTM(1, 2, 2, batch_first=True, dropout=0.3)),
        vectors(4, 2), "layer a is a LSTM in " + TRAINING,
    ),
    "dropout always": (
        *on(wrapped(lambda m, x: nn.functional.dropout(m.a(x), 0.2), a=lambda: nn.Linear(3, 2))),
        f"draws random numbers, {NO_WAY}",
    ),
    "spectral norm in training": (
        lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(20, 10))),
        vectors(20, 2), "next call: call model.eval.. first, and use jacobian",
    ),
    **{
        f"chance of {kind}": (*on(lambda kind=kind: Generators(kind)), NO_WAY)
        for kind in ("torch", "numpy", "global numpy", "python")
    },
    "state": (*on(buffered), OF_CALL),
    "weights that shrink": (*on(wrapped(shrink, a=lambda: nn.Linear(3, 2))), OF_CALL),
    "hook that counts": (
        *on(lambda: changed(mlp(nn.Tanh()), lambda m: m.register_forward_hook(grow))), OF_CALL,
    ),
    "mean over inputs": (
        *on(wrapped(lambda m, x: m.a(x) - m.a(x).mean(0), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "a little of the inputs beside": (
        *on(wrapped(lambda m, x: m.a(x + 1e-6 * x.roll(1, 0)), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "derivatives of the inputs beside": (
        *on(wrapped(lambda m, x: m.a(x) + (h := m.a(x).mean(0)) - h.detach(),
                   a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "divided by their number": (
        *on(wrapped(lambda m, x: m.a(x) / len(x), a=lambda: nn.Linear(3, 2))), BESIDE,
    ),
    "hook over inputs": (
        *on(lambda: changed(mlp(nn.Tanh()),
                           lambda m: m[0].register_forward_hook(lambda m, i, o: o - o.mean(0)))),
        BESIDE,
    ),
    "a parameter held elsewhere": (*on(hidden), f"reads a.weight otherwise.*{NO_WAY}"),
    "in place where it is needed": (
        *on(lambda: mlp(nn.Sigmoid(), nn.SiLU(inplace=True))),
        "no way takes a model that a backward pass fails on .*modified by an inplace",
    ),
    "no backward": (
        *on(wrapped(lambda m, x: NoBackward.apply(m.a(x)), a=lambda: nn.Linear(3, 2))),
        "no way takes a model that a backward pass fails on .NotImplementedError",
    ),
    "two outputs": (*on(wrapped(lambda m, x: (m.a(x), x), a=lambda: nn.Linear(3, 2))),
                    "one tensor .inputs, outputs., not a tuple: wrap"),
    "outputs of three dimensions": (
        *on(wrapped(lambda m, x: m.a(x)[:, None], a=lambda: nn.Linear(3, 2))),
        r"not of shape \(4, 1, 2\) for 4 inputs: wrap",
    ),
    "whole numbers": (*on(wrapped(lambda m, x: m.a(x).long(), a=lambda: nn.Linear(3, 2))),
                      "real numbers, not torch.int64: no way"),
    "complex": (*on(lambda: Wrapped(lambda m, x: m.a(x + 0j).abs(),
                                   a=nn.Linear(3, 2, dtype=torch.complex128))),
                "parameter a.weight is complex, and no way takes that: hold"),
    "a whole number as parameter": (
        *on(lambda: changed(nn.Linear(3, 2), lambda m: m.register_parameter(
            "n", nn.Parameter(torch.tensor(3), requires_grad=False)))),
        "parameter n holds torch.int64, by which no way can differentiate: make it a buffer",
    ),
    "lazy": (*on(lambda: nn.Sequential(nn.LazyLinear(2))), "0.weight has no shape yet: call"),
    "script": (*on(lambda: torch.jit.script(nn.Linear(3, 2).double())),
               "cannot be replaced .*: give the plain module"),
}  # fmt: skip
