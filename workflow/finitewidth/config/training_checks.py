"""Keys of networks that are trained which do not go together."""

from __future__ import annotations

from finitewidth.config.model import Config
from finitewidth.config.model_ensemble import Ensemble, families_of
from finitewidth.config.model_training import Train
from finitewidth.config.ntk_checks import check_rates
from finitewidth.core.errors import ConfigError
from finitewidth.quantities.vocabulary import FROM_TRAINING

#: Keys of an ensemble that say nothing of one that is trained.
_NOT_BESIDE = ("measure", "layers", "record", "controls", "memory", "normality")


def check_training(path: str, ensemble: Ensemble, config: Config) -> None:
    """Raise a :class:`ConfigError` for the first contradiction."""
    train = ensemble.train
    assert train is not None
    for key in _NOT_BESIDE:
        if key in ensemble.model_fields_set:
            raise ConfigError.at(f"{path}.{key}", getattr(ensemble, key), "nothing beside train")
    if ensemble.sampler == "scalar":
        allowed = "explicit, marginal, or nothing, beside train"
        raise ConfigError.at(f"{path}.sampler", ensemble.sampler, allowed)
    if ensemble.weights != "normal":
        raise ConfigError.at(f"{path}.weights", ensemble.weights, "normal beside train")
    for family in families_of(ensemble):
        if family not in FROM_TRAINING:
            allowed = f"a list of {', '.join(FROM_TRAINING)} beside train"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
    if ensemble.ntk is not None and "outputs" in ensemble.ntk.model_fields_set:
        allowed = "nothing beside train, which takes all outputs"
        raise ConfigError.at(f"{path}.ntk.outputs", ensemble.ntk.outputs, allowed)
    check_rates(path, ensemble.ntk)
    _check_moments(f"{path}.train", train)
    _check_targets(path, ensemble, train, config)


def _check_moments(path: str, train: Train) -> None:
    """Steps of a learning rate, or times of the flow."""
    if train.learning_rate is None and train.times is None:
        given = "steps alone" if train.steps else None
        raise ConfigError.at(path, given, "learning_rate and steps, or times")
    if train.learning_rate is not None:
        if train.times is not None:
            raise ConfigError.at(f"{path}.times", train.times, "nothing beside learning_rate")
        if train.steps is None:
            allowed = "a list of whole numbers of at least 1"
            raise ConfigError.at(f"{path}.steps", None, allowed)
    elif train.steps is not None:
        raise ConfigError.at(f"{path}.steps", train.steps, "nothing beside times")


def _check_targets(path: str, ensemble: Ensemble, train: Train, config: Config) -> None:
    """Training inputs with targets, as many as the network has outputs."""
    if train.inputs not in config.inputs:
        raise ConfigError.of_words(f"{path}.train.inputs", train.inputs, config.inputs)
    training = config.inputs[train.inputs]
    if training.targets is None:
        allowed = "a set of inputs with targets"
        raise ConfigError.at(f"{path}.train.inputs", train.inputs, allowed)
    outputs = training.target_outputs
    if outputs is None and ensemble.outputs is None:
        allowed = f"a whole number: how many targets a vector of {train.inputs} has"
        raise ConfigError.at(f"{path}.outputs", None, allowed)
    if outputs is not None and ensemble.outputs not in (None, outputs):
        allowed = f"{outputs}, as many as a vector of {train.inputs} has targets"
        raise ConfigError.at(f"{path}.outputs", ensemble.outputs, allowed)
    for name in ensemble.inputs:
        beside = config.inputs[name].target_outputs
        if None not in (outputs, beside) and beside != outputs:
            allowed = f"inputs with {outputs} targets each, or with none, as {train.inputs} has"
            raise ConfigError.at(f"{path}.inputs", name, allowed)
