"""Reading study files: safe YAML, overrides on top, and one sentence where something is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from finitewidth.config import yaml_reader
from finitewidth.config.key_checks import check
from finitewidth.config.model import Config
from finitewidth.core.errors import ConfigError, describe, meant
from finitewidth.extensions.named import VARIABLE
from finitewidth.models import own_networks
from finitewidth.models.activations import table as activations
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, QUANTITIES
from finitewidth.study.figure_checks import check_figures
from finitewidth.study.size_checks import check_size
from finitewidth.study.training_checks import check_trainings

NAMES = "a name of at most 40 letters, digits and _ that starts with a letter"
#: What helps where a name is not known that an extension could have.
MORE = f"{VARIABLE} names extensions, which may have more: docs/extensions.md"
#: A word of each list that extensions may add to.
_EXTENDED = {*list(FAMILIES)[:1], *list(FIGURES)[:1], QUANTITIES[0]}
#: What pydantic calls the bounds that a number is beyond, and what we do.
_BOUNDS = {"le": "at most", "lt": "below"}
MAPPING = f"a mapping with the keys {', '.join(Config.model_fields)}"


class _NoAliases(yaml.SafeDumper):
    """Writes what stands in two places twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def read_yaml(path: str | Path) -> dict:
    """Read one YAML file, safely; a ``ConfigError`` in one sentence where it cannot be read."""
    content = yaml_reader.read(path)
    if not isinstance(content, dict):
        raise ConfigError(f"config file {path}: given {describe(content)}, allowed is {MAPPING}")
    return content


def merged(base: Mapping, over: Mapping) -> dict:
    """``base`` with the entries of ``over`` laid on top, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def overrides(entries: Iterable[str]) -> dict:
    """What ``--config key=value`` lays on top, each value read as in a study file.

    Snakemake's own reading makes texts of numbers within mappings.
    """
    result: dict = {}
    for entry in entries:
        key, _, value = entry.partition("=")
        result = merged(result, {key: yaml_reader.parse(f"--config {key}", value)})
    return result


def content(paths: Iterable[str | Path], over: Mapping | None = None) -> dict:
    """What study files say (a later one over an earlier one), with ``over`` on top."""
    result: dict = {}
    for path in paths:
        result = merged(result, read_yaml(path))
    return merged(result, over or {})


def load(paths: Iterable[str | Path], over: Mapping | None = None) -> Config:
    """Read study files as :func:`content` does, and validate.

    Raises
    ------
    ConfigError
        One sentence that names the key, what was given and what is allowed.
    """
    return validate(content(paths, over))


def kept(given: Mapping) -> tuple[str, str]:
    """What a run was given as a study file of its own: its name, from its digest, and its text."""
    text = yaml.dump(dict(given), Dumper=_NoAliases, sort_keys=True, allow_unicode=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml", text


def validate(content: Mapping) -> Config:
    """Build the model from plain data; raises as :func:`load` does."""
    if "__use_yte__" in content:
        allowed = "no such key, by which Snakemake would run what a file says (docs/security.md)"
        raise ConfigError.at("__use_yte__", content["__use_yte__"], allowed)
    try:
        config = Config.model_validate(dict(content)).scaled()
    except ValidationError as error:
        raise _sentence(error, content) from None
    check(config)
    check_size(config)
    check_figures(config)
    check_trainings(config, of_files=False)
    return config


def _sentence(error: ValidationError, content: Mapping) -> ConfigError:
    """The problem that names the deepest key: of a union's branches it is the one meant."""
    problems = [(_user_path(p, content), p) for p in error.errors()]
    top = problems[0][0][:2]
    path, problem = max((p for p in problems if p[0][:2] == top), key=lambda p: len(p[0]))
    if problem["type"] == "missing":
        # A key that is misspelt is missing, too.
        unknown = (p for p in problems if p[1]["type"] == "extra_forbidden")
        beside = (p for p in unknown if p[0][:-1] == path[:-1])
        path, problem = next((p for p in beside if meant(p[0][-1], path[-1:])), (path, problem))
    dotted = _dotted(path) or "(the whole file)"
    models, allowed = _allowed(path, content)
    given = problem["input"]
    if problem["type"] == "extra_forbidden":
        keys = list(models[0].model_fields)
        guess = f" ({m})" if (m := meant(path[-1], keys)) else ""
        allowed = ", ".join(keys)
        return ConfigError(
            f"config key {dotted}: given an unknown key{guess}, allowed are {allowed}"
        )
    if problem["type"] == "missing":
        return ConfigError(f"config key {dotted}: given nothing, allowed is {allowed}")
    if problem["type"].startswith("union_tag"):
        kind = given.get("kind") if isinstance(given, Mapping) else given
        return ConfigError.of_words(
            f"{dotted}.kind", kind, _kinds(models), MORE if path[0] == "inputs" else ""
        )
    if problem["loc"][-1:] == ("[key]",):
        return ConfigError.at(_dotted(path[:-1]) or "(the whole file)", path[-1], NAMES)
    reason = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else ""
    if reason.startswith("unknown activation"):
        return ConfigError.of_words(dotted, given, activations.names(), MORE)
    if reason.startswith("unknown network") and not own_networks.TABLE:
        allowed = f"a network of an extension, and {VARIABLE} names none (docs/own-networks.md)"
        return ConfigError.at(dotted, given, allowed)
    if reason.startswith("unknown network"):
        return ConfigError.of_words(dotted, given, own_networks.TABLE, MORE)
    # Of a list and of each word in it.
    there = [each for p, each in problems if p == path]
    words = [word for each in there for word in _words(each)]
    guesses = [m for each in there if (m := meant(each["input"], words))]
    more = [MORE] if any(set(_words(p)) & _EXTENDED for p in there) else []
    guess = f" ({', '.join([*guesses[:1], *more])})" if guesses or more else ""
    allowed = _limit(there, allowed) + (allowed or problem["msg"])
    sentence = ConfigError(
        f"config key {dotted}: given {describe(given)}{guess}, allowed is {allowed}"
    )
    if reason and not reason.startswith("unknown"):
        return ConfigError(f"{sentence} ({reason})")
    return sentence


