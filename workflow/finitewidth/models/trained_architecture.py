"""The architectures that a study file trains: perceptrons, or convolutions and a read-out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from finitewidth.core.errors import ConfigError
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Shape
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.network_shape import ConvolutionShape, NetworkShape
from finitewidth.models.relu_network import ReluNetwork


def trained_architecture(
    described: NetworkShape,
    shape: Sequence[int],
    classes: int,
    *,
    C_W: float = 1.0,
    weights: str = "normal",
) -> ReluNetwork:
    """The architecture of an entry of ``trained``.

    Parameters
    ----------
    described : NetworkShape
    shape : (channels, rows, columns)
        Of an image.
    classes : int
    C_W, weights
        The law of the weights at the start. (There are no biases.)

    Raises
    ------
    ConfigError
        Where the model does not fit the images or their classes.
    """
    where, law = f"trained.{described.ensemble}", {"C_W": C_W, "weights": weights}
    if described.mlp is not None:
        return ReluNetwork(_perceptron(f"{where}.mlp", described.mlp, shape, classes, law))
    assert described.cnn is not None
    return ReluNetwork(_convolutional(f"{where}.cnn", described.cnn, tuple(shape), classes, law))


def _perceptron(
    where: str, widths: Sequence[int], shape: Sequence[int], classes: int, law: dict
) -> Architecture:
    if widths[0] != prod(shape):
        raise ConfigError.at(
            where, list(widths), f"{prod(shape)} first, the components of an image"
        )
    if widths[-1] != classes:
        raise ConfigError.at(where, list(widths), f"{classes} last, the classes")
    layers: list[Layer] = []
    for inputs, neurons in pairwise(widths):
        layers += [Dense(inputs=inputs, neurons=neurons, **law), Nonlinearity("relu")]
    return Architecture(widths[:1], layers[:-1])


def _convolutional(
    where: str, cnn: ConvolutionShape, shape: Shape, classes: int, law: dict
) -> Architecture:
    if cnn.channels[0] != shape[0]:
        raise ConfigError.at(
            f"{where}.channels", list(cnn.channels), f"{shape[0]} first, the channels of an image"
        )
    kernel, stride, padding = cnn.kernel, cnn.stride, cnn.padding
    layers: list[Layer] = []
    now = shape
    for channels, neurons in pairwise(cnn.channels):
        if min(now[1:]) + 2 * padding < kernel:
            raise ConfigError.at(
                f"{where}.kernel",
                kernel,
                f"at most {min(now[1:]) + 2 * padding}, the rows or columns that convolution"
                f" {len(layers) // 2 + 1} sees with padding {padding}",
            )
        layer = Convolution(
            channels=channels,
            neurons=neurons,
            kernel=(kernel, kernel),
            stride=stride,
            padding=padding,
            **law,
        )
        layers += [layer, Nonlinearity("relu")]
        now = layer.shape_after(now)
    readout = Dense(inputs=prod(now), neurons=classes, **law)
    return Architecture(shape, [*layers, Flatten(), readout])
