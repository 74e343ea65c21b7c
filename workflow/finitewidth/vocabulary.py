"""The words that a config may use: what can be estimated, and which figures can be drawn.

Kept apart from the code behind the words, so that reading a config imports neither numpy-heavy
estimators nor matplotlib.
"""

from __future__ import annotations

from typing import NamedTuple

#: Family of estimates -> the quantities (variables of ``estimates.nc`` and ``theory.nc``) it gives.
FAMILIES: dict[str, tuple[str, ...]] = {
    "covariance": ("covariance", "neuron_covariance", "cross_covariance"),
    "four_point": ("four_point", "four_point_same", "intralayer"),
    "six_point": ("six_point",),
    "kurtosis": ("excess_kurtosis",),
    "distribution": ("histogram", "quantile"),
    "log_norm": ("dead_fraction", "log_norm_mean", "log_norm_variance", "log_norm_histogram"),
    "quadruple": ("quadruple",),
    "normality": ("rejection_rate",),
}

#: Tests of normality, what they are run on, and the p-value at which they reject.
TESTS = ("henze_zirkler", "hotelling_mean", "radial")
SAMPLES = ("ensemble", "gaussian")
LEVEL = 0.05

#: Families that need sums of fourth powers; these grow as the fourth power of the inputs' number,
#: and are refused beyond this one.
FROM_QUARTIC = ("four_point", "six_point", "kurtosis")
FOUR_POINT_MOST_INPUTS = 8

#: Families that need nothing but the norm of a layer.
FROM_LOG_NORM = ("log_norm",)

#: What an ensemble estimates unless told otherwise.
DEFAULT_FAMILIES = ("covariance", "four_point", "kurtosis", "log_norm")

QUANTITIES: tuple[str, ...] = tuple(q for family in FAMILIES.values() for q in family)


class FigureEntry(NamedTuple):
    """Where a figure is drawn, and what its study's ensembles have to estimate for it."""

    module: str
    families: tuple[str, ...]
    caption: str


#: Figure name -> where it is drawn, what it needs, and what it shows.
FIGURES: dict[str, FigureEntry] = {
    "covariance": FigureEntry(
        "covariance",
        ("covariance",),
        "Measured covariance of each pair of inputs against layer, beside the kernel recursion.",
    ),
    "neuron_covariance": FigureEntry(
        "covariance",
        ("covariance",),
        "Covariance between different neurons: zero within its error, neuron by neuron.",
    ),
    "intralayer": FigureEntry(
        "intralayer",
        ("covariance", "four_point"),
        "Correlation of the magnitudes of two neurons of a layer against depth, for each width.",
    ),
    "breakdown_map": FigureEntry(
        "intralayer",
        ("covariance", "four_point"),
        "Where the 1/n law breaks down over depth and width, with the contours of l/n.",
    ),
    "pooled_correlator": FigureEntry(
        "gaussianity",
        ("covariance", "four_point"),
        "The pooled four-point correlator against width: it sees the signal that 1/n theory gives.",
    ),
    "quadruple": FigureEntry(
        "gaussianity",
        ("quadruple",),
        "The statistic of random quadruples against its noise floor: it measures its own noise.",
    ),
    "normality": FigureEntry(
        "gaussianity",
        ("normality",),
        "Share of rejections of three tests of normality, for networks and for Gaussian controls.",
    ),
    "histograms": FigureEntry(
        "flow",
        ("distribution",),
        "Histograms of preactivations, layer by layer, beside the Gaussian and the exact law.",
    ),
    "quantiles": FigureEntry(
        "flow",
        ("distribution",),
        "Q-Q plots of preactivations against the Gaussian, layer by layer.",
    ),
    "kurtosis": FigureEntry(
        "flow",
        ("kurtosis",),
        "Excess kurtosis against layer: measured, exact, and to first order in 1/n.",
    ),
    "output_density": FigureEntry(
        "flow",
        ("distribution",),
        "Output density of deep linear networks beside its closed form, a Meijer G function.",
    ),
    "log_norm": FigureEntry(
        "chaos",
        ("log_norm",),
        "Histogram of the log-norm beside its exact law and its log-normal limit.",
    ),
    "log_norm_moments": FigureEntry(
        "chaos",
        ("log_norm",),
        "Mean and variance of the log-norm against the aspect ratio l/n, beside theory.",
    ),
}
