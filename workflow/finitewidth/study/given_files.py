"""The files that a study file names: told at the start of a run, before anything reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

from finitewidth.config.key_checks import check
from finitewidth.config.model import Config, Style
from finitewidth.config.model_trained import ArrayImages
from finitewidth.config.network import input_shape
from finitewidth.config.style_file import read_style
from finitewidth.core.errors import ConfigError
from finitewidth.core.files import MISSING, unreadable
from finitewidth.data.kinds import array
from finitewidth.data.targets import ArrayTargets
from finitewidth.models.block_shapes import TokenShape
from finitewidth.study.figure_checks import check_figures
from finitewidth.study.size_checks import check_size
from finitewidth.study.training_checks import check_trainings


def given_files(config: Config) -> Iterator[tuple[str, str]]:
    """Each file that a config names, with its dotted key."""
    for section in ("inputs", "data"):
        for name, spec in getattr(config, section).items():
            for key in ("file", "archive"):
                if file := getattr(spec, key, None):
                    yield f"{section}.{name}.{key}", file
            if file := getattr(getattr(spec, "targets", None), "file", None):
                yield f"{section}.{name}.targets.file", file
    yield from style_files(config).items()


def style_files(config: Config) -> dict[str, str]:
    """The style files that a config names, by their dotted keys."""
    styles: dict[str, Style | None] = {"style": config.style}
    styles |= {f"studies.{name}.style": study.style for name, study in config.studies.items()}
    return {f"{key}.file": s.file for key, s in styles.items() if s is not None and s.file}


def _is_download(place: Path, results: Path) -> bool:
    """Whether a path is that of what a run downloaded, whichever run it was."""
    root = place.parent.parent
    return place.parent.name == "downloads" and results in (root, root.parent.parent)


def check_given(config: Config, folder: str | Path = ".") -> None:
    """Raise ``ConfigError`` for the first file that no run in ``folder`` could read to its end.

    An archive that is not there is no fault yet: it may be fetched. Nor is what nothing uses. The
    rows of users' arrays are counted, and what follows from them is checked as if the study file
    had said it.
    """
    results = Path(os.path.realpath(os.path.join(folder, "results")))
    for key, file in given_files(config):
        path = os.path.join(folder, file)
        # What was downloaded before may be named as an archive, too.
        place = Path(os.path.realpath(path))
        within = place.is_relative_to(results) and not _is_download(place, results)
        if within:
            allowed = "a file outside results/, where runs write and tidy up"
            raise ConfigError.at(key, file, allowed)
        problem = unreadable(path)
        if problem not in (None, MISSING):
            raise ConfigError.at(key, file, f"a file that can be read ({problem})")
    for key, file in style_files(config).items():
        read_style(os.path.join(folder, file), key)
    used = {name for ensemble in config.ensembles.values() for name in ensemble.inputs}
    used |= {e.train.inputs for e in config.ensembles.values() if e.train is not None}
    for name in [t.data for t in config.trained.values()]:
        spec = config.data[name]
        if isinstance(spec, ArrayImages) and unreadable(os.path.join(folder, spec.file)) == MISSING:
            raise ConfigError.at(f"data.{name}.file", spec.file, "a file that exists")
    for name in used:
        of = config.inputs[name].targets
        if isinstance(of, ArrayTargets) and unreadable(os.path.join(folder, of.file)) == MISSING:
            raise ConfigError.at(f"inputs.{name}.targets.file", of.file, "a file that exists")
    counted, components = {}, {}
    for name, vectors in config.inputs.items():
        if isinstance(vectors, array.Inputs) and name in used:
            rows, components[name] = array.array_shape(
                f"inputs.{name}", vectors.model_dump(), folder
            )
            counted[name] = vectors.model_copy(update={"count": rows})
    if counted:
        known = config.model_copy(update={"inputs": config.inputs | counted})
        check(known)
        check_size(known)
        check_figures(known)
        check_trainings(known, of_files=True, folder=folder)
        _check_images(known, components)


def _check_images(config: Config, components: Mapping[str, int]) -> None:
    """Raise ``ConfigError`` for networks on images of other sizes than arrays have components."""
    for name, ensemble in config.ensembles.items():
        network = ensemble.network
        if network is None or network.input is None:
            continue
        shape = input_shape(network.input)
        assert shape is not None
        size = prod(shape.shape)
        for of in ensemble.inputs:
            if components.get(of, size) != size:
                is_sequence = isinstance(shape, TokenShape)
                kind, words = ("sequences", "tokens") if is_sequence else ("images", "positions")
                allowed = f"{words} and channels of {components[of]} numbers, as {of} has"
                path = f"ensembles.{name}.network.input"
                raise ConfigError.at(path, f"{kind} of {size} numbers", allowed)
