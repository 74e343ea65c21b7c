"""The words that a config may use: what can be estimated, and which figures can be drawn.

Kept apart from the code behind the words, so that reading a config imports neither numpy-heavy
estimators nor matplotlib.
"""

from __future__ import annotations

from typing import NamedTuple

#: Family of estimates -> the quantities (variables of ``estimates.nc`` and ``theory.nc``) it gives.
FAMILIES: dict[str, tuple[str, ...]] = {
    "covariance": ("covariance", "neuron_covariance", "cross_covariance"),
    "correlation": ("correlation",),
    "four_point": ("four_point", "four_point_same", "intralayer"),
    "six_point": ("six_point",),
    "kurtosis": ("excess_kurtosis",),
    "distribution": ("histogram", "quantile"),
    "log_norm": ("dead_fraction", "log_norm_mean", "log_norm_variance", "log_norm_histogram"),
    "quadruple": ("quadruple",),
    "normality": ("rejection_rate",),
    "kernel_moments": ("kernel_mean", "kernel_covariance", "kernel_third"),
    "log_kernel": ("log_kernel_mean", "log_kernel_variance", "log_kernel_histogram"),
    "inverse_kernel": ("inverse_kernel_mean",),
    "ntk_mean": ("ntk_mean",),
    "ntk": ("ntk", "ntk_variance", "ntk_second_moment"),
    "ntk_tensors": ("ntk_A", "ntk_B", "ntk_D", "ntk_F"),
    "dntk": ("dntk_P", "dntk_Q"),
    "ntk_spectrum": ("ntk_eigenvalue", "ntk_log_condition"),
    "ntk_methods": ("way_deviation",),
}

#: Families that are estimated from the conditional kernels of a ladder of widths, and from nothing
#: else; the first is what a ladder estimates unless told otherwise.
FROM_LADDER = ("kernel_moments", "log_kernel", "inverse_kernel", "ntk_mean")

#: Quantities of members of one width each of which a sweep over widths gives coefficients.
FROM_SWEEPS = ("ntk_A", "ntk_B", "ntk_D", "ntk_F", "dntk_P", "dntk_Q")

#: Coefficients of the expansion in 1/n, fitted over a ladder, or a sweep, of at least so many
#: widths: each name -> the quantity it belongs to and the power of 1/n.
COEFFICIENTS: dict[str, tuple[str, int]] = {
    "kernel_mean_1": ("kernel_mean", 1),
    "kernel_mean_2": ("kernel_mean", 2),
    "kernel_covariance_1": ("kernel_covariance", 1),
    "kernel_covariance_2": ("kernel_covariance", 2),
    "kernel_third_2": ("kernel_third", 2),
    "ntk_mean_1": ("ntk_mean", 1),
    "ntk_mean_2": ("ntk_mean", 2),
    **{f"{name}_{power}": (name, power) for name in FROM_SWEEPS for power in (1, 2)},
}
LEAST_RUNGS = 4

#: Tests of normality, what they are run on, and the p-value at which they reject.
TESTS = ("henze_zirkler", "hotelling_mean", "radial")
SAMPLES = ("ensemble", "gaussian")
LEVEL = 0.05

#: Families that need sums of fourth powers; these grow as the fourth power of the inputs' number,
#: and are refused beyond this one.
FROM_QUARTIC = ("four_point", "six_point", "kurtosis")
FOUR_POINT_MOST_INPUTS = 8
#: The same of tangent kernels, whose moments are between two pairs of inputs.
FROM_TWO_TANGENTS = ("ntk", "ntk_tensors", "dntk")
TANGENTS_MOST_INPUTS = 16

#: Families that need nothing but the norm of a layer.
FROM_LOG_NORM = ("log_norm",)

#: Families that are estimated from tangent kernels, which are recorded of the last layer alone,
#: and those estimated of them unless told otherwise.
FROM_NTK = ("ntk", "ntk_tensors", "dntk", "ntk_spectrum", "ntk_methods")
NTK_FAMILIES = ("ntk", "ntk_tensors")

#: What an ensemble estimates unless told otherwise.
DEFAULT_FAMILIES = ("covariance", "four_point", "kurtosis", "log_norm")

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
    *(q for family in FAMILIES.values() for q in family),
    *COEFFICIENTS,
    *(q for name, family in TRAINED_FAMILIES.items() if name not in LONG_FAMILIES for q in family),
)
QUANTITIES: tuple[str, ...] = (
    *TABULATED,
    *(q for name in LONG_FAMILIES for q in TRAINED_FAMILIES[name]),
)


