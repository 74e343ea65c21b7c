"""Every job of a config, with the time, memory and disk that it should take."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from finitewidth.config.model import Config
from finitewidth.planning import cost, trained_cost
from finitewidth.planning.cost import GPU_SPEED, Cost
from finitewidth.planning.members import batches, input_count, members
from finitewidth.planning.trained_members import trained_batches, trained_members


@dataclass(frozen=True)
class Job:
    """Jobs of one rule that cost the same.

    Attributes
    ----------
    stage : str
    count : int
        How many: the shards of a member, for example.
    cost : Cost
        Of each.
    task : str or None
        What the config's ``devices`` call it; None where a GPU is of no use.
    """

    stage: str
    count: int
    cost: Cost
    task: str | None = None


def plan(config: Config) -> dict[str, Job]:
    """The jobs of a config by the name of their rule."""
    jobs = {}
    for batch in batches(config):
        each = [(m, input_count(config, m)) for m in batch.members]
        sampled = [cost.sampling(m, k, m.networks / batch.shards) for m, k in each]
        jobs[f"sample_{batch.name}"] = Job("sample", batch.shards, cost.job(sampled), batch.task)
        jobs[f"estimate_{batch.name}"] = _one("estimate", (cost.estimating(*one) for one in each))
        if tested := [one for one in each if "normality" in one[0].estimate]:
            jobs[f"normality_{batch.name}"] = _one("normality", (cost.testing(*m) for m in tested))
        jobs[f"theory_{batch.name}"] = _one("theory", (cost.predicting(*one) for one in each))
    for group in trained_batches(config):
        those = [(m, config.data[group.data]) for m in group.members]
        for stage, taken in (
            ("train", trained_cost.training),
            ("measure", trained_cost.measuring),
            ("generate", trained_cost.generating),
        ):
            jobs[f"{stage}_{group.name}"] = _one(stage, (taken(*one) for one in those), stage)
        jobs[f"predict_{group.name}"] = _one(
            "predict", (trained_cost.predicting(m) for m, _ in those)
        )
    placed = {name: _placed(job, config) for name, job in jobs.items()}
    return placed | _of_studies(config)


def _placed(job: Job, config: Config) -> Job:
    """As fast as it is where the config has it computed."""
    if config.device_for(job.task) != "cuda":
        return job
    return replace(job, cost=replace(job.cost, seconds=job.cost.seconds / GPU_SPEED))


def _one(stage: str, costs: Iterable[cost.Cost], task: str | None = None) -> Job:
    return Job(stage, 1, cost.job(costs), task)


def _of_studies(config: Config) -> dict[str, Job]:
    sizes = {}
    for name, study in config.studies.items():
        random = sum(len(members(config, e)) for e in study.ensembles or [])
        trained = sum(len(trained_members(config, e)) for e in study.trained or [])
        sizes[name] = random + trained
    drawn = {
        f"figures_{name}": _one("figures", [cost.drawing(sizes[name], len(study.figures))])
        for name, study in config.studies.items()
        if study.figures
    }
    return drawn | _several("compare", [cost.comparing(size) for size in sizes.values()])


def _several(rule: str, costs: list[Cost]) -> dict[str, Job]:
    """Jobs of one rule that differ: seconds and disk are means, memory that of the largest."""
    if not costs:
        return {}
    total, count = cost.job(costs), len(costs)
    one = replace(total, seconds=cost.START_SECONDS + sum(c.seconds for c in costs) / count)
    return {rule: Job(rule, count, replace(one, disk=total.disk / count))}


def report(config: Config) -> str:
    """What a config takes, stage by stage, as a table to read before it is submitted."""
    jobs = list(plan(config).values())
    stages = list(dict.fromkeys(job.stage for job in jobs))
    rows = [_row(stage, [job for job in jobs if job.stage == stage], config) for stage in stages]
    rows.append(_row("total", jobs, config))
    head = ("stage", "jobs", "core-hours", "GPU-hours", "longest job", "memory", "disk")
    table = [head, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    lines = [
        "  ".join(
            text.ljust(width) if k == 0 else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    seconds = sum(job.count * job.cost.seconds for job in jobs)
    cores = os.cpu_count() or 1
    lines.append(f"\nOn the {cores} cores of this machine: about {_time(seconds / cores)}.")
    if any(config.device_for(job.task) == "cuda" for job in jobs):
        lines.append(
            f"A GPU is taken to be {GPU_SPEED:.0f} times as fast as a core (from 4 times, for one"
            " small network that is trained, to 360, for weights that are drawn)."
        )
    return "\n".join(lines)


def _row(name: str, jobs: list[Job], config: Config) -> tuple[str, ...]:
    core = gpu = 0.0
    for job in jobs:
        seconds = job.count * job.cost.seconds
        core += seconds
        if config.device_for(job.task) == "cuda":
            gpu += seconds
    return (
        name,
        str(sum(job.count for job in jobs)),
        f"{core / 3600:.3g}",
        f"{gpu / 3600:.3g}",
        _time(max((job.cost.seconds for job in jobs), default=0)),
        _size(max((job.cost.memory for job in jobs), default=0)),
        _size(sum(job.count * job.cost.disk for job in jobs)),
    )


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _size(mebibytes: float) -> str:
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.3g} GiB"
