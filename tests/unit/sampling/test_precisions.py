"""Every sampler and everything it records, in both precisions, from the same numbers.

What is drawn is handed to the samplers, the same in single and in double precision, so that no
statistics is needed: a tensor that is overwritten while somebody still reads it (as happens where a
conversion to a precision returns its argument) shows in the first network. Explicit networks are
also held against automatic differentiation of the very weights that were handed out.
"""

import functools
from itertools import pairwise

import numpy as np
import pytest
import torch

from finitewidth.core.indices import pairs, quads
from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling import ensemble, ntk_ensemble, on_torch
from finitewidth.sampling.mlp import coupled_widths, torch_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk

#: Each activation as torch differentiates it: torch's own where it has one.
OWN = {name: functools.partial(get(name).on_tensor, torch)
       for name in (*TABLE, "leaky_relu(0.3)", "leaky_relu(-0.4)")}  # fmt: skip
OWN |= {
    "abs": torch.abs, "arctan": torch.atan, "cos": torch.cos, "erf": torch.erf,
    "gelu": torch.nn.functional.gelu, "linear": lambda z: 1 * z, "relu": torch.relu,
    "sigmoid": torch.sigmoid, "silu": torch.nn.functional.silu, "sin": torch.sin,
    "softplus": torch.nn.functional.softplus, "tanh": torch.tanh,
    "leaky_relu(0.3)": lambda z: torch.where(z > 0, z, 0.3 * z),
    "leaky_relu(-0.4)": lambda z: torch.where(z > 0, z, -0.4 * z),
}  # fmt: skip
X = np.random.default_rng(3).normal(size=(3, 3))
NORM, PLAIN, ALL = ("log_norm",), ("preactivations",), ("preactivations", "quartic", "sextic")
POWERS, TANGENTS = [PLAIN, ALL], [("ntk",), ("ntk", *ALL)]
DERIVED = [("ntk", "dntk"), ("ntk", "dntk", *ALL)]


class Given:
    """Streams of the numbers of one seed, whatever precision they are asked for in."""

    def __init__(self, networks):
        self.networks = self.most = networks
        self._rng = np.random.default_rng(8)
        self.handed = []

    def normal_(self, values, std=1.0, axis=0):
        values.copy_(torch.from_numpy(self._rng.standard_normal(values.shape) * std))
        self.handed.append(values.double().clone())
        return values

    def uniform_(self, values, edge, axis=0):
        values.copy_(torch.from_numpy(self._rng.uniform(-edge, edge, values.shape)))
        self.handed.append(values.double().clone())
        return values


@pytest.fixture
def given(monkeypatch):
    """What the last sampler was handed, in one tile."""
    last = []

    def one_tile(shard, tile, device):
        last[:] = [Given(len(shard))]
        yield slice(0, len(shard)), last[0]

    for module in (on_torch, torch_ladder):
        monkeypatch.setattr(module, "tiles", one_tile)
    return lambda: last[0].handed


def both(sample, *arguments, **options):
    """Hold what a sampler records in either precision against each other."""
    one, other = (sample(*arguments, **options, networks=20, seed=1, precision=precision)
                  for precision in ("float32", "float64"))  # fmt: skip
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        a, b = one[name].values.astype(float), other[name].values.astype(float)
        size = np.abs(b[np.isfinite(b)]).max(initial=0)
        same = np.isclose(a, b, rtol=0, atol=2e-4 * size) | (a == b)
        # A narrow network whose activations nearly coincide is not known in single precision.
        assert np.mean(same.reshape(len(a), -1).all(axis=1)) >= 0.85, name


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.usefixtures("given")
def test_precisions_agree(name, inputs):
    x = X[:inputs]
    # Without bias two slopes are computed at unit scale.
    for C_b in (0.0, 0.3) if get(name).slopes else (0.3,):
        mlp = Perceptron(name, (3, 6, 5, 6, 2), (C_b,) * 4, (1.5, 2.0, 1.4, 1.1))
        rates = LearningRates((0.5, 0.3, 0.9, 0.2), (1.2, 0.8, 1.1, 0.4))
        for sampler in ("marginal", "explicit"):
            # Compiled kernels name each number: test_fused_sampler.py holds them against numpy.
            for measure in POWERS if C_b else [*POWERS, NORM]:
                both(ensemble.sample, mlp, x, sampler=sampler, measure=measure, layers=(2, 4),
                     compiled=False)  # fmt: skip
            for measure in TANGENTS + (DERIVED if sampler == "explicit" else []):
                both(ntk_ensemble.sample_ntk, mlp, rates, x, sampler=sampler, measure=measure,
                     compiled=False)  # fmt: skip
        mlps = [Perceptron.uniform_width(name, dimension=3, width=n, depth=3, C_b=C_b, C_W=1.5)
                for n in (8, 6, 8)]  # fmt: skip
        for controls in (True, False):
            for each in (None, [LearningRates.named("ntk", mlp) for mlp in mlps]):
                both(coupled_widths.sample_ladder, mlps, x, controls=controls, rates=each,
                     compiled=False)  # fmt: skip


