"""A sweep's points, each resolved to a member: networks of one width, or a ladder."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from finitewidth.config.model_ensemble import (
    Ensemble,
    Init,
    Ntk,
    families_of,
    orders_of,
    tangent_orders_of,
)
from finitewidth.config.model_network import NetworkKeys
from finitewidth.config.model_training import Train
from finitewidth.config.network import axes as network_axes
from finitewidth.config.network import block_network
from finitewidth.members.stages import NormalityTests, Population
from finitewidth.models.activations.table import get
from finitewidth.models.own_networks import shape_of
from finitewidth.models.parameterisation import Parameterisation
from finitewidth.models.schedule import Schedule
from finitewidth.planning.member import Ladder, Member, Networks, Training
from finitewidth.quantities.vocabulary import FAMILIES
from finitewidth.theory.mlp.criticality import critical_init

#: Up to this depth every layer is recorded unless the config says otherwise.
ALL_LAYERS_UP_TO = 32
#: Keys that may be swept, as the columns of a table are called (its column "inputs" tells inputs of
#: one set from each other).
SWEEPABLE = ("activation", "input_set", "width", "depth", "C_W", "C_b")


def expand(name: str, ensemble: Ensemble) -> list[Member]:
    """The members of an ensemble, in the order of its lists."""
    member = _ladder if ensemble.is_ladder else _networks if ensemble.train is None else _training
    axes = _axes(ensemble)
    swept_keys = [key for key, values in axes.items() if len(values) > 1]
    # Beside the critical point, C_W is what differs from member to member.
    swept_keys = ["C_W" if key == "critical_times" else key for key in swept_keys]
    sweepable = dict.fromkeys((*SWEEPABLE, *axes))
    result = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        init, C_b, C_W = _init(ensemble, point)
        point |= {"C_W": C_W}
        swept = {key: point[key] for key in sweepable if key in swept_keys}
        shared = {
            "ensemble": name,
            "name": _named(swept, "{:g}".format),
            "swept": swept,
            "init": init,
            "C_b": C_b,
            "C_W": C_W,
            "weights": "own" if ensemble.module else ensemble.weights,
            "activation": point["activation"],
            "width": point["width"],
            "depth": point["depth"],
            "inputs": point["input_set"],
            "networks": ensemble.networks,
            "sampler": ensemble.drawn_by,
            "precision": ensemble.precision,
            "memory": ensemble.memory,
            "estimate": families_of(ensemble),
            "population": _population(ensemble),
            "normality": NormalityTests(**ensemble.normality.model_dump()),
            "shards": ensemble.shards or 1,
        }
        if ensemble.module is not None:
            own = shape_of(ensemble.module, point["width"])
            shared |= {"depth": len(own.sizes), "network": own}
            result.append(_of_widths(ensemble, list(own.sizes), None, shared))
        elif ensemble.network is not None:
            result.append(_of_blocks(ensemble, ensemble.network, point, shared))
        else:
            result.append(member(ensemble, point["width"], point["depth"], shared))
    if len({m.name for m in result}) < len(result):
        # Numbers that differ beyond the digits that a short name has.
        result = [replace(m, name=_named(m.swept, repr)) for m in result]
    return result


def _axes(ensemble: Ensemble) -> dict[str, list]:
    """What may be swept, with the values of each."""
    axes: dict[str, list] = {
        # What a module of somebody's own has between its layers nobody knows.
        "activation": ensemble.activation or ["linear"],
        "input_set": ensemble.inputs,
        "width": ensemble.width or [max(ensemble.ladder or ensemble.hidden or [])],
        "depth": ensemble.depths,
    }
    if isinstance(ensemble.init, Init):
        if ensemble.init.critical_times is not None:
            axes["critical_times"] = ensemble.init.critical_times
        else:
            axes |= {"C_W": ensemble.init.C_W or [], "C_b": ensemble.init.C_b or [0.0]}
    if ensemble.network is not None:
        axes |= {"depth": [0], **network_axes(ensemble.network)}
    return axes


def _of_blocks(
    ensemble: Ensemble, network: NetworkKeys, point: dict[str, Any], shared: dict[str, Any]
) -> Member:
    shape = block_network(network, point["width"], point)
    outputs = ensemble.outputs or shape.widths(point["width"])[-1]
    widths = shape.widths(outputs)
    shared |= {"depth": len(widths), "network": shape}
    return _of_widths(ensemble, widths, None, shared)


def _networks(ensemble: Ensemble, width: int, depth: int, shared: dict[str, Any]) -> Member:
    hidden = ensemble.hidden or [width] * (depth - 1)
    outputs = ensemble.outputs or (ensemble.hidden or [width])[-1]
    return _of_widths(ensemble, [*hidden, outputs], ensemble.hidden, shared)


def _of_widths(
    ensemble: Ensemble, widths: list[int], hidden: list[int] | None, shared: dict[str, Any]
) -> Member:
    """Networks of one width whose layers have these, ``hidden`` of them given one by one."""
    depth, outputs = len(widths), widths[-1]
    layers = _layers(ensemble.layers, depth)
    if not {"preactivations", "log_norm"} & set(ensemble.measure):
        layers = (depth,)
    families = families_of(ensemble)
    # Sums of higher powers only where they are estimated from.
    needed = {name for f in families for name in FAMILIES[f].records}
    summed = (
        name for name in ("quartic", "sextic", "gradient", "jacobian", "entropy") if name in needed
    )
    ntk = {"ntk", "ntk_methods"} & set(ensemble.measure)
    return Networks(
        **shared,
        hidden=tuple(hidden) if hidden else None,
        outputs=outputs,
        layers=layers,
        record=_recorded(ensemble, widths, layers),
        measure=(*ensemble.measure, *summed),
        ntk=_rates(ensemble) if ntk else None,
        ntk_outputs=_ntk_outputs(ensemble, outputs) if ntk else 1,
    )


def _training(ensemble: Ensemble, width: int, depth: int, shared: dict[str, Any]) -> Member:
    assert ensemble.train is not None
    assert ensemble.outputs is not None
    return Training(
        **shared | {"sampler": "training"},
        hidden=tuple(ensemble.hidden) if ensemble.hidden else None,
        outputs=ensemble.outputs,
        layers=tuple(range(1, depth + 1)),
        record=ensemble.outputs,
        measure=("training",),
        ntk=_rates(ensemble),
        ntk_outputs=ensemble.outputs,
        train=_schedule(ensemble.train),
    )


def _schedule(train: Train) -> Schedule:
    """As it is recorded: from the start on."""
    return Schedule(
        inputs=train.inputs,
        learning_rate=train.learning_rate,
        moments=tuple(sorted({0.0, *map(float, train.steps or train.times or ())})),
        centred=train.centred,
        scale=train.scale,
        kernels=train.kernels,
    )


def _ladder(ensemble: Ensemble, width: int, depth: int, shared: dict[str, Any]) -> Member:
    outputs = ensemble.outputs or width
    layers = _layers(ensemble.layers, depth)
    ntk = "ntk_mean" in families_of(ensemble)
    return Ladder(
        **shared,
        ladder=tuple(ensemble.ladder or ()),
        controls=ensemble.controls,
        outputs=outputs,
        layers=layers,
        record=_recorded(ensemble, [*[width] * (depth - 1), outputs], layers),
        measure=("conditional_kernel", *(("conditional_ntk",) if ntk else ())),
        ntk=_rates(ensemble) if ntk else None,
        ntk_outputs=_ntk_outputs(ensemble, outputs) if ntk else 1,
    )


def _recorded(ensemble: Ensemble, widths: list[int], layers: tuple[int, ...]) -> int:
    """Neurons recorded in each of the layers: of all of them the same number."""
    narrowest = min(widths[layer - 1] for layer in layers)
    return narrowest if ensemble.record == "all" else min(ensemble.record, narrowest)


def _named(swept: dict, write: Callable[[float], str]) -> str:
    """The folder of a member: its swept keys, with numbers as ``write`` has them."""
    values = {k: write(v) if isinstance(v, float) else str(v) for k, v in swept.items()}
    name = "_".join(f"{k}-{text}" for k, text in values.items()) or "only"
    return name.replace("/", "over").replace("(", "-").replace(")", "")


def _init(ensemble: Ensemble, point: dict) -> tuple[str, float | None, float | None]:
    """What was asked for, in words, and C_b, C_W (None where the weights' law fixes them)."""
    if ensemble.module is not None:
        return "own", None, None
    if ensemble.weights == "pytorch":
        return "pytorch", None, None
    if "C_W" in point:
        return "given", point["C_b"], point["C_W"]
    at = critical_init(get(point["activation"]))
    times = point.get("critical_times", 1.0)
    words = f"critical ({at.universality_class}, {at.where})"
    if times != 1:
        words = f"C_W {times:g} times the {words}"
    return words, at.C_b, times * at.C_W


def _population(ensemble: Ensemble) -> Population | None:
    given = ensemble.population
    if given is None:
        return None
    return Population(
        powers=tuple(sorted(given.power or ())),
        orders=orders_of(ensemble),
        islands=given.islands,
        members=given.members,
        of=None if given.of == "mean" else given.of,
        exact=given.exact,
        tangents=tangent_orders_of(ensemble),
    )


def _rates(ensemble: Ensemble) -> Parameterisation:
    given = ensemble.ntk or Ntk()
    if ensemble.module is not None:
        # Of somebody's own parameters nobody knows what a fan-in is.
        return Parameterisation(name="standard", lambda_b=None, lambda_W=None)
    return Parameterisation(
        name=given.parameterisation, lambda_b=given.lambda_b, lambda_W=given.lambda_W
    )


def _ntk_outputs(ensemble: Ensemble, outputs: int) -> int:
    """How many outputs a tangent kernel is taken of."""
    if ensemble.drawn_by == "scalar":
        return 1
    return min((ensemble.ntk or Ntk()).outputs, outputs)


def _layers(wanted: Literal["all"] | list[int | str] | None, depth: int) -> tuple[int, ...]:
    """The recorded layers, sorted, each once."""
    if wanted == "all" or (wanted is None and depth <= ALL_LAYERS_UP_TO):
        return tuple(range(1, depth + 1))
    if wanted is None:
        return (*(2**k for k in range(depth.bit_length()) if 2**k < depth), depth)
    words = {"first": 1, "second": 2, "middle": (depth + 1) // 2, "last": depth}
    numbers = {words[layer] if isinstance(layer, str) else layer for layer in wanted}
    return tuple(sorted(numbers))
