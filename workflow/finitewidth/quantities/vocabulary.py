"""The words that a config may use: what can be estimated of random and of trained networks.

Descriptions of the quantities stand in the files beside this one, by family, without the code
behind them: so reading a config imports no estimator and no theory.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from finitewidth.extensions.loaded import entry_of
from finitewidth.quantities import (
    coupled,
    own,
    preactivations,
    published,
    signals,
    tangent_kernels,
    trained_networks,
    training,
)
from finitewidth.quantities.description import Coefficient, Family, FigureEntry, Quantity

#: Families of random networks, those of extensions too: estimated layer by layer, from ladders of
#: widths, from tangent kernels of the last layer, and from networks along their training.
_OWN_LAYERS = (*preactivations.FAMILIES, *signals.FAMILIES)
OF_LAYERS: tuple[Family, ...] = (*_OWN_LAYERS, *own.families("layer"))
OF_LADDERS: tuple[Family, ...] = (*coupled.FAMILIES, *own.families("ladder"))
OF_LAST_LAYER: tuple[Family, ...] = (*tangent_kernels.FAMILIES, *own.families("last_layer"))
OF_TRAINING: tuple[Family, ...] = training.FAMILIES
own.check_names(
    (*_OWN_LAYERS, *coupled.FAMILIES, *tangent_kernels.FAMILIES, *training.FAMILIES),
    trained_networks.FAMILIES,
)
_FAMILIES = (*OF_LAYERS, *OF_LADDERS, *OF_LAST_LAYER, *OF_TRAINING)
#: Families of estimates by their names.
FAMILIES: dict[str, Family] = {family.name: family for family in _FAMILIES}

#: Families that are estimated from the conditional kernels of a ladder of widths, and from nothing
#: else; the first is what a ladder estimates unless told otherwise.
FROM_LADDER = tuple(family.name for family in OF_LADDERS)

#: Families that are estimated from tangent kernels, which are recorded of the last layer alone,
#: and those estimated of them unless told otherwise.
FROM_NTK = tuple(family.name for family in OF_LAST_LAYER)
NTK_FAMILIES = ("ntk", "ntk_tensors")

#: Families of networks that are trained: all are estimated unless told otherwise.
FROM_TRAINING = tuple(family.name for family in OF_TRAINING)

#: Families that need nothing but the norm of a layer.
FROM_LOG_NORM = ("log_norm",)

#: What an ensemble estimates unless told otherwise.
DEFAULT_FAMILIES = ("covariance", "four_point", "kurtosis", "log_norm")

#: Quantities of members of one width each of which a sweep over widths gives coefficients; these
#: and their theory stand in tables alone.
FROM_SWEEPS = (
    *FAMILIES["ntk_tensors"].names, *FAMILIES["dntk"].names, *training.FROZEN, *training.MOVING
)  # fmt: skip
#: Of these, those that the motion of kernels enters: narrower networks than so many neurons are not
#: described by a few orders of 1/n, and left out of fits.
MOVING, LEAST_MOVING = training.MOVING, 32


def _of_sweep(name: str, power: int) -> Coefficient:
    (of,) = (q for family in _FAMILIES for q in family.quantities if q.name == name)
    meaning = f"coefficient of 1/n{'^2' * (power == 2)} in {of.meaning}"
    return Coefficient(name, power, replace(of, name=f"{name}_{power}", meaning=meaning))


#: Coefficients of the expansion in 1/n, fitted over a ladder, or a sweep, of at least so many
#: widths, by their names.
COEFFICIENTS: dict[str, Coefficient] = {
    **{c.quantity.name: c for c in coupled.COEFFICIENTS},
    **{f"{name}_{power}": _of_sweep(name, power) for name in FROM_SWEEPS for power in (1, 2)},
}
LEAST_RUNGS = 4

#: The order of theory at which a kink moves the kernels of networks that learn.
HALF = "1/sqrt(n)"

#: Every quantity by its name.
DESCRIBED: dict[str, Quantity] = {
    **{q.name: q for family in _FAMILIES for q in family.quantities},
    **{name: c.quantity for name, c in COEFFICIENTS.items()},
}

_ROOMS = (
    preactivations, signals, coupled, tangent_kernels, training, trained_networks, published,
)  # fmt: skip
#: Every figure by its name.
FIGURES: dict[str, FigureEntry] = {name: f for room in _ROOMS for name, f in room.FIGURES.items()}
FIGURES |= own.figures(FIGURES, [*FAMILIES, *trained_networks.FAMILIES])

#: Tests of normality, what they are run on, and the p-value at which they reject.
TESTS = ("henze_zirkler", "hotelling_mean", "radial")
SAMPLES = ("ensemble", "gaussian")
LEVEL = 0.05

#: Families of trained networks -> their quantities.
TRAINED_FAMILIES = trained_networks.FAMILIES
#: Of these, what a table leaves out unless told otherwise: a number a rank, a pair of ranks or an
#: epoch, which figures show.
LONG_FAMILIES = (
    "training_curves", "activation_spectrum", "weight_spectrum", "clipping_curves", "eigenvectors",
)  # fmt: skip

#: Quantities of a table where a study does not name them.
TABULATED: tuple[str, ...] = (
    *(name for family in _FAMILIES for name in family.names),
    *COEFFICIENTS,
    *(q for name, family in TRAINED_FAMILIES.items() if name not in LONG_FAMILIES for q in family),
)
#: Every word that ``quantities`` of a study takes.
QUANTITIES: tuple[str, ...] = (
    *TABULATED,
    *(q for name in LONG_FAMILIES for q in TRAINED_FAMILIES[name]),
)


def quantities_of(family: str) -> tuple[str, ...]:
    """Names of the quantities of a family, of random or of trained networks."""
    return FAMILIES[family].names if family in FAMILIES else TRAINED_FAMILIES[family]


def described(families: Collection[str], figures: Collection[str]) -> list[str]:
    """Where families, with their coefficients, and figures are described: ``file:TABLE.name``.

    It begins with ``extensions/`` where an extension declares them.
    """
    own = {name for family in families for name in quantities_of(family)}
    found = []
    for room in _ROOMS:
        coefficients = [c.of for c in getattr(room, "COEFFICIENTS", ()) if c.of in own]
        tables = {
            "FAMILIES": [
                f for f in (getattr(e, "name", e) for e in room.FAMILIES) if f in families
            ],
            "COEFFICIENTS": sorted(set(coefficients)),
            "FIGURES": [figure for figure in room.FIGURES if figure in figures],
        }
        file = f"quantities/{room.__name__.rpartition('.')[2]}.py"
        found += [f"{file}:{table}.{name}" for table, names in tables.items() for name in names]
    extended = [entry_of("FAMILIES", family) for family in sorted(families)]
    extended += [entry_of("FIGURES", figure) for figure in sorted(figures)]
    return found + [entry for entry in extended if entry]
