"""Members of ``trained`` as those stages see them that train, measure, generate and predict.

Each class adds to the one before it what its stage uses besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finitewidth.members.stages import Named
from finitewidth.models.network_shape import NetworkShape


@dataclass(frozen=True, kw_only=True)
class TrainedNetworks(Named, NetworkShape):
    """Replicas of a network, to be trained and measured.

    Attributes
    ----------
    data : str
        The name of a set of labelled images.
    widen : float
        By what the hidden widths, as they stand here, were multiplied.
    weights : str
        ``normal`` or ``uniform``, at the start.
    C_W : float
        Var W = C_W/fan-in at the start.
    replicas, epochs, batch : int
    learning_rate, momentum : float
    optimiser : str
        A name in :data:`finitewidth.models.optimisers.table.TABLE`.
    """

    data: str
    widen: float
    weights: str
    C_W: float
    replicas: int
    epochs: int
    batch: int
    learning_rate: float
    momentum: float
    optimiser: str


@dataclass(frozen=True, kw_only=True)
class Rainbow:
    """Which networks are generated from the covariances of weights.

    Attributes
    ----------
    networks : int
        For each replica.
    covariance : tuple of str
        ``reference``, ``average`` or ``white``.
    widen : tuple of float
        Widths in units of the replicas'.
    layers : tuple
        What is drawn anew together: ``all``, or hidden layers by their numbers.
    """

    networks: int
    covariance: tuple[str, ...]
    widen: tuple[float, ...]
    layers: tuple[str | tuple[int, ...], ...]

    @property
    def drawn(self) -> list[str]:
        """Each entry of ``layers`` in words."""
        return ["all" if s == "all" else " ".join(map(str, s)) for s in self.layers]


@dataclass(frozen=True, kw_only=True)
class GeneratedNetworks(TrainedNetworks):
    """Replicas whose covariances networks are drawn from."""

    rainbow: Rainbow


@dataclass(frozen=True, kw_only=True)
class Published:
    """Numbers of a publication; those that it does not give are None."""

    source: str
    accuracy: float | None
    generated_accuracy: float | None
    alignment: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class PredictedReplicas(GeneratedNetworks):
    """Replicas to be predicted, as far as anything is known of them beforehand."""

    published: Published | None


@dataclass(frozen=True, kw_only=True)
class TabulatedReplicas(PredictedReplicas):
    """Replicas in tables and figures; ``swept`` are the swept keys with this member's values."""

    swept: dict[str, Any]