def _limit(problems: Iterable[Mapping], allowed: str) -> str:
    """Below what a number has to be, of one beyond it, where the words for its key do not say."""
    for problem in problems:
        for bound, words in _BOUNDS.items():
            if (limit := problem.get("ctx", {}).get(bound)) is not None:
                number = f"{limit:g}".replace("e+0", "e").replace("e+", "e")
                told = number in allowed or str(limit) in allowed
                return "" if told else f"{words} {number}: "
    return ""


def _words(problem: Mapping) -> list[str]:
    """The words that would have been allowed in place of what pydantic did not take."""
    if problem["type"] != "literal_error":
        return []
    return re.findall(r"'([^']*)'", problem["ctx"]["expected"])


def _dotted(path: list[str]) -> str:
    return ".".join(part if len(part) <= 40 else f"{part[:37]}..." for part in path)


def _user_path(problem: Mapping, content: Any) -> list[str]:
    """The user's own keys in pydantic's location, which also names list places and branches."""
    path: list[str] = []
    branch = False  # whether the last part named the branch that a mapping's kind chooses
    for part in problem["loc"]:
        if not branch and isinstance(content, Mapping) and part == content.get("kind"):
            # A branch may be called what a key is.
            branch = True
            continue
        branch = False
        if isinstance(content, Mapping) and part in content:
            path.append(str(part))
            content = content[part]
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
    if problem["type"] == "missing":
        path.append(str(problem["loc"][-1]))
    return path


def _allowed(path: list[str], content: Any) -> tuple[list[type[BaseModel]], str]:
    """The models that the last key may belong to, and what their description allows there."""
    models: list[type[BaseModel]] = [Config]
    allowed = MAPPING
    named = False  # whether the next key is a name that the user gave
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
        if not named:
            field = next((m.model_fields[key] for m in models if key in m.model_fields), None)
            if field is None:
                break
            allowed, named = field.description or "", get_origin(field.annotation) is dict
            inner = _models(field.annotation)
        else:
            named = False
        if not named and inner:
            kind = content.get("kind") if isinstance(content, Mapping) else None
            models = [m for m in inner if kind in _kinds([m])] or inner
    return models, allowed


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every model that stands in an annotation: of a field, a union or a mapping's values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _kinds(models: list[type[BaseModel]]) -> list[str]:
    """What the key ``kind`` calls them."""
    return [m.model_fields["kind"].description or "" for m in models if "kind" in m.model_fields]
