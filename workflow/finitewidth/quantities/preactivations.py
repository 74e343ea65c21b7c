"""Quantities of preactivations and of their means over a layer's neurons, layer by layer."""

from __future__ import annotations

from finitewidth.quantities.description import (
    AT_INPUT,
    AT_INPUTS,
    AT_PAIRS,
    FOUR_POINT_MOST_INPUTS,
    HANIN_NICA,
    PDLT,
    ZAVATONE,
    Family,
    FigureEntry,
    Quantity,
    one_each,
    pairs_of,
    quads_of,
)

FAMILIES = (
    Family(
        "covariance",
        (
            Quantity(
                "covariance",
                AT_INPUTS,
                "covariance of preactivations, E[z_a z_b]",
                "docs/theory.md 2.1, 5.1, 6.2",
                f"{PDLT}, sections 4.1 to 4.3 and 4.5",
                unit=((1, 0), (1, 0)),
            ),
            Quantity(
                "neuron_covariance",
                ("layer", "neuron", "neuron_", "input", "input_"),
                "covariance of preactivations neuron by neuron, E[z_ia z_jb]",
                "docs/theory.md 2.1, 2.2, 5.1, 6.2",
                f"{PDLT}, sections 4.1 to 4.3 and 4.5",
                unit=((1, 0), (1, 0)),
            ),
            Quantity(
                "cross_covariance",
                AT_INPUTS,
                "covariance of preactivations of different neurons",
                "docs/theory.md 2.2",
                f"{PDLT}, sections 4.1 to 4.3",
                unit=((1, 0), (1, 0)),
            ),
        ),
        records=("kernel", "preactivation"),
        estimator="estimate.preactivations.neurons:covariances",
        theory="theory.predict.predicted_moments:covariance",
        reads=lambda n, kept: n**2 + n * kept,
        orders=(1,),
    ),
    Family(
        "correlation",
        (
            Quantity(
                "correlation",
                AT_INPUTS,
                "cosine of the angle between two inputs, G_ab/sqrt(G_aa G_bb)",
                "docs/theory.md 2.1, 5.1",
                f"{PDLT}, sections 4.1 to 4.3 and 4.5",
                known_diagonal=True,
                unit=(),
            ),
        ),
        records=("kernel",),
        estimator="estimate.preactivations.moments:correlations",
        theory="theory.predict.predicted_moments:correlation",
        price=280.0,
        reads=pairs_of,
        orders=(1,),
    ),
    Family(
        "four_point",
        (
            Quantity(
                "four_point",
                AT_PAIRS,
                "connected four-point correlator of two different neurons",
                "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3",
                f"{PDLT}, sections 3.2, 3.3 and 4.3; {HANIN_NICA}",
                unit=((1, 0),) * 4,
            ),
            Quantity(
                "four_point_same",
                ("layer", "quad"),
                "connected four-point correlator of one neuron",
                "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3",
                f"{PDLT}, sections 3.2, 3.3 and 4.3; {HANIN_NICA}",
                unit=((1, 0),) * 4,
            ),
            Quantity(
                "intralayer",
                AT_INPUT,
                "covariance of the squares of two different neurons",
                "docs/theory.md 3.2 to 3.4, 6.2, 6.3",
                f"{PDLT}, sections 3.3 and 4.3; {HANIN_NICA}",
                unit=((4, 0),),
            ),
        ),
        records=("kernel", "quartic"),
        estimator="estimate.preactivations.moments:four_points",
        theory="theory.predict.predicted_moments:four_point",
        most_inputs=FOUR_POINT_MOST_INPUTS,
        price=330.0,
        reads=quads_of,
        orders=(1, 2),
    ),
    Family(
        "six_point",
        (
            Quantity(
                "six_point",
                AT_INPUT,
                "connected six-point correlator of three different neurons",
                "docs/theory.md 3.2, 3.4, 6.2",
                f"{PDLT}, sections 3.3 and 3.4; {HANIN_NICA}",
                unit=((6, 0),),
            ),
        ),
        records=("kernel", "quartic", "sextic"),
        estimator="estimate.preactivations.moments:six_points",
        theory="theory.predict.predicted_moments:six_point",
        most_inputs=FOUR_POINT_MOST_INPUTS,
        price=300.0,
        reads=quads_of,
        orders=(1, 2, 3),
    ),
    Family(
        "kurtosis",
        (
            Quantity(
                "excess_kurtosis",
                AT_INPUT,
                "excess kurtosis of one preactivation",
                "docs/theory.md 3.2 to 3.4, 6.2, 6.3",
                f"{PDLT}, sections 3.3 and 4.3; {HANIN_NICA}",
                unit=(),
            ),
        ),
        records=("kernel", "quartic"),
        estimator="estimate.preactivations.moments:kurtoses",
        theory="theory.predict.predicted_moments:kurtosis",
        most_inputs=FOUR_POINT_MOST_INPUTS,
        reads=quads_of,
        orders=(1, 2),
    ),
    Family(
        "distribution",
        (
            Quantity(
                "histogram",
                (*AT_INPUT, "bin"),
                "probability of z/sqrt(G) in a bin",
                "docs/theory.md 4.3",
                f"{HANIN_NICA}; {ZAVATONE}",
                unit=(),
            ),
            Quantity(
                "quantile",
                (*AT_INPUT, "probability"),
                "quantile of z/sqrt(G)",
                "docs/theory.md 4.3",
                f"{HANIN_NICA}; {ZAVATONE}",
                unit=(),
            ),
        ),
        records=("kernel", "preactivation"),
        estimator="estimate.preactivations.distribution:distributions",
        theory="theory.predict.predicted_distributions:distribution",
        price=210.0,
        reads=lambda n, kept: n * kept,
    ),
    Family(
        "log_norm",
        (
            Quantity(
                "dead_fraction",
                AT_INPUT,
                "probability that the whole layer is zero",
                "docs/theory.md 3.6",
                HANIN_NICA,
                unit=(),
            ),
            Quantity(
                "log_norm_mean",
                AT_INPUT,
                "mean of log sqrt(mean_i z_i^2)",
                "docs/theory.md 4.2, 4.4",
                HANIN_NICA,
                unit=(),
            ),
            Quantity(
                "log_norm_variance",
                AT_INPUT,
                "variance of log sqrt(mean_i z_i^2)",
                "docs/theory.md 4.2, 4.4",
                HANIN_NICA,
                unit=(),
            ),
            Quantity(
                "log_norm_histogram",
                (*AT_INPUT, "standard_bin"),
                "probability of the standardised log-norm in a bin",
                "docs/theory.md 4.2, 4.4",
                HANIN_NICA,
                unit=(),
            ),
        ),
        records=("log_norm",),
        estimator="estimate.preactivations.lognorm:log_norms",
        theory="theory.predict.predicted_distributions:log_norm",
        price=950.0,
        reads=one_each,
    ),
    Family(
        "quadruple",
        (
            Quantity(
                "quadruple",
                ("sample", *AT_INPUT),
                "mean size of the measured correlator of four different neurons, over K^2",
                "docs/theory.md 3.7",
                f"{PDLT}, section 4.3",
                unit=(),
            ),
        ),
        records=("preactivation",),
        estimator="estimate.preactivations.quadruples:quadruples",
        theory="theory.predict.predicted_moments:quadruple",
        price=1310.0,
        reads=one_each,
    ),
    Family(
        "normality",
        (
            Quantity(
                "rejection_rate",
                ("test", "sample", *AT_INPUT),
                "share of groups of networks that a test of normality rejects at 5 %",
                "docs/theory.md 3.8",
                "the level of the test",
            ),
        ),
        records=("kernel", "preactivation"),
        estimator="estimate.preactivations.normality:normality",
        theory="theory.predict.predicted_tests:normality",
    ),
)

