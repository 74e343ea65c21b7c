"""Copies of extensions: each by the digest of its files, so that no edit changes one.

A run keeps them in ``extensions`` of its folder, and its jobs run one of its own, whatever becomes
of the file that was named.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from finitewidth.core.files import replacing
from finitewidth.core.places import RESULTS
from finitewidth.extensions.named import Extension, name_again, named

#: Where a run keeps the extensions that it used, by what that is called in `results/` itself.
KEPT = "results/extensions"


def paths(one: Extension) -> list[str]:
    """Where the files of an extension stand below a folder of copies."""
    return [f"{one.digest}/{name}" for name in one.files]


def copy(one: Extension, folder: str | Path) -> Path:
    """Copy an extension into a folder of copies, where it is not there; the file of the copy."""
    digest = one.digest
    for name, file in one.files.items():
        target = Path(folder) / digest / name
        if not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(file, temporary)
    return Path(folder) / digest / one.name


def hand_on_copies(folder: str | Path) -> None:
    """Let processes that are started from now on run copies in ``folder``.

    So a job runs what its stamp says, also where the file is edited meanwhile, on another machine
    that shares the folder, or in an environment that does not have the distribution.
    """
    if each := named():
        name_again([copy(one, folder).absolute() for one in each])


def copies(name: str, folder: str | Path) -> Iterable[Path]:
    """Files at which runs in ``folder`` have kept an extension of this name."""
    found = Path(folder, RESULTS).glob(f"runs/*/extensions/*/{name}")
    return sorted([*Path(folder, KEPT).glob(f"*/{name}"), *found])
