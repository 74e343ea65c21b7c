"""The same networks' tangent kernels in every way: do these agree, and what do they cost?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import xarray as xr

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.network import WAYS, tangent_kernel
from finitewidth.ntk.structured import sequential
from finitewidth.sampling.ensemble import check_inputs
from finitewidth.sampling.layers.draws import Tile, draw_weights
from finitewidth.sampling.record import Workspace
from finitewidth.sampling.streams import Streams


def sample_methods(
    mlp: Perceptron,
    rates: LearningRates,
    x: np.ndarray,
    *,
    networks: int,
    seed: int,
    name: Sequence[str] = (),
    outputs: int = 2,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> xr.Dataset:
    """Draw networks and compute the tangent kernel of each in every way of :data:`WAYS`.

    In double precision, on the CPU. Arguments as for
    :func:`finitewidth.sampling.ntk_ensemble.sample_ntk`; of the last layer only ``outputs`` neurons
    are kept.

    Returns
    -------
    xarray.Dataset
        ``ntk_by_way`` (network, way, output, output_, input, input_); ``operations`` (network,
        way), multiplications of matrix products; ``seconds`` (way, statistic) of one network, the
        one variable that differs from run to run.
    """
    # Imported where it is used: it brings triton where that is there, a second for every job.
    from torch.utils.flop_counter import FlopCounterMode

    tensor = torch.from_numpy(check_inputs(mlp, x))
    stream = Streams([torch_stream(seed, *name, "networks", 0)], [1])
    k = min(outputs, mlp.widths[-1])
    kernels = np.zeros((networks, len(WAYS), k, k, len(x), len(x)))
    operations = np.zeros((networks, len(WAYS)), dtype=np.int64)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for network in range(networks):
        tile = Tile(stream, Workspace(), torch.float64, tensor.device)
        weights, biases = [], []
        for layer in range(1, mlp.depth + 1):
            W, b = draw_weights(mlp.dense(layer), tile, f"weights{layer}")
            last = slice(k) if layer == mlp.depth else slice(None)
            weights.append(W[0, last])
            biases.append(weights[-1].new_zeros(len(weights[-1])) if b is None else b[0, last])
        model = sequential(mlp.activation_name, weights, biases)
        for place, way in enumerate(WAYS):
            start = time.perf_counter()
            kernel = tangent_kernel(model, tensor, way, rates, check=False)
            taken[way].append(time.perf_counter() - start)
            kernels[network, place] = kernel.total.numpy()
            if network == 0:
                with FlopCounterMode(display=False) as counter:
                    tangent_kernel(model, tensor, way, rates, check=False)
                # A multiplication and an addition count as two there.
                operations[:, place] = counter.get_total_flops() // 2
        on_tile(network + 1, networks)
    return _dataset(mlp, kernels, operations, taken)


def _dataset(
    mlp: Perceptron,
    kernels: np.ndarray,
    operations: np.ndarray,
    taken: Mapping[str, Sequence[float]],
) -> xr.Dataset:
    # The first network also pays for what torch sets up once.
    seconds = [
        (statistics.median(s[1:]), statistics.stdev(s[1:]) / len(s[1:]) ** 0.5)
        for s in taken.values()
    ]
    data = {
        "ntk_by_way": (
            ("network", "way", "output", "output_", "input", "input_"),
            kernels,
            {"long_name": "tangent kernel", "units": "1"},
        ),
        "operations": (
            ("network", "way"),
            operations,
            {"long_name": "multiplications of matrix products", "units": "1"},
        ),
        "seconds": (
            ("way", "statistic"),
            np.array(seconds),
            {"long_name": "time that one network took", "units": "s"},
        ),
    }
    coordinates = {
        "network": np.arange(len(kernels)),
        "way": np.array(WAYS),
        "statistic": np.array(["median", "spread"]),
        "layer": np.array([mlp.depth]),
        "width": ("layer", np.array(mlp.widths[-1:])),
    }
    for dimension, size in zip(("output", "input"), kernels.shape[3:5], strict=True):
        coordinates |= {dimension: np.arange(size), f"{dimension}_": np.arange(size)}
    return xr.Dataset(data, coords=coordinates)
