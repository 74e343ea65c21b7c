"""Histogram bins and quantile probabilities shared by the measurements and the theory."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

#: Edges of the 42 histogram bins, (43,): two open bins outside [-5, 5], 40 of width 1/4 inside.
EDGES = np.concatenate([[-np.inf], np.linspace(-5, 5, 41), [np.inf]])

#: The standard normal quantiles at which quantiles are asked for, (25,).
QUANTILE_U = np.linspace(-3, 3, 25)

#: The probabilities of those quantiles under a standard normal law, (25,).
PROBABILITIES = ndtr(QUANTILE_U)
