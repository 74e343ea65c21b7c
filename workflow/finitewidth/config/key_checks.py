"""What no single key can tell: names that must exist, and keys that do not go together."""

from __future__ import annotations

from finitewidth.config.model import Config, Study
from finitewidth.config.model_ensemble import Ensemble, families_of
from finitewidth.config.module_checks import check_module
from finitewidth.config.network_checks import (
    check_network,
    has_places,
    has_softmax,
    is_plain,
    narrow_layers,
    places_read,
)
from finitewidth.config.ntk_checks import check_ntk, check_rates
from finitewidth.config.population_checks import check_population
from finitewidth.config.trained_checks import check_trained
from finitewidth.config.training_checks import check_training
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations.table import get
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS
from finitewidth.quantities.vocabulary import (
    COEFFICIENTS,
    FAMILIES,
    FROM_LADDER,
    FROM_LOG_NORM,
    FROM_NTK,
    FROM_SWEEPS,
    FROM_TRAINING,
    LEAST_RUNGS,
    QUANTITIES,
    TRAINED_FAMILIES,
)
from finitewidth.theory.mlp.criticality import critical_init


def check(config: Config) -> None:
    """Raise a :class:`ConfigError` for the first contradiction between keys of ``config``."""
    for name, inputs in config.inputs.items():
        inputs.check(f"inputs.{name}")
        inputs.check_targets(f"inputs.{name}")
    for name, ensemble in config.ensembles.items():
        _check_ensemble(f"ensembles.{name}", ensemble, config)
    for name, trained in config.trained.items():
        check_trained(f"trained.{name}", name, trained, config)
    for name, study in config.studies.items():
        _check_study(f"studies.{name}", study, config)


def _check_ensemble(path: str, ensemble: Ensemble, config: Config) -> None:
    for name in ensemble.inputs:
        if name not in config.inputs:
            raise ConfigError.of_words(f"{path}.inputs", name, config.inputs)
    if ensemble.population is not None and ensemble.train is not None:
        allowed = "nothing beside train: populations are grown of networks at their start"
        raise ConfigError.at(f"{path}.population", "a value", allowed)
    check_module(path, ensemble)
    _check_widths(path, ensemble)
    check_network(path, ensemble, config.inputs)
    _check_init(path, ensemble)
    _check_layers(path, ensemble)
    # How many vectors a user's array has is not known before it is read.
    counts = [
        (getattr(config.inputs[name], "count", None) or 0)
        * places_read(ensemble, config.inputs[name])
        for name in ensemble.inputs
    ]
    count = max(counts)
    if ensemble.is_ladder:
        _check_ladder(path, ensemble, count)
        check_population(path, ensemble, counts)
        return
    if ensemble.train is not None:
        check_training(path, ensemble, config)
        return
    if ensemble.drawn_by == "marginal" and ensemble.weights != "normal":
        raise ConfigError.at(
            f"{path}.sampler",
            ensemble.drawn_by,
            f"explicit for {ensemble.weights} weights (only normal weights can be integrated out)",
        )
    families = families_of(ensemble)
    for family in families:
        for those, what in ((FROM_LADDER, "a ladder of widths"), (FROM_TRAINING, "train")):
            if family in those:
                allowed = f"{family} for an ensemble with {what} only"
                raise ConfigError.at(f"{path}.estimate", family, allowed)
    check_population(path, ensemble, counts)
    check_ntk(path, ensemble, families, counts)
    if "preactivations" not in ensemble.measure:
        those_beside = [*(FROM_LOG_NORM if "log_norm" in ensemble.measure else ()), *FROM_NTK]
        beyond = [f for f in families if f not in those_beside]
        if beyond:
            raise ConfigError.at(
                f"{path}.estimate",
                beyond[0],
                f"{', '.join(those_beside)} unless measure has preactivations",
            )
    hidden = ensemble.hidden or ensemble.width or []
    narrowest = min(*hidden, ensemble.outputs or min(hidden), *narrow_layers(ensemble))
    record = narrowest if ensemble.record == "all" else ensemble.record
    for family, least in (("quadruple", 4), ("normality", ensemble.normality.neurons)):
        if family not in families:
            continue
        for key, given in (("record", record), ("width", narrowest)):
            if given < least and not (key == "record" and ensemble.record == "all"):
                allowed = f"at least {least} to estimate {family}"
                raise ConfigError.at(f"{path}.{key}", given, allowed)
    for family in families:
        most = FAMILIES[family].most_inputs
        if most is not None and count > most:
            allowed = f"{family} on at most {most} inputs (name what to estimate)"
            raise ConfigError.at(f"{path}.estimate", f"{family} on {count} inputs", allowed)
    for family in families:
        if "entropy" in FAMILIES[family].records and not has_softmax(ensemble.network):
            allowed = f"{family} of networks with attention of scores softmax"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
        records = {"gradient", "jacobian"} & set(FAMILIES[family].records)
        if not records:
            continue
        if ensemble.module is not None:
            allowed = f"{family} of perceptrons and networks made of blocks (no module)"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
        if "jacobian" in records:
            _check_jacobian(path, ensemble, config)
            continue
        if ensemble.network is not None and ensemble.network.readout == "none":
            allowed = "a read-out, whose derivatives are estimated"
            raise ConfigError.at(f"{path}.network.readout", "none", allowed)
    if "correlation" in families and 1 in counts:
        allowed = "correlation for two or more inputs"
        raise ConfigError.at(f"{path}.estimate", "correlation on 1 input", allowed)
    tested = ensemble.normality
    if "normality" in families and tested.networks <= tested.neurons:
        allowed = f"more than {tested.neurons}, the neurons that a group is tested on"
        raise ConfigError.at(f"{path}.normality.networks", tested.networks, allowed)
    if "normality" in families and ensemble.networks < ensemble.normality.networks:
        raise ConfigError.at(
            f"{path}.networks",
            ensemble.networks,
            f"at least {ensemble.normality.networks}, the size of one group of the normality tests",
        )


