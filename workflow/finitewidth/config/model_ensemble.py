"""The model of an ensemble: every key of an entry of ``ensembles``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from finitewidth.config.model_network import NetworkKeys
from finitewidth.config.model_training import Train
from finitewidth.core.fields import (
    Count,
    Model,
    Positive,
    Real,
    Sweep,
    Variance,
    distinct,
    key,
)
from finitewidth.models import own_networks
from finitewidth.models.activations import table as activations
from finitewidth.models.parameterisation import PARAMETERISATIONS
from finitewidth.quantities.vocabulary import (
    DEFAULT_FAMILIES,
    FAMILIES,
    FROM_LADDER,
    FROM_LOG_NORM,
    FROM_TRAINING,
    NTK_FAMILIES,
)

MEASURES = ("preactivations", "log_norm", "ntk", "dntk", "ntk_methods")
LAYER_NAMES = ("first", "second", "middle", "last")

if TYPE_CHECKING:
    # Literals of names that are known at run time only are more than mypy can take.
    LayerName = str
    Measure = str
    Parameterisation = str
    FamilyName = str
else:
    LayerName = Literal[LAYER_NAMES]
    Measure = Literal[MEASURES]
    Parameterisation = Literal[PARAMETERISATIONS]
    FamilyName = Literal[tuple(FAMILIES)]


def _known_activation(name: str) -> str:
    return activations.get(name).name


def _known_module(name: str) -> str:
    return own_networks.get(name).name


ActivationName = Annotated[str, AfterValidator(_known_activation)]
ModuleName = Annotated[str, AfterValidator(_known_module)]


class Init(Model):
    """Var W = C_W/fan-in and Var b = C_b, as numbers or beside the critical point."""

    C_W: Sweep[Variance] | None = key(
        "a number of at least 0 (0, or 1e-9 to 1e9), or a list of different ones (a sweep)", None
    )
    C_b: Sweep[Variance] | None = key(
        "a number of at least 0 (0, or 1e-9 to 1e9), or a list of different ones (a sweep); 0 where"
        " left out",
        None,
    )
    critical_times: Sweep[Positive] | None = key(
        "a number above 0 (1e-9 to 1e9), or a list of different ones (a sweep), instead of C_W and"
        " C_b: the critical C_b, and so many times the critical C_W",
        None,
    )


class Ntk(Model):
    """The learning-rate tensor of tangent kernels, and how many outputs are taken."""

    parameterisation: Parameterisation = key(
        "ntk (rates C_b and C_W), standard (what differentiating the plain network gives: 1 and"
        " fan-in) or pdlt (lambda_b and lambda_W as given)",
        "ntk",
    )
    lambda_b: Variance | None = key(
        "a number of at least 0 (0, or 1e-9 to 1e9), with pdlt only: rate of the biases", None
    )
    lambda_W: Variance | None = key(
        "a number of at least 0 (0, or 1e-9 to 1e9), with pdlt only: fan-in times the rate of the"
        " weights",
        None,
    )
    outputs: Annotated[int, Field(ge=1, le=4)] = key(
        "a whole number from 1 to 4: outputs to take (1 with the scalar sampler)", 2
    )


class Normality(Model):
    """How the tests of normality divide an ensemble."""

    groups: Count = key("a whole number of at least 1: groups of networks, one p-value each", 40)
    networks: Annotated[int, Field(ge=20, le=5000)] = key(
        "a whole number from 20 to 5000: networks a group", 250
    )
    neurons: Annotated[int, Field(ge=2, le=20)] = key(
        "a whole number from 2 to 20: recorded neurons drawn for each group (above 20 the p-values"
        " of Henze-Zirkler degenerate)",
        16,
    )


def _not_zero(power: float) -> float:
    if power == 0:
        raise ValueError("a population of power 0 is a plain ensemble")
    return power


class Population(Model):
    """Networks that are grown layer by layer towards the rare ones that decide a moment of the
    kernel, or of the tangent kernel. Where plain networks are too few for a moment, it is taken
    from these. Beside ``network``, the kernel is that of the read-out."""

    power: Sweep[Annotated[Real, Field(ge=-4, le=8), AfterValidator(_not_zero)]] | None = key(
        "a number from -4 to 8 but 0, or a list of different ones: each is a power k, with a"
        " population in which networks count by how much Ghat^k grows (of tangent kernels Theta^k,"
        " and k above 0; where left out, the powers that a pilot finds needed)",
        None,
    )
    islands: Annotated[int, Field(ge=20, le=10**6)] = key(
        "a whole number of at least 20: how many groups of networks are grown, independently of"
        " each other; errors follow from how these differ",
        40,
    )
    members: Annotated[int, Field(ge=50, le=10**7)] | None = key(
        "a whole number of at least 50: networks of an island (where left out, 32768 over the"
        " neurons of the widest layer times the inputs, but at least 100; 1000 where the law is"
        " known; of tangent kernels of two slopes without bias on one input 512 times the sum of"
        " 1/n over hidden layers, but at least 512)",
        None,
    )
    of: Literal["mean"] | Annotated[int, Field(ge=0)] = key(
        "mean (the mean over inputs of Ghat_aa/K_aa, the harmonic one for powers below 0; of"
        " tangent kernels that of (Theta_aa/H_aa)^2, whose root is grown), or a whole number of"
        " at least 0: the input whose Ghat is grown",
        "mean",
    )
    exact: bool = key(
        "true or false: whether networks are drawn from the law itself where that is known, on one"
        " input without bias: powers of linear, abs and ReLU, whole ones of other two slopes",
        True,
    )


class Ensemble(Model):
    """Networks drawn from one law. A list of values is a sweep where a key says so: each value, or
    combination of values of several keys, is a member."""

    activation: Sweep[ActivationName] = key(
        f"one of {', '.join(activations.names())}, or a list of different ones (a sweep); left out"
        " with module",
        [],
    )
    init: Literal["critical"] | Init | None = key(
        "critical, {C_W: number, C_b: number} or {critical_times: number} (left out for pytorch"
        " weights, and with module)",
        None,
    )
    weights: Literal["normal", "uniform", "pytorch"] = key(
        "normal, uniform (of the same variances) or pytorch (the default of torch.nn.Linear)",
        "normal",
    )
    width: Sweep[Count] | None = key(
        "a whole number of at least 1, or a list of different ones (a sweep); one of width, hidden"
        " and ladder has to be given",
        None,
    )
    hidden: Annotated[list[Count], Field(min_length=1)] | None = key(
        "a list of whole numbers of at least 1, instead of width and depth: n_1, n_2, ... of each"
        " hidden layer",
        None,
    )
    ladder: Annotated[list[Count], AfterValidator(distinct)] | None = key(
        "a list of different whole numbers of at least 1, instead of width: widths sampled"
        " together on common random numbers, and extrapolated to infinite width where there are"
        " four or more",
        None,
    )
    depth: Sweep[Annotated[int, Field(ge=1, le=10**6)]] | None = key(
        "a whole number from 1 to 1000000, or a list of different ones (a sweep): L, weight"
        " matrices; left out with hidden and with network",
        None,
    )
    network: NetworkKeys | None = key(
        "{embed: , blocks: , readout: }, instead of depth: a network made of blocks, whose width is"
        " n",
        None,
    )
    module: ModuleName | None = key(
        "the name of a network of an extension (NETWORKS), instead of activation, init, depth and"
        " network: any torch.nn.Module, whose width is n",
        None,
    )
    outputs: Count | None = key(
        "a whole number of at least 1: neurons of the last layer (as many as the width where left"
        " out)",
        None,
    )
    inputs: Sweep[str] = key(
        "the name of one of the config's inputs, or a list of different ones (a sweep)"
    )
    networks: Annotated[int, Field(ge=50, le=10**9)] = key(
        "a whole number of at least 50 (a standard error needs that many)"
    )
    sampler: Literal["marginal", "explicit", "scalar"] | None = key(
        "marginal (weights integrated out), explicit (weights drawn) or scalar (tangent kernels of"
        " two-slope networks without bias on one input, at a cost that width does not change);"
        " where left out marginal, and the cheaper of the first two for networks made of blocks and"
        " for those in training, where marginal draws no weight between hidden layers",
        None,
    )
    precision: Literal["float32", "float64"] = key("float32 or float64", "float32")
    layers: Literal["all"] | list[Count | LayerName] | None = key(
        f"all, or a list of layers from 1 to the depth and of the words {', '.join(LAYER_NAMES)}"
        " (all where left out, up to depth 32; powers of two and the last beyond)",
        None,
    )
    record: Literal["all"] | Count = key(
        "all, or a whole number of at least 1: neurons recorded in each layer", 8
    )
    measure: Annotated[list[Measure], AfterValidator(distinct)] = key(
        f"a list of different ones of {', '.join(MEASURES)}", ["preactivations"]
    )
    ntk: Ntk | None = key(
        "{parameterisation: , lambda_b: , lambda_W: , outputs: }, where tangent kernels are"
        " measured, and of training (the first by default)",
        None,
    )
    train: Train | None = key(
        "{inputs: , learning_rate: , steps: , times: , ...}: networks are trained, and estimated"
        " along the way",
        None,
    )
    memory: Annotated[Real, Field(gt=0)] = key(
        "a number above 0: GiB that networks whose tangent kernels are computed together may take",
        1.0,
    )
    estimate: Annotated[list[FamilyName], AfterValidator(distinct)] | None = key(
        f"a list of different ones of {', '.join(FAMILIES)}"
        f" ({', '.join(DEFAULT_FAMILIES)} where left out, kernel_moments for a ladder,"
        f" {', '.join(NTK_FAMILIES)} where tangent kernels are measured, {', '.join(FROM_TRAINING)}"
        " where networks are trained)",
        None,
    )
    controls: bool = key(
        "true or false: whether a ladder records the means of its random numbers, as control"
        " variates",
        True,
    )
    population: Population | None = key(
        "{power: , islands: , members: , of: , exact: }, or {} for all that is left out:"
        " populations grown beside the networks",
        None,
    )
    normality: Normality = key("{groups: , networks: , neurons: }", Normality())
    shards: Count | None = key(
        "a whole number of at least 1: files (jobs) to divide the networks over (where left out as"
        " many as job_minutes asks for; results are the same bytes however many there are)",
        None,
    )

    @property
    def drawn_by(self) -> str:
        """The sampler, as far as the keys tell."""
        drawn = self.module or (self.network is not None and self.weights != "normal")
        if self.sampler is None and drawn:
            return "explicit"
        return self.sampler or "marginal"

    @property
    def depths(self) -> list[int]:
        """How many layers its members have; of networks made of blocks, the least and the most."""
        if self.network is not None:
            last = 0 if self.network.readout == "none" else 1
            each = [block.repeat for block in self.network.blocks]
            return list(dict.fromkeys(last + sum(map(end, each)) for end in (min, max)))
        if self.module is not None:
            return [len(own_networks.get(self.module).layers)]
        return self.depth or [len(self.hidden or []) + 1]

    @property
    def is_ladder(self) -> bool:
        """Whether its networks are drawn at several widths together."""
        return self.ladder is not None


def families_of(ensemble: Ensemble) -> tuple[str, ...]:
    """The families of estimates of an ensemble, defaults filled in."""
    if ensemble.estimate is not None:
        return tuple(ensemble.estimate)
    if ensemble.is_ladder:
        return FROM_LADDER[:1]
    if ensemble.train is not None:
        return FROM_TRAINING
    families: tuple[str, ...] = DEFAULT_FAMILIES if "preactivations" in ensemble.measure else ()
    if "ntk" in ensemble.measure:
        families += tuple(f for f in NTK_FAMILIES if not wants_last_law(f) or not ensemble.module)
    if "ntk_methods" in ensemble.measure:
        families += ("ntk_methods",)
    return families or FROM_LOG_NORM


def wants_last_law(family: str) -> bool:
    """Whether a family reads what is known of the last layer given those before it."""
    return "conditional_kernel" in FAMILIES[family].records


def orders_of(ensemble: Ensemble) -> tuple[int, ...]:
    """The orders of the moments of kernels that an ensemble's estimates are made of."""
    every = {order for family in families_of(ensemble) for order in FAMILIES[family].orders}
    return tuple(sorted(every))


def tangent_orders_of(ensemble: Ensemble) -> tuple[int, ...]:
    """The same of moments of tangent kernels."""
    every = {m for family in families_of(ensemble) for m in FAMILIES[family].tangent_orders}
    return tuple(sorted(every))
