"""Moments of training: how far a mode of the kernel got, by gradient flow or by steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from finitewidth.models.schedule import Schedule


@dataclass(frozen=True)
class Flow:
    """Gradient flow until ``time``, which may be infinite: a mode of rate x is left e^{-x t}."""

    time: float

    def __post_init__(self) -> None:
        if not self.time >= 0:
            raise ValueError(f"a time of training is a number of at least 0, not {self.time}")

    def left(self, rate: np.ndarray) -> np.ndarray:
        """The share of a mode's residual that is left; ``rate`` is of at least 0."""
        with np.errstate(invalid="ignore"):
            return np.where(rate > 0, np.exp(-rate * self.time), 1.0)

    def progress(self, rate: np.ndarray) -> np.ndarray:
        """(1 - left)/rate: t at rate 0, infinite there where the time is."""
        moved = np.divide(self.left(rate) - 1, -rate, where=rate > 0, out=np.zeros_like(rate))
        if math.isfinite(self.time):
            slow = rate * self.time < 1
            with np.errstate(divide="ignore", invalid="ignore"):
                moved = np.where(slow, -np.expm1(-rate * self.time) / rate, moved)
        return np.where(rate > 0, moved, self.time)


@dataclass(frozen=True)
class Descent:
    """So many ``steps`` of gradient descent: a mode of rate x is left (1 - eta x)^steps, whatever
    the learning rate eta is; beyond eta x = 2 it grows."""

    learning_rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"a learning rate is a number above 0, not {self.learning_rate}")
        if not (isinstance(self.steps, Integral) and self.steps >= 0):
            raise ValueError(f"steps are a whole number of at least 0, not {self.steps}")

    def left(self, rate: np.ndarray) -> np.ndarray:
        """The share of a mode's residual that is left; ``rate`` is of at least 0."""
        with np.errstate(over="ignore"):
            return np.power(1 - self.learning_rate * np.asarray(rate, float), self.steps)

    def progress(self, rate: np.ndarray) -> np.ndarray:
        """(1 - left)/rate, eta times the steps at rate 0."""
        x = self.learning_rate * np.asarray(rate, float)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            # Of slow modes little is gone, and a difference of two numbers near 1 has few digits.
            gone = np.where(x < 0.5, -np.expm1(self.steps * np.log1p(-x)), 1 - self.left(rate))
            return np.where(x > 0, gone / rate, self.learning_rate * self.steps)


Moment = Flow | Descent


def moment(
    *, learning_rate: float | None = None, steps: int | None = None, time: float | None = None
) -> Moment:
    """Flow until ``time``, or ``steps`` of a ``learning_rate``; raises ``ValueError`` otherwise."""
    if time is not None and learning_rate is None and steps is None:
        return Flow(time)
    if time is None and learning_rate is not None and steps is not None:
        return Descent(learning_rate, steps)
    raise ValueError("training is told by learning_rate and steps, or by time alone")


def of_schedule(schedule: Schedule, at: float) -> Moment:
    """One of the moments at which networks of a schedule are recorded."""
    if schedule.learning_rate is None:
        return Flow(at)
    return Descent(schedule.learning_rate, round(at))
