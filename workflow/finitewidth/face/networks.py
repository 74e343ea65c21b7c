"""Networks and input vectors, described as in a study file and checked alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError
from finitewidth.core.words import check_word, check_words, named
from finitewidth.data.inputs import KINDS, vectors
from finitewidth.face.given_inputs import whole
from finitewidth.models.architecture import Architecture
from finitewidth.models.block_network import architecture_of
from finitewidth.models.perceptron import Perceptron
from finitewidth.planning.member import Networks
from finitewidth.planning.members import members
from finitewidth.study.study_file import validate

_ONE = {"kind": "sphere", "dimension": 1, "count": 1}


@named
def perceptron(
    activation: str,
    *,
    inputs: int,
    width: int | None = None,
    depth: int | None = None,
    hidden: Sequence[int] | None = None,
    outputs: int | None = None,
    C_W: float | None = None,
    C_b: float | None = None,
    weights: str = "normal",
) -> Perceptron:
    """A multilayer perceptron: dense maps with one activation between them.

    Parameters
    ----------
    activation : str
        ``relu``, ``tanh``, ``gelu``, ``leaky_relu(0.3)``, ...; a misspelt one is told the others.
    inputs : int
        Components of an input vector, n_0.
    width, depth : int
        Neurons n of each hidden layer, and layers of weights L; there are L - 1 hidden layers.
    hidden : sequence of int
        Neurons of each hidden layer, in place of ``width`` and ``depth``.
    outputs : int, optional
        n where left out.
    C_W, C_b : float, optional
        Var W = C_W/fan-in, Var b = C_b. The activation's critical point where both are left out;
        C_b is 0 where only C_W is given.
    weights : str
        ``normal``, ``uniform`` or ``pytorch`` (torch.nn.Linear's own, which fixes C_W and C_b).

    Raises
    ------
    ValueError
        In one sentence, where something is misspelt, missing or does not fit.
    """
    keys: dict[str, Any] = {
        "width": width,
        "depth": depth,
        "hidden": None if hidden is None else list(hidden),
    }
    member = _member(activation, C_W, C_b, weights, outputs=outputs, **keys)
    return Perceptron.of_member(member, dimension=whole("inputs", inputs))


@named
def network(
    activation: str,
    *,
    inputs: int | Sequence[int],
    width: int,
    blocks: Sequence[Mapping[str, Any]],
    embed: Mapping[str, Any] | None = None,
    readout: Mapping[str, Any] | str | None = None,
    read: str | None = None,
    tokens: int | None = None,
    outputs: int | None = None,
    C_W: float | None = None,
    C_b: float | None = None,
    weights: str = "normal",
) -> Architecture:
    """A network made of blocks: ``network:`` of a study file, as layers.

    Parameters
    ----------
    inputs : int or sequence of int
        Components of an input, or channels and places of images: (3, 8, 8), or (3, 8) of a line.
    tokens : int, optional
        Tokens of a sequence; ``inputs`` are then the channels of each.
    blocks, embed, readout, read
        Plain data as in a study file (docs/architectures.md), without lists of values to sweep.
    activation, width, outputs, C_W, C_b, weights
        As for :func:`perceptron`.

    Raises
    ------
    ValueError
        In one sentence, where something is misspelt, missing or does not fit.
    """
    image = _image(inputs) if isinstance(inputs, Sequence) else None
    one = _ONE if image is None else {"kind": "images", "count": 1, **image}
    dimension = prod(inputs) if isinstance(inputs, Sequence) else whole("inputs", inputs)
    if tokens is not None:
        if image is not None:
            given = f"{tuple(inputs)!r} beside tokens"  # type: ignore[arg-type]
            raise ValueError(f"inputs: given {given}, allowed is the channels of a token")
        image = {"tokens": whole("tokens", tokens), "channels": dimension}
        one = {"kind": "tokens", "count": 1, "length": tokens, "channels": dimension}
        dimension *= tokens
    about: dict[str, Any] = {"input": image, "embed": embed, "blocks": [dict(b) for b in blocks]}
    about |= {"readout": readout, "read": read}
    keys = {"network": {key: value for key, value in about.items() if value is not None}}
    member = _member(activation, C_W, C_b, weights, one, outputs=outputs, width=width, **keys)
    return architecture_of(member, dimension)


def _image(inputs: Sequence[int]) -> dict[str, Any]:
    """Channels and places as a study file has them."""
    if not 2 <= len(inputs) <= 3:
        allowed = "a whole number, or channels and one or two numbers of places"
        raise ValueError(f"inputs: given {tuple(inputs)!r}, allowed is {allowed}")
    channels, *positions = (whole("inputs", size) for size in inputs)
    return {"positions": positions, "channels": channels}


@named
def inputs(kind: str, *, name: str = "inputs", seed: int = 0, **keys: Any) -> np.ndarray:
    """Input vectors of a kind that study files have.

    Parameters
    ----------
    kind : str
        ``sphere``, ``arc``, ``digits``, ``images``, ...; config/README.md lists all.
    name, seed
        They name the random stream, so that a study file with them has the same vectors.
    **keys
        Of that kind: ``dimension``, ``count``, ``angles``, ...

    Returns
    -------
    array, shape (inputs, n_0), float64

    Raises
    ------
    ValueError
        In one sentence, where the kind or a key is misspelt, or a value does not fit.
    """
    fields = KINDS[check_word("kind", kind, KINDS)].Inputs.model_fields
    check_words(f"keys of {kind}", list(keys), [key for key in fields if key != "kind"])
    config = validated({"seed": seed, "inputs": {name: {"kind": kind, **keys}}}, f"inputs.{name}.")
    return vectors(name, config.inputs[name].model_dump(), seed)


def _member(
    activation: str,
    C_W: float | None,
    C_b: float | None,
    weights: str,
    one: Mapping[str, Any] = _ONE,
    **keys: Any,
) -> Networks:
    """The member that a study file with these keys has; ``ValueError`` unless it is one."""
    init: dict | str | None = "critical" if weights != "pytorch" else None
    # Others than normal weights cannot be integrated out.
    sampler = None if weights == "normal" else "explicit"
    if C_W is not None or C_b is not None:
        init = {key: value for key, value in (("C_W", C_W), ("C_b", C_b)) if value is not None}
    about = {"activation": activation, "init": init, "weights": weights, "inputs": "one",
             "networks": 1000, "sampler": sampler, **keys}  # fmt: skip
    given = {key: value for key, value in about.items() if value is not None}
    content = {"seed": 0, "inputs": {"one": dict(one)}, "ensembles": {"network": given}}
    found = members(validated(content, "ensembles.network."), "network")
    if len(found) != 1 or not isinstance(found[0], Networks):
        raise ValueError("one network has one value of each key, not a list of them")
    return found[0]


def validated(content: Mapping, prefix: str) -> Config:
    """Keys as a study file has them, below ``prefix``; ``ValueError`` names what was given here."""
    try:
        return validate({"ensembles": {}, "studies": {}, **content})
    except ConfigError as error:
        # Of a file that nobody wrote: only the keys say something, and init is none of them.
        said = str(error).replace(f"config key {prefix}", "")
        default = "C_W and C_b: given nothing, which asks for the critical point"
        raise ValueError(re.sub(r'^init: given "?critical"?', default, said)) from None
