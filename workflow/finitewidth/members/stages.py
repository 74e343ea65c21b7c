"""Members of ``ensembles`` as the sampler, the estimators, theory and tables see them.

A member is networks of one width or a ladder, and each stage has a class for either. A class has
the fields that its stage uses and no others, so that a change of any other reruns nothing. The
members of a config (:mod:`finitewidth.planning.members`) are instances of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from finitewidth.members.plain import of_plain
from finitewidth.models.parameterisation import LearningRates, Parameterisation
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.perceptron_shape import ManyWidths, OneWidth, PerceptronShape


@dataclass(frozen=True, kw_only=True)
class Named:
    """Which member it is; random streams are named by both."""

    ensemble: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Described(Named, PerceptronShape):
    """What a member's networks are, and what is kept of them.

    Attributes
    ----------
    init : str
        How C_W and C_b were chosen, in words.
    inputs : str
        The name of a set of input vectors.
    networks : int
    layers : tuple of int
        The recorded ones, rising.
    record : int
        Neurons that are recorded in each.
    ntk : Parameterisation or None
        None where no tangent kernels are measured.
    ntk_outputs : int
        How many outputs a tangent kernel is taken of.
    """

    init: str
    inputs: str
    networks: int
    layers: tuple[int, ...]
    record: int
    ntk: Parameterisation | None
    ntk_outputs: int

    def rates(self, mlp: Perceptron) -> LearningRates:
        """The learning rates of its tangent kernels; ``ValueError`` where none are measured."""
        if self.ntk is None:
            raise ValueError(f"no tangent kernels of {self.ensemble}, {self.name} are measured")
        return self.ntk.rates(mlp)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """How networks are drawn: by which sampler, what it records, and in how many GiB."""

    sampler: str
    measure: tuple[str, ...]
    memory: float


@dataclass(frozen=True, kw_only=True)
class Estimating:
    """Which families of quantities are estimated and predicted."""

    estimate: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NormalityTests:
    """How tests of normality divide an ensemble: groups, networks in each, neurons of each."""

    groups: int
    networks: int
    neurons: int


@dataclass(frozen=True, kw_only=True)
class SampledNetworks(Described, Drawn, OneWidth):
    """Networks of one width, to be sampled."""

    precision: str
    controls: Literal[False] = False


@dataclass(frozen=True, kw_only=True)
class SampledLadder(Described, Drawn, ManyWidths):
    """A ladder, to be sampled; ``controls`` says whether control variates are recorded."""

    precision: str
    controls: bool


@dataclass(frozen=True, kw_only=True)
class EstimatedNetworks(Named, Estimating):
    """Networks of one width, to be estimated from samples."""

    weights: str
    ladder: None = None


@dataclass(frozen=True, kw_only=True)
class EstimatedLadder(Named, Estimating):
    """A ladder, to be estimated from samples."""

    weights: str
    ladder: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PredictedNetworks(Described, Estimating, OneWidth):
    """Networks of one width, to be predicted."""


@dataclass(frozen=True, kw_only=True)
class PredictedLadder(Described, Estimating, ManyWidths):
    """A ladder, to be predicted."""


@dataclass(frozen=True, kw_only=True)
class TabulatedNetworks(Described, Drawn, Estimating, OneWidth):
    """Networks of one width in tables and figures; ``swept`` are its swept keys with its values."""

    swept: dict[str, Any]
    controls: Literal[False] = False


@dataclass(frozen=True, kw_only=True)
class TabulatedLadder(Described, Drawn, Estimating, ManyWidths):
    """A ladder in tables and figures; ``swept`` are its swept keys with its values."""

    swept: dict[str, Any]
    controls: bool


Sampled = SampledNetworks | SampledLadder
Estimated = EstimatedNetworks | EstimatedLadder
Predicted = PredictedNetworks | PredictedLadder
Tabulated = TabulatedNetworks | TabulatedLadder


def sampled(data: Mapping) -> Sampled:
    """A member of plain data, to be sampled; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, SampledNetworks, SampledLadder)


def estimated(data: Mapping) -> Estimated:
    """A member of plain data, to be estimated; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, EstimatedNetworks, EstimatedLadder)


def predicted(data: Mapping) -> Predicted:
    """A member of plain data, to be predicted; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, PredictedNetworks, PredictedLadder)
