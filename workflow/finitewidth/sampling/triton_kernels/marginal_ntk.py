"""Tangent kernels on a GPU: what is recorded is what the sampler on torch records."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.requirements import require_normal
from finitewidth.sampling.triton_kernels.marginal import RECORDED, key_on, launch, lower
from finitewidth.sampling.triton_kernels.shapes import Shape, shape_of
from finitewidth.sampling.triton_kernels.tangents import forwards
from finitewidth.sampling.triton_kernels.tangents_back import backwards


def fill(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
    name: Sequence[str],
    first: int,
    networks: int,
    device: str = "cuda",
    tile: int | None = None,
    shape: Shape | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Draw networks and put their tangent kernels into ``arrays``.

    Parameters
    ----------
    mlp, rates, x
        What is covered says :func:`finitewidth.sampling.triton_kernels.covered.is_ntk_covered`.
    arrays : dict of arrays
        Those of a :class:`finitewidth.sampling.record.NtkRecorder`.
    seed, name, first, networks, device, tile, shape, on_tile
        As for :func:`finitewidth.sampling.triton_kernels.marginal.fill`.

    Raises
    ------
    ValueError
        For weights of another law than the normal one.
    """
    outputs, inputs = arrays["ntk"].shape[1], len(x)
    entries = scratch_of(mlp.depth, inputs, outputs) + (outputs * inputs) ** 2
    tile = tile or max(1, RECORDED // entries)
    for begin in range(0, networks, tile):
        count = min(tile, networks - begin)
        found = sample_on_device(
            mlp,
            rates,
            x,
            outputs,
            seed=seed,
            name=name,
            first=first + begin,
            networks=count,
            device=device,
            shape=shape,
        )
        for key, values in found.items():
            torch.from_numpy(arrays[key][begin : begin + count]).copy_(values)
        on_tile(begin + count, networks)


def scratch_of(depth: int, inputs: int, outputs: int) -> int:
    """Numbers that a network keeps between the way there and the way back."""
    each = inputs * (inputs + 1) + outputs * inputs**2
    return (depth - 1) * each + outputs * inputs


def sample_on_device(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    outputs: int,
    *,
    seed: int,
    name: Sequence[str],
    first: int,
    networks: int,
    device: str,
    shape: Shape | None = None,
) -> dict[str, torch.Tensor]:
    """What a tile is recorded of, as float64 tensors on the device."""
    require_normal(mlp.weights)
    inputs, activation = len(x), mlp.activation
    hidden = mlp.widths[1:-1]
    naturals, gains, units, scale = [0.0], [0.0], [1.0], 0.0
    for C_W, fan_in in zip(mlp.C_W, mlp.widths[:-1], strict=True):
        naturals.append(C_W / fan_in)
        gains.append(C_W / fan_in)
        if mlp.is_scale_invariant:
            # Computed at the scale where the mean kernel stands still.
            still = 1 / sum(a * a / 2 for a in activation.slope_pair)
            gains[-1] = still / fan_in
            scale += math.log(C_W / still) if C_W else -math.inf
        units.append(math.exp(scale))

    def on(values: Sequence[float] | np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)

    def empty(*size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.float64, device=device)

    found = {
        "ntk": empty(networks, outputs, outputs, inputs, inputs),
        "output_preactivation": empty(networks, outputs, inputs),
        "conditional_kernel": empty(networks, inputs * (inputs + 1) // 2),
    }
    scratch = empty(scratch_of(mlp.depth, inputs, outputs), networks)
    widths = torch.tensor(mlp.widths, dtype=torch.int32, device=device)
    shape = shape or shape_of(hidden)
    plus, minus = activation.slopes or (1.0, 1.0)
    common = (key_on(device, seed, name), on(lower(x @ x.T)), widths, on([0.0, *mlp.C_b]))
    size = (first, networks, mlp.depth)
    constants = {
        "A": inputs,
        "OUT": outputs,
        "CODE": code_of(activation),
        "PLUS": float(plus),
        "MINUS": float(minus),
        "BIAS": any(mlp.C_b),
        "WHOLE": shape.whole(hidden),
        "NETS": shape.networks,
        "LANES": shape.lanes,
    }
    programs = -(-networks // shape.networks)
    launch(
        forwards,
        programs,
        *common,
        on(gains),
        on(naturals),
        on(units),
        scratch,
        found["output_preactivation"],
        found["conditional_kernel"],
        *size,
        **constants,
    )
    launch(
        backwards,
        programs,
        *common,
        on(gains),
        on(naturals),
        on([0.0, *(rate / n for rate, n in zip(rates.lambda_W, mlp.widths[:-1], strict=True))]),
        on([0.0, *rates.lambda_b]),
        scratch,
        found["ntk"],
        *size,
        **constants,
    )
    return found
