"""Members of ``ensembles`` as the sampler, the estimators, theory and tables see them.

A member is networks of one width, a ladder, or networks of one width that are trained, and each
stage has a class for each. A class has
the fields that its stage uses and no others, so that a change of any other reruns nothing. The
members of a config (:mod:`finitewidth.planning.members`) are instances of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from finitewidth.members.plain import of_plain
from finitewidth.models.architecture import Architecture
from finitewidth.models.parameterisation import LearningRates, Parameterisation
from finitewidth.models.perceptron import Perceptron
from finitewidth.models.perceptron_shape import ManyWidths, OneWidth, PerceptronShape
from finitewidth.models.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Named:
    """Which member it is; random streams are named by both."""

    ensemble: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Population:
    """Populations that are grown beside a member's networks (docs/estimates.md).

    Attributes
    ----------
    powers : tuple of float
        k, of the growth of Ghat^k; none where a pilot chooses among ``orders``.
    orders : tuple of int
        Of the moments that are estimated.
    islands : int
    members : int or None
        Of an island; None for as many as the width bears.
    of : int or None
        The input whose Ghat is grown; None for the mean over all of them.
    exact : bool
        Whether the law itself is drawn from where it is known.
    tangents : tuple of int
        Orders of the moments of tangent kernels that are estimated.
    """

    powers: tuple[float, ...]
    orders: tuple[int, ...]
    islands: int
    members: int | None
    of: int | None
    exact: bool
    tangents: tuple[int, ...] = ()

    def tangent_members(self, widths: Sequence[int], inputs: int, *, short: bool) -> int:
        """Members of an island of tangent kernels of networks with these hidden widths.

        Where a layer is ``short``, so that its width costs nothing, as many as keep islands alike:
        how much they differ grows with the sum of 1/n over hidden layers.
        """
        if self.members is not None or not short:
            return self.members_of(max(widths, default=1), inputs)
        return max(_LEAST_SHORT, round(_SHORT * sum(1 / n for n in widths)))

    def members_of(self, widest: int, inputs: int, exact: bool = False) -> int:
        """Members of an island of networks whose widest hidden layer has so many neurons.

        Fewer of wide ones, which differ less and cost more, unless the law itself is drawn from.
        """
        if self.members is not None or exact:
            return self.members or _EXACT_MEMBERS
        return max(_LEAST_MEMBERS, _NEURONS // (widest * inputs))


#: Neurons of a layer of an island; its least members; members drawn from the law itself.
_NEURONS, _LEAST_MEMBERS, _EXACT_MEMBERS = 2**15, 100, 1000
#: Members whose layers are short: of the sum of 1/n, and their least number.
_SHORT, _LEAST_SHORT = 512, 512


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
    swept : dict
        The swept keys with this member's values, which its name has, too.
    """

    init: str
    inputs: str
    networks: int
    layers: tuple[int, ...]
    record: int
    ntk: Parameterisation | None
    ntk_outputs: int
    swept: dict[str, Any] = field(default_factory=dict)

    @property
    def input_sets(self) -> tuple[str, ...]:
        """Names of the sets of input vectors that it is evaluated on, in their order."""
        return (self.inputs,)

    def rates(self, network: Architecture | Perceptron) -> LearningRates:
        """The learning rates of its tangent kernels; ``ValueError`` where none are measured."""
        if self.ntk is None:
            raise ValueError(f"no tangent kernels of {self.ensemble}, {self.name} are measured")
        return self.ntk.rates(network)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """How networks are drawn: by which sampler, what it records, and in how many GiB."""

    sampler: str
    measure: tuple[str, ...]
    memory: float


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Whether populations are grown beside the networks."""

    population: Population | None


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
class Trained(Described):
    """Networks that are trained; ``inputs`` are then those at which they only predict."""

    train: Schedule

    @property
    def input_sets(self) -> tuple[str, ...]:
        """The training inputs, then the others."""
        return (self.train.inputs, self.inputs)


@dataclass(frozen=True, kw_only=True)
class SampledNetworks(Described, Drawn, Beside, OneWidth):
    """Networks of one width, to be sampled."""

    precision: str
    controls: Literal[False] = False


@dataclass(frozen=True, kw_only=True)
class SampledLadder(Described, Drawn, Beside, ManyWidths):
    """A ladder, to be sampled; ``controls`` says whether control variates are recorded."""

    precision: str
    controls: bool


@dataclass(frozen=True, kw_only=True)
class SampledTraining(Trained, Drawn, OneWidth):
    """Networks of one width, to be trained."""

    precision: str
    controls: Literal[False] = False


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
class EstimatedTraining(Named, Estimating):
    """Networks that were trained, to be estimated from what was recorded of them."""

    train: Schedule


@dataclass(frozen=True, kw_only=True)
class PredictedNetworks(Described, Estimating, OneWidth):
    """Networks of one width, to be predicted."""


@dataclass(frozen=True, kw_only=True)
class PredictedLadder(Described, Estimating, ManyWidths):
    """A ladder, to be predicted."""


@dataclass(frozen=True, kw_only=True)
class PredictedTraining(Trained, Estimating, OneWidth):
    """Networks that are trained, to be predicted."""


@dataclass(frozen=True, kw_only=True)
class TabulatedNetworks(Described, Drawn, Estimating, OneWidth):
    """Networks of one width in tables and figures."""

    controls: Literal[False] = False


@dataclass(frozen=True, kw_only=True)
class TabulatedLadder(Described, Drawn, Estimating, ManyWidths):
    """A ladder in tables and figures."""

    controls: bool


@dataclass(frozen=True, kw_only=True)
class TabulatedTraining(Trained, Drawn, Estimating, OneWidth):
    """Networks that were trained in tables and figures."""

    controls: Literal[False] = False


Sampled = SampledNetworks | SampledLadder | SampledTraining
Estimated = EstimatedNetworks | EstimatedLadder | EstimatedTraining
Predicted = PredictedNetworks | PredictedLadder | PredictedTraining
Tabulated = TabulatedNetworks | TabulatedLadder | TabulatedTraining


def sampled(data: Mapping) -> Sampled:
    """A member of plain data, to be sampled; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, SampledNetworks, SampledLadder, SampledTraining)


def estimated(data: Mapping) -> Estimated:
    """A member of plain data, to be estimated; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, EstimatedNetworks, EstimatedLadder, EstimatedTraining)


def predicted(data: Mapping) -> Predicted:
    """A member of plain data, to be predicted; raises ``ValueError`` as :func:`of_plain`."""
    return of_plain(data, PredictedNetworks, PredictedLadder, PredictedTraining)
