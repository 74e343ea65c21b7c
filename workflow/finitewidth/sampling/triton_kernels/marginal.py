"""The marginal sampler on a GPU: what it records is what the one on torch records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from finitewidth.core.random import stream_words
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.fused.activations import code_of
from finitewidth.sampling.requirements import require_normal
from finitewidth.sampling.triton_kernels.networks import sample_networks
from finitewidth.sampling.triton_kernels.shapes import WARPS, Shape, shape_of

#: Numbers recorded of the networks of a launch.
RECORDED = 2**25


def key_on(device: str, seed: int, name: Sequence[str]) -> torch.Tensor:
    """Key of a stream for the kernels: its first two words as one, and 16 bits of the third.

    The words are those of :func:`finitewidth.sampling.fused.drawing.key_of`.
    """
    low, high, more = (int(word) for word in stream_words(seed, *name, "networks", count=3))
    words = np.array([low | high << 32, (more & 0xFFFF) << 16], np.uint64)
    return torch.from_numpy(words.view(np.int64)).to(device)


def lower(matrix: np.ndarray) -> np.ndarray:
    """The entries (a, b) with b <= a, row by row."""
    return matrix[np.tril_indices(len(matrix))]


def launch(kernel: Any, programs: int, *arguments: object, **constants: object) -> None:
    """Start a kernel of :data:`~finitewidth.sampling.triton_kernels.shapes.WARPS` warps.

    Products may be joined to sums: nothing here needs them apart.
    """
    kernel[(programs,)](*arguments, **constants, num_warps=WARPS, enable_fp_fusion=True)


def fill(
    mlp: Perceptron,
    x: np.ndarray,
    arrays: dict[str, np.ndarray],
    *,
    seed: int,
    name: Sequence[str],
    layers: Sequence[int],
    first: int,
    networks: int,
    device: str = "cuda",
    tile: int | None = None,
    shape: Shape | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Draw networks and put what is recorded of them into ``arrays``.

    Parameters
    ----------
    mlp, x, arrays, seed, name, layers, first, networks
        As for :func:`finitewidth.sampling.fused.marginal.fill`; what is covered says
        :func:`finitewidth.sampling.triton_kernels.covered.is_covered`.
    device : str
        ``cuda``, or ``cpu`` for Triton's interpreter.
    tile : int, optional
        Networks of a launch; no number depends on it.
    shape : Shape, optional
        The same for how many networks a program has.

    Raises
    ------
    ValueError
        For weights of another law than the normal one.
    """
    tile = tile or max(1, RECORDED // max(1, sum(values[:1].size for values in arrays.values())))
    for begin in range(0, networks, tile):
        count = min(tile, networks - begin)
        found = sample_on_device(
            mlp,
            x,
            {key: (values.shape[1:], values.dtype) for key, values in arrays.items()},
            seed=seed,
            name=name,
            layers=layers,
            first=first + begin,
            networks=count,
            device=device,
            shape=shape,
        )
        for key, values in found.items():
            torch.from_numpy(arrays[key][begin : begin + count]).copy_(values)
        on_tile(begin + count, networks)


def sample_on_device(
    mlp: Perceptron,
    x: np.ndarray,
    wanted: dict[str, tuple[tuple[int, ...], np.dtype]],
    *,
    seed: int,
    name: Sequence[str],
    layers: Sequence[int],
    first: int,
    networks: int,
    device: str,
    shape: Shape | None = None,
) -> dict[str, torch.Tensor]:
    """Tensors (network, ...) on the device of what is ``wanted``: shapes and types by name."""
    require_normal(mlp.weights)
    inputs, depth, activation = len(x), max(layers), mlp.activation
    widths = mlp.widths[1 : depth + 1]
    places = np.full(depth + 1, -1, np.int32)
    places[list(layers)] = np.arange(len(layers))
    gains = [0.0, *(C_W / n for C_W, n in zip(mlp.C_W, mlp.widths[:-1], strict=True))]
    shared = mlp.C_b[0] + gains[1] * (x @ x.T)
    kinds = {"float32": torch.float32, "float64": torch.float64}
    found = {
        key: torch.empty((networks, *size), dtype=kinds[np.dtype(kind).name], device=device)
        for key, (size, kind) in wanted.items()
    }
    nothing = torch.empty(1, dtype=torch.float64, device=device)
    shape = shape or shape_of(widths)
    plus, minus = activation.slopes or (1.0, 1.0)
    launch(
        sample_networks,
        -(-networks // shape.networks),
        key_on(device, seed, name),
        torch.from_numpy(lower(shared)).to(device),
        torch.tensor(mlp.widths[: depth + 1], dtype=torch.int32, device=device),
        torch.from_numpy(places).to(device),
        torch.tensor([0.0, *mlp.C_b], dtype=torch.float64, device=device),
        torch.tensor(gains, dtype=torch.float64, device=device),
        *(
            found.get(key, nothing)
            for key in ("preactivation", "kernel", "quartic", "sextic", "log_norm")
        ),
        first,
        networks,
        len(layers),
        wanted["preactivation"][0][-1] if "preactivation" in wanted else 0,
        depth,
        A=inputs,
        CODE=code_of(activation),
        PLUS=float(plus),
        MINUS=float(minus),
        INVARIANT=mlp.is_scale_invariant,
        MOMENTS="kernel" in wanted,
        FOURS="quartic" in wanted,
        SIXTH="sextic" in wanted,
        WHOLE=shape.whole(widths),
        NETS=shape.networks,
        LANES=shape.lanes,
    )
    return found
