"""YAML as a study file may have it: plain data, of bounded size, each number as it looks.

Beyond PyYAML's own safe loader, what a file would have a reader misunderstand is refused, too: keys
that stand twice, whole numbers that YAML 1.1 reads in base 8 or 60. Anchors, aliases and merge keys
are fine as long as what they stand for is not endless.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from finitewidth.core.errors import ConfigError, describe, one_line
from finitewidth.core.files import unreadable

#: Bytes of a file, values in it with every alias written out, and how deep they may be nested.
LARGEST, MOST, DEEPEST = 500_000, 100_000, 40
#: What a plain word is not taken for: dates, which a study file has none of, and the value "=".
_UNUSED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_STRING, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9_]{0,99})")
#: Control characters, but for the ends of lines and tabs; and halves of characters.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def read(path: str | Path) -> object:
    """What one YAML file holds: mappings, lists, text, numbers, booleans and None.

    Raises
    ------
    ConfigError
        In one sentence, with the line where that is known.
    """
    name = f"config file {one_line(str(path))}"
    return parse(name, _text(name, Path(path)))


def parse(name: str, text: str) -> object:
    """What YAML text holds, which sentences call ``name``; raises as :func:`read` does."""
    loader = None
    try:
        loader = _Loader(name, text)
        return loader.get_single_data()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"the character U+{error.character:04X}"
        raise ConfigError(f"{name} line {line}: given {character}, allowed is text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name} line {mark.line + 1}" if mark else name
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{where} cannot be read as YAML: {said}") from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read as YAML: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _text(name: str, path: Path) -> str:
    try:
        if problem := unreadable(path):
            raise OSError(0, problem)
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name} cannot be read: {said}") from None
    if len(content) > LARGEST:
        raise ConfigError(f"{name} cannot be read: given more than {LARGEST} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name} line {line} cannot be read: it is not UTF-8") from None


class _Loader(yaml.SafeLoader):
    """Refuses while it composes, when the line is known and nothing has been made of it yet."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNUSED]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.depth = 0
        # Of each node that is complete, with aliases written out.
        self.sizes: dict[yaml.Node, int] = {}

    def refuse(self, mark: yaml.Mark, given: str, allowed: str) -> ConfigError:
        return ConfigError(f"{self.name} line {mark.line + 1}: given {given}, allowed {allowed}")

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        event = self.peek_event()
        mark = event.start_mark
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refuse(mark, f"{self.depth} levels", f"are {DEEPEST}")
        if getattr(event, "tag", None):
            given = f"the tag {describe(event.tag)}"
            raise self.refuse(mark, given, "are values without tags")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self.sizes:
                raise self.refuse(mark, "an alias within what it stands for", "is one after it")
        elif isinstance(node, yaml.ScalarNode):
            self.check_scalar(node)
            self.sizes[node] = 1
        else:
            self.sizes[node] = 1 + self.size_within(node)
        if self.sizes[node] > MOST:
            given = "aliases that stand for" if self.anchors else "a list or mapping of"
            raise self.refuse(mark, f"{given} {self.sizes[node]:.3g} values", f"are {MOST}")
        return node

    def size_within(self, node: yaml.CollectionNode) -> int:
        if isinstance(node, yaml.SequenceNode):
            return sum(self.sizes[item] for item in node.value)
        self.check_keys(node)
        return sum(self.sizes[key] + self.sizes[value] for key, value in node.value)

    def check_keys(self, node: yaml.MappingNode) -> None:
        """PyYAML keeps the last of two equal keys in silence; a study file must not."""
        seen = set()
        for key, _ in node.value:
            word = key.value if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
            if key.tag not in (_STRING, _MERGE):
                raise self.refuse(key.start_mark, f"the key {describe(word)}", "are words")
            if word in seen:
                raise self.refuse(key.start_mark, f"the key {describe(word)} twice", "is once")
            seen.add(word)

    def check_scalar(self, node: yaml.ScalarNode) -> None:
        kind = node.tag.rpartition(":")[2]
        if _UNREADABLE.search(node.value):
            allowed = "is text without control characters"
        elif kind == "int" and not _WHOLE.fullmatch(node.value):
            allowed = "is a whole number in at most 100 decimal digits, not 0 the first (or quotes)"
        elif kind == "float" and ":" in node.value:
            allowed = "is a decimal number (or quotes)"
        else:
            return
        raise self.refuse(node.start_mark, describe(node.value, hint=False), allowed)
