"""Which powers of a network's size have a finite mean."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from finitewidth.models.activations.table import get


def mean_is_finite(activation: str, C_b: float, widths: Iterable[int], power: float) -> bool:
    """Whether E[Ghat^power] is finite, for normal weights on an input that is not 0.

    Positive powers are, as no activation grows faster than a power. Of negative ones, biases keep
    Ghat away from 0. Without them Ghat is small where all n neurons of a layer are, with the
    probability of n small normal numbers; where sigma is 0 on a side of 0, as ReLU's, it is 0 with
    a probability of its own. (Hanin and Nica 2018 for two slopes.)

    Parameters
    ----------
    C_b : float
        Variance of the biases; the same in every layer.
    widths : iterable of int
        Of the hidden layers.
    """
    if power >= 0 or C_b > 0:
        return True
    sigma, small = get(activation).function, 1e-6
    sides = np.abs(sigma(np.array([-small, small])))
    if abs(float(sigma(np.zeros(1))[0])) > 0:
        return True
    return bool(np.all(sides > 0)) and all(n > -2 * power for n in widths)
