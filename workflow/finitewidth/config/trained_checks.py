"""What no single key can tell about networks that get trained."""

from __future__ import annotations

from finitewidth.config.model import Config
from finitewidth.config.model_trained import Cifar10, DigitImages, Trained
from finitewidth.core.errors import ConfigError
from finitewidth.models.trained_architecture import trained_architecture

#: Neurons of a hidden layer, widened.
WIDEST = 10**9


def check_trained(path: str, name: str, trained: Trained, config: Config) -> None:
    """Raise a :class:`ConfigError` for the first contradiction."""
    if trained.data not in config.data:
        raise ConfigError.of_words(f"{path}.data", trained.data, config.data)
    if (trained.mlp is None) == (trained.cnn is None):
        given = "neither" if trained.mlp is None else "mlp and cnn"
        raise ConfigError.at(path, given, "one of mlp and cnn")
    hidden = len(trained.shape(name).hidden)
    _check_widths(path, name, trained)
    _check_architecture(name, trained, config)
    allowed = f"all, or lists of different layers from 1 to {hidden}"
    for layers in trained.rainbow.layers:
        if layers == "all":
            continue
        if not layers or max(layers) > hidden or len(set(layers)) < len(layers):
            raise ConfigError.at(f"{path}.rainbow.layers", layers, allowed)
    sets = trained.rainbow.layers
    different = {x if x == "all" else frozenset(x) for x in sets}
    if not sets or len(different) < len(sets):
        raise ConfigError.at(f"{path}.rainbow.layers", sets, f"{allowed}, each of them once")
    published = trained.published
    if published and published.alignment is not None and len(published.alignment) != hidden:
        raise ConfigError.at(
            f"{path}.published.alignment", published.alignment, f"{hidden} numbers, one a layer"
        )


def _check_widths(path: str, name: str, trained: Trained) -> None:
    """Whether hidden widths stay numbers of neurons, by whatever factors they are widened."""
    most = WIDEST / max(trained.shape(name).hidden)
    for key, factors in (("widen", trained.widen), ("rainbow.widen", trained.rainbow.widen)):
        if max(factors) > most:
            allowed = f"at most {most:.4g}, for hidden widths of at most {WIDEST}"
            raise ConfigError.at(f"{path}.{key}", max(factors), allowed)
        most /= max(factors)


def _check_architecture(name: str, trained: Trained, config: Config) -> None:
    """Whether the model fits the images, where their shape is known before they are read."""
    data = config.data[trained.data]
    if isinstance(data, DigitImages):
        shape = (1, 8, 8)
    elif isinstance(data, Cifar10):
        shape = (1 if data.grayscale else 3, 32, 32)
    else:
        return
    trained_architecture(trained.shape(name), shape, 10)