def _check_jacobian(path: str, ensemble: Ensemble, config: Config) -> None:
    """Singular values of derivatives by vectors, beside no other derivatives."""
    others = [f for f in families_of(ensemble) if "gradient" in FAMILIES[f].records]
    others += [word for word in ensemble.measure if word.startswith("ntk")]
    if others:
        allowed = f"jacobian in an ensemble of its own, without {others[0]}"
        raise ConfigError.at(f"{path}.estimate", f"jacobian with {others[0]}", allowed)
    if any(has_places(ensemble, config.inputs[name]) for name in ensemble.inputs):
        allowed = "jacobian of networks of vectors, not of images or tokens"
        raise ConfigError.at(f"{path}.estimate", "jacobian", allowed)


def _check_widths(path: str, ensemble: Ensemble) -> None:
    """Exactly one way of saying how wide the layers are, and how many there are."""
    given = [key for key in ("width", "hidden", "ladder") if getattr(ensemble, key) is not None]
    if len(given) != 1:
        allowed = "exactly one of width, hidden and ladder"
        raise ConfigError.at(path, " and ".join(given) or None, allowed)
    if given == ["hidden"]:
        if ensemble.depth is not None:
            raise ConfigError.at(f"{path}.depth", ensemble.depth, "nothing beside hidden")
    elif ensemble.depth is None and ensemble.network is None and ensemble.module is None:
        allowed = "a whole number of at least 1, or a list of different ones"
        raise ConfigError.at(f"{path}.depth", None, allowed)


def _check_ladder(path: str, ensemble: Ensemble, inputs: int) -> None:
    """What a ladder is sampled from and estimates."""
    if (ensemble.drawn_by, ensemble.weights) != ("marginal", "normal"):
        what = f"sampler {ensemble.drawn_by}, weights {ensemble.weights}"
        raise ConfigError.at(f"{path}.ladder", what, "sampler marginal and weights normal")
    if ensemble.outputs is not None:
        allowed = "nothing beside ladder, which needs no layer beyond the hidden ones"
        raise ConfigError.at(f"{path}.outputs", ensemble.outputs, allowed)
    if ensemble.train is not None:
        raise ConfigError.at(f"{path}.train", "a value", "nothing beside ladder")
    if ensemble.measure != ["preactivations"]:
        raise ConfigError.at(
            f"{path}.measure", ensemble.measure, "nothing beside ladder, which keeps kernels only"
        )
    if ensemble.ntk is not None and "ntk_mean" not in families_of(ensemble):
        allowed = "nothing unless ntk_mean is estimated"
        raise ConfigError.at(f"{path}.ntk", "a value", allowed)
    check_rates(path, ensemble.ntk)
    for family in families_of(ensemble):
        if family not in FROM_LADDER:
            allowed = f"a list of {', '.join(FROM_LADDER)} for a ladder of widths"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
    if inputs > FOUR_POINT_MOST_INPUTS:
        allowed = f"inputs of at most {FOUR_POINT_MOST_INPUTS} vectors for a ladder of widths"
        raise ConfigError.at(f"{path}.inputs", f"{inputs} vectors", allowed)


