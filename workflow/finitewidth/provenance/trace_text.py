"""Ancestries as people read them: a tree, its broken links, and what differs between two."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from finitewidth.core.errors import visible
from finitewidth.core.places import alone
from finitewidth.provenance.digests import OWN
from finitewidth.provenance.trace import Ancestry, Artifact, differences, flattened

#: Keys of a part of the config that a tree shows; `--json` has them all.
_SHOWN = 12
#: Characters of a value that it shows.
_LONG = 300
#: How many shards of a member a tree shows if nothing is wrong with any of them.
_SHARDS = 1


def as_data(ancestry: Ancestry) -> dict:
    """All of it as plain data, for ``--json``."""
    return {
        "root": ancestry.root,
        "config": ancestry.config,
        "later_config": ancestry.later or None,
        "whole": not ancestry.problems,
        "problems": [{"path": path, "problem": problem} for path, problem in ancestry.problems],
        "artifacts": {
            path: {
                "kind": a.kind,
                "sha256": a.digest,
                **(a.stamp or {}),
                "seed": (a.stamp or {}).get("config", {}).get("seed"),
                "inputs": a.inputs,
                "problems": a.problems,
            }
            for path, a in ancestry.artifacts.items()
        },
    }


def tree(ancestry: Ancestry) -> str:
    """The ancestry as a tree, what is at its end last: the config, and what is broken."""
    # Stamps are other people's text.
    lines = [visible(line) for line in _branches(ancestry)]
    later = f" (an earlier one: the run was last given {ancestry.later})" if ancestry.later else ""
    lines.append(f"config {ancestry.config}{later}" if ancestry.config else "config not found")
    files = sum(a.kind != "samples" for a in ancestry.artifacts.values())
    return "\n".join([*lines, *verdict(files, ancestry.problems)])


def verdict(files: int, problems: Iterable[tuple[str, str]]) -> list[str]:
    """One line if every link of so many files holds, else those of :func:`broken`."""
    count = "1 file" if files == 1 else f"{files} files, each"
    whole = f"whole: {count} as it was written, by the code that stands here"
    return broken(problems) or [whole]


def of_earlier(files: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each config that a run was last given after files were made of an earlier one."""
    return [
        visible(
            f"of an earlier config: {first}{f' (as {len(more)} more)' if more else ''}; the run was"
            f" last given {last}"
        )
        for last, (first, *more) in files.items()
    ]


