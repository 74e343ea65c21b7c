"""Members are typed in every stage, and their plain data comes back as the same object."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from finitewidth.members.listed import listed
from finitewidth.members.plain import of_plain, plain
from finitewidth.members.stages import NormalityTests, estimated, predicted, sampled
from finitewidth.members.trained import GeneratedNetworks, PredictedReplicas, TrainedNetworks
from finitewidth.models.perceptron_shape import ManyWidths, OneWidth
from finitewidth.planning.members import members
from finitewidth.planning.trained_members import trained_members
from finitewidth.provenance import projections
from finitewidth.study.study_file import load

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml")), ROOT / "tests/kinds.yaml"]


def stages(config):
    """Each member of a config, with what a stage is given of it and the reader of that stage."""
    for ensemble in config.ensembles:
        for m in members(config, ensemble):
            yield m, projections.sample(config, m, 0)["member"], sampled
            yield m, projections.estimate(config, m)["member"], estimated
            yield m, projections.theory(m)["member"], predicted
    for ensemble in config.trained:
        for m in trained_members(config, ensemble):
            for taken, kind in (
                (projections.train(config, m), TrainedNetworks),
                (projections.measure(config, m), TrainedNetworks),
                (projections.generate(config, m), GeneratedNetworks),
                (projections.predict(config, m), PredictedReplicas),
            ):
                yield m, taken["member"], lambda data, kind=kind: of_plain(data, kind)


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_stage_has_the_member_of_the_config_and_none_of_what_it_does_not_use(file):
    seen = 0
    for m, data, read in stages(load([file])):
        stage = read(json.loads(json.dumps(data)))
        assert isinstance(m, type(stage))
        assert plain(stage) == data
        assert {name: getattr(m, name) for name in data} == vars(stage)
        left_out = {field.name for field in fields(m)} - set(data)
        assert left_out
        assert not any(hasattr(stage, name) for name in left_out)
        seen += 1
    assert seen


@pytest.mark.parametrize("file", FILES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_study_lists_the_members_of_the_config(file):
    config = load([file])
    for study in config.studies:
        data = json.loads(projections.as_text(projections.study(config, study)))
        every = projections.study_members(config, study)
        for m, one in zip(every, data["study"]["members"], strict=True):
            member, folder = listed(one)
            assert folder == m.folder
            assert {f.name: getattr(m, f.name) for f in fields(member)} == vars(member)


def given(**change):
    """Theory's part of a member of the default study, with some of its keys changed."""
    config = load([ROOT / "config/tiny.yaml"])
    every = (m for ensemble in config.ensembles for m in members(config, ensemble))
    data = projections.theory(next(m for m in every if isinstance(m, OneWidth) and m.ntk))["member"]
    return {key: value for key, value in (data | change).items() if value is not LEFT_OUT}


LEFT_OUT = object()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", LEFT_OUT),
        ("colour", "red"),
        ("width", "8"),
        ("width", 8.0),
        ("width", True),
        ("width", None),
        ("C_W", "2"),
        ("layers", 3),
        ("layers", [1, "2"]),
        ("hidden", [[8]]),
        ("ntk", {"name": "ntk", "lambda_b": None}),
        ("ntk", ["ntk"]),
        ("estimate", "covariance"),
        ("ladder", 8),
        ("activation", 1),
    ],
)
def test_what_is_no_member_is_refused_with_the_name_of_its_key(key, value):
    assert predicted(given()).width > 0
    with pytest.raises(ValueError, match=rf"\b{key}\b") as caught:
        predicted(given(**{key: value}))
    assert "\n" not in str(caught.value)


def test_a_ladder_is_told_by_its_type():
    config = load([ROOT / "config/tiny.yaml"])
    ladder, single = (members(config, name)[0] for name in ("ladder", "linear"))
    for m, kind in ((ladder, ManyWidths), (single, OneWidth)):
        taken = (
            sampled(projections.sample(config, m, 0)["member"]),
            predicted(projections.theory(m)["member"]),
        )
        assert all(isinstance(stage, kind) for stage in taken)
    assert ladder.rungs == ladder.ladder
    assert single.rungs == (single.width,)
    # Hidden widths of their own and a ladder are of neither kind.
    data = projections.theory(ladder)["member"]
    with pytest.raises(ValueError, match=r"Networks\.ladder.*Ladder\.hidden"):
        predicted(data | {"hidden": [8, 16]})
    with pytest.raises(TypeError, match="none of"):
        plain(NormalityTests(groups=1, networks=20, neurons=2), TrainedNetworks)
