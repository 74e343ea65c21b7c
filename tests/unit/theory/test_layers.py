"""Layers at infinite width against closed forms, another library, and each other."""

import numpy as np
import pytest

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.layers.infinite_width import infinite_width_kernels
from finitewidth.theory.layers.kernels import step
from finitewidth.theory.mlp.kernel import infinite_width, variances
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from small_architectures import convolution, convolutional, dense

X = np.array([[1.0, -0.5, 0.2], [0.3, 0.7, -1.1], [-0.4, 0.1, 0.9]])


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(-0.5)"])
@pytest.mark.parametrize("parameterisation", ["ntk", "standard"])
def test_steps_agree_with_the_fast_path_of_two_slopes(activation, parameterisation):
    # Without bias that path follows angles, and logarithms of scales.
    one = Perceptron(activation, (3, 4, 5, 6, 2), (0.0,) * 4, (1.5, 2.1, 0.7, 1.9))
    rates = LearningRates.named(parameterisation, one)
    found = infinite_width_kernels(one.architecture, X, rates)
    layers = range(1, 5)
    K, theta = infinite_width(one, X, layers), infinite_width_ntk(one, rates, X, layers)
    for kernels, k, t in zip(found, K, theta, strict=True):
        np.testing.assert_allclose(kernels.nngp, k, rtol=1e-12, atol=1e-12 * k.max())
        np.testing.assert_allclose(kernels.ntk, t, rtol=1e-12, atol=1e-12 * t.max())


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin"])
def test_steps_agree_with_variances_alone(activation):
    one = Perceptron(activation, (3, 4, 5, 2), (0.1, 0.0, 0.3), (1.5, 2.1, 0.7))
    found = infinite_width_kernels(one.architecture, X)
    assert all(kernels.tangents is None for kernels in found)
    with pytest.raises(ValueError, match="want rates"):
        _ = found[0].ntk
    diagonals = [np.diagonal(kernels.nngp) for kernels in found]
    np.testing.assert_allclose(diagonals, variances(one, X, [1, 2, 3]), rtol=1e-12)


def gap(kernel, inputs):
    """Of the mean over places."""
    return kernel.reshape(inputs, -1, inputs, len(kernel) // inputs).mean((1, 3))


def test_convolutions_agree_with_neural_tangents():
    # neural-tangents 0.6.5 in double precision: three convolutions with zeros around images, the
    # second of stride 2, a mean over places, a dense read-out.
    law = {"C_W": 2.0, "C_b": 0.1}
    layers = []
    for channels, stride in ((3, 1), (8, 2), (8, 1)):
        one = convolution(channels, 8, kernel=(3, 3), stride=stride, **law)
        layers += [one, Nonlinearity("relu")]
    x = np.sin(1.7 * np.arange(96)).reshape(2, 3, 4, 4)
    network = Architecture((3, 4, 4), layers)
    kernels = infinite_width_kernels(network, x, LearningRates.named("ntk", network))[-1]
    last = step(Nonlinearity("relu"), kernels, iter(()))
    K = 0.1 + 2 * gap(last.nngp, 2)
    theta = K + 2 * gap(last.ntk, 2)
    wanted_K = [
        [0.36936541657039745, 0.36917381257353443],
        [0.36917381257353454, 0.3693330661248593],
    ]
    wanted_theta = [
        [0.7084740608168817, 0.698396770978022],
        [0.6983967709780221, 0.7083907467396432],
    ]
    np.testing.assert_allclose(K, wanted_K, rtol=1e-12)
    np.testing.assert_allclose(theta, wanted_theta, rtol=1e-12)


def test_a_convolution_on_whole_images_is_a_dense_map():
    x = np.random.default_rng(5).normal(size=(3, 2, 4, 5))
    law = {"C_b": 0.2, "C_W": 1.4}
    one = convolution(2, 6, kernel=(4, 5), padding=0, **law)
    whole = Architecture((2, 4, 5), [one, Nonlinearity("tanh"), Flatten(), dense(6, 1)])
    flat = Architecture((2, 4, 5), [Flatten(), dense(40, 6), Nonlinearity("tanh"), dense(6, 1)])
    rates = LearningRates((0.4, 0.5), (1.1, 1.2))
    for a, b in zip(*(infinite_width_kernels(n, x, rates) for n in (whole, flat)), strict=True):
        np.testing.assert_allclose(a.nngp, b.nngp, rtol=1e-12)
        np.testing.assert_allclose(a.ntk, b.ntk, rtol=1e-12)


def test_the_rows_of_an_image_are_those_of_the_layers():
    network = convolutional()
    x = np.random.default_rng(5).normal(size=(2, 2, 4, 5))
    found = infinite_width_kernels(network, x)
    assert [k.nngp.shape for k in found] == [(50, 50), (8, 8), (2, 2)]
    assert [k.shape for k in found] == [(4, 5, 5), (3, 2, 2), (2,)]


def test_inputs_and_rates_that_do_not_fit_are_refused():
    network = convolutional()
    with pytest.raises(ValueError, match="do not fit"):
        infinite_width_kernels(network, np.ones((2, 2, 4, 4)))
    with pytest.raises(ValueError, match="rates need 3"):
        infinite_width_kernels(network, np.ones((1, 2, 4, 5)), LearningRates((1.0,), (1.0,)))