class FigureEntry(NamedTuple):
    """Where a figure is drawn, and what its study's ensembles have to estimate for it."""

    module: str
    families: tuple[str, ...]
    caption: str

    @property
    def file(self) -> str:
        """The module's file in the library, whose digest stands for the figure's code."""
        return f"figures/{self.module.replace('.', '/')}.py"


#: Figure name -> where it is drawn, what it needs, and what it shows.
FIGURES: dict[str, FigureEntry] = {
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
    "pooled_correlator": FigureEntry(
        "preactivations.gaussianity",
        ("covariance", "four_point"),
        "The pooled four-point correlator against width: it sees the signal that 1/n theory gives.",
    ),
    "quadruple": FigureEntry(
        "preactivations.gaussianity",
        ("quadruple",),
        "The statistic of random quadruples against its noise floor: it measures its own noise.",
    ),
    "normality": FigureEntry(
        "preactivations.gaussianity",
        ("normality",),
        "Share of rejections of three tests of normality, for networks and for Gaussian controls.",
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
    "angle_flow": FigureEntry(
        "preactivations.criticality",
        ("correlation",),
        "The angle between two inputs against layer, with its asymptotic law at criticality.",
    ),
    "universality": FigureEntry(
        "preactivations.universality",
        ("kernel_moments",),
        "Var(Ghat)/K^2 against l/n: widths collapse on the slope of their universality class, then"
        " part from it.",
    ),
    "corrections": FigureEntry(
        "preactivations.corrections",
        ("kernel_moments",),
        "n times (measured minus infinite width) against 1/n: the intercept is the coefficient of"
        " 1/n, the slope that of 1/n^2.",
    ),
    "two_inputs": FigureEntry(
        "preactivations.two_inputs",
        ("kernel_moments",),
        "Every component of V and of G^{1} against the angle between two inputs.",
    ),
    "log_kernel": FigureEntry(
        "preactivations.double_scaling",
        ("log_kernel",),
        "Histograms of log Ghat beside the normal law of the double-scaling limit.",
    ),
    "inverse_kernel": FigureEntry(
        "preactivations.double_scaling",
        ("inverse_kernel",),
        "E[1/Ghat] against l/n beside the double-scaling law of the K* = 0 class.",
    ),
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
        "Var Theta/Theta^2 against L/n on the slope of each class, and E[Theta^2]/E[Theta]^2 of"
        " activations of two slopes against its exact value, its double-scaling law and the bare"
        " exponential.",
    ),
    "ntk_criticality": FigureEntry(
        "tangent_kernels.ntk_depth",
        ("ntk",),
        "Fluctuations of the tangent kernel against depth: GELU and SiLU are critical for the"
        " kernel, but not for these.",
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
        "n times (mean tangent kernel minus infinite width) against 1/n: the intercept is H^{1}.",
    ),
    "training_curves": FigureEntry(
        "trained_networks.training_curves",
        ("training_curves",),
        "Loss and accuracy of every replica against epoch, on training and validation images.",
    ),
    "activation_spectra": FigureEntry(
        "trained_networks.latent",
        ("activation_spectrum", "clipping_curves"),
        "Spectra of activations before and after training, and accuracy when a layer sees the"
        " first k components of its input only.",
    ),
    "weight_spectra": FigureEntry(
        "trained_networks.latent",
        ("weight_spectrum", "clipping_curves"),
        "Spectra of weights before and after training beside the Marchenko-Pastur law, and accuracy"
        " when the weights keep their first k components only.",
    ),
    "eigenvectors": FigureEntry(
        "trained_networks.eigenvectors",
        ("activation_spectrum", "weight_spectrum", "eigenvectors"),
        "Spectra of replicas, and the cosines between the eigenvectors of two of them, before and"
        " after alignment.",
    ),
    "alignment": FigureEntry(
        "trained_networks.alignment",
        ("alignment",),
        "What alignment explains of one replica by another, against layer and width, beside what"
        " chance gives.",
    ),
    "rainbow": FigureEntry(
        "trained_networks.rainbow",
        ("training", "rainbow"),
        "Accuracy of networks generated from weight covariances beside that of trained ones,"
        " against width.",
    ),
}
