"""Keys of networks made of blocks that do not go together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import prod

from finitewidth.config.model_ensemble import Ensemble
from finitewidth.config.model_network import (
    ConvKeys,
    DenseKeys,
    Embed,
    LawKeys,
    NetworkKeys,
    ReadoutKeys,
    StepKeys,
)
from finitewidth.config.network import axes, block_network, image_of, with_places
from finitewidth.core.errors import ConfigError
from finitewidth.data.kinds.kind import Kind
from finitewidth.models import own_networks
from finitewidth.models.block_maps import map_sizes
from finitewidth.models.block_network import architecture_of
from finitewidth.models.block_shapes import BlockNetwork
from finitewidth.models.perceptron_shape import OneWidth
from finitewidth.models.places import ALL

#: After so many halvings the largest image has one place.
SMALLEST_AFTER = 14
#: What is measured of perceptrons alone.
_OF_PERCEPTRONS = ("log_norm", "dntk", "ntk_methods")


def check_network(path: str, ensemble: Ensemble, inputs: Mapping[str, Kind]) -> None:
    """Raise a :class:`ConfigError` for the first contradiction of an ensemble with ``network``, on
    sets of inputs of these names."""
    network = ensemble.network
    if network is None:
        return
    for key in ("depth", "hidden", "ladder"):
        if getattr(ensemble, key) is not None:
            given = getattr(ensemble, key)
            raise ConfigError.at(f"{path}.{key}", given, "nothing beside network")
    if ensemble.train is not None:
        raise ConfigError.at(f"{path}.train", "a value", "nothing beside network")
    if ensemble.sampler == "scalar":
        allowed = "marginal or explicit for a network made of blocks"
        raise ConfigError.at(f"{path}.sampler", ensemble.sampler, allowed)
    for measured in ensemble.measure:
        if measured in _OF_PERCEPTRONS:
            allowed = "preactivations or ntk for a network made of blocks"
            raise ConfigError.at(f"{path}.measure", measured, allowed)
    if ensemble.outputs is not None and network.readout == "none":
        allowed = "nothing without a readout"
        raise ConfigError.at(f"{path}.outputs", ensemble.outputs, allowed)
    if network.read == ALL and network.readout != "none":
        allowed = f"none where read is {ALL}: means over places leave one"
        raise ConfigError.at(f"{path}.network.readout", "a read-out", allowed)
    if "ntk" in ensemble.measure and network.readout == "none":
        allowed = "a read-out, whose tangent kernels are measured"
        raise ConfigError.at(f"{path}.network.readout", "none", allowed)
    if ensemble.weights == "pytorch" and _own_variances(network):
        allowed = "nothing for pytorch weights, which fix C_W and C_b"
        raise ConfigError.at(f"{path}.network", "C_W or C_b of a map", allowed)
    for n, name in itertools.product(ensemble.width or [], ensemble.inputs):
        try:
            _check_shapes(ensemble, network, n, inputs[name])
        except ValueError as error:
            given = f"blocks of width {n} on {name}"
            allowed = f"layers that fit each other: {error}"
            raise ConfigError.at(f"{path}.network", given, allowed) from None


def _check_shapes(ensemble: Ensemble, network: NetworkKeys, n: int, inputs: Kind) -> None:
    """Raise ``ValueError`` where layers do not fit each other, or what is known of their inputs."""
    shape = with_places(_largest(network, n), image_of(inputs))
    about = {"width": n, "depth": shape.layers, "outputs": ensemble.outputs or n, "hidden": None}
    law = {"activation": ensemble.activation[0], "weights": "normal", "C_W": 1.0, "C_b": 0.0}
    own = prod(inputs.image) if inputs.image else getattr(inputs, "dimension", None)
    # Where nothing is known of inputs, as of a user's array before it is read, they are what fits.
    dimension = own or (prod(shape.input.shape) if shape.input else 1)
    architecture_of(OneWidth(network=shape, **about, **law), dimension)  # type: ignore[arg-type]


def places_read(ensemble: Ensemble, inputs: Kind) -> int:
    """How many places of an input are recorded, each as an input of its own."""
    network = ensemble.network
    if network is None or network.read != ALL or not ensemble.width:
        return 1
    try:
        shape = with_places(_largest(network, ensemble.width[0]), image_of(inputs))
    except ValueError:
        # What does not fit is told elsewhere.
        return 1
    return map_sizes(shape, 1)[0][0].places


def has_places(ensemble: Ensemble, inputs: Kind) -> bool:
    """Whether inputs of a network have places, as images and tokens have."""
    if ensemble.network is None or not ensemble.width:
        return False
    try:
        return (
            with_places(_largest(ensemble.network, ensemble.width[0]), image_of(inputs)).input
            is not None
        )
    except ValueError:
        # What does not fit is told elsewhere.
        return False


def narrow_layers(ensemble: Ensemble) -> list[int]:
    """The narrowest layer of results of each width of a network that is no perceptron."""
    if ensemble.module is not None:
        of = own_networks.get(ensemble.module)
        return [min(of.sizes(n)) for n in ensemble.width or []]
    if ensemble.network is None:
        return []
    widths = ensemble.width or []
    return [min(_largest(ensemble.network, n).widths(ensemble.outputs or n)) for n in widths]


def has_softmax(network: NetworkKeys | None) -> bool:
    """Whether tokens are weighted by a softmax in some block."""
    steps = [step for block in network.blocks for step in block.branch] if network else []
    each = [step.attention for step in steps if isinstance(step, StepKeys)]
    return any(one is not None and one.scores == "softmax" for one in each)


def is_plain(network: NetworkKeys) -> bool:
    """Whether it has the kernels of a perceptron: neither skips nor norms, one law of weights."""
    words = all(
        block.residual is None and block.branch in (["dense"], ["activation", "dense"])
        for block in network.blocks
    )
    words = words and network.input is None
    last = network.readout
    same = isinstance(last, str) or (last.activation is None and last.norm in ("none", "same"))
    return words and same and not _own_variances(network)


def _own_variances(network: NetworkKeys) -> bool:
    steps = [step for block in network.blocks for step in block.branch]
    laws: list[Embed | DenseKeys | ConvKeys | ReadoutKeys | LawKeys] = [network.embed]
    keys = [step for step in steps if isinstance(step, StepKeys)]
    laws += [one for s in keys for one in (s.dense, s.conv) if one is not None]
    laws += [one for s in keys if (a := s.attention) is not None for one in (a.q, a.k, a.v, a.o)]
    laws += [] if isinstance(network.readout, str) else [network.readout]
    return any(one.C_W is not None or one.C_b is not None for one in laws)


def _largest(network: NetworkKeys, n: int) -> BlockNetwork:
    """A member's network, once a block, with each skip and norm that some member has.

    Images become smaller with every repeat of a stride or a mean: so many blocks leave one place.
    """
    images = network.input is not None or network.embed.map == "conv"
    point, repeats = {}, SMALLEST_AFTER if images else 1
    for name, values in axes(network).items():
        kept = [value for value in values if value not in (0, "none")] or values
        point[name] = "layer" if "layer" in kept else kept[0]
        if name.endswith("repeat"):
            point[name] = min(max(values), repeats)
    return block_network(network, n, point)
