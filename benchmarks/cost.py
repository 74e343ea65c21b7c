"""Hold the model of what jobs cost against the logs of finished runs, and fit its prices to them.

    snakemake --cores 1 --configfile benchmarks/cost.yaml --directory RUN
    python benchmarks/cost.py benchmarks/cost.yaml RUN [config.yaml RUN2 ...] [--fit]

Logs tell the processor seconds of each member and the memory of each job.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from finitewidth.planning import cost, trained_cost
from finitewidth.planning.members import batches, input_count
from finitewidth.planning.plan import plan
from finitewidth.planning.trained_members import trained_batches
from finitewidth.study.study_file import load

_LINE = re.compile(r"\S+ \S+ ([\d.]+) s: (.*)")


def read_log(path: Path) -> tuple[list[tuple[float, str]], float | None]:
    """(processor seconds, text) of each line, and the memory in MiB that a finished job reports."""
    lines = [m.groups() for m in map(_LINE.match, path.read_text().splitlines()) if m]
    lines = [(float(seconds), text) for seconds, text in lines]
    done = re.search(r"(\d+) MiB at most", lines[-1][1]) if lines else None
    return lines, float(done[1]) if done else None


def read_stage(folder: Path, stage: str, names: set[str]) -> dict[str, float]:
    """Processor seconds of each member, all shards together, whichever jobs it was part of."""
    found: dict[str, float] = defaultdict(float)
    for path in (folder / f"results/logs/{stage}").rglob("*.log"):
        lines, _ = read_log(path)
        starts = [(s, text.split(":")[0]) for s, text in lines if text.split(":")[0] in names]
        for (begin, name), (end, _) in pairwise([*starts, lines[-1]]):
            found[name] += end - begin
    return found


def measured(config, folder: Path):
    """(stage, member, its inputs or data, seconds) for every member."""
    random = {f"{m.ensemble}, {m.name}": m for b in batches(config) for m in b.members}
    trained = {f"{m.ensemble}, {m.name}": m for b in trained_batches(config) for m in b.members}
    for stage in ("sample", "estimate", "theory"):
        for name, seconds in read_stage(folder, stage, {*random}).items():
            m = random[name]
            yield stage, m, input_count(config, m), seconds
    for stage in ("train", "measure", "generate"):
        for name, seconds in read_stage(folder, stage, {*trained}).items():
            m = trained[name]
            yield stage, m, config.data[m.data], seconds


def features(stage: str, m, about) -> tuple[str, dict[str, float], dict[str, float]]:
    """A kind of work, the counts of what costs in it, and their present prices."""
    if stage in ("train", "measure", "generate"):
        return stage, trained_cost.counts(stage, m, about), trained_cost.PRICES[stage]
    kind = cost.kind(stage, m)
    counts = cost.counts(stage, m, about, m.networks)
    return f"{stage} {kind}", counts, cost.PRICES[stage][kind]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="CONFIG RUN")
    parser.add_argument("--fit", action="store_true", help="print prices fitted to these runs")
    parser.add_argument("--all", action="store_true", help="print every member")
    options = parser.parse_args()
    rows = defaultdict(list)
    for path, folder in zip(options.runs[::2], options.runs[1::2], strict=True):
        config = load([path])
        for stage, m, about, seconds in measured(config, Path(folder)):
            name, counts, prices = features(stage, m, about)
            rows[name].append((f"{m.ensemble}, {m.name}", counts, prices, seconds))
        if not options.fit:
            jobs_of(config, Path(folder))
    for name, members in sorted(rows.items()):
        show(name, members, options)


def show(name: str, members, options) -> None:
    predicted = [
        1e-9 * sum(p * counts[k] for k, p in prices.items()) for _, counts, prices, _ in members
    ]
    taken = [seconds for *_, seconds in members]
    dear = [
        (p / t, who) for p, t, (who, *_) in zip(predicted, taken, members, strict=True) if t > 0.2
    ]
    line = f"{name:24} {len(members):4} members"
    line += f", predicted {sum(predicted):7.1f} s, took {sum(taken):7.1f} s"
    if dear:
        line += (
            f", ratios {min(dear)[0]:.2f} ({min(dear)[1]}) to {max(dear)[0]:.2f} ({max(dear)[1]})"
        )
    print(line)
    if options.all:
        for (who, *_), p, t in zip(members, predicted, taken, strict=True):
            print(f"    {who:60} {p:8.2f} {t:8.2f}")
    if options.fit:
        names = list(members[0][2])
        used = [row for row in members if row[-1] > 0.02]
        # Relative errors count: a factor of two is as bad for a cheap member as for a dear one.
        weight = np.array([1 / (row[-1] + 0.05) for row in used])
        table = np.array([[row[1][k] for k in names] for row in used]) * weight[:, None]
        prices, _ = nnls(table * 1e-9, np.array([row[-1] for row in used]) * weight)
        print("   ", {k: float(f"{p:.3g}") for k, p in zip(names, prices, strict=True) if p})


def jobs_of(config, folder: Path) -> None:
    """Each stage: what the plan says of its jobs, against what they took."""
    table = defaultdict(lambda: [0, 0.0, 0.0, 0.0, 9.9, 0.0])
    for rule, job in plan(config).items():
        stage, _, name = rule.partition("_")
        paths = list((folder / f"results/logs/{stage}").rglob(f"{name or '*'}.log"))
        for path in paths or (folder / f"results/logs/{stage}/{name}").glob("*.log"):
            lines, memory = read_log(path)
            if memory is None:
                continue
            row = table[stage]
            row[0] += 1
            row[1] += job.cost.seconds
            row[2] += lines[-1][0]
            row[3] = max(row[3], memory)
            row[4] = min(row[4], job.cost.memory / memory)
            row[5] = max(row[5], job.cost.memory / memory)
    for stage, (count, planned, took, memory, low, high) in table.items():
        print(
            f"{stage:10} {count:4} jobs, planned {planned:7.1f} s, took {took:7.1f} s;"
            f" at most {memory:5.0f} MiB, planned {low:.2f} to {high:.2f} of what each took"
        )


if __name__ == "__main__":
    main()
