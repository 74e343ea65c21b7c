"""Quantities of ladders: conditional kernels and tangent kernels at several coupled widths."""

from __future__ import annotations

from finitewidth.quantities.description import (
    AT_INPUT,
    AT_PAIR,
    AT_PAIRS,
    HANIN_NICA,
    PDLT,
    PDLT_NTK,
    Coefficient,
    Family,
    FigureEntry,
    Quantity,
    one_each,
    pairs_of,
)

FAMILIES = (
    Family(
        "kernel_moments",
        (
            Quantity(
                "kernel_mean",
                ("rung", *AT_PAIR),
                "mean of the conditional kernel, E[Ghat_ab]",
                "docs/theory.md 2.1, 5.1, 6.2, 8",
                f"{PDLT}, sections 4.1 to 4.3 and 4.5",
                unit=((1, 0), (1, 0)),
            ),
            Quantity(
                "kernel_covariance",
                ("rung", *AT_PAIRS),
                "covariance of the conditional kernel, Cov(Ghat_ab, Ghat_cd)",
                "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3, 8",
                f"{PDLT}, sections 3.2, 3.3 and 4.3; {HANIN_NICA}",
                unit=((1, 0),) * 4,
            ),
            Quantity(
                "kernel_third",
                ("rung", *AT_INPUT),
                "third cumulant of the conditional kernel",
                "docs/theory.md 3.2, 3.4, 6.2, 8",
                f"{PDLT}, sections 3.3 and 3.4; {HANIN_NICA}",
                unit=((6, 0),),
            ),
        ),
        records=("conditional_kernel",),
        estimator="estimate.coupled.kernel_moments:of_ladder",
        theory="theory.predict.predicted_kernels:kernel_moments",
        price=130.0,
        reads=pairs_of,
        orders=(1, 2, 3),
    ),
    Family(
        "log_kernel",
        (
            Quantity(
                "log_kernel_mean",
                ("rung", *AT_INPUT),
                "mean of log Ghat",
                "docs/theory.md 3.4, 4.1, 7.2, 8",
                HANIN_NICA,
                unit=(),
            ),
            Quantity(
                "log_kernel_variance",
                ("rung", *AT_INPUT),
                "variance of log Ghat",
                "docs/theory.md 3.4, 4.1, 7.2, 8",
                HANIN_NICA,
                unit=(),
            ),
            Quantity(
                "log_kernel_histogram",
                ("rung", *AT_INPUT, "standard_bin"),
                "probability of the standardised log Ghat in a bin",
                "docs/theory.md 3.4, 4.1, 7.2, 8",
                HANIN_NICA,
                unit=(),
            ),
        ),
        records=("conditional_kernel",),
        estimator="estimate.coupled.kernel_functions:log_kernel",
        theory="theory.predict.predicted_kernels:log_kernel",
        price=900.0,
        reads=one_each,
    ),
    Family(
        "inverse_kernel",
        (
            Quantity(
                "inverse_kernel_mean",
                ("rung", *AT_INPUT),
                "mean of 1/Ghat",
                "docs/theory.md 3.4, 4.1, 7.1, 7.2, 8",
                f"{HANIN_NICA}; {PDLT}, section 5.4",
                unit=((-2, 0),),
            ),
        ),
        records=("conditional_kernel",),
        estimator="estimate.coupled.kernel_functions:inverse_kernel",
        theory="theory.predict.predicted_kernels:inverse_kernel",
        price=130.0,
        reads=pairs_of,
        orders=(-1,),
    ),
    Family(
        "ntk_mean",
        (
            Quantity(
                "ntk_mean",
                ("rung", *AT_PAIR),
                "mean of the tangent kernel",
                "docs/theory.md 9.1, 9.2, 9.3",
                PDLT_NTK,
                unit=((0, 1), (0, 1)),
            ),
        ),
        records=("conditional_ntk",),
        estimator="estimate.coupled.ntk_mean:of_ladder",
        price=10000.0,
        reads=pairs_of,
    ),
)

#: Coefficients of the expansion in 1/n, fitted over the rungs.
COEFFICIENTS = (
    Coefficient(
        "kernel_mean",
        1,
        Quantity(
            "kernel_mean_1",
            AT_PAIR,
            "coefficient of 1/n in the mean of the conditional kernel",
            "docs/theory.md 5.1",
            f"{PDLT}, section 4.5",
        ),
    ),
    Coefficient(
        "kernel_mean",
        2,
        Quantity(
            "kernel_mean_2",
            AT_PAIR,
            "coefficient of 1/n^2 in the mean of the conditional kernel",
            "docs/theory.md 6.2",
            "derived here",
        ),
    ),
    Coefficient(
        "kernel_covariance",
        1,
        Quantity(
            "kernel_covariance_1",
            AT_PAIRS,
            "coefficient of 1/n in the covariance of the conditional kernel",
            "docs/theory.md 3.4, 3.5, 5.1",
            f"{PDLT}, section 4.3",
        ),
    ),
    Coefficient(
        "kernel_covariance",
        2,
        Quantity(
            "kernel_covariance_2",
            AT_PAIRS,
            "coefficient of 1/n^2 in the covariance of the conditional kernel",
            "docs/theory.md 3.2, 6.2",
            "derived here",
        ),
    ),
    Coefficient(
        "kernel_third",
        2,
        Quantity(
            "kernel_third_2",
            AT_INPUT,
            "coefficient of 1/n^2 in the third cumulant of the conditional kernel",
            "docs/theory.md 3.4, 6.2",
            "derived here",
        ),
    ),
    Coefficient(
        "ntk_mean",
        1,
        Quantity(
            "ntk_mean_1",
            AT_PAIR,
            "coefficient of 1/n in the mean of the tangent kernel",
            "docs/theory.md 9.2, 9.3",
            PDLT_NTK,
        ),
    ),
    Coefficient(
        "ntk_mean",
        2,
        Quantity(
            "ntk_mean_2",
            AT_PAIR,
            "coefficient of 1/n^2 in the mean of the tangent kernel",
            "docs/theory.md 9.4",
            "derived here",
        ),
    ),
)

#: Figures of these by their names.
FIGURES = {
    "universality": FigureEntry(
        "preactivations.universality",
        ("kernel_moments",),
        "How much the kernel Ghat of a network fluctuates, Var(Ghat)/K^2, against l/n: all widths"
        " lie on one line, whose slope is that of the class of the activation, and then part from"
        " it.",
    ),
    "corrections": FigureEntry(
        "preactivations.corrections",
        ("kernel_moments",),
        "Mean and variance of the kernel: n times (measured minus infinite width) against 1/n. The"
        " intercept is the coefficient of 1/n, the slope that of 1/n^2.",
    ),
    "two_inputs": FigureEntry(
        "preactivations.two_inputs",
        ("kernel_moments",),
        "Every component of V (the covariance of kernels, times n) and of G^{1} (the 1/n correction"
        " of their mean) against the angle between two inputs.",
    ),
    "log_kernel": FigureEntry(
        "preactivations.double_scaling",
        ("log_kernel",),
        "Histograms of log Ghat, Ghat being the kernel of one network, beside the normal law of the"
        " limit of large depth and width.",
    ),
    "inverse_kernel": FigureEntry(
        "preactivations.double_scaling",
        ("inverse_kernel",),
        "E[1/Ghat], the mean inverse of a network's kernel, against l/n, beside its exact value and"
        " the law of large depth and width of the K* = 0 class (tanh, sin and others).",
    ),
}
