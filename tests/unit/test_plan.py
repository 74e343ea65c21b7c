"""What jobs cost: shards that follow from it, and what is said before anything runs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from finitewidth import __main__
from finitewidth.core.errors import ConfigError
from finitewidth.planning import cost
from finitewidth.planning.members import batches, input_count, members
from finitewidth.planning.plan import plan, report
from finitewidth.study.study_file import load, validate

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
PAPER = ROOT / "config/paper.yaml"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_every_kind_of_member_has_a_cost(path):
    for name, job in plan(load([path])).items():
        assert 0 < job.cost.seconds < 3600, name
        assert 0 < job.cost.memory < 64 * 1024, name
        assert job.cost.disk >= 0, name


@pytest.mark.parametrize("path", SHIPPED[:3], ids=lambda p: p.name)
def test_twice_as_many_networks_cost_more_and_at_most_twice(path):
    config = load([path])
    for ensemble in config.ensembles:
        for m in members(config, ensemble):
            twice, inputs = replace(m, networks=2 * m.networks), input_count(config, m)
            one, two = cost.sampling(m, inputs), cost.sampling(twice, inputs)
            assert one.seconds < two.seconds <= 2 * one.seconds
            assert one.memory < two.memory
            one, two = cost.estimating(m, inputs), cost.estimating(twice, inputs)
            assert one.seconds <= two.seconds <= 2 * one.seconds


def test_members_are_divided_into_jobs_of_the_length_asked_for():
    for minutes in (0.05, 1.0, 10.0):
        config = load([PAPER], {"job_minutes": minutes})
        longest = 60 * minutes
        for batch in batches(config):
            for m in batch.members:
                each = cost.sampling(m, input_count(config, m), m.networks / m.shard_count)
                fewest_networks = m.blocks == m.shard_count
                # Each member has costs of its own that no division makes less.
                assert each.seconds < longest + 0.2 or fewest_networks, m
                if m.shard_count > 1 and not fewest_networks:
                    assert each.seconds > longest / 3, m


def test_a_number_of_shards_given_in_the_config_stands():
    content = {
        "seed": 1,
        "inputs": {"a": {"kind": "sphere", "dimension": 4, "count": 2}},
        "ensembles": {
            "e": {
                "activation": "relu", "init": "critical", "width": 64, "depth": 3, "inputs": "a",
                "networks": 10**6, "shards": 7,
            }
        },
    }  # fmt: skip
    assert members(validate(content | {"job_minutes": 1e-3}), "e")[0].shard_count == 7
    del content["ensembles"]["e"]["shards"]
    assert members(validate(content | {"job_minutes": 1e-3}), "e")[0].shard_count > 7
    assert members(validate(content), "e")[0].shard_count == 1


def test_the_paper_divides_finely_and_into_short_paths():
    config = load([PAPER], {"job_minutes": 0.0015})
    samples = [path for batch in batches(config) for m in batch.members for path in m.samples]
    assert len(samples) > 10_000
    assert len(set(samples)) == len(samples)
    assert max(map(len, samples)) < 120
    assert {path for path in samples if len(Path(path).name) > 100} == set()


def test_how_members_are_divided_is_no_part_of_what_they_depend_on():
    few, many = (load([PAPER], {"job_minutes": minutes}) for minutes in (10, 0.1))
    for ensemble in few.ensembles:
        for one, other in zip(members(few, ensemble), members(many, ensemble), strict=True):
            assert replace(one, shards=1) == replace(other, shards=1)
            assert one.block == other.block


def test_a_gpu_is_counted_where_the_config_asks_for_it():
    def hours(**changes):
        lines = report(load([ROOT / "config.yaml"], changes)).splitlines()
        table = {line.split()[0]: line.split() for line in lines[1 : lines.index("")]}
        return {stage: float(row[3]) for stage, row in table.items()}

    assert set(hours(device="cpu").values()) == {0}
    everywhere = hours(device="cuda")
    assert everywhere["sample"] > 0 < everywhere["train"]
    assert everywhere["estimate"] == everywhere["theory"] == everywhere["figures"] == 0
    some = hours(device="cuda", devices={"train": "cpu", "ntk": "cpu"})
    assert some["train"] == 0 < some["sample"] < everywhere["sample"]


def test_what_is_computed_on_the_cpu_anyhow_asks_for_no_gpu():
    config = load([ROOT / "config.yaml"], {"device": "cuda"})
    tasks = {batch.ensemble: batch.task for batch in batches(config)}
    assert tasks["ntk_scalar"] is tasks["ntk_ways"] is None
    assert tasks["ntk_widths"] == tasks["ntk_ladder"] == "ntk"
    assert tasks["relu"] == "sample"
    assert config.device_for(tasks["ntk_scalar"]) == "cpu"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"devices": {"draw": "cpu"}}, r"devices"),
        ({"devices": {"train": "gpu"}}, r"devices\.train"),
        ({"job_minutes": 0}, "job_minutes"),
    ],
)
def test_a_bad_key_is_named(changes, key):
    with pytest.raises(ConfigError, match=key):
        load([PAPER], changes)


def test_the_command_prints_every_stage_and_a_total(capsys):
    assert __main__.main(["estimate", str(ROOT / "config.yaml")]) == 0
    head, table, after = capsys.readouterr().out.split("\n\n")
    assert head.endswith("config.yaml takes, stage by stage:")
    assert re.fullmatch(
        r"On the \d+ cores of this machine: about \d.*\.\nResults in results/\.\n", after
    )
    stages = [line.split()[0] for line in table.splitlines()]
    assert stages[0] == "stage"
    assert stages[-1] == "total"
    assert {"sample", "estimate", "theory", "train", "figures", "compare"} <= set(stages)


def test_a_file_that_asks_for_nothing_takes_nothing():
    total = report(validate({"seed": 1})).splitlines()[1]
    assert total.split()[:4] == ["total", "0", "0", "0"]


def test_the_command_names_what_is_wrong(capsys, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("seed: -1\n")
    assert __main__.main(["estimate", str(path)]) == 1
    assert "config key seed: given -1" in capsys.readouterr().err
