"""Estimates of P and Q: correlations of the differential of the tangent kernel with the outputs.

With Gaussian weights of the last layer (PDLT chapter 11; the differential is that of one step of
gradient descent)

    E[dH_{i0 i1 i2; abc} z_{i3 d}] = (P_abcd d_03 d_12 + Q_abcd d_01 d_23 + Q_acbd d_02 d_13)/n.

P and Q are estimated with their 1/n as what they are for networks of any law, over ordered pairs of
outputs i != j. Nothing is to be subtracted: the mean of z is 0.
"""

from __future__ import annotations

import numpy as np

from finitewidth.estimate.errors.jackknife import Estimate
from finitewidth.estimate.ntk.last_layer import LastLayer
from finitewidth.estimate.ntk.output_pairs import control, controlled_mean, isotropic_parts, mean_of
from finitewidth.estimate.ntk.scaled_kernels import Tangents, block_totals, largest, outer_unit

Array = np.ndarray

#: What one network's dH z is, at the least, of the largest dH times the largest z.
_LARGEST = 1 / 16


def differential(t: Tangents, dntk: Array) -> dict[str, Estimate]:
    """P and Q of the output layer, each with its 1/n.

    Parameters
    ----------
    t : Tangents
        Two outputs or more; where it has the conditional kernel, a control makes errors smaller.
    dntk : array, shape (network, output, output, output, input, input, input)
        dH_{i0 i1 i2; abc}.

    Returns
    -------
    dict of Estimate, shape (couple, couple)
        ``dntk_P``, E[dH_{i j j; abc} z_{id}], and ``dntk_Q``, E[dH_{i i j; abc} z_{jd}], i != j,
        for the couples (a, b) and (c, d).
    """
    outputs, inputs = t.outputs, t.inputs
    unit = largest(dntk, 4)
    several = np.flatnonzero(~np.eye(outputs, dtype=bool))
    i, j = np.divmod(several, outputs)
    every = np.arange(outputs)

    def features(at: slice) -> dict[str, Array]:
        d, z = dntk[at] / unit, np.asarray(t.output)[at] / t.output_scale

        def sums(one: Array, two: Array, three: Array, four: Array) -> Array:
            """Sum of dH z over networks and lists of outputs, shape (input,) four times."""
            left = d[:, one, two, three].reshape(-1, inputs**3)
            right = z[:, four].reshape(-1, inputs)
            return (left.T @ right).reshape((inputs,) * 4)

        p, q = sums(i, j, j, i), sums(i, i, j, j)
        if t.isotropic:
            alone = sums(every, every, every, every)
            # Second derivatives commute: dH_{i0 i1 i2; abc} = dH_{i0 i2 i1; acb}.
            p, q, _ = isotropic_parts(p + alone, q + alone, q.swapaxes(1, 2) + alone, outputs)
        else:
            p, q = p / len(i), q / len(i)
        if t.kernel is None:
            return {"P": p, "Q": q}
        four = control(t, at).reshape((inputs,) * 4)
        # Outputs i and j stand on inputs (a, d) and (b, c) in P, on (a, b) and (c, d) in Q.
        return {"P": p, "Q": q, "of P": four.swapaxes(2, 3), "of Q": four.swapaxes(1, 2)}

    totals = block_totals(features, t.bounds)
    units = outer_unit(unit.ravel(), t.output_scale).reshape((inputs**2,) * 2)
    # In units of the largest of all numbers, which few come near.
    rounding = _LARGEST * t.rounding
    if t.kernel is None:
        return {f"dntk_{name}": mean_of(totals[name], t.bounds, units, rounding) for name in "PQ"}
    return {
        f"dntk_{name}": controlled_mean(
            totals[name], totals[f"of {name}"], t.bounds, units, rounding
        )
        for name in "PQ"
    }


def differentials(last: LastLayer) -> dict[str, Estimate]:
    """The family ``dntk``; nothing of a single output, since it takes two."""
    dntk = last.read.get("dntk")
    return {} if dntk is None else differential(last.tangents, dntk)
