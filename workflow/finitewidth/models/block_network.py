"""Networks made of blocks as lists of layers."""

from __future__ import annotations

from math import prod
from typing import Any

from finitewidth.models.architecture import Architecture
from finitewidth.models.block_maps import kernel_of, window_of
from finitewidth.models.block_shapes import (
    ActivationStep,
    AttentionStep,
    BlockNetwork,
    ConvStep,
    DenseStep,
    ImageShape,
    MapLaw,
    NormStep,
    PoolStep,
    Readout,
    Step,
    TokenShape,
)
from finitewidth.models.layers.attention import Attention, Heads
from finitewidth.models.layers.average_pool import AveragePool
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.convolution import Convolution
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.flatten import Flatten
from finitewidth.models.layers.layer import Layer, Shape
from finitewidth.models.layers.layer_norm import LayerNorm
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.layers.positions import Positions
from finitewidth.models.layers.rms_norm import RmsNorm
from finitewidth.models.perceptron_shape import OneWidth

#: What a study file calls the norms.
NORMS: dict[str, type[RmsNorm] | type[LayerNorm]] = {"rms": RmsNorm, "layer": LayerNorm}


def architecture_of(member: OneWidth, dimension: int) -> Architecture:
    """The network of a member that has blocks, on inputs of so many components.

    Raises
    ------
    ValueError
        If the member has none, or in one sentence where shapes do not fit, its images have another
        number of components, or it is known of none how many places they have.
    """
    if not isinstance(member.network, BlockNetwork):
        raise ValueError("a member without blocks is a perceptron")
    image = member.network.input
    if image is None and member.network.wants_places:
        raise ValueError(
            "convolutions and means over places take images, whose positions and channels stand"
            " under input, not vectors"
        )
    if not isinstance(image, TokenShape) and member.network.wants_tokens:
        raise ValueError(
            "attention and positional vectors take tokens, whose number and channels stand under"
            f" input, not {'vectors' if image is None else 'images'}"
        )
    if image is not None and prod(image.shape) != dimension:
        raise ValueError(f"{_words(image)} do not fit vectors of {dimension} components")
    return _Making(member, member.network).architecture(dimension)


def _words(image: ImageShape | TokenShape) -> str:
    if isinstance(image, TokenShape):
        return f"{image.tokens} tokens of {image.channels} channels"
    positions = " x ".join(map(str, image.positions))
    several = "channels" if image.channels > 1 else "channel"
    return f"images of {positions} positions and {image.channels} {several}"


class _Making:
    def __init__(self, member: OneWidth, network: BlockNetwork) -> None:
        self._member, self._network = member, network
        image = network.input
        self._is_line = isinstance(image, ImageShape) and len(image.positions) == 1

    def architecture(self, dimension: int) -> Architecture:
        image = self._network.input
        shape: Shape = image.shape if image is not None else (dimension,)
        layers: list[Layer] = [self._map(self._network.embed, shape[0])]
        ends: list[int] = []
        channels = self._network.embed.neurons
        if self._network.positions:
            weights = "uniform" if self._member.weights == "uniform" else "normal"
            C_W = self._network.positions * shape[1]
            vectors = Positions(tokens=shape[1], neurons=channels, C_W=C_W, weights=weights)
            layers.append(Block([vectors], name="positions"))
        for block in self._network.blocks:
            for _ in range(block.repeat):
                branch, after = self._branch(block.branch, channels)
                layers.append(Block(branch, block.gamma, block.beta, block.name))
                channels = after
                if block.after is not None:
                    layers.append(_norm(block.after))
                ends.append(len(layers))
        if self._network.readout is not None:
            layers += self._readout(self._network.readout, shape, layers, channels)
            ends.append(len(layers))
        return Architecture(shape, layers, ends, self._network.read)

    def _readout(
        self, last: Readout, shape: Shape, before: list[Layer], channels: int
    ) -> list[Layer]:
        layers = [_norm(last.norm)] if last.norm else []
        layers += [self._activation(last.activation)] if last.activation else []
        if last.pool == "average":
            layers.append(AveragePool())
        elif last.pool == "flatten":
            layers.append(Flatten())
            channels *= prod(Architecture(shape, before).shapes[-1][1:])
        outputs = DenseStep(neurons=self._member.outputs, C_W=last.C_W, C_b=last.C_b)
        return [*layers, self._map(outputs, channels)]

    def _branch(self, steps: tuple[Step, ...], channels: int) -> tuple[list[Layer], int]:
        """The layers of a branch, and how many channels come out."""
        layers: list[Layer] = []
        for step in steps:
            if isinstance(step, DenseStep | ConvStep):
                layers.append(self._map(step, channels))
                channels = step.neurons
            elif isinstance(step, AttentionStep):
                layers.append(self._attention(step, channels))
                channels = step.neurons
            elif isinstance(step, ActivationStep):
                layers.append(self._activation(step))
            elif isinstance(step, PoolStep):
                layers.append(AveragePool(window_of(step, self._is_line)))
            else:
                layers.append(_norm(step))
        return layers, channels

    def _activation(self, step: ActivationStep) -> Nonlinearity:
        return Nonlinearity(step.name or self._member.activation)

    def _map(self, step: DenseStep | ConvStep, channels: int) -> Dense | Convolution:
        if isinstance(step, DenseStep):
            law = self._law(step, channels)
            return Dense(inputs=channels, neurons=step.neurons, **law)
        kernel = kernel_of(step, self._is_line)
        return Convolution(
            channels=channels,
            neurons=step.neurons,
            kernel=kernel,
            stride=step.stride,
            padding=(kernel[0] // 2, kernel[1] // 2),
            circular=step.padding == "circular",
            **self._law(step, channels * prod(kernel)),
        )

    def _attention(self, step: AttentionStep, channels: int) -> Attention:
        width = step.heads * step.head_dim

        def part(name: str, law: MapLaw) -> Heads:
            own = self._law(law, channels)
            return Heads(inputs=channels, neurons=width, heads=step.heads, part=name, **own)

        return Attention(
            query=part("query", step.query),
            key=part("key", step.key),
            value=part("value", step.value),
            output=Dense(inputs=width, neurons=step.neurons, **self._law(step.output, width)),
            scale=step.scale,
            causal=step.causal,
            scores=step.scores,
        )

    def _law(self, step: DenseStep | ConvStep | MapLaw, fan_in: int) -> dict[str, Any]:
        m = self._member
        if m.weights == "pytorch":
            return {"weights": m.weights, "C_W": 1 / 3, "C_b": 1 / (3 * fan_in)}
        each = {"C_W": (step.C_W, m.C_W), "C_b": (step.C_b, m.C_b)}
        law = {key: float(own if own is not None else shared or 0.0)
               for key, (own, shared) in each.items()}  # fmt: skip
        return {"weights": m.weights, **law}


def _norm(step: NormStep) -> Layer:
    return NORMS[step.norm](step.eps)
