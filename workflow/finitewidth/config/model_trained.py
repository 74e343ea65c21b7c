"""The part of the model of a study file that is about networks which get trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from finitewidth.core.fields import (
    Count,
    Line,
    Model,
    Place,
    Positive,
    Real,
    Sweep,
    distinct,
    key,
)
from finitewidth.members.plain import of_plain
from finitewidth.models.network_shape import NetworkShape
from finitewidth.models.optimisers.table import TABLE

Share = Annotated[Real, Field(gt=0, lt=1)]
_VALIDATION = "a number above 0 and below 1: the share of images held out for validation"
_NORMALISE = (
    "true or false: whether to subtract the mean of the training pixels and divide by their"
    " standard deviation"
)
_OPTIMISER = f"{' or '.join(TABLE)}: what a step does with the gradient of a batch"


class DigitImages(Model):
    """The 1797 real 8x8 images of digits that ship with scikit-learn."""

    kind: Literal["digits"] = key("digits")
    validation: Share = key(_VALIDATION, 0.2)
    normalise: bool = key(_NORMALISE, True)


class Cifar10(Model):
    """CIFAR-10, the binary version, from an archive: a local one, or one that is downloaded."""

    kind: Literal["cifar10"] = key("cifar10")
    archive: Place | None = key(
        "the path of cifar-10-binary.tar.gz, without braces (where left out it is downloaded to"
        " results/downloads/)",
        None,
    )
    url: Annotated[Place, Field(pattern=r"^https?://")] = key(
        "the address, http or https, that a missing archive is downloaded from",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = key(
        "64 hexadecimal digits: what the archive's SHA-256 has to be",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )
    grayscale: bool = key("true or false: one channel (1024 components) instead of three", True)
    normalise: bool = key(
        "true or false: whether to subtract the channel means and divide by the deviations of"
        " ImageNet",
        True,
    )
    train: Count | None = key("a whole number of at least 1: the first training images only", None)
    validation: Count | None = key(
        "a whole number of at least 1: the first validation images only", None
    )


class ArrayImages(Model):
    """Images and labels of a user's netCDF file."""

    kind: Literal["array"] = key("array")
    file: Place = key("the path of a netCDF (.nc) file, without braces")
    images: Line = key(
        "the name of a variable (sample, component), (sample, row, column) or (sample, channel,"
        " row, column)",
        "x",
    )
    labels: Line = key("the name of a variable (sample) of whole numbers from 0", "label")
    classes: Annotated[int, Field(ge=2, le=2**15)] | None = key(
        "a whole number from 2 to 32768 (the largest label and one where left out)", None
    )
    validation: Share = key(_VALIDATION, 0.2)
    normalise: bool = key(_NORMALISE, True)


DataSet = Annotated[DigitImages | Cifar10 | ArrayImages, Field(discriminator="kind")]


class Convolutions(Model):
    """Convolutions without padding by default, and a linear read-out of what they leave."""

    channels: Annotated[list[Count], Field(min_length=2)] = key(
        "a list of at least two whole numbers: channels of the images, and of each convolution"
    )
    kernel: Count = key("a whole number of at least 1: rows and columns of a patch", 5)
    stride: Count = key("a whole number of at least 1", 2)
    padding: Annotated[int, Field(ge=0, le=1000)] = key(
        "a whole number from 0 to 1000: zeros around", 0
    )


class Rainbow(Model):
    """Networks generated from weight covariances, without training."""

    networks: Annotated[int, Field(ge=1, le=10**5)] = key(
        "a whole number of at least 1: networks aligned to each replica", 8
    )
    covariance: Annotated[
        list[Literal["reference", "average", "white"]], AfterValidator(distinct)
    ] = key(
        "a list of different ones of reference (covariances of the replica that networks are"
        " aligned to), average (over all replicas) and white (no covariance: what the trained"
        " read-out makes of random features)",
        ["reference", "average", "white"],
    )
    widen: Sweep[Positive] = key(
        "a number above 0 (1e-9 to 1e9), or a list of different ones: hidden widths in units of the"
        " replicas'",
        [1.0],
    )
    layers: list[Literal["all"] | list[Count]] = key(
        "a list whose entries are all or lists of hidden layers, from 1 to the depth less 1: which"
        " ones are drawn anew together",
        ["all"],
    )


class Published(Model):
    """Numbers of a publication, to stand beside the measured ones."""

    source: Line = key("a line of text, at most 300 characters: where they stand")
    accuracy: Share | None = key("a number above 0 and below 1, on validation images", None)
    generated_accuracy: Share | None = key("a number above 0 and below 1", None)
    alignment: list[Share] | None = key(
        "a list of numbers above 0 and below 1, one a hidden layer: the correlation rho of two"
        " replicas after alignment, uncentred, on the training images",
        None,
    )


class Trained(Model):
    """Replicas of a network without biases, ReLU between its layers, trained together."""

    data: str = key("the name of one of the config's data")
    mlp: Annotated[list[Count], Field(min_length=3)] | None = key(
        "a list of at least three whole numbers: components of an image, hidden widths, classes;"
        " one of mlp and cnn has to be given",
        None,
    )
    cnn: Convolutions | None = key("{channels: , kernel: , stride: , padding: }", None)
    widen: Sweep[Positive] = key(
        "a number above 0 (1e-9 to 1e9), or a list of different ones (a sweep): factor on the"
        " hidden widths",
        [1.0],
    )
    weights: Sweep[Literal["normal", "uniform"]] = key(
        "normal or uniform, or a list of both (a sweep): the law of the weights at the start",
        ["uniform"],
    )
    C_W: Positive = key(
        "a number above 0 (1e-9 to 1e9): Var W = C_W/fan-in at the start (a third, as"
        " torch.nn.Linear draws)",
        1 / 3,
    )
    replicas: Annotated[int, Field(ge=1, le=10**5)] = key(
        "a whole number of at least 1: networks trained from different starts (an error needs at"
        " least 3)",
        8,
    )
    epochs: Count = key("a whole number of at least 1: passes over the training images")
    batch: Count = key("a whole number of at least 1: images a step", 64)
    learning_rate: Positive = key("a number above 0 (1e-9 to 1e9)")
    momentum: Annotated[Real, Field(ge=0, lt=1)] = key("a number of at least 0 and below 1", 0.9)
    optimiser: Literal[tuple(TABLE)] = key(_OPTIMISER, "sgd")  # type: ignore[valid-type]
    checkpoint: Count = key(
        "a whole number of at least 1: epochs after which the state is kept on disk, for a job that"
        " is killed",
        1,
    )
    rainbow: Rainbow = key("{networks: , covariance: , widen: , layers: }", Rainbow())
    published: Published | None = key(
        "{source: , accuracy: , generated_accuracy: , alignment: }", None
    )

    def shape(self, name: str) -> NetworkShape:
        """The network that this entry, of that name, describes; one of mlp and cnn is given."""
        keys = self.model_dump(include={"mlp", "cnn"})
        return of_plain({"ensemble": name, **keys}, NetworkShape)
