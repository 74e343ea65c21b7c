"""The trainer of random ensembles beside its bare matrix products, torch.func.vmap and torch.optim.

    python benchmarks/training.py [--widths 32 64] [--unseen 256 1024 4096]

One thread, single precision, tanh, L = 3, three training inputs, one output, NTK parameterisation:
microseconds for a network and a step, each the best of several turns taken one after another. The
bare products are the bmm and baddbmm calls of a step (forwards, back, and the change of the
weights) on arrays of the same shapes, with nothing between them.

Two trainers: compiled kernels, which take several steps of a network at a time (and one alone, for
comparison), and batched products, which GPUs and large networks take.

A second table: milliseconds for a start (a pair of networks) that is drawn, takes eight steps and
is recorded at the start and the end, with every weight and without those between hidden layers.

A third: how many times smaller the variance of an estimate is by what infinite width makes of the
same start, at the start, after 3 and after 15 steps (400 starts; the least and the most of inputs).
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch

from finitewidth.core.blocks import block_size
from finitewidth.estimate.training.training_estimates import estimate_training
from finitewidth.members.inputs import TrainingInputs
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.schedule import Schedule
from finitewidth.quantities.vocabulary import FROM_TRAINING
from finitewidth.sampling.training.starts import Ensemble, drawn
from finitewidth.sampling.training.training_ensemble import sample_training

POINTS, DIMENSION, RATE = 3, 4, 0.05
#: Of compiled kernels, which bring a network into the cache once for all of them.
STEPS = 10


def ours(width: int, steps: int) -> tuple[Callable[[], None], int]:
    """So many steps of the trainer, or one by batched products (0), and how many are taken."""
    mlp = Perceptron.uniform_width(
        "tanh", dimension=DIMENSION, width=width, depth=3, C_b=0.1, C_W=1.2, outputs=1
    )
    stream = np.random.default_rng(0)
    x, y = (torch.from_numpy(stream.normal(size=(POINTS, n))).float() for n in (DIMENSION, 1))
    schedule = Schedule(
        inputs="x", learning_rate=RATE, moments=(0.0,), centred=False, scale=1.0, kernels="train"
    )
    one = Ensemble(
        mlp, LearningRates.named("ntk", mlp), schedule, x, y,
        lambda block: torch.Generator().manual_seed(block),
    )  # fmt: skip
    learners = drawn(one, 0, block_size("training", width))
    if steps == 0:
        return lambda: learners.step(RATE), len(learners.y)
    return lambda: learners.descend(RATE, steps), len(learners.y) * steps


def products(width: int, networks: int) -> Callable[[], None]:
    """The matrix products of such a step, and nothing else."""
    sizes = (DIMENSION, width, width, 1)
    W = [torch.randn(networks, b, a) / a**0.5 for a, b in itertools.pairwise(sizes)]
    s = [torch.randn(networks, POINTS, n) for n in sizes]
    z = [torch.empty_like(each) for each in s]
    b = [torch.zeros(networks, 1, n) for n in sizes[1:]]

    def step() -> None:
        for k in range(3):
            torch.baddbmm(b[k], s[k], W[k].transpose(1, 2), out=z[k + 1])
        for k in (2, 1):
            torch.bmm(s[k + 1], W[k], out=z[k])
        for k in (2, 1, 0):
            W[k].baddbmm_(s[k + 1].transpose(1, 2), s[k], alpha=-1e-9)

    return step


def vmapped(width: int, networks: int) -> Callable[[], None]:
    """A step by torch.func: the gradient of one network's loss, over all of them."""
    sizes = (DIMENSION, width, width, 1)
    x, y = torch.randn(POINTS, DIMENSION), torch.randn(POINTS, 1)
    W = [torch.randn(networks, b, a) / a**0.5 for a, b in itertools.pairwise(sizes)]
    b = [torch.zeros(networks, n) for n in sizes[1:]]
    rates = [1.2 / a for a in sizes[:-1]]

    def loss(W: list, b: list) -> torch.Tensor:
        s = x
        for k in range(3):
            s = s @ W[k].T + b[k]
            s = torch.tanh(s) if k < 2 else s
        return (s - y).square().sum() / 2

    gradient = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)))

    def step() -> None:
        with torch.no_grad():
            of_W, of_b = gradient(W, b)
            for k in range(3):
                W[k].sub_(of_W[k], alpha=RATE * rates[k])
                b[k].sub_(of_b[k], alpha=RATE * 0.1)

    return step


def one_by_one(width: int) -> Callable[[], None]:
    """A step of a loop of torch.optim over ten networks."""
    x, y = torch.randn(POINTS, DIMENSION), torch.randn(POINTS, 1)
    models = [
        torch.nn.Sequential(
            torch.nn.Linear(DIMENSION, width), torch.nn.Tanh(), torch.nn.Linear(width, width),
            torch.nn.Tanh(), torch.nn.Linear(width, 1),
        )
        for _ in range(10)
    ]  # fmt: skip
    optimisers = [torch.optim.SGD(model.parameters(), lr=1e-3) for model in models]

    def step() -> None:
        for model, optimiser in zip(models, optimisers, strict=True):
            optimiser.zero_grad()
            ((model(x) - y).square().sum() / 2).backward()
            optimiser.step()

    return step


