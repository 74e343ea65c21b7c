"""Tangent kernels of networks made of blocks, held in distribution against torch's own."""

import torch
from scipy import stats

from finitewidth.core.torch_random import torch_stream
from finitewidth.models.parameterisation import LearningRates
from finitewidth.sampling.layers.tangent_draws import kept_basis, kept_weights
from finitewidth.sampling.layers.tangents import tangent_tile
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.record import NtkRecorder
from finitewidth.sampling.streams import Streams
from small_blocks import jacobian_kernel


def tangents_of(network, x, keep, networks, seed=4):
    """Tangent kernels of drawn networks, (networks, outputs, outputs, inputs, inputs)."""
    rates = LearningRates.named("ntk", network)
    kernels = NtkRecorder(networks, len(x), 2)
    streams = Streams([torch_stream(seed, "places")], [networks])
    tangent_tile(network, rates, x, streams, None, kernels, torch.float64, keep)
    kernels.end_tile(slice(0, networks))
    return torch.from_numpy(kernels.arrays["ntk"])


def check_tangent_law(network, x, entries, false_alarm):
    """Both ways of drawing, against automatic differentiation, entry by entry of the kernel."""
    stream = torch.Generator().manual_seed(3)
    exact = torch.stack([jacobian_kernel(network, x, stream) for _ in range(250)])
    for keep in (kept_weights, kept_basis):
        found = tangents_of(network, x, keep, 1000)
        for at in entries:
            p = stats.ks_2samp(found[:, *at].numpy(), exact[:, *at].numpy()).pvalue
            assert p > false_alarm / (2 * len(entries)), (keep, at, p)


def check_tangents_of_both_samplers(network, x, false_alarm):
    """Ensembles without weights and with them have one law of the kernel of two inputs."""
    rates, values = LearningRates.named("ntk", network), []
    for seed, sampler in enumerate(("marginal", "explicit")):
        how = {"networks": 1000, "seed": seed, "sampler": sampler}
        values.append(sample_ntk(network, rates, x, **how)["ntk"].values[:, 0, 0, 0, 1])
    assert stats.ks_2samp(*values).pvalue > false_alarm
