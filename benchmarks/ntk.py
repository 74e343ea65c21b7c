"""The layerwise sum against differentiation, on the same batch of given networks.

    python benchmarks/ntk.py

256-256-256-1 ReLU, eight inputs, single precision, one thread; both sides in one run, turn by turn,
the best of each. The differentiating side is what people write with ``torch.func``: the Jacobian of
one network at one input, ``vmap`` over inputs and networks, and its contraction.
"""

from __future__ import annotations

import time

import torch
from torch.func import functional_call, jacrev, vmap

from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.ntk.layerwise import layerwise

WIDTHS, INPUTS, NETWORKS, REPEATS = (256, 256, 256, 1), 8, 16, 7


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    depth = len(WIDTHS) - 1
    model = torch.nn.Sequential(
        torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(),
        torch.nn.Linear(256, 1),
    )  # fmt: skip
    batch = {
        name: torch.randn(NETWORKS, *p.shape) / p.shape[-1] ** 0.5
        for name, p in model.named_parameters()
    }
    x = torch.randn(INPUTS, WIDTHS[0])
    weights = [batch[f"{2 * k}.weight"] for k in range(depth)]
    biases = [batch[f"{2 * k}.bias"] for k in range(depth)]
    rates = LearningRates((1.0,) * depth, tuple(map(float, WIDTHS[:-1])))

    def ours():
        return layerwise(get("relu"), weights, biases, x, rates).total[:, 0, 0]

    def of_one(parameters, one):
        return functional_call(model, parameters, (one[None],))[0]

    def theirs():
        J = vmap(vmap(jacrev(of_one), (None, 0)), (0, None))(batch, x)
        rows = [j.flatten(3)[:, :, 0] for j in J.values()]
        return sum(torch.bmm(j, j.transpose(1, 2)) for j in rows)

    gap = float((ours() - theirs()).abs().max() / theirs().abs().max())
    best = dict.fromkeys((ours, theirs), float("inf"))
    for _ in range(REPEATS):
        for function in best:
            start = time.perf_counter()
            function()
            best[function] = min(best[function], time.perf_counter() - start)
    a, b = (1e3 * t / NETWORKS for t in best.values())
    print("| layerwise, ms a network | torch.func, ms | ratio | largest deviation |")
    print("|---|---|---|---|")
    print(f"| {a:.3g} | {b:.3g} | {b / a:.0f} | {gap:.1e} |")


if __name__ == "__main__":
    main()
