"""Modules of every kind that a tangent kernel is asked of, and how to tell what is right.

The reference shares no code with the library: one backward pass an output through the module's own
parameters. The modules are listed in ``zoo_taken`` and ``zoo_refused``.
"""

import torch
from torch import nn


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


def no_gradient_of_little(model, x):
    with torch.no_grad():
        norm = model.a.weight.norm()
    return model.a(x) + 1e-5 * norm


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
    model[1].register_full_backward_hook(lambda module, into, out: (3 * into[0],))
    model[2].register_full_backward_hook(lambda module, into, out: (2 * into[0],))


def on(make, x=None):
    """What makes a module, and its inputs."""
    return make, vectors() if x is None else x