def turns(ways: dict[str, tuple[Callable[[], None], int]], rounds: int = 15) -> dict[str, float]:
    """Microseconds a network and step of each way; the ways take turns, the best round counts."""
    best = dict.fromkeys(ways, float("inf"))
    for step, _ in ways.values():
        step()
    for _ in range(rounds):
        for name, (step, networks) in ways.items():
            begin, count = time.perf_counter(), 0
            while time.perf_counter() - begin < 0.05 or count < 3:
                step()
                count += 1
            taken = (time.perf_counter() - begin) / count / networks
            best[name] = min(best[name], 1e6 * taken)
    return best


def whole(width: int, sampler: str, steps: int = 8) -> float:
    """Milliseconds of the processor a start, drawing and recording included; of two runs the best
    one, of one where that takes seconds."""
    mlp = Perceptron.uniform_width(
        "tanh", dimension=DIMENSION, width=width, depth=3, C_b=0.1, C_W=1.2, outputs=1
    )
    stream = np.random.default_rng(0)
    x, y = (stream.normal(size=(POINTS, n)) for n in (DIMENSION, 1))
    schedule = Schedule(
        inputs="x", learning_rate=RATE, moments=(0.0, float(steps)), centred=False, scale=1.0,
        kernels="train",
    )  # fmt: skip
    # Some networks more are drawn for a whole ensemble, and are not to count for a small block.
    starts, best = max(16, block_size(sampler, width)), float("inf")
    for _ in range(2):
        begin = time.process_time()
        sample_training(
            mlp, LearningRates.named("ntk", mlp), TrainingInputs(x, y, POINTS), schedule,
            networks=starts, seed=0, sampler=sampler, precision="float32",
        )  # fmt: skip
        best = min(best, time.process_time() - begin)
        if best > 2:
            break
    return 1e3 * best / starts


#: Activation, width and learning rate of :func:`saved`, and the quantities that it looks at.
LAWS = (("tanh", 16, 0.1), ("tanh", 32, 0.15), ("tanh", 128, 0.15), ("relu", 16, 0.06))
CONTROLLED = ("prediction_variance", "frozen_variance", "training_loss")
X = np.array(
    [(1, 0.5, -1, 0.9), (0.2, 1.1, 0.7, 1.2), (-0.9, 0.3, 0.6, -0.8), (0.8, -0.6, 0.4, 0.3)]
)
TARGETS = np.array([[1.0], [-0.7], [0.4], [0.1]])


def saved(activation: str, width: int, rate: float) -> list[str]:
    """Of a law, a row of the table a quantity: plain over controlled variance, by moment."""
    mlp = Perceptron.uniform_width(
        activation, dimension=4, width=width, depth=3, C_b=0.1, C_W=1.2, outputs=1
    )
    schedule = Schedule(
        inputs="x", learning_rate=rate, moments=(0.0, 3.0, 15.0), centred=False, scale=1.0,
        kernels="train",
    )  # fmt: skip
    samples = sample_training(
        mlp, LearningRates.named("pdlt", mlp, 0.5, 1.0), TrainingInputs(X, TARGETS, POINTS),
        schedule, networks=400, seed=0, precision="float32",
    )  # fmt: skip
    wide = [name for name in samples.data_vars if str(name).startswith("wide_")]
    plain = samples.assign({name: 0 * samples[name] for name in wide})
    each = [estimate_training([s], FROM_TRAINING) for s in (plain, samples)]
    rows = []
    for name in CONTROLLED:
        ratio = ((each[0][f"{name}_stderr"] / each[1][f"{name}_stderr"]) ** 2).values
        by_moment = (f"{m.min():.1f} to {m.max():.1f}" for m in ratio.reshape(len(ratio), -1))
        rows.append(f"| {activation} | {width} | `{name}` | {' | '.join(by_moment)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--unseen", type=int, nargs="*", default=[256, 1024, 4096])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"| width | networks | kernels, {STEPS} steps at a time, us | over products |"
        " vmap over it | torch.optim over it | one step, us | batched products, us |"
        " over products |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for width in given.widths:
        ways = {
            "kernels": ours(width, STEPS), "one": ours(width, 1), "torch": ours(width, 0)
        }  # fmt: skip
        networks = ways["torch"][1]
        ways |= {
            "products": (products(width, networks), networks),
            "vmap": (vmapped(width, networks), networks),
            "optim": (one_by_one(width), 10),
        }
        found = turns(ways)
        mine, floor = found["kernels"], found["products"]
        print(
            f"| {width} | {networks} | {mine:.2f} | {mine / floor:.2f} |"
            f" {found['vmap'] / mine:.1f} | {found['optim'] / mine:.0f} | {found['one']:.2f} |"
            f" {found['torch']:.2f} | {found['torch'] / floor:.2f} |"
        )
    print("\n| width | every weight, ms a start | without, ms a start | ratio |")
    print("|---|---|---|---|")
    for width in given.unseen:
        every, without = (whole(width, sampler) for sampler in ("training", "marginal training"))
        print(f"| {width} | {every:.1f} | {without:.2f} | {every / without:.1f} |")
    print("\n| activation | width | quantity | start | 3 steps | 15 steps |")
    print("|---|---|---|---|---|---|")
    for law in LAWS:
        print("\n".join(saved(*law)))


if __name__ == "__main__":
    main()
