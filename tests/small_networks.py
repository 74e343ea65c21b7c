"""Small architectures, and the same networks as torch's own modules, for tests of trained ones."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from finitewidth.members.plain import of_plain
from finitewidth.models.network_shape import NetworkShape
from finitewidth.models.trained_architecture import trained_architecture

#: name: (mlp, cnn, shape of an image, classes)
CASES = {
    "mlp": ([12, 7, 5, 3], None, (12, 1, 1), 3),
    "mlp, one hidden layer": ([6, 9, 4], None, (6, 1, 1), 4),
    "cnn": (
        None,
        {"channels": [2, 4, 3], "kernel": 3, "stride": 1, "padding": 0},
        (2, 9, 7),
        3,
    ),
    "strided": (
        None,
        {"channels": [2, 4, 3], "kernel": 3, "stride": 2, "padding": 1},
        (2, 9, 7),
        3,
    ),
}


def described(mlp=None, cnn=None):
    """A network as a study file describes it."""
    return of_plain({"ensemble": "e", "mlp": mlp, "cnn": cnn}, NetworkShape)


def architecture(case):
    mlp, cnn, shape, classes = CASES[case]
    law = {"weights": "uniform", "C_W": 1.0}
    return trained_architecture(described(mlp, cnn), shape, classes, **law)


def modules(case):
    """One network of freshly made torch modules, layer after layer."""
    mlp, cnn, shape, classes = CASES[case]
    parts = []
    if mlp:
        parts.append(nn.Flatten())
        for a, b in pairwise(mlp):
            parts += [nn.Linear(a, b, bias=False), nn.ReLU()]
        return nn.Sequential(*parts[:-1])
    for a, b in pairwise(cnn["channels"]):
        options = {k: cnn[k] for k in ("stride", "padding")}
        parts += [nn.Conv2d(a, b, cnn["kernel"], bias=False, **options), nn.ReLU()]
    parts.append(nn.Flatten())
    inputs = nn.Sequential(*parts)(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*parts, nn.Linear(inputs, classes, bias=False))


def loaded(case, weights, network):
    """The modules with the weights of one of several networks."""
    model = modules(case).to(weights[0].dtype)
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(weight[network].reshape(parameter.shape))
    return model


def hidden(case, weights, network, x):
    """What follows each ReLU of one network, (image, channel, row, column)."""
    found = []
    for part in loaded(case, weights, network):
        x = part(x)
        if isinstance(part, nn.ReLU):
            found.append(x.detach().reshape(len(x), x.shape[1], *(x.shape[2:] or (1, 1))))
    return found


def drawn(case, networks, images, seed=0, dtype=torch.float64):
    """Weights of several networks, images and labels."""
    _, _, shape, classes = CASES[case]
    stream = torch.Generator().manual_seed(seed)
    weights = []
    for parameter in modules(case).parameters():
        w = torch.randn(networks, len(parameter), parameter[0].numel(), generator=stream)
        weights.append((w * (2 / w.shape[2]) ** 0.5).to(dtype))
    x = torch.randn(images, *shape, generator=stream).to(dtype)
    return weights, x, torch.randint(classes, (images,), generator=stream)


def accuracy(model, x, y):
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def clipped_by_copies(case, weights, number, basis, x, y):
    """Accuracy of each network at each rank of a layer's input, a copy of the network for each.

    ``basis`` (network, n, rank) has columns of the layer's channels or of its patches.
    """
    curves = torch.zeros(len(basis), basis.shape[2], dtype=torch.float64)
    for k, frame in enumerate(basis):
        for rank in range(1, frame.shape[1] + 1):
            projector = sum(torch.outer(column, column) for column in frame.T[:rank])
            clipped = [w.clone() for w in weights]
            w = clipped[number][k]
            if len(frame) == w.shape[1]:
                w[:] = w @ projector
            else:
                # Channels of a patch, place by place.
                places = w.view(len(w), len(frame), -1)
                for q in range(places.shape[2]):
                    places[:, :, q] = places[:, :, q] @ projector
            curves[k, rank - 1] = accuracy(loaded(case, clipped, k), x, y)
    return curves


def permuted(case, weights, copies):
    """Copies of one network that differ in the order of their hidden channels."""
    rng = np.random.default_rng(1)
    shape = architecture(case)
    each = []
    for _ in range(copies):
        order, copy = np.arange(shape.widths[0]), []
        for layer, weight in zip(shape.layers, weights, strict=True):
            w = weight[0].view(layer.out, layer.channels, -1)[:, order]
            is_last = layer is shape.layers[-1]
            order = np.arange(layer.out) if is_last else rng.permutation(layer.out)
            copy.append(w[order].flatten(1))
        each.append(copy)
    return [torch.stack(of_layer) for of_layer in zip(*each, strict=True)]
