"""What the keys of ``population`` ask of the others."""

from __future__ import annotations

from collections.abc import Sequence

from finitewidth.config.model_ensemble import Ensemble, Init, orders_of, tangent_orders_of
from finitewidth.config.model_network import NetworkKeys
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations.table import get
from finitewidth.models.finite_powers import mean_is_finite
from finitewidth.quantities.description import FOUR_POINT_MOST_INPUTS, TANGENT_FORMS_MOST_INPUTS
from finitewidth.quantities.vocabulary import FAMILIES
from finitewidth.theory.mlp.criticality import critical_init


def check_population(path: str, ensemble: Ensemble, counts: Sequence[int]) -> None:
    """Raise a :class:`ConfigError` where populations cannot be grown, or nobody reads them.

    ``counts`` are vectors of each set of inputs, 0 where that is not known yet.
    """
    given = ensemble.population
    if given is None:
        return
    of_tangents = bool(tangent_orders_of(ensemble))
    of_kernels = bool(orders_of(ensemble)) and "preactivations" in ensemble.measure
    # The scalar sampler measures tangent kernels alone.
    samplers = ("marginal", "scalar") if of_tangents and not of_kernels else ("marginal",)
    if ensemble.drawn_by not in samplers or ensemble.weights != "normal":
        what = f"sampler {ensemble.drawn_by}, weights {ensemble.weights}"
        allowed = f"sampler {' or '.join(samplers)} and weights normal"
        raise ConfigError.at(f"{path}.population", what, allowed)
    if not of_kernels and not of_tangents:
        those = ", ".join(n for n, f in FAMILIES.items() if f.orders or f.tangent_orders)
        allowed = f"nothing unless one of {those} is estimated"
        raise ConfigError.at(f"{path}.population", "a value", allowed)
    most, what = (
        (TANGENT_FORMS_MOST_INPUTS, "a population of tangent kernels")
        if of_tangents
        else (FOUR_POINT_MOST_INPUTS, "a population")
    )
    if max(counts) > most:
        allowed = f"inputs of at most {most} vectors beside {what}"
        raise ConfigError.at(f"{path}.inputs", f"{max(counts)} vectors", allowed)
    fewest = min((count for count in counts if count), default=None)
    if given.of != "mean" and fewest is not None and given.of >= fewest:
        allowed = f"mean, or an input from 0 to {fewest - 1}"
        raise ConfigError.at(f"{path}.population.of", given.of, allowed)
    if ensemble.network is not None:
        _check_network(path, ensemble, ensemble.network, of_tangents=of_tangents)
        return
    for power in given.power or ():
        _check_power(path, ensemble, power)


def _check_network(
    path: str, ensemble: Ensemble, network: NetworkKeys, *, of_tangents: bool
) -> None:
    """Of networks made of blocks the kernel of the read-out is grown, which is Gaussian given the
    stream, as the stream itself is not."""
    beside = "beside a population of a network made of blocks"
    if of_tangents:
        raise ConfigError.at(f"{path}.measure", "ntk", f"preactivations {beside}")
    if network.readout == "none":
        allowed = f"a read-out {beside}"
        raise ConfigError.at(f"{path}.network.readout", "none", allowed)
    if ensemble.layers != ["last"]:
        raise ConfigError.at(f"{path}.layers", ensemble.layers, f"[last] {beside}")
    assert ensemble.population is not None
    for power in ensemble.population.power or ():
        if power < 0:
            allowed = f"powers above 0 {beside}"
            raise ConfigError.at(f"{path}.population.power", power, allowed)


def _check_power(path: str, ensemble: Ensemble, power: float) -> None:
    """Negative powers have a mean of few networks alone."""
    init = ensemble.init
    given = init.C_b or [0.0] if isinstance(init, Init) and init.C_W is not None else None
    widths = ensemble.hidden or ensemble.width or ensemble.ladder or []
    for name in ensemble.activation:
        least = min(given) if given else critical_init(get(name)).C_b
        if not mean_is_finite(name, least, widths, power):
            allowed = f"no power of which {name} has an infinite mean at these widths"
            raise ConfigError.at(f"{path}.population.power", power, allowed)
