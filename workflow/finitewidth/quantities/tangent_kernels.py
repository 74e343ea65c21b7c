"""Quantities of tangent kernels of the last layer; i and j are two different outputs."""

from __future__ import annotations

from finitewidth.quantities.description import (
    AT_COUPLES,
    AT_INPUT,
    AT_INPUTS,
    AT_PAIRS,
    HANIN_NICA_NTK,
    PDLT,
    PDLT_NTK,
    TANGENTS_MOST_INPUTS,
    Family,
    FigureEntry,
    Quantity,
)

FAMILIES = (
    Family(
        "ntk",
        (
            Quantity(
                "ntk",
                AT_INPUTS,
                "mean of the tangent kernel, E[Theta_{ia,ib}]",
                "docs/theory.md 9.1 to 9.4",
                PDLT_NTK,
                unit=((0, 1), (0, 1)),
            ),
            Quantity(
                "ntk_variance",
                AT_PAIRS,
                "covariance of the tangent kernel of one output, Cov(Theta_{ia,ib}, Theta_{ic,id})",
                "docs/theory.md 9.2 to 9.4",
                f"{PDLT_NTK}; {HANIN_NICA_NTK}",
                unit=((0, 1),) * 4,
            ),
            Quantity(
                "ntk_second_moment",
                AT_INPUT,
                "E[Theta^2]/E[Theta]^2",
                "docs/theory.md 9.2 to 9.5",
                f"{PDLT_NTK}; {HANIN_NICA_NTK}",
                unit=(),
            ),
        ),
        records=("ntk",),
        estimator="estimate.ntk.ntk_moments:moments",
        theory="theory.predict.predicted_ntk:ntk",
        most_inputs=TANGENTS_MOST_INPUTS,
        price=190.0,
        tangent_orders=(1, 2),
    ),
    Family(
        "ntk_tensors",
        (
            Quantity(
                "ntk_A",
                AT_PAIRS,
                "A/n: covariance of tangent kernels of two outputs,"
                " Cov(Theta_{ia,ib}, Theta_{jc,jd})",
                "docs/theory.md 9.2 to 9.4",
                PDLT_NTK,
                unit=((0, 1),) * 4,
            ),
            Quantity(
                "ntk_B",
                AT_COUPLES,
                "B/n: E[Theta_{ia,jb} Theta_{ic,jd}]",
                "docs/theory.md 9.2 to 9.4",
                PDLT_NTK,
                symmetries=((2, 3, 0, 1), (1, 0, 3, 2), (3, 2, 1, 0)),
                unit=((0, 1),) * 4,
            ),
            Quantity(
                "ntk_D",
                AT_PAIRS,
                "D/n: covariance of the kernel with the tangent kernel,"
                " Cov(Ghat_ab, Theta_{ic,id})",
                "docs/theory.md 9.2 to 9.4",
                PDLT_NTK,
                exchanged=False,
                unit=((1, 0), (1, 0), (0, 1), (0, 1)),
            ),
            Quantity(
                "ntk_F",
                AT_COUPLES,
                "F/n: E[z_{ia} z_{jb} Theta_{ic,jd}]",
                "docs/theory.md 9.2 to 9.4",
                PDLT_NTK,
                symmetries=((1, 0, 3, 2),),
                unit=((1, 0), (1, 0), (0, 1), (0, 1)),
            ),
        ),
        records=("ntk", "conditional_kernel", "output_preactivation"),
        estimator="estimate.ntk.ntk_moments:tensors",
        theory="theory.predict.predicted_ntk:ntk_tensors",
        most_inputs=TANGENTS_MOST_INPUTS,
    ),
    Family(
        "dntk",
        (
            Quantity(
                "dntk_P",
                AT_COUPLES,
                "P/n: E[dH_{ijj;abc} z_{id}]",
                "docs/theory.md 9.2, 9.3",
                f"{PDLT}, chapter 11",
                symmetries=((0, 2, 1, 3),),
                unit=((0, 1),) * 4,
            ),
            Quantity(
                "dntk_Q",
                AT_COUPLES,
                "Q/n: E[dH_{iij;abc} z_{jd}]",
                "docs/theory.md 9.2, 9.3",
                f"{PDLT}, chapter 11",
                unit=((0, 1),) * 4,
            ),
        ),
        records=("dntk", "output_preactivation"),
        estimator="estimate.ntk.dntk_moments:differentials",
        theory="theory.predict.predicted_ntk:dntk",
        most_inputs=TANGENTS_MOST_INPUTS,
        price=11000.0,
    ),
    Family(
        "ntk_spectrum",
        (
            Quantity(
                "ntk_eigenvalue",
                ("layer", "rank"),
                "mean of each eigenvalue of the tangent kernel over the inputs, largest first",
                "docs/theory.md 9.7",
                "derived here",
                unit=(),
            ),
            Quantity(
                "ntk_log_condition",
                ("layer",),
                "mean logarithm of the condition number of the tangent kernel over the inputs",
                "docs/theory.md 9.7",
                "derived here",
                unit=(),
            ),
        ),
        records=("ntk",),
        estimator="estimate.ntk.ntk_spectrum:eigenvalues",
        theory="theory.predict.predicted_ntk:ntk_spectrum",
    ),
    Family(
        "ntk_methods",
        (
            Quantity(
                "way_deviation",
                ("layer", "way"),
                "largest deviation of a tangent kernel from the contracted Jacobian, over its size",
                "",
                "",
            ),
        ),
        records=("ntk_by_way",),
        estimator="estimate.ntk.way_deviation:way_deviations",
    ),
)

#: Figures of these by their names.
FIGURES = {
    "ntk_methods": FigureEntry(
        "tangent_kernels.ntk_methods",
        ("ntk_methods",),
        "How far ways of computing one network's tangent kernel are from each other, and how many"
        " multiplications each takes, against width.",
    ),
    "ntk_times": FigureEntry(
        "tangent_kernels.ntk_methods",
        ("ntk_methods",),
        "Seconds that each way took, against width: the one figure that differs from run to run.",
    ),
    "ntk_concentration": FigureEntry(
        "tangent_kernels.concentration",
        ("ntk",),
        "Mean and spread of the tangent kernel against width, per activation.",
    ),
    "ntk_spectrum": FigureEntry(
        "tangent_kernels.concentration",
        ("ntk_spectrum",),
        "Eigenvalues of the tangent kernel over several inputs, against width.",
    ),
    "ntk_fluctuations": FigureEntry(
        "tangent_kernels.ntk_depth",
        ("ntk",),
        "Relative variance of the tangent kernel Theta against L/n, on the slope of each class of"
        " activations; and E[Theta^2]/E[Theta]^2 of activations of two slopes against its exact"
        " value, its law of large depth and width, and the bare exponential.",
    ),
    "ntk_criticality": FigureEntry(
        "tangent_kernels.ntk_depth",
        ("ntk",),
        "Relative variance of the tangent kernel against depth: it grows as "
        "depth for ReLU, linear, tanh and sin networks, and faster for GELU and "
        "SiLU.",
    ),
    "ntk_cross": FigureEntry(
        "tangent_kernels.ntk_cross",
        ("ntk_tensors",),
        "D, F, P and Q against depth, at each width and extrapolated: how tangent kernels go with"
        " preactivations, and how they change in training.",
    ),
    "ntk_corrections": FigureEntry(
        "tangent_kernels.ntk_corrections",
        ("ntk_mean",),
        "n times (mean tangent kernel minus infinite width) against 1/n: the intercept is H^{1},"
        " the 1/n correction of the mean.",
    ),
}