def reference(name, widths, rates, weights, biases, x, outputs):
    """Layers, tangent kernel and its derivative of one network, by automatic differentiation."""
    parts, each = [], []
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
        parts += [W.flatten(), b]
        each += [rates.lambda_W[layer] / widths[layer]] * W.numel()
        each += [rates.lambda_b[layer]] * b.numel()
    flat, rate = torch.cat(parts), torch.tensor(each, dtype=torch.float64)

    def layers(p):
        s, at, found = x, 0, []
        for m, n in pairwise(widths):
            W, b = p[at : at + n * m].view(n, m), p[at + n * m : at + n * m + n]
            at += n * m + n
            found.append(s @ W.T + b)
            s = OWN[name](found[-1])
        return found

    J = torch.func.jacrev(lambda p: layers(p)[-1][:, :outputs])(flat)
    H = torch.func.hessian(lambda p: layers(p)[-1][:, :outputs])(flat)
    v = rate * J
    found = layers(flat)
    return (
        found,
        torch.einsum("aiu,bju->ijab", J, v),
        torch.einsum("aiuv,bju,ckv->ijkabc", H, v, v),
        OWN[name](found[-2]),
    )


@pytest.mark.parametrize("name", OWN)
def test_explicit_networks_against_differentiation(name, given):
    """The weights that were handed out, whatever is measured of their networks."""
    widths, outputs = (3, 4, 5, 3), 2
    C_b, C_W = (0.2, 0.3, 0.4), (1.5, 2.0, 1.4)
    mlp, rates = Perceptron(name, widths, C_b, C_W), LearningRates((0.5, 0.3, 0.9), (1.2, 0.8, 1.1))
    x, expected = torch.from_numpy(X), None
    for precision, close in (("float64", 1e-11), ("float32", 1e-4)):
        for measure in TANGENTS + DERIVED:
            found = sample_ntk(
                mlp, rates, X, networks=2, seed=1, sampler="explicit", outputs=outputs,
                measure=measure, precision=precision,
            )  # fmt: skip
            if expected is None:
                each = [part[1] for part in given()]
                z, theta, dH, s = reference(name, widths, rates, each[::2], each[1::2], x, outputs)
                gram = C_b[-1] + C_W[-1] / widths[-2] * s @ s.T
                expected = {
                    "ntk": theta,
                    "dntk": dH,
                    "output_preactivation": z[-1][:, :outputs].T,
                    "conditional_kernel": gram[tuple(pairs(3).T)],
                    "preactivation": torch.stack([layer[:, :3] for layer in z]),
                    "kernel": torch.stack([layer @ layer.T / layer.shape[1] for layer in z]),
                    "quartic": torch.stack([layer[quads(3)].prod(1).mean(1) for layer in z]),
                    "sextic": torch.stack([(layer**6).mean(1) for layer in z]),
                }
            for variable in found.data_vars:
                values, right = found[variable].values[1], expected[variable].numpy()
                # Neurons are kept in single precision.
                near = max(close, 2e-7) if variable == "preactivation" else close
                size = float(np.abs(right).max())
                assert values == pytest.approx(right, rel=0, abs=near * size + 1e-300), variable


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "abs", "silu", "leaky_relu(0.3)", "gelu"])
def test_what_else_is_measured_changes_no_bit(name, precision):
    """On streams of their own: what is measured besides is read, and nothing is written."""
    mlp = Perceptron.uniform_width(name, dimension=3, width=6, depth=3, C_b=0.1, C_W=1.5)
    shared = {"networks": 50, "seed": 1, "precision": precision}
    for sampler in ("marginal", "explicit"):
        choices = TANGENTS + (DERIVED if sampler == "explicit" else [])
        rates = LearningRates.named("ntk", mlp)
        each = [sample_ntk(mlp, rates, X, sampler=sampler, measure=m, **shared) for m in choices]
        for found in each[:-1]:
            for variable in found.data_vars:
                assert np.array_equal(found[variable], each[-1][variable]), variable
        one, other = (
            ensemble.sample(mlp, X, sampler=sampler, measure=m, **shared) for m in (PLAIN, ALL)
        )
        assert np.array_equal(one["preactivation"], other["preactivation"])
        # Summed in another order beside the higher powers.
        assert np.allclose(one["kernel"], other["kernel"], rtol=1e-4, atol=1e-4)
