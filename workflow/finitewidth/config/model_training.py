"""The key ``train`` of an ensemble: how its networks are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from finitewidth.core.fields import Model, Positive, distinct, key

#: Most steps: as many as can be counted in a float of single precision.
_STEPS = 2**24


class Train(Model):
    """Full-batch gradient descent on the loss (1/2) sum (f - y)^2 over training inputs and outputs.

    The loss is a sum and no mean: a learning rate eta for ``torch.nn.MSELoss``, on p inputs and k
    outputs, is 2 eta/(p k) here. Each start is trained twice, the second time with the other sign
    of its last layer, which makes means less noisy and changes nothing else.
    """

    inputs: str = key(
        "the name of one of the config's inputs, with targets: the training inputs. Those of the"
        " ensemble are where networks predict as well"
    )
    loss: Literal["mse"] = key("mse", "mse")
    learning_rate: Positive | None = key(
        "a number above 0 (1e-9 to 1e9): of gradient descent (left out for gradient flow)", None
    )
    steps: (
        Annotated[
            list[Annotated[int, Field(ge=1, le=_STEPS)]],
            Field(min_length=1),
            AfterValidator(distinct),
        ]
        | None
    ) = key(
        "a list of different whole numbers of at least 1, beside learning_rate: after which steps"
        " networks are recorded, the last of them at the end (the start is recorded always)",
        None,
    )
    times: Annotated[list[Positive], Field(min_length=1), AfterValidator(distinct)] | None = key(
        "a list of different numbers above 0 (1e-9 to 1e9), instead of learning_rate and steps: at"
        " which times of gradient flow networks are recorded",
        None,
    )
    centred: bool = key(
        "true or false: whether the function at the start is subtracted, so that all networks begin"
        " at 0",
        False,
    )
    scale: Annotated[Positive, Field(ge=1e-3, le=1e6)] = key(
        "a number from 0.001 to 1000000: predictions are so many times the network, and the loss is"
        " divided by its square; large ones make networks lazy",
        1.0,
    )
    kernels: Literal["train", "all"] = key(
        "train or all: between which inputs tangent kernels are recorded", "train"
    )

    @property
    def end(self) -> float:
        """How many steps, or how long."""
        return max(self.steps or self.times or [0])
