"""What no single key can tell: names that must exist, and keys that do not go together."""

from __future__ import annotations

import math

from finitewidth import activations
from finitewidth.config import Config, Ensemble, Init, Sphere, Study, families_of
from finitewidth.errors import ConfigError
from finitewidth.vocabulary import (
    FAMILIES,
    FIGURES,
    FOUR_POINT_MOST_INPUTS,
    FROM_LOG_NORM,
    FROM_QUARTIC,
    QUANTITIES,
)


def check(config: Config) -> None:
    """Raise a :class:`ConfigError` for the first contradiction between keys of ``config``."""
    for name, inputs in config.inputs.items():
        if isinstance(inputs, Sphere):
            _check_sphere(f"inputs.{name}", inputs)
    for name, ensemble in config.ensembles.items():
        _check_ensemble(f"ensembles.{name}", ensemble, config)
    for name, study in config.studies.items():
        _check_study(f"studies.{name}", study, config)


def _check_sphere(path: str, inputs: Sphere) -> None:
    """Vectors at one pairwise overlap exist only if their Gram matrix is positive and fits."""
    if inputs.overlap is None or inputs.count == 1:
        return
    lowest = -1 / (inputs.count - 1)
    if inputs.overlap < lowest - 1e-12:
        raise ConfigError.at(
            f"{path}.overlap", inputs.overlap, f"at least {lowest:.4g} for {inputs.count} vectors"
        )
    at_lowest = math.isclose(inputs.overlap, lowest, abs_tol=1e-12)
    rank = 1 if inputs.overlap == 1 else inputs.count - at_lowest
    if inputs.dimension < rank:
        raise ConfigError.at(
            f"{path}.dimension",
            inputs.dimension,
            f"at least {rank} for {inputs.count} vectors at overlap {inputs.overlap:g}",
        )


def _check_ensemble(path: str, ensemble: Ensemble, config: Config) -> None:
    if ensemble.inputs not in config.inputs:
        raise ConfigError.at(
            f"{path}.inputs", ensemble.inputs, f"one of {', '.join(config.inputs) or 'none'}"
        )
    _check_init(path, ensemble)
    _check_layers(path, ensemble)
    if ensemble.sampler == "marginal" and ensemble.weights != "normal":
        raise ConfigError.at(
            f"{path}.sampler",
            ensemble.sampler,
            f"explicit for {ensemble.weights} weights (only normal weights can be integrated out)",
        )
    families = families_of(ensemble)
    if "preactivations" not in ensemble.measure:
        beyond = [f for f in families if f not in FROM_LOG_NORM]
        if beyond:
            raise ConfigError.at(
                f"{path}.estimate",
                beyond[0],
                f"{', '.join(FROM_LOG_NORM)} unless measure has preactivations",
            )
    narrowest = min(*ensemble.width, ensemble.outputs or min(ensemble.width))
    record = narrowest if ensemble.record == "all" else ensemble.record
    for family, least in (("quadruple", 4), ("normality", ensemble.normality.neurons)):
        if family not in families:
            continue
        for key, given in (("record", record), ("width", narrowest)):
            if given < least and not (key == "record" and ensemble.record == "all"):
                allowed = f"at least {least} to estimate {family}"
                raise ConfigError.at(f"{path}.{key}", given, allowed)
    count = getattr(config.inputs[ensemble.inputs], "count", None) or 0
    beyond = [f for f in families if f in FROM_QUARTIC and count > FOUR_POINT_MOST_INPUTS]
    if beyond:
        raise ConfigError.at(
            f"{path}.estimate",
            f"{beyond[0]} on {count} inputs",
            f"{beyond[0]} on at most {FOUR_POINT_MOST_INPUTS} inputs (name what to estimate)",
        )
    if "normality" in families and ensemble.networks < ensemble.normality.networks:
        raise ConfigError.at(
            f"{path}.networks",
            ensemble.networks,
            f"at least {ensemble.normality.networks}, the size of one group of the normality tests",
        )


def _check_init(path: str, ensemble: Ensemble) -> None:
    if ensemble.weights == "pytorch":
        if ensemble.init is not None:
            raise ConfigError.at(
                f"{path}.init", "a value", "nothing for pytorch weights, which fix C_W and C_b"
            )
    elif ensemble.init is None:
        raise ConfigError.at(f"{path}.init", None, "critical, or {C_W: number, C_b: number}")
    elif ensemble.init == "critical":
        for name in ensemble.activation:
            if activations.get(name).critical is None:
                raise ConfigError.at(
                    f"{path}.init",
                    "critical",
                    f"{{C_W: number, C_b: number}} for {name}, which has no critical point",
                )
    scale_invariant = all(activations.get(a).is_scale_invariant for a in ensemble.activation)
    no_bias = ensemble.init == "critical" or (
        isinstance(ensemble.init, Init) and not any(ensemble.init.C_b)
    )
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
    deepest = min(ensemble.depth)
    for layer in ensemble.layers:
        if isinstance(layer, int) and layer > deepest:
            raise ConfigError.at(f"{path}.layers", layer, f"a layer from 1 to the depth, {deepest}")
        if layer == "second" and deepest < 2:
            raise ConfigError.at(f"{path}.layers", layer, "first at depth 1")
    if len(set(ensemble.layers)) < len(ensemble.layers):
        raise ConfigError.at(f"{path}.layers", ensemble.layers, "each layer once")


def _check_study(path: str, study: Study, config: Config) -> None:
    if not study.ensembles:
        raise ConfigError.at(f"{path}.ensembles", [], "at least one ensemble")
    for name in study.ensembles:
        if name not in config.ensembles:
            raise ConfigError.at(
                f"{path}.ensembles", name, f"one of {', '.join(config.ensembles) or 'none'}"
            )
    families = {name: families_of(config.ensembles[name]) for name in study.ensembles}
    for figure in study.figures or []:
        missing = [
            f for f in FIGURES[figure].families if not any(f in g for g in families.values())
        ]
        if missing:
            raise ConfigError.at(
                f"{path}.figures",
                figure,
                f"a figure of what the study's ensembles estimate (this one needs {missing[0]})",
            )
    estimated = {q for g in families.values() for f in g for q in FAMILIES[f]}
    for quantity in study.quantities or []:
        if quantity not in estimated:
            allowed = ", ".join(q for q in QUANTITIES if q in estimated)
            raise ConfigError.at(f"{path}.quantities", quantity, f"one of {allowed}")
