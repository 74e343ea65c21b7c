"""Networks made of blocks: from their keys to what stages see, point by point of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from finitewidth.config.model_network import (
    BlockKeys,
    ConvKeys,
    Embed,
    InputKeys,
    NetworkKeys,
    ReadoutKeys,
)
from finitewidth.config.network_steps import conv_step, steps_of
from finitewidth.models.architecture import Architecture
from finitewidth.models.block_network import architecture_of
from finitewidth.models.block_shapes import (
    ActivationStep,
    BlockNetwork,
    BlockShape,
    ConvStep,
    DenseStep,
    ImageShape,
    NormStep,
    Readout,
    TokenShape,
)
from finitewidth.models.perceptron_shape import OneWidth

#: Keys of a block that may be swept.
_OF_BLOCK, _OF_SKIP = ("repeat",), ("gamma", "beta", "norm", "place")


def axes(network: NetworkKeys) -> dict[str, list]:
    """What may be swept, by what its column is called, with the values of each.

    A key that one block sweeps alone is called as it is, else with the block's name before it.
    """
    found: dict[str, list] = {}
    each = [_of(block) for block in network.blocks]
    for place, block in enumerate(network.blocks):
        for key, values in each[place].items():
            alone = sum(len(of.get(key, [])) > 1 for of in each) == 1 < len(values)
            found[key if alone else f"{_name(block, place)}_{key}"] = values
    return found


def block_network(network: NetworkKeys, n: int, point: Mapping[str, Any]) -> BlockNetwork:
    """The network of one point of a sweep, at width n; ``point`` has a value for each of axes.

    Raises
    ------
    ValueError
        In one sentence: a width that is no whole number, steps that do not fit, two blocks of one
        name.
    """
    names = [_name(block, place) for place, block in enumerate(network.blocks)]
    if len(set(names)) < len(names):
        raise ValueError("two blocks of a network have one name")
    chosen = [
        {k: point[f"{name}_{k}" if f"{name}_{k}" in point else k] for k in _of(block)}
        for name, block in zip(names, network.blocks, strict=True)
    ]
    skips = sum(c["repeat"] for c in chosen if "gamma" in c)
    blocks = [
        _block(name, block, c, n, skips)
        for name, block, c in zip(names, network.blocks, chosen, strict=True)
    ]
    embed, readout = _embed(network.embed, n), network.readout
    last = None if isinstance(readout, str) else _readout(readout, blocks[-1])
    return with_places(
        BlockNetwork(
            embed=embed,
            blocks=tuple(blocks),
            readout=last,
            input=input_shape(network.input),
            read=network.read,
            positions=network.embed.positions,
        )
    )


def with_places(shape: BlockNetwork, image: ImageShape | TokenShape | None = None) -> BlockNetwork:
    """The same with the places or tokens of inputs, ``image``, unless it says itself what they are.

    Inputs that are images stay vectors where a dense map embeds them. A read-out of images or
    tokens is of means over places where it says nothing else.
    """
    taken = isinstance(image, TokenShape) or isinstance(shape.embed, ConvStep)
    if shape.input is None and image is not None and taken:
        shape = replace(shape, input=image)
    last = shape.readout
    if shape.input is not None and last is not None and last.pool is None:
        shape = replace(shape, readout=replace(last, pool="average"))
    return shape


def image_of(inputs: object) -> ImageShape | TokenShape | None:
    """The places of inputs that are images, or tokens, from the model of their keys; None of any
    others."""
    sequence = getattr(inputs, "tokens", None)
    if sequence is not None:
        return TokenShape(tokens=sequence[0], channels=sequence[1])
    image = getattr(inputs, "image", None)
    if image is None:
        return None
    channels, *positions = image
    return ImageShape(positions=tuple(positions), channels=channels)


def input_shape(given: InputKeys | None) -> ImageShape | TokenShape | None:
    """What an input is; ``ValueError`` where that is said twice, or not at all."""
    if given is None:
        return None
    if (given.positions is None) == (given.tokens is None):
        raise ValueError("inputs have either positions, of images, or tokens")
    if given.tokens is not None:
        return TokenShape(tokens=given.tokens, channels=given.channels)
    assert given.positions is not None
    return ImageShape(positions=tuple(given.positions), channels=given.channels)


def _embed(given: Embed, n: int) -> DenseStep | ConvStep:
    own = {key: getattr(given, key) for key in ("kernel", "stride", "padding")}
    said = {key: value for key, value in own.items() if value is not None}
    if given.map == "conv":
        return conv_step(ConvKeys(C_W=given.C_W, C_b=given.C_b, **said), n)
    if said:
        raise ValueError(f"a dense embedding has no {' and no '.join(said)}")
    return DenseStep(neurons=n, C_W=given.C_W, C_b=given.C_b)


def network(
    *,
    inputs: int | Sequence[int],
    width: int,
    activation: str,
    C_W: float,
    C_b: float = 0.0,
    outputs: int | None = None,
    weights: str = "normal",
    **keys: Any,
) -> Architecture:
    """A network as ``network:`` of a study file describes it, as layers.

    Parameters
    ----------
    inputs : int or sequence of int
        Components of an input, or its channels and places: (3, 8, 8), or (3, 8) of a line. Of
        tokens the keys have ``input``, and this is the number of all components.
    width, outputs : int
        n; outputs of the read-out, n where left out.
    activation, C_W, C_b, weights
        As in an ensemble.
    **keys
        ``input``, ``read``, ``embed``, ``blocks`` and ``readout``, plain data as in a study file;
        no sweeps.

    Raises
    ------
    ValueError
        In one sentence where something does not fit (pydantic's, where a key is not allowed).
    """
    if not isinstance(inputs, int):
        channels, *positions = inputs
        keys = {"input": {"positions": positions, "channels": channels}} | keys
        inputs = prod(inputs)
    read = NetworkKeys.model_validate(keys)
    swept = axes(read)
    if several := [name for name, values in swept.items() if len(values) > 1]:
        raise ValueError(f"one network has one value of {several[0]}, not a list of them")
    point = {name: values[0] for name, values in swept.items()}
    shape = block_network(read, width, point)
    about: dict[str, Any] = {"activation": activation, "C_W": C_W, "C_b": C_b, "weights": weights}
    about |= {"width": width, "depth": shape.layers, "outputs": outputs or width, "hidden": None}
    return architecture_of(OneWidth(network=shape, **about), inputs)


def _of(block: BlockKeys) -> dict[str, list]:
    found = {key: getattr(block, key) for key in _OF_BLOCK}
    if block.residual is not None:
        found |= {key: getattr(block.residual, key) for key in _OF_SKIP}
    return found


def _name(block: BlockKeys, place: int) -> str:
    return block.name or f"block{place + 1}"


def _block(
    name: str, block: BlockKeys, chosen: Mapping[str, Any], n: int, skips: int
) -> BlockShape:
    branch, after = list(steps_of(block, n)), None
    if block.residual is not None and chosen["norm"] != "none":
        norm = NormStep(norm=chosen["norm"], eps=block.residual.eps)
        if chosen["place"] == "post":
            after = norm
        else:
            branch.insert(0, norm)
    beta = chosen.get("beta", 1.0)
    factors = {"1/sqrt(L)": skips**-0.5 if skips else 1.0, "1/L": 1 / max(skips, 1)}
    return BlockShape(
        name=name,
        repeat=chosen["repeat"],
        gamma=float(chosen.get("gamma", 0.0)),
        beta=factors[beta] if isinstance(beta, str) else float(beta),
        branch=tuple(branch),
        after=after,
    )


def _readout(readout: ReadoutKeys, last: BlockShape) -> Readout:
    norm: NormStep | None = None
    if readout.norm == "same":
        first = last.branch[0]
        norm = first if isinstance(first, NormStep) else None
    elif readout.norm != "none":
        norm = NormStep(norm=readout.norm, eps=readout.eps)  # type: ignore[arg-type]
    activation = None if readout.activation == "none" else ActivationStep(name=readout.activation)
    return Readout(
        norm=norm, activation=activation, pool=readout.pool, C_W=readout.C_W, C_b=readout.C_b
    )
