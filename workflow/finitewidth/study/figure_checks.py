"""What figures need of a study's networks, as far as a study file tells: checked before any job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finitewidth.config.model import Config, Study
from finitewidth.core.errors import ConfigError
from finitewidth.models.activations.table import get
from finitewidth.models.block_shapes import BlockNetwork, NormStep
from finitewidth.planning.member import Ladder, Member
from finitewidth.planning.trained_members import TrainedMember, study_members
from finitewidth.quantities.vocabulary import FIGURES, LEAST_RUNGS

#: Of the config and of a member of the kind that the figure is of.
Condition = Callable[[Config, Any], bool]


def _has_rungs(config: Config, m: Member) -> bool:
    return isinstance(m, Ladder) and len(m.ladder) >= LEAST_RUNGS


def _has_rungs_of_ntk(config: Config, m: Member) -> bool:
    # Rates of the standard parameterisation grow with the width: there is nothing to expand about.
    return _has_rungs(config, m) and m.ntk is not None and m.ntk.name != "standard"


def _has_rungs_and_pairs(config: Config, m: Member) -> bool:
    # How many vectors a user's array has is not known before it is read.
    return _has_rungs(config, m) and (config.inputs[m.inputs].count or 2) > 1


def _is_deep_linear(config: Config, m: Member) -> bool:
    return (m.activation, m.weights, m.C_b, m.network) == ("linear", "normal", 0, None)


def _goes_beyond_the_first(config: Config, m: Member) -> bool:
    return max(m.layers) > 1


def _has_log_normal_limit(config: Config, m: Member) -> bool:
    two_slopes = get(m.activation).is_scale_invariant and m.C_b == 0 and m.weights == "normal"
    return two_slopes and not _has_other_blocks(m) and _goes_beyond_the_first(config, m)


def _has_other_blocks(m: Member) -> bool:
    """Whether it has blocks that are not skips and maps of vectors alone."""
    if m.network is None:
        return False
    if not isinstance(m.network, BlockNetwork) or m.network.wants_places or m.network.wants_tokens:
        return True
    steps = [step for block in m.network.blocks for step in (*block.branch, block.after)]
    return any(isinstance(step, NormStep) for step in steps)


def _has_first_order(config: Config, m: Member) -> bool:
    known = m.weights == "normal" or get(m.activation).is_scale_invariant
    return known and _goes_beyond_the_first(config, m)


def _is_deep(config: Config, m: Member) -> bool:
    return m.depth > 1


def _is_in_the_plane(config: Config, m: Member) -> bool:
    return m.C_W is not None and m.network is None


def _is_on_a_line(config: Config, m: Member) -> bool:
    # Of which dimension a user's array is, and an extension's vectors, is known later.
    spec = config.inputs[m.inputs].model_dump()
    if spec["kind"] == "points":
        return not isinstance(spec["points"][0], list) or len(spec["points"][0]) == 1
    return spec["kind"] != "digits" and spec.get("dimension", 1) == 1


def _has_two_replicas(config: Config, m: TrainedMember) -> bool:
    return m.replicas > 1


_RUNGS = f"a ladder of at least {LEAST_RUNGS} widths"
_BEYOND = "a recorded layer beyond the first"
#: Figure -> whether it can be drawn of a member, and what one of them has to have, in words.
NEEDS: dict[str, tuple[Condition, str]] = {
    "corrections": (_has_rungs, _RUNGS),
    "ntk_corrections": (
        _has_rungs_of_ntk, f"{_RUNGS}, whose rates do not grow with the width as standard ones do",
    ),
    "two_inputs": (_has_rungs_and_pairs, f"{_RUNGS} on two or more inputs"),
    "output_density": (_is_deep_linear, "linear perceptrons, normal weights and C_b = 0"),
    "intralayer": (_goes_beyond_the_first, _BEYOND),
    "universality": (_goes_beyond_the_first, _BEYOND),
    "breakdown_map": (
        _has_first_order, f"{_BEYOND}, and either normal weights or an activation of two slopes",
    ),
    "log_norm_moments": (
        _has_log_normal_limit,
        f"{_BEYOND}, an activation of two slopes, normal weights, C_b = 0 and no other blocks than"
        " of vectors without norms",
    ),
    "phase_diagram": (
        _is_in_the_plane, "C_W and C_b of its own, which pytorch weights have not, and no blocks",
    ),
    "ntk_fluctuations": (_is_deep, "a depth of at least 2"),
    "ntk_criticality": (_is_deep, "a depth of at least 2"),
    "training": (_is_on_a_line, "inputs of one component"),
    "eigenvectors": (_has_two_replicas, "two or more replicas"),
    "alignment": (_has_two_replicas, "two or more replicas"),
}  # fmt: skip


#: Figure -> what the study itself has to have, whatever its networks, and in words.
STUDY_NEEDS: dict[str, tuple[Callable[[Study], bool], str]] = {
    "published": (lambda study: bool(study.published), "published numbers"),
}


def check_figures(config: Config) -> None:
    """Raise a :class:`ConfigError` for the first figure that none of its study's members allows."""
    for name, study in config.studies.items():
        if study.figures:
            _check_study(f"studies.{name}.figures", study, study_members(config, name), config)


def _check_study(path: str, study: Study, members: list, config: Config) -> None:
    for figure in study.figures or []:
        entry = FIGURES[figure]
        has, words = STUDY_NEEDS.get(figure, (None, ""))
        if has and not has(study):
            raise ConfigError.at(path, figure, f"{figure} of a study with {words}")
        able = [m for m in members if set(entry.families) <= set(m.families)]
        named = ", ".join(dict.fromkeys(m.ensemble for m in able or members))
        if not able:
            allowed = f"{figure} of networks that estimate {' and '.join(entry.families)}"
            raise ConfigError.at(path, f"{figure} of {named}", allowed)
        fits, words = NEEDS.get(figure, (None, ""))
        if fits and not any(fits(config, m) for m in able):
            raise ConfigError.at(path, f"{figure} of {named}", f"{figure} of networks with {words}")
