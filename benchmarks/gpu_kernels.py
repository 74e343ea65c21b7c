"""The Triton kernels against what the card's arithmetic allows; `gpu.py` prints it.

The limit is the card's rate of fused multiply-adds, measured, over the instructions that a normal
needs (README.md counts them). Results stay on the card: what is fetched of them is `gpu.py`'s
other table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import triton
import triton.language as tl

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.record import NtkRecorder, Recorder
from finitewidth.sampling.triton_kernels import marginal, marginal_ntk

#: Instructions of a normal: its bits, the transformation; and of an activation.
BITS, NORMAL, RELU = 9, 20, 1
STEPS, CHAINS, PROGRAMS = 20_000, 1024, 4096


@triton.jit(do_not_specialize=["steps"])
def _multiply_adds(found, steps, CHAINS: tl.constexpr):
    at = tl.arange(0, CHAINS)
    a = at.to(tl.float32)
    for _ in range(steps):
        a = tl.fma(a, 0.999, 0.5)
    tl.store(found + tl.program_id(0) * CHAINS + at, a)


def instructions(inputs: int) -> float:
    """Of a normal of a ReLU network, whose layers are all recorded.

    It is correlated with those of other inputs, and takes part in products of inputs twice: as a
    preactivation and as an activation.
    """
    return BITS + NORMAL + RELU + 3 * (inputs + 1) / 2


def rate(seconds: Callable, device: str, small: int) -> float:
    """Fused multiply-adds a second."""
    programs = PROGRAMS // small
    found = torch.empty(programs * CHAINS, device=device)
    steps = max(1, STEPS // small)
    took = seconds(
        lambda: _multiply_adds[(programs,)](found, steps, CHAINS=CHAINS, num_warps=4), device
    )
    return programs * CHAINS * steps / took


def print_table(seconds: Callable, device: str, small: int) -> None:
    """Rates of the kernels alone."""
    most = rate(seconds, device, small)
    print(f"\n{most:.3g} fused multiply-adds a second.\n")
    print(
        "| kernels alone | inputs | width | networks a second | normals a second | of the limit |"
    )
    print("|---|---|---|---|---|---|")
    for width in (64, 256, 1024, 4096):
        for name, inputs in (("marginal", 1), ("marginal", 2), ("marginal NTK", 3)):
            mlp = Perceptron.uniform_width("relu", dimension=10, width=width, depth=4, C_W=2.0)
            x = np.random.default_rng(0).standard_normal((inputs, 10))
            normals = 4 * inputs * width
            about = {"seed": 1, "name": (), "first": 0, "device": device}
            if name == "marginal":
                recorder = Recorder(1, range(1, 5), inputs, 8, ("preactivations",), True)
                wanted = {k: (v.shape[1:], v.dtype) for k, v in recorder.arrays.items()}
                about |= {"layers": range(1, 5)}

                def job(networks, mlp=mlp, x=x, wanted=wanted, about=about):
                    marginal.sample_on_device(mlp, x, wanted, networks=networks, **about)
            else:
                rates, kernels = LearningRates.named("ntk", mlp), NtkRecorder(1, inputs, 1)
                # Every hidden layer is drawn again on the way back, its last with a row an output.
                normals = (2 * 3 * inputs - inputs + 1) * width

                def job(networks, mlp=mlp, x=x, rates=rates, kernels=kernels, about=about):
                    outputs = kernels.outputs
                    marginal_ntk.sample_on_device(
                        mlp, rates, x, outputs, networks=networks, **about
                    )

            networks = max(4, int(4e10 / normals) // small**3)
            networks = min(networks, 2**20)
            fast = networks / seconds(lambda job=job, n=networks: job(n), device)
            share = fast * normals * instructions(inputs) / most
            numbers = f"{inputs} | {width} | {fast:.3g} | {fast * normals:.3g} | {share:.2f}"
            print(f"| {name} | {numbers} |", flush=True)
