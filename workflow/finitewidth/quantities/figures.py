"""Which figures can be drawn: where each is drawn, what it needs, and what it shows."""

from __future__ import annotations

from typing import NamedTuple


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
