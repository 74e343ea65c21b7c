"""Derivatives of activations, against numerical differentiation in high precision."""

import copy
import pickle
import re
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
import xarray as xr

import finitewidth as fw
from finitewidth.models.activations.table import TABLE, get
from high_precision import ACTIVATIONS, check_listed

pytestmark = pytest.mark.fast

SMOOTH = [name for name, a in TABLE.items() if a.derivatives is not None]


@pytest.mark.parametrize("name", [name for name in SMOOTH if name in ACTIVATIONS])
def test_derivatives(name):
    z = np.array([-8.0, -1.3, 0.0, 0.4, 2.7])
    f = ACTIVATIONS[name]
    with mpmath.workdps(60):
        expected = [[float(mpmath.diff(f, mpmath.mpf(x), k)) for x in z] for k in range(6)]
    found = get(name).derivatives(z)
    assert found == pytest.approx(np.array(expected), rel=1e-12, abs=1e-15)
    assert found[0] == pytest.approx(get(name).function(z), rel=1e-15, abs=0)
    assert found[1] == pytest.approx(get(name).derivative(z), rel=1e-12, abs=0)


def test_every_activation_is_listed_and_what_is_smooth_has_a_strip():
    check_listed()
    assert all((a.derivatives is None) == (a.strip is None) for a in TABLE.values())


def test_derivatives_keep_shapes_and_are_finite_far_out():
    z = np.array([[-1e3, -40.0, 0.0], [40.0, 1e3, 1.0]])
    for name in SMOOTH:
        assert get(name).derivatives(z).shape == (6, 2, 3)
        assert np.isfinite(get(name).derivatives(z)).all()


@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)", "leaky_relu(-0.5)"])
def test_derivatives_on_tensors(name):
    activation = get(name)
    z = np.array([-9.0, -1.3, -1e-3, 0.0, 0.4, 2.7, 11.0])
    tensor = torch.tensor(z)
    s = activation.on_tensor(torch, tensor)
    assert s.numpy() == pytest.approx(activation.function(z), rel=1e-13, abs=1e-16)
    slope = activation.derivative_on_tensor(torch, tensor, s)
    assert slope.numpy() == pytest.approx(activation.derivative(z), rel=1e-12, abs=1e-15)
    second = activation.second_on_tensor(torch, tensor)
    expected = np.zeros_like(z) if activation.derivatives is None else activation.derivatives(z)[2]
    assert second.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-14)
    assert np.array_equal(tensor.numpy(), z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)", "leaky_relu(-0.5)"])
def test_what_is_given_stays_as_it_is_whatever_shares_its_memory(name, dtype):
    """``double()`` and the like return the tensor itself where its precision is right already."""
    activation = get(name)
    z = torch.linspace(-3, 3, 13, dtype=dtype)
    for given in (z, z.double(), z[3:7], z.expand(2, -1), z.view(13, 1).T):
        before = given.clone()
        s = activation.on_tensor(torch, given)
        kept = s.clone()
        slope = activation.derivative_on_tensor(torch, given, s)
        second = activation.second_on_tensor(torch, given)
        assert torch.equal(given, before)
        assert torch.equal(s, kept)
        places = {t.untyped_storage().data_ptr() for t in (given, s, slope, second)}
        assert len(places) == 4
        # Those that may overwrite give the same.
        assert torch.equal(activation.on_tensor_(torch, before.clone()), s)
        assert torch.equal(activation.derivative_on_tensor_(torch, before.clone(), s), slope)


@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)"])
def test_networks_go_to_other_processes_and_are_copied(name):
    mlp = fw.perceptron(name, inputs=2, width=3, depth=3, C_W=1.5)
    blocks = fw.network(name, inputs=2, width=3, C_W=1.5, blocks=[{"residual": {"norm": "layer"}}])
    for one in (get(name), mlp, blocks):
        for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
            assert type(other) is type(one)
            assert repr(other).split(" at 0x")[0] == repr(one).split(" at 0x")[0]
    again = pickle.loads(pickle.dumps(mlp))
    x = np.array([[0.3, -1.0]])
    xr.testing.assert_identical(fw.predict(again, x), fw.predict(mlp, x))


def test_what_only_has_the_name_of_another_is_not_taken_for_it():
    other = replace(get("tanh"), function=np.arctan, derivative=np.cos)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(other)
    assert copy.deepcopy(other).function is np.arctan


@pytest.mark.parametrize("name", [*TABLE, "leaky_relu(0.1)"])
def test_what_an_activation_has_not_is_refused_by_name(name):
    one, z = get(name), np.linspace(-1, 1, 3)
    for has, asked in (
        (one.slopes is not None, lambda: one.slope_pair),
        (one.strip is not None, lambda: one.strip_width),
        (one.derivatives is not None, lambda: one.jet(z)),
    ):
        if has:
            assert asked() is not None
        else:
            with pytest.raises(ValueError, match=re.escape(name)):
                asked()
