"""What a GPU is worth, against one thread of the processor and against its own limits.

    python benchmarks/gpu.py

Both devices in one run, the best of three. The limits are measured, too: normals a second from the
device's generator, bytes a second of a copy, operations a second of a product of matrices in single
precision, and for the kernels in Triton (`gpu_kernels.py`) fused multiply-adds a second. Under four
minutes, the compilation of the kernels included. Without a GPU there is nothing to measure, and it
says so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from finitewidth.core.device import label, prepare
from finitewidth.core.torch_random import torch_stream
from finitewidth.members.plain import of_plain
from finitewidth.models.network_shape import NetworkShape
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.triton_kernels.covered import is_there
from finitewidth.trained.training.epochs import Settings, train

REPEATS, DEPTH, INPUTS = 3, 4, 2
X = np.random.default_rng(0).standard_normal((INPUTS, 10))


def seconds(job: Callable[[], object], device: str) -> float:
    """Of the fastest of several runs, until the device has done all of it."""
    taken = []
    for _ in range(REPEATS + 1):  # the first sets up what torch sets up once
        start = time.perf_counter()
        job()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def limits(device: str, numbers: int) -> dict[str, float]:
    """Normals, bytes and operations a second."""
    values, other = (torch.empty(numbers, device=device) for _ in range(2))
    stream = torch_stream(0, "floor", device=device)
    n = int((numbers / 8) ** 0.5)
    a, b = (torch.ones(8, n, n, device=device) for _ in range(2))
    return {
        "normals": numbers / seconds(lambda: values.normal_(generator=stream), device),
        # Read and written.
        "bytes": 2 * values.nbytes / seconds(lambda: other.copy_(values), device),
        "operations": 16 * n**3 / seconds(lambda: torch.bmm(a, b), device),
    }


def member(width: int) -> tuple[Perceptron, LearningRates]:
    """A ReLU network at its critical initialisation."""
    mlp = Perceptron.uniform_width("relu", dimension=10, width=width, depth=DEPTH, C_W=2.0)
    return mlp, LearningRates.named("ntk", mlp)


def samplers(width: int) -> dict[str, tuple[Callable[[str, int], object], int]]:
    """Name: a job of a device and a number of networks, and the normals that one network needs."""
    mlp, rates = member(width)

    def plain(sampler: str, device: str, networks: int):
        sample(mlp, X, networks=networks, seed=1, sampler=sampler, device=device)

    def ntk(device: str, networks: int):
        sample_ntk(mlp, rates, X, networks=networks, seed=1, outputs=1, device=device)

    neurons, weights = DEPTH * INPUTS * width, width * 10 + (DEPTH - 1) * width**2
    # Tangent kernels draw every hidden layer again on the way back.
    return {
        "marginal": (partial(plain, "marginal"), neurons),
        "explicit": (partial(plain, "explicit"), weights),
        "marginal NTK": (ntk, 2 * neurons - INPUTS * width),
    }


def training(device: str, images: int, replicas: int, model: dict) -> tuple[float, float]:
    """Seconds of an epoch and its evaluations; the operations of its three products a layer."""
    described = of_plain({"ensemble": "benchmark", "mlp": None, "cnn": None} | model, NetworkShape)
    mlp = {"weights": "uniform", "C_W": 1 / 3}
    architecture = trained_architecture(described, (1, 32, 32), 10, **mlp)
    settings = Settings(replicas, 1, 128, 0.01, 0.9, (1,))
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(images, *architecture.image, generator=stream).to(device)
    y = torch.randint(10, (images,), generator=stream).to(device)
    took = seconds(lambda: train(architecture, settings, (x, y), (x[:100], y[:100])), device)
    products = sum(layer.out * layer.fan_in * layer.positions for layer in architecture.layers)
    return took, 6 * replicas * images * products


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)  # cpu: a dry run
    parser.add_argument("--small", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("skipped: no GPU")
        return
    device, small = prepare(args.device), args.small
    most = limits(device, 2**28 // small)
    print(f"{label(device)}, torch {torch.__version__}: " + ", ".join(
        f"{value:.3g} {name} a second" for name, value in most.items()) + ".\n")  # fmt: skip
    print(
        "| sampler | width | networks a second, one thread | GPU | ratio | share of its normals |"
    )
    print("|---|---|---|---|---|---|")
    for width in (64, 256, 1024, 4096):
        for name, (job, needed) in samplers(width).items():
            few = max(2, int(2e7 / needed) // small)
            many = 50 * few
            slow = few / seconds(partial(job, "cpu", few), "cpu")
            fast = many / seconds(partial(job, device, many), device)
            share = fast * needed / most["normals"]
            numbers = f"{slow:.3g} | {fast:.3g} | {fast / slow:.1f} | {share:.3f}"
            print(f"| {name} | {width} | {numbers} |", flush=True)
    if is_there(device) or args.small > 1:
        from gpu_kernels import print_table

        print_table(seconds, device, small)
    else:
        print("\nkernels: skipped: no triton, or a card that it does not know")
    print("\n| training | replicas | one thread, s | GPU, s | ratio | of its operations |")
    print("|---|---|---|---|---|---|")
    for name, model in (
        ("MLP 1024-512-256-10", {"mlp": [1024, 512, 256, 10]}),
        ("CNN 1-32-64", {"cnn": {"channels": [1, 32, 64], "kernel": 5, "stride": 2, "padding": 0}}),
    ):
        for replicas in (1, 8):
            images = 2048 // small
            slow, _ = training("cpu", images, replicas, model)
            fast, operations = training(device, images, replicas, model)
            share = operations / fast / most["operations"]
            numbers = f"{slow:.3g} | {fast:.3g} | {slow / fast:.1f} | {share:.3f}"
            print(f"| {name} | {replicas} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
