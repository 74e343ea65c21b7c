"""The words that a config may use: what can be estimated of random and of trained networks.

Descriptions of the quantities stand in the files beside this one, by family, without the code
behind them: so reading a config imports no estimator and no theory.
"""

from __future__ import annotations

from finitewidth.quantities import coupled, preactivations, tangent_kernels
from finitewidth.quantities.description import Coefficient, Family, Quantity

_FAMILIES = (*preactivations.FAMILIES, *coupled.FAMILIES, *tangent_kernels.FAMILIES)
#: Families of estimates by their names.
FAMILIES: dict[str, Family] = {family.name: family for family in _FAMILIES}

#: Families that are estimated from the conditional kernels of a ladder of widths, and from nothing
#: else; the first is what a ladder estimates unless told otherwise.
FROM_LADDER = tuple(family.name for family in coupled.FAMILIES)

#: Families that are estimated from tangent kernels, which are recorded of the last layer alone,
#: and those estimated of them unless told otherwise.
FROM_NTK = tuple(family.name for family in tangent_kernels.FAMILIES)
NTK_FAMILIES = ("ntk", "ntk_tensors")

#: Families that need nothing but the norm of a layer.
FROM_LOG_NORM = ("log_norm",)

#: What an ensemble estimates unless told otherwise.
DEFAULT_FAMILIES = ("covariance", "four_point", "kurtosis", "log_norm")

#: Coefficients of the expansion in 1/n, fitted over a ladder, or a sweep, of at least so many
#: widths, by their names.
COEFFICIENTS: dict[str, Coefficient] = {
    c.quantity.name: c for c in (*coupled.COEFFICIENTS, *tangent_kernels.COEFFICIENTS)
}
LEAST_RUNGS = 4
#: Quantities of members of one width each of which a sweep over widths gives coefficients.
FROM_SWEEPS = tuple(dict.fromkeys(c.of for c in tangent_kernels.COEFFICIENTS))

#: Every quantity by its name.
DESCRIBED: dict[str, Quantity] = {
    **{q.name: q for family in _FAMILIES for q in family.quantities},
    **{name: c.quantity for name, c in COEFFICIENTS.items()},
}

#: Tests of normality, what they are run on, and the p-value at which they reject.
TESTS = ("henze_zirkler", "hotelling_mean", "radial")
SAMPLES = ("ensemble", "gaussian")
LEVEL = 0.05

#: The same of trained networks, all of which are always estimated.
TRAINED_FAMILIES: dict[str, tuple[str, ...]] = {
    "training": ("accuracy", "loss"),
    "training_curves": ("accuracy_curve", "loss_curve"),
    "activations": ("activation_participation", "activation_slope"),
    "activation_spectrum": ("activation_eigenvalue",),
    "weights": ("weight_participation", "weight_largest", "weight_outliers"),
    "weight_spectrum": ("weight_eigenvalue",),
    "clipping": ("rank_needed",),
    "clipping_curves": ("clipped_accuracy",),
    "alignment": ("alignment", "alignment_r2", "alignment_chance"),
    "eigenvectors": ("eigenvector_cosine",),
    "rainbow": ("generated_accuracy",),
}
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


def file_of(family: str) -> str:
    """The file of the library that describes a family of random networks."""
    (room,) = (
        room
        for room in (preactivations, coupled, tangent_kernels)
        if FAMILIES[family] in room.FAMILIES
    )
    return f"quantities/{room.__name__.rpartition('.')[2]}.py"
