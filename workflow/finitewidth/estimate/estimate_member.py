"""One member of a config, estimated by whatever fits it."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.estimate.training.training_estimates import estimate_training
from finitewidth.members.attributes import explained, inherited
from finitewidth.members.stages import Estimated, EstimatedLadder, EstimatedTraining


def estimate_member(member: Estimated, samples: Sequence[xr.Dataset], *, seed: int) -> xr.Dataset:
    """Estimates of a member from its shards, with what these say of themselves as attributes.

    Raises ``ValueError`` as the estimators do.
    """
    return explained(_estimated(member, samples, seed), inherited(samples[0]))


def _estimated(member: Estimated, samples: Sequence[xr.Dataset], seed: int) -> xr.Dataset:
    # Tests of normality stand in a file of their own.
    families = [family for family in member.estimate if family != "normality"]
    if isinstance(member, EstimatedTraining):
        return estimate_training(samples, families)
    if isinstance(member, EstimatedLadder):
        return estimate_ladder(
            samples, families, seed=seed, ensemble=member.ensemble, member=member.name
        )
    return estimate(
        samples,
        families,
        seed=seed,
        ensemble=member.ensemble,
        member=member.name,
        isotropic=member.weights == "normal",
    )
