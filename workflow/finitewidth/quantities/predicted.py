"""What each predicted quantity is, and where its formula stands."""

from __future__ import annotations

from typing import NamedTuple


class Quantity(NamedTuple):
    """Dimensions after ``order``, and attributes of the variable."""

    dims: tuple[str, ...]
    long_name: str
    equation: str
    references: str


_PDLT = "Roberts, Yaida, Hanin, arXiv:2106.10165"
_HANIN_NICA = "Hanin, Nica, Commun. Math. Phys. 376 (2020), arXiv:1812.05994"
_ZAVATONE = "Zavatone-Veth, Pehlevan, arXiv:2104.11734"
_AT_EACH = ("layer", "input")

QUANTITIES: dict[str, Quantity] = {
    "covariance": Quantity(
        ("layer", "input", "input_"),
        "covariance of preactivations, E[z_a z_b]",
        "docs/theory.md 2.1, 5.1, 6.2",
        f"{_PDLT}, sections 4.1 to 4.3 and 4.5",
    ),
    "correlation": Quantity(
        ("layer", "input", "input_"),
        "cosine of the angle between two inputs, G_ab/sqrt(G_aa G_bb)",
        "docs/theory.md 2.1, 5.1",
        f"{_PDLT}, sections 4.1 to 4.3 and 4.5",
    ),
    "neuron_covariance": Quantity(
        ("layer", "neuron", "neuron_", "input", "input_"),
        "covariance of preactivations neuron by neuron, E[z_ia z_jb]",
        "docs/theory.md 2.1, 2.2, 5.1, 6.2",
        f"{_PDLT}, sections 4.1 to 4.3 and 4.5",
    ),
    "cross_covariance": Quantity(
        ("layer", "input", "input_"),
        "covariance of preactivations of different neurons",
        "docs/theory.md 2.2",
        f"{_PDLT}, sections 4.1 to 4.3",
    ),
    "four_point": Quantity(
        ("layer", "pair", "pair_"),
        "connected four-point correlator of two different neurons",
        "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3",
        f"{_PDLT}, sections 3.2, 3.3 and 4.3; {_HANIN_NICA}",
    ),
    "four_point_same": Quantity(
        ("layer", "quad"),
        "connected four-point correlator of one neuron",
        "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3",
        f"{_PDLT}, sections 3.2, 3.3 and 4.3; {_HANIN_NICA}",
    ),
    "intralayer": Quantity(
        _AT_EACH,
        "covariance of the squares of two different neurons",
        "docs/theory.md 3.2 to 3.4, 6.2, 6.3",
        f"{_PDLT}, sections 3.3 and 4.3; {_HANIN_NICA}",
    ),
    "six_point": Quantity(
        _AT_EACH,
        "connected six-point correlator of three different neurons",
        "docs/theory.md 3.2, 3.4, 6.2",
        f"{_PDLT}, sections 3.3 and 3.4; {_HANIN_NICA}",
    ),
    "excess_kurtosis": Quantity(
        _AT_EACH,
        "excess kurtosis of one preactivation",
        "docs/theory.md 3.2 to 3.4, 6.2, 6.3",
        f"{_PDLT}, sections 3.3 and 4.3; {_HANIN_NICA}",
    ),
    "histogram": Quantity(
        (*_AT_EACH, "bin"),
        "probability of z/sqrt(G) in a bin",
        "docs/theory.md 4.3",
        f"{_HANIN_NICA}; {_ZAVATONE}",
    ),
    "quantile": Quantity(
        (*_AT_EACH, "probability"),
        "quantile of z/sqrt(G)",
        "docs/theory.md 4.3",
        f"{_HANIN_NICA}; {_ZAVATONE}",
    ),
    "dead_fraction": Quantity(
        _AT_EACH,
        "probability that the whole layer is zero",
        "docs/theory.md 3.6",
        _HANIN_NICA,
    ),
    "log_norm_mean": Quantity(
        _AT_EACH,
        "mean of log sqrt(mean_i z_i^2)",
        "docs/theory.md 4.2, 4.4",
        _HANIN_NICA,
    ),
    "log_norm_variance": Quantity(
        _AT_EACH,
        "variance of log sqrt(mean_i z_i^2)",
        "docs/theory.md 4.2, 4.4",
        _HANIN_NICA,
    ),
    "log_norm_histogram": Quantity(
        (*_AT_EACH, "standard_bin"),
        "probability of the standardised log-norm in a bin",
        "docs/theory.md 4.2, 4.4",
        _HANIN_NICA,
    ),
    "quadruple": Quantity(
        ("sample", *_AT_EACH),
        "mean size of the measured correlator of four different neurons, over K^2",
        "docs/theory.md 3.7",
        f"{_PDLT}, section 4.3",
    ),
    "rejection_rate": Quantity(
        ("test", "sample", *_AT_EACH),
        "share of groups of networks that a test of normality rejects at 5 %",
        "docs/theory.md 3.8",
        "the level of the test",
    ),
}

