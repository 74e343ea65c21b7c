"""Whether two runs of a study that drew other random numbers tell the same, in standard errors.

    python benchmarks/other_numbers.py BEFORE AFTER

For a change of how numbers are drawn. Each estimate in the tables of both folders of results is a
difference over its standard error, d = (after - before)/sqrt(se_before^2 + se_after^2), where both
are trusted: over independent runs these have mean 0 and spread 1. Estimates of one member share
their networks, so that the error of the mean takes a member's as one; what did not change is left
aside. Ends with status 1 where a mean is more than 5 of its errors off, or a difference is beyond
what chance gives once in 10,000 comparisons of that many.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.stats import norm

#: Columns that say which number a row is of. A row for each order of theory repeats the estimate.
_NUMBERS = ("theory", "estimate", "standard_error", "z", "relative_difference", "neglected")
_WORDS = ("order", "holds", "trusted", "reason", "estimator", "equation")
#: And those that tell which number of a member it is.
_PLACE = ("quantity", "layer", "inputs", "component")


def table(path: Path) -> dict[tuple, tuple[tuple, float, float, bool]]:
    """By what a number is: its member, value, standard error, and whether it is trusted."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found = {}
    for row in csv.DictReader(lines):
        key = tuple(v for k, v in row.items() if k not in _NUMBERS + _WORDS)
        member = tuple(v for k, v in row.items() if k not in _NUMBERS + _WORDS + _PLACE)
        value, error = (float(row[k] or "nan") for k in ("estimate", "standard_error"))
        found[key] = member, value, error, row["trusted"] == "True"
    return found


def differences(before: Path, after: Path) -> tuple[np.ndarray, list[tuple], int]:
    """d of each number of one table that changed, its member, and how many did not change."""
    old, new = table(before), table(after)
    d, members, same = [], [], 0
    for key in old.keys() & new.keys():
        (member, a, error_a, trusted_a), (_, b, error_b, trusted_b) = old[key], new[key]
        if a == b:
            same += 1
            continue
        error = np.hypot(error_a, error_b)
        if trusted_a and trusted_b and error > 0 and np.isfinite(a + b):
            d.append((b - a) / error)
            members.append(member)
    return np.array(d), members, same


def line(name: str, d: np.ndarray, members: list[tuple], same: int) -> bool:
    """Print what is to be said of some differences; whether they are as chance has them."""
    if not len(d):
        print(f"| {name} | 0 | {same} | | | | | |")
        return True
    sums: dict[tuple, float] = {}
    for member, value in zip(members, d, strict=True):
        sums[member] = sums.get(member, 0.0) + value
    error = np.sqrt(sum(value**2 for value in sums.values())) / len(d)
    beyond = " | ".join(f"{100 * np.mean(np.abs(d) > k):.1f} %" for k in (2, 3))
    most = np.abs(d).max()
    print(
        f"| {name} | {len(d)} | {same} | {d.mean():+.2f} ± {error:.2f} | {d.std():.2f} |"
        f" {beyond} | {most:.1f} |"
    )
    return abs(d.mean()) < 5 * error and most < norm.isf(1e-4 / 2 / len(d))


def main(before: Path, after: Path) -> int:
    """Print a table by study, and all together."""
    print("| study | changed | same | mean | spread | beyond 2 | beyond 3 | largest |")
    print("|---|---|---|---|---|---|---|---|")
    every, all_members, all_same, good = [], [], 0, True
    for path in sorted(before.glob("studies/*/comparison.csv")):
        other = after / path.relative_to(before)
        if not other.exists():
            print(f"| {path.parent.name} | not there | | | | | | |")
            good = False
            continue
        d, members, same = differences(path, other)
        good &= line(path.parent.name, d, members, same)
        every.append(d)
        all_members += members
        all_same += same
    if not every:
        print("there is no table to compare", file=sys.stderr)
        return 1
    good &= line("all", np.concatenate(every), all_members, all_same)
    print("\n4.6 % are beyond 2 and 0.3 % beyond 3 where errors are right.")
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: other_numbers.py BEFORE AFTER")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
