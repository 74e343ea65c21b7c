"""Quantities of trained networks, and their figures."""

from __future__ import annotations

from finitewidth.quantities.description import FigureEntry

#: Family of estimates -> the quantities that it gives; all are always estimated.
FAMILIES: dict[str, tuple[str, ...]] = {
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
#: Figures of these by their names.
FIGURES = {
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
        "Share of the variance of one replica's activations that a rotation of "
        "another replica's explains, against layer and width, beside that of "
        "unrelated activations.",
    ),
    "rainbow": FigureEntry(
        "trained_networks.rainbow",
        ("training", "rainbow"),
        "Accuracy of networks generated from weight covariances beside that of trained ones,"
        " against width.",
    ),
}
