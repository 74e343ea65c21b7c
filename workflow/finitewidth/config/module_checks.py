"""Keys of networks of a person's own that do not go together."""

from __future__ import annotations

from finitewidth.config.model_ensemble import Ensemble, families_of, wants_last_law
from finitewidth.core.errors import ConfigError
from finitewidth.models.own_networks import get

#: What the module itself says, or what is of perceptrons and networks made of blocks alone.
_NOTHING = ("activation", "init", "depth", "hidden", "ladder", "network", "outputs", "train",
            "population")  # fmt: skip
_MEASURED = ("preactivations", "ntk")


def check_module(path: str, ensemble: Ensemble) -> None:
    """Raise a :class:`ConfigError` for the first contradiction of an ensemble with ``module``, and
    for one that has neither that nor an activation."""
    if ensemble.module is None:
        if not ensemble.activation:
            allowed = "a name of an activation, or a list of different ones"
            raise ConfigError.at(f"{path}.activation", None, allowed)
        return
    for key in _NOTHING:
        if getattr(ensemble, key) not in (None, []):
            given = (
                getattr(ensemble, key) if key in ("activation", "depth", "outputs") else "a value"
            )
            raise ConfigError.at(f"{path}.{key}", given, "nothing beside module")
    if ensemble.weights != "normal":
        allowed = "nothing beside module, which draws its own"
        raise ConfigError.at(f"{path}.weights", ensemble.weights, allowed)
    if ensemble.drawn_by != "explicit":
        allowed = "explicit for a module (or nothing)"
        raise ConfigError.at(f"{path}.sampler", ensemble.sampler, allowed)
    for measured in ensemble.measure:
        if measured not in _MEASURED:
            allowed = f"{' or '.join(_MEASURED)} for a module"
            raise ConfigError.at(f"{path}.measure", measured, allowed)
    for family in families_of(ensemble):
        if wants_last_law(family):
            allowed = f"{family} of networks whose last layer is known (no module)"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
    ntk = ensemble.ntk
    said = ntk is not None and "parameterisation" in ntk.model_fields_set
    if ntk is not None and said and ntk.parameterisation != "standard":
        allowed = "standard for a module, whose parameters all have rate 1"
        raise ConfigError.at(f"{path}.ntk.parameterisation", ntk.parameterisation, allowed)
    for n in ensemble.width or []:
        try:
            get(ensemble.module).sizes(n)
        except ValueError as error:
            allowed = f"a width that the layers of {ensemble.module} have ({error})"
            raise ConfigError.at(f"{path}.width", n, allowed) from None
