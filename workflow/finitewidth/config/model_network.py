"""The keys of ``network`` in an ensemble: networks made of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from finitewidth.core.fields import Count, Model, Name, Real, Sweep, Variance, key
from finitewidth.models.activations import table as activations
from finitewidth.models.layers.attention import SCALES, SCORES
from finitewidth.models.multiples import multiple_of
from finitewidth.models.places import PLACES_READ

#: Factors of a branch that follow from the number L of blocks with a skip.
OVER_DEPTH = ("1/sqrt(L)", "1/L")
NORMS = ("none", "rms", "layer")
PLACES = ("pre", "post")
STEPS = ("activation", "dense", "conv", "attention", "norm", "pool")
PADDINGS = ("circular", "zero")
#: The largest factor of a skip or a branch: beyond it nothing is meant.
_LARGEST = 1e3

if TYPE_CHECKING:
    OverDepth = str
    NormName = str
    Place = str
    Word = str
    Padding = str
    Read = str
    Scale = str
    Scores = str
else:
    OverDepth = Literal[OVER_DEPTH]
    NormName = Literal[NORMS]
    Place = Literal[PLACES]
    Word = Literal[STEPS[:3]]
    Padding = Literal[PADDINGS]
    Read = Literal[PLACES_READ]
    Scale = Literal[SCALES]
    Scores = Literal[SCORES]


def _known_activation(name: str) -> str:
    return name if name == "none" else activations.get(name).name


def _multiple(text: str) -> str:
    # At an n where it is a whole number.
    over = text.partition("/")[2]
    multiple_of(int(over) if over.isdecimal() else 1, text)
    return text


ActivationOrNone = Annotated[str, AfterValidator(_known_activation)]
Size = Count | Annotated[str, AfterValidator(_multiple)]
Factor = Annotated[Real, Field(ge=0, le=_LARGEST)]
Eps = Annotated[Real, Field(ge=0, le=1e3)]

_C_W = "a number of at least 0 (0, or 1e-9 to 1e9): C_W of this map (that of init where left out)"
_C_b = "a number of at least 0 (0, or 1e-9 to 1e9): C_b of this map (that of init where left out)"
_EPS = "a number from 0 to 1000: what is added to the mean square, or to the variance"
_ACTIVATION = "a name of an activation (that of the ensemble where left out), or none"


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("an even patch has no middle")
    return size


Side = Annotated[int, Field(ge=1, le=10**4)]
Odd = Annotated[int, Field(ge=1, le=99), AfterValidator(_odd)]
_KERNEL = "an odd whole number from 1 to 99: rows and columns of a patch"
_STRIDE = "a whole number from 1 to 100: places from one patch to the next"
_PADDING = "circular (the image goes round) or zero"


class InputKeys(Model):
    """The places of an image, whose numbers stand in the order (channel, row, column), or the
    tokens of a sequence, whose numbers stand token by token."""

    positions: Annotated[list[Side], Field(min_length=1, max_length=2)] | None = key(
        "a list of one or two whole numbers from 1 to 10000: places along a line, or rows and"
        " columns",
        None,
    )
    tokens: Side | None = key(
        "a whole number from 1 to 10000: tokens of a sequence, in place of positions", None
    )
    channels: Count = key("a whole number of at least 1: numbers at each place, or of a token", 1)


class ConvKeys(Model):
    """A convolution in a branch."""

    width: Size | None = key(
        "a whole number of at least 1, or a multiple of n such as 4n or n/2: channels (n where left"
        " out)",
        None,
    )
    kernel: Odd = key(_KERNEL, 3)
    stride: Annotated[int, Field(ge=1, le=100)] = key(_STRIDE, 1)
    padding: Padding = key(_PADDING, "circular")
    C_W: Variance | None = key(_C_W, None)
    C_b: Variance | None = key(_C_b, None)


class LawKeys(Model):
    """The law of one map of attention."""

    C_W: Variance | None = key(_C_W, None)
    C_b: Variance | None = key(_C_b, None)


class AttentionKeys(Model):
    """Attention in a branch; no activation stands before it unless it is named."""

    heads: Size = key(
        "a whole number of at least 1, or a multiple of n such as n/64: how many heads", 1
    )
    head_dim: Size | None = key(
        "a whole number of at least 1, or a multiple of n: numbers of a head (n over heads where"
        " left out)",
        None,
    )
    width: Size | None = key(
        "a whole number of at least 1, or a multiple of n: channels of the output (n where left"
        " out)",
        None,
    )
    scale: Scale = key(
        "sqrt (products of queries and keys over the root of head_dim) or full (over head_dim)",
        "sqrt",
    )
    causal: bool = key("true (a token sees itself and those before it) or false", False)
    scores: Scores = key(
        "softmax (over tokens) or identity (the products themselves weight values)", "softmax"
    )
    q: LawKeys = key("{C_W: , C_b: } of queries", LawKeys())
    k: LawKeys = key("{C_W: , C_b: } of keys", LawKeys())
    v: LawKeys = key("{C_W: , C_b: } of values", LawKeys())
    o: LawKeys = key("{C_W: , C_b: } of the output", LawKeys())


class PoolKeys(Model):
    """Means over windows of places."""

    average: Side = key("a whole number of at least 1: places on a side of a window")


class Embed(Model):
    """The map from inputs to the stream: the n channels that go from block to block."""

    map: Literal["dense", "conv"] = key(
        "dense (of images that input describes, at each place), or conv", "dense"
    )
    kernel: Odd | None = key(f"{_KERNEL} (3 where left out; of conv only)", None)
    stride: Annotated[int, Field(ge=1, le=100)] | None = key(
        f"{_STRIDE} (1 where left out; of conv only)", None
    )
    padding: Padding | None = key(f"{_PADDING} (circular where left out; of conv only)", None)
    C_W: Variance | None = key(_C_W, None)
    C_b: Variance | None = key(_C_b, None)
    positions: Variance = key(
        "a number of at least 0 (0, or 1e-9 to 1e9): variance of positional vectors, one a token"
        " and the same for all inputs",
        0.0,
    )


class DenseKeys(Model):
    """A dense map in a branch."""

    width: Size | None = key(
        "a whole number of at least 1, or a multiple of n such as 4n or n/2: neurons (n where left"
        " out)",
        None,
    )
    C_W: Variance | None = key(_C_W, None)
    C_b: Variance | None = key(_C_b, None)


class NormKeys(Model):
    """A norm in a branch."""

    kind: Literal["rms", "layer"] = key("rms (root mean square) or layer (mean and variance)")
    eps: Eps = key(_EPS, 0.0)


class StepKeys(Model):
    """One step of a branch: exactly one of these keys."""

    dense: DenseKeys | None = key(
        "{width: , C_W: , C_b: }: a dense map, of the channels at each place", None
    )
    conv: ConvKeys | None = key(
        "{width: , kernel: , stride: , padding: , C_W: , C_b: }: a convolution", None
    )
    attention: AttentionKeys | None = key(
        "{heads: , head_dim: , width: , scale: , causal: , scores: , q: , k: , v: , o: }: attention"
        " between the tokens of an input",
        None,
    )
    pool: PoolKeys | None = key("{average: }: means over windows that do not overlap", None)
    activation: ActivationOrNone | None = key(_ACTIVATION, None)
    norm: Literal["rms", "layer"] | NormKeys | None = key("rms, layer or {kind: , eps: }", None)


class Residual(Model):
    """The skip of a block: of the stream z it makes z' = gamma z + beta branch(z), normed before or
    after."""

    gamma: Sweep[Factor] = key(
        "a number from 0 to 1000, or a list of different ones (a sweep): factor of the skip", [1.0]
    )
    beta: Sweep[Factor | OverDepth] = key(
        f"a number from 0 to 1000, {' or '.join(OVER_DEPTH)} (L blocks with a skip), or a list of"
        " different ones (a sweep): factor of the branch",
        [1.0],
    )
    norm: Sweep[NormName] = key(
        "none, rms (root mean square), layer (mean and variance), or a list of different ones (a"
        " sweep)",
        ["none"],
    )
    eps: Eps = key(_EPS, 0.0)
    place: Sweep[Place] = key(
        "pre (norm of what enters the branch), post (norm of the sum), or a list of both (a sweep)",
        ["pre"],
    )


class BlockKeys(Model):
    """A block, or several alike."""

    name: Name | None = key("a name (letters, digits and _; block1, block2, ... by default)", None)
    repeat: Sweep[Annotated[int, Field(ge=1, le=10**4)]] = key(
        "a whole number from 1 to 10000, or a list of different ones (a sweep): how many", [1]
    )
    residual: Residual | None = key(
        "{gamma: , beta: , norm: , eps: , place: } (no skip where left out)", None
    )
    branch: Annotated[list[Word | StepKeys], Field(min_length=1, max_length=20)] = key(
        "a list of steps: activation, dense, conv, or a mapping with one of the keys"
        f" {', '.join(STEPS)} (where no activation is named, that of the ensemble stands before"
        " each map)",
        ["dense"],
    )


class ReadoutKeys(Model):
    """The read-out, which follows the last block: a norm, an activation, means over places or one
    vector of all of them, and a dense map to the outputs."""

    norm: NormName | Literal["same"] = key(
        "none, rms, layer, or same (before the branch of the last block)", "none"
    )
    eps: Eps = key(_EPS, 0.0)
    activation: ActivationOrNone | None = key(_ACTIVATION, None)
    pool: Literal["average", "flatten"] | None = key(
        "average (means over all places) or flatten (all places in one vector); average where left"
        " out, of images and tokens only",
        None,
    )
    C_W: Variance | None = key(_C_W, None)
    C_b: Variance | None = key(_C_b, None)


class NetworkKeys(Model):
    """A network made of blocks, in place of ``depth`` and ``hidden``; n is the width."""

    input: InputKeys | None = key(
        "{positions: , channels: } of images, {tokens: , channels: } of sequences (where left out,"
        " that of inputs that are sequences, and of images if the embedding is a convolution; else"
        " inputs are vectors)",
        None,
    )
    embed: Embed = key("{map: , kernel: , stride: , padding: , C_W: , C_b: , positions: }", Embed())
    blocks: Annotated[list[BlockKeys], Field(min_length=1, max_length=100)] = key(
        "a list of blocks; layer l of the results is the stream after block l"
    )
    readout: ReadoutKeys | Literal["none"] = key(
        "none, or {norm: , eps: , activation: , pool: , C_W: , C_b: }: the last layer of the"
        " results",
        ReadoutKeys(),
    )
    read: Read = key(
        f"{', '.join(PLACES_READ[:-1])}: the place or token that is recorded of layers with"
        f" several; {PLACES_READ[-1]} of them, each as an input of its own, where layers have as"
        " many",
        "centre",
    )