_OF_PAIRS = ("layer", "pair")
_OF_TWO_PAIRS = ("layer", "pair", "pair_")
_OF_TWO_COUPLES = ("layer", "couple", "couple_")
_PDLT_NTK = f"{_PDLT}, chapter 8"
_HANIN_NICA_NTK = "Hanin, Nica, arXiv:1909.05989"

#: Of tangent kernels of the last layer; i and j are two different outputs.
NTK_QUANTITIES: dict[str, Quantity] = {
    "ntk": Quantity(
        ("layer", "input", "input_"),
        "mean of the tangent kernel, E[Theta_{ia,ib}]",
        "docs/theory.md 9.1 to 9.4",
        _PDLT_NTK,
    ),
    "ntk_variance": Quantity(
        _OF_TWO_PAIRS,
        "covariance of the tangent kernel of one output, Cov(Theta_{ia,ib}, Theta_{ic,id})",
        "docs/theory.md 9.2 to 9.4",
        f"{_PDLT_NTK}; {_HANIN_NICA_NTK}",
    ),
    "ntk_second_moment": Quantity(
        _AT_EACH,
        "E[Theta^2]/E[Theta]^2",
        "docs/theory.md 9.2 to 9.5",
        f"{_PDLT_NTK}; {_HANIN_NICA_NTK}",
    ),
    "ntk_A": Quantity(
        _OF_TWO_PAIRS,
        "A/n: covariance of tangent kernels of two outputs, Cov(Theta_{ia,ib}, Theta_{jc,jd})",
        "docs/theory.md 9.2 to 9.4",
        _PDLT_NTK,
    ),
    "ntk_B": Quantity(
        _OF_TWO_COUPLES,
        "B/n: E[Theta_{ia,jb} Theta_{ic,jd}]",
        "docs/theory.md 9.2 to 9.4",
        _PDLT_NTK,
    ),
    "ntk_D": Quantity(
        _OF_TWO_PAIRS,
        "D/n: covariance of the kernel with the tangent kernel, Cov(Ghat_ab, Theta_{ic,id})",
        "docs/theory.md 9.2 to 9.4",
        _PDLT_NTK,
    ),
    "ntk_F": Quantity(
        _OF_TWO_COUPLES,
        "F/n: E[z_{ia} z_{jb} Theta_{ic,jd}]",
        "docs/theory.md 9.2 to 9.4",
        _PDLT_NTK,
    ),
    "dntk_P": Quantity(
        _OF_TWO_COUPLES,
        "P/n: E[dH_{ijj;abc} z_{id}]",
        "docs/theory.md 9.2, 9.3",
        f"{_PDLT}, chapter 11",
    ),
    "dntk_Q": Quantity(
        _OF_TWO_COUPLES,
        "Q/n: E[dH_{iij;abc} z_{jd}]",
        "docs/theory.md 9.2, 9.3",
        f"{_PDLT}, chapter 11",
    ),
    "ntk_eigenvalue": Quantity(
        ("layer", "rank"),
        "mean of each eigenvalue of the tangent kernel over the inputs, largest first",
        "docs/theory.md 9.7",
        "derived here",
    ),
    "ntk_log_condition": Quantity(
        ("layer",),
        "mean logarithm of the condition number of the tangent kernel over the inputs",
        "docs/theory.md 9.7",
        "derived here",
    ),
}

