"""Whether two folders of results hold the same numbers: ``same_numbers.py BEFORE AFTER``.

For a change that moves code and is to leave every result as it is. Compared are all variables of
netCDF files bit for bit, tables as CSV below their stamp, and figures pixel by pixel. Paths, stamps
and measured times may differ. Ends with status 1 where anything does, or is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

#: What measures time is another in each run.
TIMES = ("seconds.nc", "ntk_times.png")


def same(before: Path, after: Path) -> bool:
    """Whether two files hold the same."""
    if before.suffix == ".nc":
        with xr.open_dataset(before) as old, xr.open_dataset(after) as new:
            names = set(old.variables)
            return names == set(new.variables) and all(
                old[name].dims == new[name].dims
                and old[name].dtype == new[name].dtype
                and _bits(old[name].values) == _bits(new[name].values)
                for name in names
            )
    if before.suffix == ".png":
        old, new = plt.imread(before), plt.imread(after)
        return old.shape == new.shape and bool(np.all(old == new))
    lines = [[x for x in p.read_text().splitlines() if x[:1] != "#"] for p in (before, after)]
    return lines[0] == lines[1]


def _bits(values: np.ndarray):
    # Texts are objects, whose bytes are where they lie in memory.
    return values.tolist() if values.dtype == object else values.tobytes()


def main(before: Path, after: Path) -> int:
    """Print what differs, and how many files were compared."""
    files = {
        folder: {
            path.relative_to(folder)
            for path in folder.rglob("*")
            if path.suffix in (".nc", ".csv", ".png") and path.name not in TIMES
        }
        for folder in (before, after)
    }
    missing = files[before] ^ files[after]
    both = sorted(files[before] & files[after])
    differ = [file for file in both if not same(before / file, after / file)]
    for file in sorted(missing):
        print(f"only in one: {file}")
    for file in differ:
        print(f"differs: {file}")
    print(f"{len(both)} files compared, {len(differ)} differ, {len(missing)} stand in one alone")
    return 1 if differ or missing or not both else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: same_numbers.py BEFORE AFTER")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
