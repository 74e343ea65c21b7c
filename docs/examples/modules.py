"""Networks of one's own for docs/own-networks.md: any torch module, and what is known of one.

make EXTENSIONS=docs/examples/modules.py CONFIG=docs/examples/modules.yaml
"""

import numpy as np

from finitewidth.models.own_network import OwnNetwork

INPUTS, OUTPUTS = 5, 4


def normal(linear):
    """The same map with weights N(0, 1/fan-in)."""
    import torch

    torch.nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    return linear


def bilinear(width, seed):
    """Outputs of U [(V x) * (W x)]. Torch's generator has been set for this network before."""
    from torch import nn

    class Bilinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = normal(nn.Linear(INPUTS, width, bias=False))
            self.gate = normal(nn.Linear(INPUTS, width, bias=False))
            self.out = normal(nn.Linear(width, OUTPUTS, bias=False))

        def forward(self, x):
            return self.out(self.value(x) * self.gate(x))

    return Bilinear()


def bilinear_theory(case):
    """Covariances hold at any width: K = x.x'/n_0 of the values, K^2 of the outputs."""
    K = case.x @ case.x.T / case.x.shape[1]
    each = {1: K, 2: K**2}
    return {"covariance": {"exact": np.stack([each[layer] for layer in case.layers])}}


def looped(width, seed):
    """One matrix used four times, which no sampler without weights knows."""
    from torch import nn

    class Looped(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = normal(nn.Linear(INPUTS, width))
            self.again = normal(nn.Linear(width, width))
            self.norm = nn.LayerNorm(width)
            self.read = normal(nn.Linear(width, OUTPUTS))

        def forward(self, x):
            z = self.embed(x)
            for _ in range(4):
                z = z + self.again(self.norm(z).relu())
            return self.read(z)

    return Looped()


NETWORKS = [
    OwnNetwork("bilinear", bilinear, {"value": "n", "out": OUTPUTS}, theory=bilinear_theory),
    OwnNetwork("looped", looped, {"embed": "n", "": OUTPUTS}),
]
