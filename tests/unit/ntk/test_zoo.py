"""Any module: every way gives what one backward pass an output gives, or says which way does."""

import random
import re

import numpy as np
import pytest
import torch
from torch.nn.parameter import UninitializedParameter

import module_zoo as zoo

from finitewidth.ntk.network import WAYS, tangent_kernel


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
    plain = [(key, v) for m in model.modules() for key, v in vars(m).items() if type(v) in (int, float, list)]
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
    scale = max([float(J.abs().max()) ** 2 * J.shape[-1] for J in rows.values() if J.numel()] or [0])
    for name, J in rows.items():
        part = torch.einsum("aip,bjp->ijab", J, J)
        assert torch.allclose(kernel.parts[name].to(part), part, rtol, rtol * scale), name
    total = sum((torch.einsum("aip,bjp->ijab", J, J) for J in rows.values()), torch.zeros(()))
    assert torch.allclose(kernel.total.double(), total.expand_as(kernel.total).double(), rtol, rtol * scale)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", zoo.TAKEN)
def test_every_way_is_right_or_names_one_that_is(name):
    make, x = zoo.TAKEN[name]
    rows = zoo.reference(build(make), x)
    rtol = 1e-5 if name == "mixed precision" else 1e-10
    works = set()
    for way in (None, *WAYS):
        model = build(make)
        before = state(model, x)
        try:
            kernel = tangent_kernel(model, x, way)
        except ValueError as refusal:
            assert way is not None, refusal
            named = re.search(r": use (\w+)$", str(refusal))
            assert named, refusal
            assert ". " not in str(refusal)
            unchanged(before, state(model, x))
            kernel = tangent_kernel(model, x, named[1])
        else:
            works.add(way)
        unchanged(before, state(model, x))
        check(kernel, rows, rtol)
    assert "backward" in works


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", zoo.REFUSED)
def test_what_is_no_function_of_one_input_is_refused(name):
    make, x, words = zoo.REFUSED[name]
    for way in (None, *WAYS):
        model = build(make)
        before = state(model, x)
        with pytest.raises(ValueError, match=words) as refusal:
            tangent_kernel(model, x, way)
        assert ". " not in str(refusal.value)
        unchanged(before, state(model, x))
        if cure := re.search(r"eval\(\) first, and use (\w+)$", str(refusal.value)):
            rows = zoo.reference(build(make).eval(), x)
            check(tangent_kernel(model.eval(), x, cure[1]), rows, 1e-10)