def _check_init(path: str, ensemble: Ensemble) -> None:
    init = ensemble.init
    if ensemble.module is not None:
        return
    if ensemble.weights == "pytorch":
        if init is not None:
            raise ConfigError.at(
                f"{path}.init", "a value", "nothing for pytorch weights, which fix C_W and C_b"
            )
    elif init is None:
        raise ConfigError.at(f"{path}.init", None, "critical, or {C_W: number, C_b: number}")
    elif init == "critical" or init.critical_times is not None:
        if init != "critical" and (init.C_W is not None or init.C_b is not None):
            allowed = "either critical_times, or C_W and C_b"
            raise ConfigError.at(f"{path}.init", "critical_times and other keys", allowed)
        if ensemble.network is not None and not is_plain(ensemble.network):
            allowed = (
                "{C_W: number, C_b: number} (no critical point is known with skips, norms, steps or"
                " variances of their own)"
            )
            raise ConfigError.at(f"{path}.init", "critical", allowed)
        for name in ensemble.activation:
            try:
                critical_init(get(name))
            except ValueError as error:
                raise ConfigError(
                    f"config key {path}.init: given critical for {name}, allowed is"
                    f" {{C_W: number, C_b: number}}, because {error}"
                ) from None
    elif init.C_W is None:
        raise ConfigError.at(f"{path}.init.C_W", None, "a number of at least 0, or a list of them")
    scale_invariant = all(get(a).is_scale_invariant for a in ensemble.activation)
    # A scale-invariant activation is critical without bias.
    no_bias = init is not None and (init == "critical" or not any(init.C_b or []))
    if "log_norm" in ensemble.measure and not (scale_invariant and no_bias):
        raise ConfigError.at(
            f"{path}.measure",
            "log_norm",
            "preactivations (a norm carried apart needs a scale-invariant activation, C_b = 0)",
        )


def _check_layers(path: str, ensemble: Ensemble) -> None:
    if not isinstance(ensemble.layers, list):
        return
    if not ensemble.layers:
        raise ConfigError.at(f"{path}.layers", [], "at least one layer")
    deepest = min(ensemble.depths)
    for layer in ensemble.layers:
        if isinstance(layer, int) and layer > deepest:
            raise ConfigError.at(f"{path}.layers", layer, f"a layer from 1 to the depth, {deepest}")
        if layer == "second" and deepest < 2:
            raise ConfigError.at(f"{path}.layers", layer, "first at depth 1")
    if len(set(ensemble.layers)) < len(ensemble.layers):
        raise ConfigError.at(f"{path}.layers", ensemble.layers, "each layer once")


def _check_study(path: str, study: Study, config: Config) -> None:
    for key, known in (("ensembles", config.ensembles), ("trained", config.trained)):
        for name in getattr(study, key) or []:
            if name not in known:
                raise ConfigError.of_words(f"{path}.{key}", name, known)
    if study.ensembles is None and study.trained is None:
        raise ConfigError.at(f"{path}.ensembles", None, "ensembles, trained or both")
    ensembles = [config.ensembles[name] for name in study.ensembles or []]
    estimated = {q for e in ensembles for family in families_of(e) for q in FAMILIES[family].names}
    if study.trained:
        estimated |= {q for names in TRAINED_FAMILIES.values() for q in names}
    for e in ensembles:
        own = {q for family in families_of(e) for q in FAMILIES[family].names}
        if not e.is_ladder:
            own &= set(FROM_SWEEPS)
        if len(set(e.ladder or e.width or [])) >= LEAST_RUNGS:
            estimated |= {name for name, c in COEFFICIENTS.items() if c.of in own}
    for quantity in study.quantities or []:
        if quantity not in estimated:
            allowed = [q for q in QUANTITIES if q in estimated]
            raise ConfigError.of_words(f"{path}.quantities", quantity, allowed)
    wanted = study.quantities or [q for q in QUANTITIES if q in estimated]
    for number in (n for each in study.published or [] for n in each.numbers):
        if number.quantity not in wanted:
            raise ConfigError.of_words(
                f"{path}.published.numbers.quantity", number.quantity, wanted
            )
