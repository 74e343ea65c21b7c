"""Small architectures of all kinds of layers, and one of each kind for tests that take them all."""

from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.nonlinearity import Nonlinearity


def dense(inputs, neurons, C_b=0.2, C_W=1.4, weights="normal"):
    return Dense(inputs=inputs, neurons=neurons, C_b=C_b, C_W=C_W, weights=weights)


def convolution(channels, neurons, kernel=(2, 3), stride=1, padding=1, **law):
    law = {"C_b": 0.3, "C_W": 1.5} | law
    return Convolution(
        channels=channels, neurons=neurons, kernel=kernel, stride=stride, padding=padding, **law
    )


def two_activations(width=5, weights="normal"):
    """Dense maps alone, but no perceptron: the activations between them differ."""
    return Architecture(
        (3,),
        [
            dense(3, width, weights=weights),
            Nonlinearity("tanh"),
            dense(width, width + 1, weights=weights),
            Nonlinearity("relu"),
            dense(width + 1, 2, C_b=0.0, weights=weights),
        ],
    )


def convolutional(neurons=4, activation="tanh", outputs=2, weights="normal", **law):
    """Two convolutions of stride, padding and patches that are no squares, and a read-out."""
    law = {"weights": weights, **law}
    return Architecture(
        (2, 4, 5),
        [
            convolution(2, neurons, **law),
            Nonlinearity(activation),
            convolution(neurons, 3, kernel=(3, 2), stride=2, padding=0, **law),
            Nonlinearity("relu"),
            Flatten(),
            dense(12, outputs, **law),
        ],
    )