#: Figures of these by their names.
FIGURES = {
    "covariance": FigureEntry(
        "preactivations.covariance",
        ("covariance",),
        "Measured covariance of each pair of inputs against layer, beside the kernel recursion.",
    ),
    "neuron_covariance": FigureEntry(
        "preactivations.covariance",
        ("covariance",),
        "Covariance between different neurons: zero within its error, neuron by neuron.",
    ),
    "intralayer": FigureEntry(
        "preactivations.intralayer",
        ("covariance", "four_point"),
        "Correlation of the magnitudes of two neurons of a layer against depth, for each width.",
    ),
    "breakdown_map": FigureEntry(
        "preactivations.intralayer",
        ("covariance", "four_point"),
        "Where the 1/n law breaks down over depth and width, with the contours of l/n.",
    ),
    "kernel_variance": FigureEntry(
        "preactivations.kernel_variance",
        ("covariance", "four_point"),
        "How much the kernel Ghat of a network fluctuates in its last layer, n Var(Ghat)/K^2,"
        " against depth, beside the first order in 1/n, and the ratio of both.",
    ),
    "pooled_correlator": FigureEntry(
        "preactivations.gaussianity",
        ("covariance", "four_point"),
        "Correlation of squares of two neurons, averaged over all pairs of a "
        "layer, against width, beside the first order in 1/n.",
    ),
    "quadruple": FigureEntry(
        "preactivations.gaussianity",
        ("quadruple",),
        "Mean size of the correlator of four random neurons, against width, "
        "beside what independent Gaussian neurons give: most of it is sampling "
        "noise.",
    ),
    "normality": FigureEntry(
        "preactivations.gaussianity",
        ("normality",),
        "How often three tests of normality reject, for networks and for "
        "Gaussian samples of the same size.",
    ),
    "histograms": FigureEntry(
        "preactivations.layer_distributions",
        ("distribution",),
        "Histograms of preactivations, layer by layer, beside the Gaussian and the exact law.",
    ),
    "quantiles": FigureEntry(
        "preactivations.layer_distributions",
        ("distribution",),
        "Q-Q plots of preactivations against the Gaussian, layer by layer.",
    ),
    "kurtosis": FigureEntry(
        "preactivations.layer_distributions",
        ("kurtosis",),
        "Excess kurtosis against layer: measured, exact, and to first order in 1/n.",
    ),
    "output_density": FigureEntry(
        "preactivations.layer_distributions",
        ("distribution",),
        "Output density of deep linear networks beside its closed form, a Meijer G function.",
    ),
    "log_norm": FigureEntry(
        "preactivations.chaos",
        ("log_norm",),
        "Histogram of the log-norm beside its exact law and its log-normal limit.",
    ),
    "log_norm_moments": FigureEntry(
        "preactivations.chaos",
        ("log_norm",),
        "Mean and variance of the log-norm against the aspect ratio l/n, beside theory.",
    ),
    "phase_diagram": FigureEntry(
        "preactivations.criticality",
        ("covariance",),
        "Ordered and chaotic phase of each activation in the plane of C_b and C_W, its critical"
        " point, and where the study's ensembles stand.",
    ),
    "kernel_flow": FigureEntry(
        "preactivations.criticality",
        ("covariance",),
        "The kernel against layer, at the critical point and on both sides of it.",
    ),
    "token_correlation": FigureEntry(
        "preactivations.token_correlation",
        ("correlation",),
        "The correlation of two tokens (or inputs) against layer, and what it lacks of 1: rank"
        " collapse.",
    ),
    "angle_flow": FigureEntry(
        "preactivations.criticality",
        ("correlation",),
        "The angle between two inputs against layer, with its asymptotic law at criticality.",
    ),
}
