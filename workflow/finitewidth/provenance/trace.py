"""Where an artifact came from: its ancestry back to the config, held against what is on disk."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finitewidth.core.errors import ConfigError
from finitewidth.core.files import MISSING, bounded_sha256, sha256, unreadable
from finitewidth.core.places import RESULTS, alone, at
from finitewidth.provenance import code, own_code
from finitewidth.provenance.artifacts import (
    SUFFIXES,
    ArtifactError,
    NoSamplesError,
    beside,
    check,
    read_shards,
    read_stamp,
)
from finitewidth.provenance.digests import canonical, digest_of_data, samples_digest
from finitewidth.provenance.projections import Part, parts
from finitewidth.study.runs import is_kept, kept_configs
from finitewidth.study.study_file import load


@dataclass
class Artifact:
    """A file, or a member's folder of samples, with what it says of itself.

    ``kind`` is ``artifact``, ``samples`` (a folder, whose ``inputs`` are its shards) or ``given``
    (a user's own file, or a download). ``problems`` are sentences without a subject.
    """

    path: str
    kind: str = "artifact"
    digest: str | None = None
    stamp: dict | None = None
    inputs: dict[str, str | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass
class Ancestry:
    """An artifact with all that it was made from.

    ``config`` is the study file that gives the artifact, None where none at hand does; ``problems``
    are the broken links, each a path and a sentence whose subject it is.
    """

    root: str
    artifacts: dict[str, Artifact]
    config: str | None
    problems: list[tuple[str, str]]
    #: Where the workflow writes the root, which may have been copied from there.
    target: str
    #: The folder of its run.
    place: str = RESULTS
    #: What the run was last given, where the artifact is of an earlier config; else "".
    later: str = ""


class Tracer:
    """Traces artifacts of one run, each file read once.

    Parameters
    ----------
    folder : path
        Where `results/` stands.
    configs : sequence of path, optional
        The study files among which the one is sought that gives an artifact: as a rule what the run
        kept in its `configs/`, and then what stands in the folder.
    root : str
        The run's own folder, from ``folder``. Paths of its results begin with it; in stamps they
        begin with `results/`, whatever the run.
    """

    def __init__(
        self,
        folder: str | Path = ".",
        configs: Sequence[str | Path] | None = None,
        root: str = RESULTS,
    ):
        self.folder, self.root = Path(folder), root
        found = _configs(self.folder, root) if configs is None else configs
        self.configs = [str(c) for c in found]
        self._artifacts: dict[str, Artifact] = {}
        self._match = functools.cache(self._matches)
        self._parts = functools.cache(_parts)

    def trace(self, path: str) -> Ancestry:
        """The ancestry of ``path``, relative to the folder.

        Raises ``ArtifactError`` where there is no such artifact to begin with.
        """
        root = self._artifacts[path] = self._read(path, at_least=True)
        if root.stamp is None and not root.inputs:
            raise ArtifactError(f"{path} {root.problems[0]}")
        found: dict[str, Artifact] = {}
        problems: list[tuple[str, str]] = []
        waiting: list[tuple[str, str | None, str]] = [(path, None, "")]
        while waiting:
            name, digest, by = waiting.pop()
            artifact = self._artifact(name)
            if digest and artifact.digest and digest != artifact.digest:
                sentence = f"is not what {by} was made from: its digest is another"
                problems.append((name, sentence))
            if name not in found:
                found[name] = artifact
                problems += [(name, problem) for problem in artifact.problems]
                waiting += [(k, v, name) for k, v in reversed(artifact.inputs.items())]
        config = self._config(found, path)
        if config is None:
            looked_at = ", ".join(self.configs) or "there is none"
            problems.append((path, f"is given by no config at hand ({looked_at})"))
        else:
            problems += [
                (name, f"was made from another config than {config}: {difference}")
                for name in found
                if (difference := self._match(name, config))
            ]
        target = self._target(root, config)
        return Ancestry(path, found, config, problems, target, self.root, self._later(config))

    def _later(self, config: str | None) -> str:
        """What the run was last given, if that is another config than the one of a file."""
        last = next(iter(kept_configs(self.folder / self.root)), None)
        of_a_run = config is not None and last is not None and is_kept(self.folder / config)
        name = str(last.relative_to(self.folder)) if last and of_a_run else ""
        return name if name != config else ""

    def _artifact(self, path: str) -> Artifact:
        if path not in self._artifacts:
            self._artifacts[path] = self._read(path)
        return self._artifacts[path]

    def _read(self, path: str, at_least: bool = False) -> Artifact:
        """Read a file; one outside `results` is a user's own, unless it has to be an artifact."""
        file = self.folder / path
        if not (path.startswith("results/") or os.path.lexists(file)):
            # Under a module's prefix, a user's own files keep their place.
            file = Path(path)
        # A stamp may name anything, also what has no end or cannot be a name.
        if os.path.isdir(file):
            return self._read_samples(path)
        if problem := unreadable(file):
            known = problem == MISSING or not os.path.lexists(file)
            return Artifact(
                path, problems=["is missing" if known else f"cannot be read: {problem}"]
            )
        results = path.startswith("results/") and file.name.endswith(SUFFIXES)
        if not (results or at_least):
            return Artifact(path, kind="given", digest=bounded_sha256(file))
        artifact = Artifact(path, digest=sha256(file))
        try:
            stamp = artifact.stamp = read_stamp(file)
        except ArtifactError:
            where = f" (that of a table stands in {beside(path)})"
            where = where if file.suffix == ".csv" else ""
            artifact.problems.append(f"holds no stamp of finitewidth that can be read{where}")
            return artifact
        artifact.inputs = {self._here(k): v for k, v in stamp["inputs"].items()}
        try:
            check(file)
        except ArtifactError as error:
            own = "was altered: its bytes do not have its own digest"
            other = f"is as good as what stands beside it, which was altered: {beside(path)}"
            blamed = getattr(error, "path", file)
            artifact.problems.append(own if blamed == file else other)
        if digest_of_data(stamp["config"]) != stamp["config_sha256"]:
            artifact.problems.append("has another part of the config than its stamp's digest says")
        artifact.problems += own_code.problems(stamp["code"]["modules"], self.folder)
        if changed := code.changed(stamp["code"]["modules"]):
            commit = stamp["code"]["commit"]
            artifact.problems.append(
                f"was computed by other code (commit {commit[:12]}) than stands here: of what it"
                f" used, {', '.join(changed)} {'is' if len(changed) == 1 else 'are'} not the same"
                f"{own_code.kept(stamp['code']['modules'], changed, self.folder)}"
            )
        return artifact

    def _here(self, path: str) -> str:
        """Where a file stands that a stamp names."""
        own = at(self.root, path)
        # A user's own file may be what another run has downloaded.
        elsewhere = own != path and not os.path.lexists(self.folder / own)
        return path if elsewhere and "/downloads/" in path else own

    def _read_samples(self, path: str) -> Artifact:
        artifact, shards = Artifact(path, kind="samples"), []
        try:
            for file, shard in read_shards(self.folder / path):
                artifact.inputs[f"{path}/{file.name}"] = None
                shards.append(shard)
        except NoSamplesError as error:
            # The shard itself is whole.
            artifact.inputs[f"{path}/{len(shards)}.nc"] = None
            artifact.problems.append(f"holds a file that is none of samples ({error.problem})")
            return artifact
        except ArtifactError:
            # The shard itself says what is wrong with it.
            artifact.inputs[f"{path}/{len(shards)}.nc"] = None
            return artifact
        try:
            artifact.digest = samples_digest(shards) if shards else None
            problem = None if shards else "holds no samples"
        except ValueError as error:
            problem = f"holds files that are not of one member ({error})"
        artifact.problems += [problem] if problem else []
        return artifact

    def _config(self, found: Mapping[str, Artifact], root: str) -> str | None:
        """Of the configs that give the root, the one that gives most of its ancestry."""
        fitting = [config for config in self.configs if self._match(root, config) == ""]
        each = {c: sum(self._match(name, c) == "" for name in found) for c in fitting}
        return max(each, key=each.__getitem__, default=None)

    def _matches(self, path: str, config: str) -> str:
        """What differs between the part of a config in a stamp and that of ``config``; "" if
        nothing."""
        artifact = self._artifacts[path]
        if artifact.stamp is None:
            return ""
        by_path, by_name = self._parts(self.folder / config)
        named, called = _name(artifact.stamp), alone(self.root, path)
        if path.startswith(f"{self.root}/") and by_path.get(called) != named:
            if called not in by_path:
                return "that one has no such artifact"
            return f"its stamp is that of {named}, not of {by_path[called]}"
        if named not in by_name:
            return f"that one has no {named}"
        return next(iter(differences(artifact.stamp["config"], by_name[named].config)), "")

    def _target(self, artifact: Artifact, config: str | None) -> str:
        inside = artifact.path.startswith(f"{RESULTS}/")
        if config is None or artifact.stamp is None or inside:
            return artifact.path
        _, by_name = self._parts(self.folder / config)
        paths = by_name[_name(artifact.stamp)].paths
        same_kind = [p for p in paths if Path(p).suffix == Path(artifact.path).suffix]
        return at(self.root, next(iter(same_kind), artifact.path))


def flattened(data: object, prefix: str = "") -> dict[str, str]:
    """Nested plain data as dotted keys with their values as JSON."""
    pairs: dict[str, object] = {}
    if isinstance(data, Mapping):
        pairs = {str(k): v for k, v in data.items()}
    elif isinstance(data, list | tuple) and any(isinstance(v, Mapping) for v in data):
        pairs = {str(k): v for k, v in enumerate(data)}
    if not pairs:
        return {prefix: canonical(data)}
    result: dict[str, str] = {}
    for key, value in pairs.items():
        result |= flattened(value, f"{prefix}.{key}" if prefix else key)
    return result


def differences(one: object, other: object) -> list[str]:
    """What differs between two pieces of plain data, a line a key: ``key: one | other``."""
    a, b = flattened(one), flattened(other)
    keys = [*a, *(key for key in b if key not in a)]
    return [
        f"{key}: {a.get(key, 'nothing')} | {b.get(key, 'nothing')}"
        for key in keys
        if a.get(key) != b.get(key)
    ]


def _configs(folder: Path, root: str) -> list[str]:
    """Study files at hand: those of the run, the last one first, then those that stand there."""
    files = [
        *kept_configs(folder / root),
        folder / "config.yaml",
        *sorted((folder / "config").glob("*.yaml")),
    ]
    return [str(file.relative_to(folder)) for file in files if file.is_file()]


def _name(stamp: Mapping) -> str:
    """What an artifact is, by rule and wildcards, in one spelling."""
    return " ".join([stamp["rule"], *(f"{k}={v}" for k, v in sorted(stamp["wildcards"].items()))])


def _parts(config: Path) -> tuple[dict[str, str], dict[str, Part]]:
    """Of every artifact of a config, its name by its path and its part by its name; none if the
    file is not a config."""
    try:
        study_file = load([config])
    except ConfigError:
        return {}, {}
    by_path: dict[str, str] = {}
    by_name: dict[str, Part] = {}
    for piece in parts(study_file):
        name = _name({"rule": piece.rule, "wildcards": piece.wildcards})
        by_name[name] = piece
        by_path |= dict.fromkeys(piece.paths, name)
    return by_path, by_name
