"""Keys of tangent kernels that do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from finitewidth.config.model_ensemble import Ensemble, Ntk
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations.table import get
from finitewidth.quantities.vocabulary import FAMILIES, FROM_NTK

#: Family of the library -> what has to be measured for it.
_NEEDS = {
    "ntk": "ntk",
    "ntk_tensors": "ntk",
    "ntk_spectrum": "ntk",
    "dntk": "dntk",
    "ntk_methods": "ntk_methods",
}


def check_ntk(
    path: str, ensemble: Ensemble, families: Sequence[str], counts: Sequence[int]
) -> None:
    """Raise a :class:`ConfigError` for the first contradiction.

    ``counts`` are the numbers of inputs, 0 where it is not known yet.
    """
    measure = ensemble.measure
    for family in families:
        needed = _NEEDS.get(family) or ("dntk" if "dntk" in FAMILIES[family].records else "ntk")
        if family in FROM_NTK and needed not in measure:
            allowed = f"{family} where measure has {needed}"
            raise ConfigError.at(f"{path}.estimate", family, allowed)
    measured = {"ntk", "ntk_methods"} & set(measure)
    if ensemble.ntk is not None and not measured:
        raise ConfigError.at(f"{path}.ntk", "a value", "nothing unless measure has ntk")
    check_rates(path, ensemble.ntk)
    if ensemble.drawn_by == "scalar":
        _check_scalar(path, ensemble, counts)
    if not measured and "dntk" not in measure:
        return
    if "log_norm" in measure:
        raise ConfigError.at(f"{path}.measure", "log_norm", "no log_norm beside tangent kernels")
    if "ntk_methods" in measure and len(measure) > 1:
        raise ConfigError.at(f"{path}.measure", measure, "nothing beside ntk_methods")
    if "ntk_methods" in measure and (ensemble.shards or 1) > 1:
        raise ConfigError.at(f"{path}.shards", ensemble.shards, "1 to measure ntk_methods")
    if "dntk" in measure and "ntk" not in measure:
        raise ConfigError.at(f"{path}.measure", "dntk", "dntk beside ntk only")
    for name in ("dntk", "ntk_methods"):
        if name in measure and ensemble.drawn_by != "explicit":
            allowed = f"explicit to measure {name}"
            raise ConfigError.at(f"{path}.sampler", ensemble.drawn_by, allowed)
    outputs = ensemble.outputs or min(ensemble.hidden or ensemble.width or [])
    wanted = min((ensemble.ntk or Ntk()).outputs, outputs)
    if "dntk" in families and wanted < 2:
        raise ConfigError.at(f"{path}.ntk.outputs", wanted, "at least 2 to estimate dntk")
    if "ntk_spectrum" in families and 1 in counts:
        allowed = "ntk_spectrum for two or more inputs"
        raise ConfigError.at(f"{path}.estimate", "ntk_spectrum on 1 input", allowed)
    depths = ensemble.depths
    if isinstance(ensemble.layers, list) and "preactivations" in measure:
        for depth in depths:
            if not {"last", depth} & set(ensemble.layers):
                allowed = "layers with the last one, where tangent kernels are measured"
                raise ConfigError.at(f"{path}.layers", ensemble.layers, allowed)


def check_rates(path: str, ntk: Ntk | None) -> None:
    """Raise a :class:`ConfigError` for rates that the parameterisation fixes, or lacks."""
    if ntk is None:
        return
    for key in ("lambda_b", "lambda_W"):
        value = getattr(ntk, key)
        if ntk.parameterisation == "pdlt" and value is None:
            raise ConfigError.at(f"{path}.ntk.{key}", None, "a number of at least 0 with pdlt")
        if ntk.parameterisation != "pdlt" and value is not None:
            allowed = f"nothing with {ntk.parameterisation}, which fixes it"
            raise ConfigError.at(f"{path}.ntk.{key}", value, allowed)


def _check_scalar(path: str, ensemble: Ensemble, counts: Sequence[int]) -> None:
    if ensemble.measure != ["ntk"]:
        raise ConfigError.at(f"{path}.measure", ensemble.measure, "[ntk] with the scalar sampler")
    kinked = [name for name in ensemble.activation if get(name).slopes is None]
    if kinked:
        allowed = "linear, relu, abs or leaky_relu with the scalar sampler"
        raise ConfigError.at(f"{path}.activation", kinked[0], allowed)
    if ensemble.weights != "normal":
        raise ConfigError.at(f"{path}.weights", ensemble.weights, "normal with the scalar sampler")
    init = ensemble.init
    if init is not None and init != "critical" and any(init.C_b or []):
        raise ConfigError.at(f"{path}.init.C_b", init.C_b, "0 with the scalar sampler")
    several = [count for count in counts if count > 1]
    if several:
        allowed = "inputs of one vector with the scalar sampler"
        raise ConfigError.at(f"{path}.inputs", f"{several[0]} vectors", allowed)
