"""What lies in a run's folder that its last config does not make: left there by an earlier one.

Nothing that a run has made is deleted unless somebody asks for it, so an edited study file leaves
members and figures of before beside its own. What a run was last given stands in its ``configs/``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError
from finitewidth.core.places import STAGES, at
from finitewidth.provenance.artifacts import SUFFIXES, ArtifactError, read_stamp
from finitewidth.provenance.projections import Part, parts
from finitewidth.study.runs import kept_configs
from finitewidth.study.study_file import load


@dataclass(frozen=True)
class LastConfig:
    """What a run was last given: the file that it kept, and what that says."""

    file: Path
    config: Config

    @classmethod
    def of(cls, root: str | Path) -> LastConfig | None:
        """That of the run in the folder ``root``; None where it kept none that can be read, as one
        with an extension that is not named now."""
        try:
            return cls.read(root)
        except ConfigError:
            return None

    @classmethod
    def read(cls, root: str | Path) -> LastConfig | None:
        """The same; raises ``ConfigError`` where it cannot be read."""
        file = next(iter(kept_configs(root)), None)
        return None if file is None else cls(file, load([file]))

    def parts(self, root: str | Path) -> dict[Path, Part]:
        """Every file that it makes in the folder ``root``, with its part of the config."""
        return {Path(at(str(root), p)): one for one in parts(self.config) for p in one.paths}


def leftovers(root: str | Path) -> list[Path]:
    """Files of results below a run's folder that its last config does not make.

    Only what carries a stamp of this library counts: whatever else lies there is a person's own.

    Raises
    ------
    ArtifactError
        In one sentence, where the folder is none of a run.
    ConfigError
        In one sentence, where the run's last config cannot be read, as without an extension that it
        names.
    """
    last = LastConfig.read(root)
    if last is None:
        raise ArtifactError(
            f"{root} holds no config of a run, allowed is the folder of a run, as results or"
            " results/runs/NAME"
        )
    made = last.parts(root)
    found = (file for stage in STAGES for file in _files(Path(root, stage)))
    return [file for file in found if file not in made and _is_stamped(file)]


def shown(path: str | Path) -> str:
    """A path as a person here would write it: from the folder that this process works in."""
    here = os.path.relpath(path)
    return str(path) if here.startswith(os.pardir) else here


def delete(files: Iterable[Path], root: str | Path) -> None:
    """Delete files below a run's folder, and the folders that are empty without them."""
    for file in files:
        file.unlink()
        for folder in file.parents:
            if folder == Path(root) or next(folder.iterdir(), None) is not None:
                break
            folder.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    """What could be a file of results, in the order of names; no link is followed."""
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(where, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and not file.is_symlink():
                yield file


def _is_stamped(file: Path) -> bool:
    try:
        read_stamp(file)
    except ArtifactError:
        return False
    return True
