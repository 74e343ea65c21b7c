"""How many random valid studies run to their end, tables and figures, in one process.

Studies are drawn by ``tests/random_studies.py`` and run by ``tests/whole_runs.py``: all
activations, samplers, measures, estimates and figures, with inputs that coincide, are opposite or
are zero. The table of what was run, and of every fault, is written beside this file.

    python benchmarks/calibrate/studies.py
"""

from __future__ import annotations

import argparse
import collections
import datetime
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "tests"))

from random_studies import KINDS, accepted, drawn  # noqa: E402
from whole_runs import MOST, run  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seed", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3600, help="after which no other begins")
    parser.add_argument("--output", type=Path, default=HERE.with_suffix(".md"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    start = time.monotonic()
    count = collections.Counter()
    faults: dict[str, list[int]] = collections.defaultdict(list)
    for seed in range(arguments.seed, arguments.seed + arguments.studies):
        if time.monotonic() - start > arguments.seconds:
            break
        count["drawn"] += 1
        with tempfile.TemporaryDirectory() as folder:
            content = drawn(seed, Path(folder))
            config, _ = accepted(content, Path(folder))
            if config is None:
                continue
            found = run(config, Path(folder))
        count["accepted"] += 1
        count["figures"] += len(config.studies["s"].figures or [])
        count["without a fault"] += not found.faults
        if found.rows is not None:
            held = found.rows[found.rows["holds"].astype(bool) & (found.rows["order"] == "exact")]
            count["rows"] += len(found.rows)
            count["rows held against exact theory"] += len(held)
            count["of these beyond 4"] += int((held["z"].abs() > 4).sum())
        for where, what in found.faults:
            kind = where if where.startswith(("figure", "table", "estimates")) else "a member"
            faults[f"{kind}: {re.sub(r'[|]', '/', what)[:160]}"].append(seed)
    arguments.output.write_text(_table(arguments, count, faults, time.monotonic() - start))
    print(arguments.output.read_text())


def _table(arguments, count, faults, seconds: float) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE.parent
    ).stdout.strip()
    lines = [
        "# Random valid studies, run to their end",
        "",
        f"`python benchmarks/calibrate/studies.py --studies {arguments.studies} --seed"
        f" {arguments.seed}`, {datetime.date.today()}, commit {commit}, {seconds:.0f} s of one"
        f" core. Kinds: {', '.join(KINDS)}. A fault is an exception, a figure that is not drawn, a"
        " number without an error or a reason, a negative error, or a trusted number more than"
        f" {MOST:g} standard errors from exact theory.",
        "",
        "| what | how many |",
        "| --- | --- |",
        *(f"| {what} | {number} |" for what, number in count.items()),
        "",
    ]
    if faults:
        lines += ["| fault | studies | seeds |", "| --- | --- | --- |"]
        lines += [
            f"| {what} | {len(seeds)} | {', '.join(map(str, seeds[:4]))} |"
            for what, seeds in sorted(faults.items(), key=lambda item: -len(item[1]))
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
