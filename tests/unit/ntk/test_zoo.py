"""Any module: every way gives what one backward pass an output gives, or says which way does."""

import random
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrizations, weight_norm

from finitewidth.models.parameterisation import LearningRates
from finitewidth.ntk.network import WAYS, tangent_kernel
from module_zoo import mlp, reference, vectors, wrapped
from zoo_refused import REFUSED
from zoo_taken import TAKEN


def build(make, dtype=torch.float64):
    torch.manual_seed(7)
    torch.set_default_dtype(dtype)
    try:
        return make()
    finally:
        torch.set_default_dtype(torch.float32)


def state(model, x):
    """All that a call must leave alone."""
    tensors = (*model.named_parameters(), *model.named_buffers())
    held = {n: t.detach().clone() for n, t in tensors if not isinstance(t, UninitializedParameter)}
    chance = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    rest = [
        (name, module.training, sorted(vars(module)), type(module), [*map(id, module.parameters())])
        for name, module in model.named_modules()
    ]
    flags = [(p.requires_grad, p.grad) for p in model.parameters()]
    plain = [
        (key, v)
        for m in model.modules()
        for key, v in vars(m).items()
        if type(v) in (int, float, list)
    ]
    return held, chance, rest, flags, x.clone(), [*map(repr, plain)]


def unchanged(before, after):
    assert all(torch.equal(v, after[0][name]) for name, v in before[0].items())
    assert torch.equal(before[1][0], after[1][0])
    assert (before[1][1] == after[1][1]).all()
    assert before[1][2] == after[1][2]
    assert before[2] == after[2]
    assert before[3] == after[3]
    assert torch.equal(before[4], after[4])
    assert before[5] == after[5]


def check(kernel, rows, rtol):
    assert not kernel.total.requires_grad
    assert list(kernel.parts) == list(rows)
    scale = max(
        [float(J.abs().max()) ** 2 * J.shape[-1] for J in rows.values() if J.numel()] or [0]
    )
    for name, J in rows.items():
        part = torch.einsum("aip,bjp->ijab", J, J)
        assert torch.allclose(kernel.parts[name].to(part), part, rtol, rtol * scale), name
    total = sum((torch.einsum("aip,bjp->ijab", J, J) for J in rows.values()), torch.zeros(()))
    assert torch.allclose(
        kernel.total.double(), total.expand_as(kernel.total).double(), rtol, rtol * scale
    )


def kernel_or_refusal(model, x, way):
    try:
        return tangent_kernel(model, x, way), None
    except ValueError as refusal:
        return None, str(refusal)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TAKEN)
def test_every_way_is_right_or_names_one_that_is(name):
    make, x = TAKEN[name]
    rows = reference(build(make), x)
    rtol = 1e-5 if name == "mixed precision" else 1e-10
    works = set()
    for way in (None, *WAYS):
        model = build(make)
        before = state(model, x)
        kernel, refusal = kernel_or_refusal(model, x, way)
        unchanged(before, state(model, x))
        if refusal is None:
            works.add(way)
        else:
            named = re.search(r": use (\w+)$", refusal)
            assert named, refusal
            assert ". " not in refusal
            kernel = tangent_kernel(model, x, named[1])
        check(kernel, rows, rtol)
    assert {None, "backward"} <= works


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_one_input_is_refused(name):
    make, x, words = REFUSED[name]
    for way in (None, *WAYS):
        model = build(make)
        before = state(model, x)
        refusal = kernel_or_refusal(model, x, way)[1] or "taken"
        assert re.search(words, refusal)
        assert ". " not in refusal
        unchanged(before, state(model, x))
        if cure := re.search(r"eval\(\) first, and use (\w+)$", refusal):
            rows = reference(build(make).eval(), x)
            check(tangent_kernel(model.eval(), x, cure[1]), rows, 1e-10)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["samples", "parameters"])
@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_inside_every_mode_of_autograd(way, form, inside):
    """And with a module made there, and inputs that require gradients."""
    with inside():
        model = build(lambda: mlp(nn.Tanh()))
        x = vectors().requires_grad_(inside is torch.enable_grad)
        kernel = tangent_kernel(model, x, way, form=form)
        assert not kernel.total.requires_grad
        assert x.grad is None
    plain = build(lambda: mlp(nn.Tanh()))
    rows = reference(plain, vectors())
    if form == "samples":
        check(kernel, rows, 1e-10)
    else:
        J = torch.cat([one.flatten(0, 1) for one in rows.values()], 1)
        assert torch.allclose(kernel.total, J.T @ J, 1e-10, 1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_in_lower_precision(way, dtype):
    model = build(lambda: mlp(nn.GELU()), torch.float32).to(dtype)
    x = vectors().to(dtype)
    kernel = tangent_kernel(model, x, way)
    assert kernel.total.dtype == dtype
    check(kernel, reference(model.double(), x.double()), 20 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("way", WAYS)
def test_rates_of_layers_that_are_no_plain_layers_are_one_sentence(way):
    """Two layers here, and two rates: the names of their parameters do not fit."""
    x, rates = vectors(), LearningRates((0.5, 0.3), (1.2, 0.8))
    for layer in (weight_norm(nn.Linear(3, 3)), parametrizations.orthogonal(nn.Linear(3, 3))):
        model = nn.Sequential(layer, nn.Tanh(), nn.Linear(3, 2)).double()
        with pytest.raises(ValueError, match=r"leave rates out.*weigh the parts"):
            tangent_kernel(model, x, way, rates)
    shared = [nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)]
    shared[2].bias = shared[0].bias
    with pytest.raises(ValueError, match="layer 2 shares its bias with a layer of another rate"):
        tangent_kernel(nn.Sequential(*shared).double(), x, way, rates)


def test_outputs_that_are_no_numbers_do_not_spoil_the_others():
    """The root of a negative number: of nine inputs some have it."""
    model = build(wrapped(lambda m, x: m.a(x).sqrt(), a=lambda: nn.Linear(3, 2)))
    x = vectors(count=9)
    finite = model(x).isfinite().all(1)
    assert 0 < finite.sum() < 9
    whole = tangent_kernel(model, x).total[:, :, finite][..., finite]
    check(tangent_kernel(model, x[finite]), reference(model, x[finite]), 1e-10)
    assert torch.allclose(whole, tangent_kernel(model, x[finite]).total, 1e-10)
