"""What two replicas have in common: aligned activations, and eigenvectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finitewidth.trained.replica_axes import (
    BASES,
    CENTRINGS,
    COMPARED,
    SPLITS,
    STATES,
    Replicas,
    own,
)
from finitewidth.trained.representations.alignment import correlation, cosines, explained, rotation
from finitewidth.trained.representations.replicas import SINGLE, over_pairs, over_replicas
from finitewidth.trained.representations.second_moments import Moments


def alignment(replicas: Replicas, seen: Mapping[tuple[str, str], list[Moments]]) -> dict:
    """rho and r^2 of every pair on both splits, and what chance gives, fitted on training."""
    depth = replicas.architecture.depth
    shape = (len(STATES), len(CENTRINGS), len(SPLITS), depth + 1)
    rho = np.full((max(len(replicas.pairs), 1), *shape), np.nan)
    chance = np.full((replicas.count, *shape), np.nan)
    for s, state in enumerate(STATES):
        for c, centring in enumerate(CENTRINGS):
            for layer in range(1, depth):
                fit, held = (seen[state, split][layer].taken(centring) for split in SPLITS)
                cross = [m.second.cpu().numpy() for m in (fit, held)]
                traces = [np.trace(own(m.second), axis1=1, axis2=2) for m in (fit, held)]
                for p, (a, b) in enumerate(replicas.pairs):
                    turn = rotation(cross[0][a, :, b])
                    for k in (0, 1):
                        found = correlation(turn, cross[k][a, :, b], traces[k][a], traces[k][b])
                        rho[p, s, c, k, layer] = found
                turns = rotation(fit.chance.cpu().numpy())
                for k, m in enumerate((fit, held)):
                    following = np.roll(traces[k], -1)
                    by_chance = correlation(turns, m.chance.cpu().numpy(), traces[k], following)
                    chance[:, s, c, k, layer] = explained(by_chance)
    dims = ("state", "centring", "split", "layer")
    pairs = replicas.pairs
    return (
        over_pairs(rho, pairs, SINGLE).variables(
            "alignment", dims, long_name="correlation rho of two replicas after alignment"
        )
        | over_pairs(explained(rho), pairs, SINGLE).variables(
            "alignment_r2",
            dims,
            long_name="variance explained of a replica by an aligned other, r^2",
        )
        | over_replicas(chance, SINGLE).variables(
            "alignment_chance", dims, long_name="r^2 of activations on samples paired at random"
        )
    )


def eigenvectors(
    replicas: Replicas,
    seen: Mapping[tuple[str, str], list[Moments]],
    frames: Sequence[np.ndarray],
    weight_frames: Sequence[np.ndarray],
) -> dict:
    """|cosine| between eigenvectors of two trained replicas, as they are and aligned."""
    depth, pairs = replicas.architecture.depth, replicas.pairs
    shape = (len(BASES), 2, depth + 1, COMPARED, COMPARED)
    found = np.full((max(len(pairs), 1), *shape), np.nan)
    for p, (a, b) in enumerate(pairs):
        turn = None
        for layer in range(1, depth + 1):
            # Weights see the representation before them; that of the images is everybody's.
            first, second = weight_frames[layer - 1][a], weight_frames[layer - 1][b]
            found[p, 1, 0, layer] = cosines(first, second, None, COMPARED)
            found[p, 1, 1, layer] = cosines(first, second, turn, COMPARED)
            if layer < depth:
                turn = rotation(seen["trained", "train"][layer].second[a, :, b].cpu().numpy())
                first, second = frames[layer][a], frames[layer][b]
                found[p, 0, 0, layer] = cosines(first, second, None, COMPARED)
                found[p, 0, 1, layer] = cosines(first, second, turn, COMPARED)
    dims = ("basis", "aligned", "layer", "rank_a", "rank_b")
    of_two = (dims, found[0], {"long_name": "|cosine| of replicas 0 and 1", "units": "1"})
    return {"eigenvector_cosine_01": of_two} | over_pairs(found, pairs, SINGLE).variables(
        "eigenvector_cosine",
        dims,
        long_name="|cosine| between eigenvectors of two replicas, mean over pairs",
    )
