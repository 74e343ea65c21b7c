"""Pages of the library's reference, made of docstrings: what the package offers by its bare name,
then one page for each room that a notebook calls."""

from __future__ import annotations

import ast
import pkgutil
from pathlib import Path

import finitewidth

#: The others are the workflow's: architecture.md tells what they are for.
ROOMS = ("models", "data", "sampling", "theory", "estimate", "comparison", "ntk", "trained")
#: Parts of rooms that nobody calls: compiled kernels, told in architecture.md.
LEFT_OUT = ("finitewidth.sampling.fused", "finitewidth.sampling.triton_kernels")


def write(docs: Path) -> list[str]:
    """Write the pages into ``docs/reference``; returns their names."""
    folder = docs / "reference"
    folder.mkdir()
    package = Path(finitewidth.__file__).parent
    offered = [
        name
        for name in dir(finitewidth)
        if getattr(getattr(finitewidth, name), "__module__", "").startswith("finitewidth.")
    ]
    lines = ["# finitewidth", "", "What `import finitewidth as fw` offers by its bare name.", ""]
    for name in offered:
        item = getattr(finitewidth, name)
        kind = "class" if isinstance(item, type) else "function"
        lines += ["```{eval-rst}", f".. auto{kind}:: finitewidth.{name}", "   :no-index:", "```"]
    (folder / "finitewidth.md").write_text("\n".join(lines), encoding="utf-8")
    names = ["reference/finitewidth"]
    for room in ROOMS:
        lines = [f"# finitewidth.{room}", ""]
        for name in [f"finitewidth.{room}", *_modules(package / room, f"finitewidth.{room}.")]:
            lines += [f"## {name.removeprefix('finitewidth.')}", ""] if name.count(".") > 1 else []
            lines += ["```{eval-rst}", f".. automodule:: {name}", "```", ""]
        (folder / f"{room}.md").write_text("\n".join(lines), encoding="utf-8")
        names.append(f"reference/{room}")
    return names


def _modules(folder: Path, prefix: str) -> list[str]:
    """Modules below a folder that have something public to describe, without importing them."""
    found = []
    for module in sorted(pkgutil.iter_modules([str(folder)], prefix), key=lambda m: m.name):
        if module.name.startswith(LEFT_OUT):
            continue
        inner = folder / module.name.rpartition(".")[2]
        if module.ispkg:
            found += _modules(inner, f"{module.name}.")
        elif _is_public(inner.with_suffix(".py")):
            found.append(module.name)
    return found


def _is_public(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return any(
        isinstance(node, kinds) and node.name[0] != "_" and ast.get_docstring(node)
        for node in tree.body
    )
