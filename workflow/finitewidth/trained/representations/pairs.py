"""What two replicas have in common: aligned activations, and eigenvectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from finitewidth.core.labelled import nothing
from finitewidth.trained.replica_axes import (
    ALIGNED,
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
    labels = {
        "state": STATES,
        "centring": CENTRINGS,
        "split": SPLITS,
        "layer": range(depth + 1),
    }
    pairs = replicas.pairs
    of_pairs = nothing({"pair": range(max(len(pairs), 1)), **labels})
    chance = nothing({"replica": range(replicas.count), **labels})
    for state, centring, layer in product(STATES, CENTRINGS, range(1, depth)):
        moments = {split: seen[state, split][layer].taken(centring) for split in SPLITS}
        cross = {split: m.second.cpu().numpy() for split, m in moments.items()}
        traces = {s: np.trace(own(m.second), axis1=1, axis2=2) for s, m in moments.items()}
        place = {"state": state, "centring": centring, "layer": layer}
        # Fitted on training images, and held against both.
        for p, (a, b) in enumerate(pairs):
            turn = rotation(cross["train"][a, :, b])
            for split, trace in traces.items():
                found = correlation(turn, cross[split][a, :, b], trace[a], trace[b])
                of_pairs.loc[{**place, "pair": p, "split": split}] = found
        turns = rotation(moments["train"].chance.cpu().numpy())
        for split, trace in traces.items():
            random = moments[split].chance.cpu().numpy()
            by_chance = correlation(turns, random, trace, np.roll(trace, -1))
            chance.loc[{**place, "split": split}] = explained(by_chance)
    dims, rho = tuple(labels), of_pairs.values
    return (
        over_pairs(rho, pairs, SINGLE).variables(
            "alignment", dims, long_name="correlation rho of two replicas after alignment"
        )
        | over_pairs(explained(rho), pairs, SINGLE).variables(
            "alignment_r2",
            dims,
            long_name="variance explained of a replica by an aligned other, r^2",
        )
        | over_replicas(chance.values, SINGLE).variables(
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
    labels = {
        "basis": BASES,
        "aligned": ALIGNED,
        "layer": range(depth + 1),
        "rank_a": range(1, COMPARED + 1),
        "rank_b": range(1, COMPARED + 1),
    }
    found = nothing({"pair": range(max(len(pairs), 1)), **labels})

    def compare(first: np.ndarray, second: np.ndarray, turn: np.ndarray | None, **at: Any) -> None:
        for aligned, turned in zip(ALIGNED, (None, turn), strict=True):
            found.loc[{"aligned": aligned, **at}] = cosines(first, second, turned, COMPARED)

    for p, (a, b) in enumerate(pairs):
        turn = None
        for layer in range(1, depth + 1):
            # Weights see the representation before them; that of the images is everybody's.
            first, second = weight_frames[layer - 1][a], weight_frames[layer - 1][b]
            compare(first, second, turn, pair=p, basis="weights", layer=layer)
            if layer < depth:
                turn = rotation(seen["trained", "train"][layer].second[a, :, b].cpu().numpy())
                first, second = frames[layer][a], frames[layer][b]
                compare(first, second, turn, pair=p, basis="activations", layer=layer)
    dims = tuple(labels)
    of_two = (
        dims,
        found.sel(pair=0).values,
        {"long_name": "|cosine| of replicas 0 and 1", "units": "1"},
    )
    return {"eigenvector_cosine_01": of_two} | over_pairs(found.values, pairs, SINGLE).variables(
        "eigenvector_cosine",
        dims,
        long_name="|cosine| between eigenvectors of two replicas, mean over pairs",
    )