def broken(problems: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each kind of broken link; files that share one are counted."""
    by_sentence: dict[str, list[str]] = {}
    for path, sentence in problems:
        by_sentence.setdefault(sentence, []).append(path)
    lines = []
    for sentence, (first, *more) in by_sentence.items():
        others = f" (as {len(more)} more)" if more else ""
        lines.append(visible(f"BROKEN: {first} {sentence}{others}"))
    return lines


def _branches(ancestry: Ancestry) -> Iterator[str]:
    """The lines of the tree. What comes next stands last in a list: chains may be long."""
    waiting, shown = [(ancestry.root, "", "")], set()
    while waiting:
        path, first, rest = waiting.pop()
        if path in shown:
            yield f"{first}{path} (above)"
            continue
        shown.add(path)
        yield f"{first}{path}"
        artifact = ancestry.artifacts[path]
        inputs = list(artifact.inputs)
        if artifact.kind == "samples" and not any(ancestry.artifacts[i].problems for i in inputs):
            inputs = inputs[:_SHARDS]
        bar = "│   " if inputs else "    "
        for line in _about(artifact, len(artifact.inputs) - len(inputs)):
            yield f"{rest}{bar}{line}"
        for name in reversed(inputs):
            last = name == inputs[-1]
            corner, space = ("└── ", "    ") if last else ("├── ", "│   ")
            waiting.append((name, rest + corner, rest + space))


def _about(artifact: Artifact, left_out: int) -> Iterator[str]:
    for problem in artifact.problems:
        yield f"BROKEN: it {problem}"
    if artifact.kind == "given":
        yield f"given, SHA-256 {artifact.digest}"
    if artifact.kind == "samples":
        count = len(artifact.inputs)
        more = f", of which {left_out} not shown" if left_out else ""
        yield f"samples in {count} file{'s' if count > 1 else ''}{more}"
    if not artifact.stamp:
        return
    stamp, made = artifact.stamp, artifact.stamp["code"]
    wildcards = [f"{k}={v}" for k, v in stamp["wildcards"].items()]
    yield " ".join(["rule", stamp["rule"], *wildcards])
    # What stands on top of a part says most of it; the members of a study come last.
    keys = sorted(flattened(stamp["config"]).items(), key=lambda pair: pair[0].count("."))
    pairs = [f"{k}={v}" if len(v) <= _LONG else f"{k}={v[:_LONG]}…" for k, v in keys[: _SHOWN + 1]]
    rest = [f"… {len(keys) - _SHOWN} more keys"] if len(keys) > _SHOWN else []
    text = f"config {stamp['config_sha256'][:12]}: {' '.join([*pairs[:_SHOWN], *rest])}"
    yield from textwrap.wrap(text, 100, subsequent_indent="  ", break_on_hyphens=False)
    if "seed" in stamp["config"]:
        yield f"seed {stamp['config']['seed']}, device {stamp['device']}"
    changed = " with changes" if made["dirty"] == "yes" else ""
    yield (
        f"code {made['sha256'][:12]} ({len(made['modules'])} modules) of version"
        f" {made['version']}, commit {made['commit'][:12]}{changed}"
    )
    yield f"packages {', '.join(f'{k} {v}' for k, v in stamp['packages'].items())}"


def compared(one: Ancestry, other: Ancestry) -> list[str]:
    """What differs between two ancestries: for each artifact a heading, and a line a difference.

    Inputs of the same path are compared with each other, what is left rule by rule in their order.
    """
    lines: list[str] = []
    waiting, seen = [(one.root, other.root)], set()
    while waiting:
        pair = waiting.pop()
        if pair in seen:
            continue
        seen.add(pair)
        a, b = one.artifacts[pair[0]], other.artifacts[pair[1]]
        # The bytes of a table do not hold its stamp.
        if a.digest == b.digest and a.digest is not None and a.stamp == b.stamp:
            continue
        different = differences(_own(a), _own(b))
        pairs, only = _paired(a, b, one, other)
        if not (different or only) and _inputs(a, one) == _inputs(b, other):
            only = ["other content, though made in the same way"]
        if different or only:
            lines.append(pair[0] if pair[0] == pair[1] else " | ".join(pair))
        lines += [f"    {line}" for line in [*different, *only]]
        waiting += reversed(pairs)
    return [visible(line) for line in lines]


def _inputs(artifact: Artifact, ancestry: Ancestry) -> dict:
    """What an artifact was made from, by what it is called in any run."""
    return {alone(ancestry.place, name): digest for name, digest in artifact.inputs.items()}


def _own(artifact: Artifact) -> dict:
    """What a stamp says but for digests of what is compared by itself."""
    left_out = ("config_sha256", "inputs", OWN)
    stamp = {k: v for k, v in (artifact.stamp or {}).items() if k not in left_out}
    if "code" in stamp:
        stamp["code"] = {k: v for k, v in stamp["code"].items() if k != "sha256"}
    return stamp


def _paired(
    a: Artifact, b: Artifact, one: Ancestry, other: Ancestry
) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of inputs to compare, and a line for each that has no partner."""
    # Of two runs, what has the same place in the folders of both.
    same = dict(zip(_inputs(b, other), b.inputs, strict=True))
    called = dict(zip(a.inputs, map(same.get, _inputs(a, one)), strict=True))
    shared = [(name, match) for name, match in called.items() if match]
    left = [name for name, match in called.items() if not match]
    taken_already = set(called.values())
    right = [name for name in b.inputs if name not in taken_already]

    def role(ancestry: Ancestry, name: str) -> str:
        artifact = ancestry.artifacts[name]
        return artifact.stamp["rule"] if artifact.stamp else artifact.kind

    partners: dict[str, list[str]] = {}
    for name in reversed(right):
        partners.setdefault(role(other, name), []).append(name)
    alone = []
    for name in left:
        if found := partners.get(role(one, name)):
            shared.append((name, found.pop()))
        else:
            alone.append(name)
    taken = {match for _, match in shared}
    only = [f"made from {name} | nothing like it" for name in alone]
    right = [name for name in right if name not in taken]
    return shared, only + [f"nothing like it | made from {name}" for name in right]
