"""What Snakemake hands the workflow as its config, taken as a study.

=================================== ===========================================================
nothing                             the default study
``study``: a file, or a list        those files, read by our own reader, with the rest on top
no section (``inputs``, ...)        the default study with that on top
anything else                       a study that stands alone, as Snakemake has read it
=================================== ===========================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from finitewidth.config import yaml_reader
from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError, describe
from finitewidth.study.study_file import content, validate

#: The key that names the study file, or several of them.
STUDY = "study"
#: What a study is made of. Without any of them, a config only changes another.
SECTIONS = ("inputs", "ensembles", "data", "trained", "studies")
#: Names of files that stand for themselves, however Snakemake reads the value of a --config.
_PLAIN = re.compile(r"[\w./-]+\.ya?ml")


def read(config: Mapping, default: str | Path) -> tuple[dict, Config]:
    """What a run was given, as plain data and as the model.

    Parameters
    ----------
    config : mapping
        Snakemake's ``config``: what ``--configfile``, ``--config`` or a workflow that uses this one
        as a module say.
    default : path
        The file of the default study.

    Raises
    ------
    ConfigError
        In one sentence.
    """
    over = dict(config)
    files = over.pop(STUDY, None)
    if STUDY in config or not any(section in over for section in SECTIONS):
        given = content(_files(files) if STUDY in config else [default], as_written(over))
        return given, validate(given)
    given = plain(over)
    try:
        return given, validate(given)
    except ConfigError:
        # To Snakemake, a number within a --config key={...} is a text.
        again = as_written(given)
        if again == given:
            raise
    return again, validate(again)


def files_of(
    config: Mapping, configfiles: Sequence[str | Path], default: str | Path
) -> list[str | Path]:
    """The study files of what Snakemake hands over, which name the run (:mod:`runs`).

    ``configfiles`` are those that Snakemake has read itself.
    """
    files: list[str | Path] = [*configfiles]
    if STUDY in config:
        return [*_files(config[STUDY]), *files]
    return files if any(section in config for section in SECTIONS) else [default, *files]


def option(files: Iterable[str | Path]) -> str:
    """The ``key=value`` for ``--config`` that hands study files over, each by its whole name."""
    names = [str(Path(file).absolute()) for file in files]
    if len(names) == 1:
        (name,) = names
        return f"{STUDY}={name if _PLAIN.fullmatch(name) else _quoted(name)}"
    return f"{STUDY}=[{', '.join(map(_quoted, names))}]"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _files(files: Any) -> list[str]:
    names = files if isinstance(files, list) else [files]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError.at(STUDY, files, "the name of a study file, or a list of them")
    return names


def plain(config: Mapping) -> dict:
    """``config`` held to what our own reader takes: bounded, keys that are words, no odd values."""
    try:
        text = yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"the config cannot be read as plain data: {error}") from None
    held = yaml_reader.parse("the config that Snakemake has read", text)
    # What was written as a mapping is read as one.
    assert isinstance(held, dict)
    return held


def as_written(value: Any) -> Any:
    """``value`` with numbers, truth values and nulls where Snakemake has made texts of them."""
    if isinstance(value, Mapping):
        return {key: as_written(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_written(each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        again = yaml_reader.parse("--config", value)
    except ConfigError:
        return value
    return value if isinstance(again, str | list | dict) else again


def check_entry(entry: str) -> None:
    """Raise ``ConfigError`` where an entry of ``--config`` is not a key and its value."""
    key, equals, _ = entry.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w-]*\w", key):
        raise ConfigError(f"--config: given {describe(entry)}, allowed is key=value")
