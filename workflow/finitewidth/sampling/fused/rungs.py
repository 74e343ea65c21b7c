"""Compiled ladders: every rung reads the first columns of the normals of the widest."""

from __future__ import annotations

import numpy as np

from finitewidth.sampling.fused.activations import activate
from finitewidth.sampling.fused.cached import cached
from finitewidth.sampling.fused.conversions import borrowed, load, store, total
from finitewidth.sampling.fused.covariance import semidefinite_factor
from finitewidth.sampling.fused.drawing import draw_neurons
from finitewidth.sampling.fused.elementary import exp, log
from finitewidth.sampling.fused.lanes import LANES, fma, inlined
from finitewidth.sampling.fused.networks import ROW, clear, clear_behind, to_matrix
from finitewidth.sampling.fused.rung_controls import add_controls, fill_rows
from finitewidth.sampling.fused.rung_sums import add_tangent_sums
from finitewidth.sampling.fused.slopes import activate_with_slopes
from finitewidth.sampling.fused.sums import add_products


@inlined
def _correlate(factor, normals, neurons, row, stop):
    """Rows of covariance R R^T made of rows of independent normals."""
    inputs = len(factor)
    for a in range(inputs):
        for i in range(0, stop, LANES):
            z = load(normals, a * row + i) * factor[a, a]
            for b in range(a):
                z = fma(load(normals, b * row + i), factor[a, b], z)
            store(neurons, a * row + i, z)


@inlined
def _to_unit_scale(gram, logs, diagonals, scales):
    """Move the scale of every input of every rung out of its kernel, into ``logs``.

    ``scales`` become those of the neurons that are drawn from these kernels.
    """
    rungs, inputs = gram.shape[0], gram.shape[1]
    for r in range(rungs):
        for a in range(inputs):
            diagonals[r * inputs + a] = gram[r, a, a]
    for i in range(0, len(logs), LANES):
        store(logs, i, fma(log(load(diagonals, i)), 0.5, load(logs, i)))
        store(scales, i, exp(load(logs, i)))
    for r in range(rungs):
        for a in range(inputs):
            size = diagonals[r * inputs + a]
            if size > 0:
                root = np.sqrt(size)
                for b in range(inputs):
                    gram[r, a, b] /= root
                    gram[r, b, a] /= root
                gram[r, a, a] = 1.0


@cached
def climb(version):
    def climb(shared, places, key, first, begin, stop, rungs, climbed, work):
        """Draw the networks ``begin`` to ``stop`` of every rung and record them.

        Parameters
        ----------
        shared : array, shape (inputs, inputs)
            Covariance of the first layer's preactivations.
        places : array of int, shape (layers + 1,)
            Where a layer's kernel is recorded, from layer 1 on; negative where it is not.
        key : array, shape (3,), uint64
        first : int
            The network that stands first in what is recorded.
        rungs, climbed, work : tuple
            A ``Rungs``, ``Climbed`` and ``Steps`` of :mod:`.rung_workspace`, as plain tuples.
        """
        _ = version
        widths, ordered, ranks, C_b, C_W, code, plus, minus, at_zero, is_scale_invariant = borrowed(
            rungs
        )
        kernel, driven, drive, gram_sums, kernels, tangent_sums, kept_scales = borrowed(climbed)
        (
            normals,
            shared_normals,
            neurons,
            active,
            slopes,
            rows,
            gram,
            factor,
            logs,
            diagonals,
            scales,
            products,
            tangents,
            tangent_rows,
            tangent_places,
            factors,
            control_sums,
            control_totals,
        ) = borrowed(work)
        inputs, last, count_of_rungs = len(shared), len(places) - 1, len(widths)
        widest, tangent = ordered[count_of_rungs - 1], len(tangent_places) > 0
        top = (len(rows) // ROW - 2) // inputs
        for network in range(begin, stop):
            at, held = network - first, 0
            for i in range(len(logs)):
                logs[i], scales[i] = 0.0, 1.0
            for r in range(count_of_rungs):
                for a in range(inputs):
                    for b in range(inputs):
                        gram[r, a, b] = shared[a, b]
            for layer in range(1, last + 1):
                place = places[layer]
                for r in range(count_of_rungs):
                    pair = 0
                    for a in range(inputs):
                        for b in range(a, inputs):
                            value = gram[r, a, b]
                            if is_scale_invariant:
                                value *= scales[r * inputs + a] * scales[r * inputs + b]
                            if place >= 0:
                                kernel[at, r, place, pair] = value
                            if layer < last and len(driven):
                                driven[at, r, layer - 1, pair] = value
                            if len(kernels):
                                kernels[at, r, layer - 1, pair] = value
                            pair += 1
                if layer == last:
                    break
                if is_scale_invariant:
                    _to_unit_scale(gram, logs, diagonals, scales)
                for r in range(count_of_rungs):
                    semidefinite_factor(gram[r], factor[r])
                    clear(products[r])
                    clear(tangents[r])
                clear(control_sums)
                for start in range(0, widest, ROW):
                    count = min(ROW, widest - start)
                    end = (count + LANES - 1) // LANES * LANES
                    held = draw_neurons(
                        normals,
                        ROW,
                        inputs,
                        start,
                        count,
                        widest,
                        key,
                        network,
                        layer,
                        shared_normals,
                        held,
                    )
                    if len(factors):
                        fill_rows(normals, ROW, inputs, end, top, inputs == 1, rows)
                        add_controls(
                            rows, ROW, start, count, factors, ordered, control_sums, control_totals
                        )
                    for r in range(count_of_rungs):
                        count = min(ROW, widths[r] - start)
                        if count <= 0:
                            continue
                        end = (count + LANES - 1) // LANES * LANES
                        _correlate(factor[r], normals, neurons, ROW, end)
                        if tangent:
                            for a in range(inputs):
                                for i in range(a * ROW, a * ROW + end, LANES):
                                    store(slopes, i, load(neurons, i))
                                activate_with_slopes(
                                    code,
                                    plus,
                                    minus,
                                    at_zero,
                                    slopes,
                                    a * ROW,
                                    active,
                                    a * ROW,
                                    end,
                                )
                            clear_behind(active, inputs, count, end)
                            clear_behind(slopes, inputs, count, end)
                            add_products(active, ROW, inputs, end, products[r])
                            add_tangent_sums(
                                neurons,
                                active,
                                slopes,
                                ROW,
                                inputs,
                                end,
                                tangent_places,
                                tangent_rows,
                                tangents[r],
                            )
                        else:
                            for a in range(inputs):
                                activate(code, plus, minus, neurons, a * ROW, a * ROW + end)
                            clear_behind(neurons, inputs, count, end)
                            add_products(neurons, ROW, inputs, end, products[r])
                for r in range(count_of_rungs):
                    width = widths[r]
                    to_matrix(products[r], C_W[layer] / width, C_b[layer], gram[r])
                    for k in range(drive.shape[3]):
                        drive[at, r, layer - 1, k] = control_totals[k, ranks[r]] / width
                    if len(gram_sums):
                        pair = 0
                        for a in range(inputs):
                            for b in range(a, inputs):
                                value = total(load(products[r], pair * LANES))
                                value *= scales[r * inputs + a] * scales[r * inputs + b]
                                gram_sums[at, r, layer - 1, pair] = value
                                pair += 1
                    if tangent:
                        for k in range(len(tangent_places)):
                            tangent_sums[at, r, layer - 1, k] = total(load(tangents[r], k * LANES))
                        for a in range(inputs):
                            kept_scales[at, r, layer - 1, a] = scales[r * inputs + a]

    return climb
