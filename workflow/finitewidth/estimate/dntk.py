"""Estimates of P and Q: how the differential of the neural tangent kernel goes with the outputs.

With Gaussian weights of the last layer (PDLT chapter 11; the differential is that of one step of
gradient descent)

    E[dH_{i0 i1 i2; abc} z_{i3 d}] = (P_abcd d_03 d_12 + Q_abcd d_01 d_23 + Q_acbd d_02 d_13)/n.

P and Q are estimated with their 1/n as what they are for networks of any law, over ordered pairs of
outputs i != j. Nothing is to be subtracted: the mean of z is 0.
"""

from __future__ import annotations

import numpy as np

from finitewidth.estimate.errors import Estimate
from finitewidth.estimate.ntk_moments import isotropic_parts, mean_of
from finitewidth.estimate.tangents import block_totals, largest, outer_unit

Array = np.ndarray


def differential(dntk: Array, output: Array, bounds: Array, isotropic: bool) -> dict[str, Estimate]:
    """P and Q of the output layer, each with its 1/n.

    Parameters
    ----------
    dntk : array, shape (network, output, output, output, input, input, input)
        dH_{i0 i1 i2; abc} of k >= 2 outputs.
    output : array, shape (network, output, input)
    bounds : array of int, shape (block + 1,)
    isotropic : bool
        Whether rotations of the outputs among each other leave their law as it is.

    Returns
    -------
    dict of Estimate, shape (couple, couple)
        ``dntk_P``, E[dH_{i j j; abc} z_{id}], and ``dntk_Q``, E[dH_{i i j; abc} z_{jd}], for the
        couples (a, b) and (c, d).
    """
    outputs, inputs = output.shape[1:]
    unit, output_unit = largest(dntk, 4), largest(output, 2)
    several = np.flatnonzero(~np.eye(outputs, dtype=bool))
    i, j = np.divmod(several, outputs)

    def features(at: slice) -> dict[str, Array]:
        d, z = dntk[at] / unit, output[at] / output_unit

        def sums(one: Array, two: Array, three: Array, four: Array) -> Array:
            """Sum of dH z over networks and lists of outputs, shape (input,) four times."""
            left = d[:, one, two, three].reshape(-1, inputs**3)
            right = z[:, four].reshape(-1, inputs)
            return (left.T @ right).reshape((inputs,) * 4)

        p, q = sums(i, j, j, i), sums(i, i, j, j)
        if not isotropic:
            return {"P": p / len(i), "Q": q / len(i)}
        every = np.arange(outputs)
        alone = sums(every, every, every, every)
        # Second derivatives commute: dH_{i0 i1 i2; abc} = dH_{i0 i2 i1; acb}.
        traces = p + alone, q + alone, q.swapaxes(1, 2) + alone
        p, q, _ = isotropic_parts(*traces, outputs)
        return {"P": p, "Q": q}

    totals = block_totals(features, bounds)
    units = outer_unit(unit.ravel(), output_unit).reshape((inputs**2,) * 2)
    return {f"dntk_{name}": mean_of(totals[name], bounds, units) for name in "PQ"}