#: The same of a ladder of widths.
LADDER_QUANTITIES: dict[str, Quantity] = {
    "kernel_mean": Quantity(
        ("rung", *_OF_PAIRS),
        "mean of the conditional kernel, E[Ghat_ab]",
        "docs/theory.md 2.1, 5.1, 6.2, 8",
        f"{_PDLT}, sections 4.1 to 4.3 and 4.5",
    ),
    "kernel_covariance": Quantity(
        ("rung", *_OF_TWO_PAIRS),
        "covariance of the conditional kernel, Cov(Ghat_ab, Ghat_cd)",
        "docs/theory.md 3.2 to 3.5, 5.1, 6.2, 6.3, 8",
        f"{_PDLT}, sections 3.2, 3.3 and 4.3; {_HANIN_NICA}",
    ),
    "kernel_third": Quantity(
        ("rung", *_AT_EACH),
        "third cumulant of the conditional kernel",
        "docs/theory.md 3.2, 3.4, 6.2, 8",
        f"{_PDLT}, sections 3.3 and 3.4; {_HANIN_NICA}",
    ),
    "kernel_mean_1": Quantity(
        _OF_PAIRS,
        "coefficient of 1/n in the mean of the conditional kernel",
        "docs/theory.md 5.1",
        f"{_PDLT}, section 4.5",
    ),
    "kernel_mean_2": Quantity(
        _OF_PAIRS,
        "coefficient of 1/n^2 in the mean of the conditional kernel",
        "docs/theory.md 6.2",
        "derived here",
    ),
    "kernel_covariance_1": Quantity(
        _OF_TWO_PAIRS,
        "coefficient of 1/n in the covariance of the conditional kernel",
        "docs/theory.md 3.4, 3.5, 5.1",
        f"{_PDLT}, section 4.3",
    ),
    "kernel_covariance_2": Quantity(
        _OF_TWO_PAIRS,
        "coefficient of 1/n^2 in the covariance of the conditional kernel",
        "docs/theory.md 3.2, 6.2",
        "derived here",
    ),
    "kernel_third_2": Quantity(
        _AT_EACH,
        "coefficient of 1/n^2 in the third cumulant of the conditional kernel",
        "docs/theory.md 3.4, 6.2",
        "derived here",
    ),
    "log_kernel_mean": Quantity(
        ("rung", *_AT_EACH),
        "mean of log Ghat",
        "docs/theory.md 3.4, 4.1, 7.2, 8",
        _HANIN_NICA,
    ),
    "log_kernel_variance": Quantity(
        ("rung", *_AT_EACH),
        "variance of log Ghat",
        "docs/theory.md 3.4, 4.1, 7.2, 8",
        _HANIN_NICA,
    ),
    "log_kernel_histogram": Quantity(
        ("rung", *_AT_EACH, "standard_bin"),
        "probability of the standardised log Ghat in a bin",
        "docs/theory.md 3.4, 4.1, 7.2, 8",
        _HANIN_NICA,
    ),
    "ntk_mean": Quantity(
        ("rung", *_OF_PAIRS),
        "mean of the tangent kernel",
        "docs/theory.md 9.1, 9.2, 9.3",
        _PDLT_NTK,
    ),
    "ntk_mean_1": Quantity(
        _OF_PAIRS,
        "coefficient of 1/n in the mean of the tangent kernel",
        "docs/theory.md 9.2, 9.3",
        _PDLT_NTK,
    ),
    "ntk_mean_2": Quantity(
        _OF_PAIRS,
        "coefficient of 1/n^2 in the mean of the tangent kernel",
        "docs/theory.md 9.4",
        "derived here",
    ),
    "inverse_kernel_mean": Quantity(
        ("rung", *_AT_EACH),
        "mean of 1/Ghat",
        "docs/theory.md 3.4, 4.1, 7.1, 7.2, 8",
        f"{_HANIN_NICA}; {_PDLT}, section 5.4",
    ),
}
