"""Quantities of how signals go through networks: derivatives by layers, gates, attention."""

from __future__ import annotations

from finitewidth.quantities.description import (
    AT_INPUT,
    Family,
    FigureEntry,
    Quantity,
    one_each,
    pairs_of,
)

_LI = "Li, Nica, Roy, arXiv:2106.04013"
_YANG = "Yang, Schoenholz, arXiv:1712.08969"

_PENNINGTON = "Pennington, Schoenholz, Ganguli, arXiv:1711.04735"
_GIORLANDINO = "Giorlandino, Goldt, arXiv:2505.24333"
_NAIT_SAADA = "Nait Saada, Naderi, Tanner, arXiv:2410.07799"
_NEWMAN = "Newman, Commun. Math. Phys. 103, 121 (1986)"

FAMILIES = (
    Family(
        "gradient_norm",
        (
            Quantity(
                "gradient_norm",
                AT_INPUT,
                "E|df/dz|^2 of one output f by a layer's neurons z (at all places)",
                "docs/theory.md 13.8",
                _YANG,
                unit=(),
            ),
            Quantity(
                "gradient_log_mean",
                AT_INPUT,
                "mean of log |df/dz|^2, over networks where it is not 0",
                "docs/theory.md 13.8",
                "derived here",
                unit=(),
            ),
            Quantity(
                "gradient_log_variance",
                AT_INPUT,
                "variance of log |df/dz|^2, over networks where it is not 0",
                "docs/theory.md 13.8",
                "derived here",
                unit=(),
            ),
        ),
        records=("gradient",),
        estimator="estimate.preactivations.gradients:gradient_norms",
        theory="theory.predict.predicted_signals:gradient_norms",
        price=250.0,
        reads=one_each,
    ),
    Family(
        "jacobian",
        (
            Quantity(
                "jacobian_square",
                AT_INPUT,
                "mean square of the singular values of sqrt(n_0/n_l) dz/dx, x an input",
                "docs/theory.md 13.12",
                _PENNINGTON,
                unit=(),
            ),
            Quantity(
                "jacobian_log_mean",
                AT_INPUT,
                "mean of the logarithms of the singular values of sqrt(n_0/n_l) dz/dx, of networks"
                " of full rank",
                "docs/theory.md 13.12",
                _NEWMAN,
                unit=(),
            ),
            Quantity(
                "jacobian_log_variance",
                AT_INPUT,
                "variance over networks of the mean logarithm of the singular values of"
                " sqrt(n_0/n_l) dz/dx",
                "docs/theory.md 13.12",
                "derived here",
                unit=(),
            ),
            Quantity(
                "jacobian_spectrum",
                (*AT_INPUT, "probability"),
                "mean over networks of a quantile of the logarithms of the singular values of"
                " sqrt(n_0/n_l) dz/dx",
                "docs/theory.md 13.12",
                _NEWMAN,
                unit=(),
            ),
        ),
        records=("jacobian",),
        estimator="estimate.preactivations.jacobians:jacobians",
        theory="theory.predict.predicted_jacobians:jacobians",
        price=300.0,
        reads=one_each,
    ),
    Family(
        "active_share",
        (
            Quantity(
                "active_share",
                AT_INPUT,
                "probability that a preactivation is above 0: the share of gates that are open",
                "docs/theory.md 13.9",
                _LI,
                unit=(),
            ),
        ),
        records=("preactivation",),
        estimator="estimate.preactivations.gates:active_shares",
        theory="theory.predict.predicted_signals:active_shares",
        price=6.0,
        reads=lambda n, kept: n * kept,
    ),
    Family(
        "attention_entropy",
        (
            Quantity(
                "attention_entropy",
                AT_INPUT,
                "mean entropy of the scores of attention, over heads (and tokens)",
                "docs/theory.md 13.10",
                "derived here",
                unit=(),
            ),
        ),
        records=("entropy",),
        estimator="estimate.preactivations.entropies:attention_entropies",
        theory="theory.predict.predicted_signals:no_entropies",
        price=4.0,
        reads=one_each,
    ),
    Family(
        "rank_collapse",
        (
            Quantity(
                "mean_cosine",
                ("layer",),
                "mean over pairs of inputs, and networks where none is 0, of K_ab/sqrt(K_aa K_bb),"
                " K the kernel of one network",
                "docs/theory.md 13.10",
                _GIORLANDINO,
                unit=(),
            ),
            Quantity(
                "stable_rank",
                ("layer",),
                "mean over networks of the stable rank of their kernel of all inputs, the sum of"
                " squared eigenvalues over the largest square",
                "docs/theory.md 13.10",
                _NAIT_SAADA,
            ),
        ),
        records=("kernel",),
        estimator="estimate.preactivations.collapse:collapses",
        theory="theory.predict.predicted_collapse:collapses",
        price=60.0,
        reads=pairs_of,
    ),
)

#: Figures of these by their names.
FIGURES = {
    "gradient_norm": FigureEntry(
        "preactivations.gradient_norm",
        ("gradient_norm",),
        "Mean squared norm of the derivative of one output by each layer's neurons, against layer,"
        " on infinite width, and the ratio of both.",
    ),
    "rank_collapse": FigureEntry(
        "preactivations.rank_collapse",
        ("rank_collapse",),
        "How alike inputs (or tokens) become with depth: the mean cosine of two of them against"
        " layer, the stable rank of the kernel less 1, and, where it is estimated, the entropy of"
        " attention.",
    ),
    "jacobian": FigureEntry(
        "preactivations.jacobian",
        ("jacobian",),
        "Singular values of the derivatives of layers by the input: the mean of their logarithms"
        " against layer, on exact theory and that of infinite width, and quantiles of their"
        " logarithms, each divided by the number of the layer.",
    ),
}
