"""``config/README.md`` and ``config/schema.json``, made from the model of the config."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from finitewidth.config.model import Config
from finitewidth.config.style_file import ALLOWED
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, TRAINED_FAMILIES

FOLDER = Path(__file__).parents[3] / "config"

_FRONT = """# The config, key by key

This page lists every key of a study file. Other keys are refused. *Allowed* says what a key may be,
and what it means; *default* says what holds where it is left out. The page is made by `make docs`
from the models in `workflow/finitewidth/config/`, as is `schema.json`, which serves editors.

The default study is `config/config.yaml`, the same file as `config.yaml` at the top. A study file
stands alone: `snakemake --cores all --config study=my.yaml` reads it instead, and `--config
study=my.yaml seed=7` changes a key of it. Each is a run with a folder of its own in
`results/runs/`, here `my` and `my-seed-7` (docs/provenance.md). Where a value can be a list of
different values, the list is a *sweep*: one *member* for each combination. A config that cannot be
run ends before the first job, in one sentence that names the key, what was given and what is
allowed.

Words of this page, of which docs/glossary.md has all: `n` is the width, `n_0` the number of
components of an input, and `L` the depth. `C_W` is the variance of a weight times the fan-in, and
`C_b` that of a bias. `Ghat` is the kernel of one network: the covariance of the next layer, given
this one. `Theta` is the tangent kernel. `K` and `H` are the limits of both at infinite width.
"""
#: What stands above the tables at the end.
_ESTIMATES = """The key `estimate` of an ensemble names words of the first column. Each gives all
quantities beside it. `z_ia` is the preactivation of neuron `i` at input `a`, `f` an output and `y`
its target. `E` is the mean over networks, and `G` is `E[z_a z_b]`.
"""
_TRAINED = """All of this is measured of every entry of `trained`. A family is a group of
quantities that are measured together.
"""
_FIGURES = """The key `figures` of a study names these. The last column says what networks of the
study have to estimate for it.
"""


_STYLE_FILE = """One setting a line, as in `axes.labelsize: large`, with comments after `#`. A
colour that begins with `#` stands in double quotes. Colours of lines and points are the project's
own. The file is read as data: other settings of matplotlib, such as programs of TeX and paths, are
refused.
"""


def readme() -> str:
    """The text of ``config/README.md``."""
    parts = [_FRONT, *sections(Config.model_json_schema())]
    parts += ["\n## What can be estimated\n", _ESTIMATES, "| `estimate` | quantity | what it is |"]
    parts += ["|---|---|---|"]
    parts += [
        f"| `{family.name}` | `{q.name}` | {q.meaning.replace('|', '&#124;')} |"
        for family in FAMILIES.values()
        for q in family.quantities
    ]
    parts += ["\n## What is measured of trained networks\n", _TRAINED]
    parts += ["| family | quantities |", "|---|---|"]
    parts += [
        f"| `{f}` | {', '.join(f'`{q}`' for q in qs)} |" for f, qs in TRAINED_FAMILIES.items()
    ]
    parts += ["\n## Figures\n", _FIGURES, "| figure | shows | needs |", "|---|---|---|"]
    parts += [f"| `{n}` | {f.caption} | {', '.join(f.families)} |" for n, f in FIGURES.items()]
    parts += ["\n## What a style file may set\n", _STYLE_FILE]
    parts += [", ".join(f"`{name}`" for name in ALLOWED)]
    return "\n".join(parts) + "\n"


def schema() -> str:
    """The text of ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def sections(whole: dict) -> Iterator[str]:
    """Lines of Markdown: for each mapping of a JSON schema where it may stand, and its keys."""
    places: dict[str, list[str]] = {}
    _find(whole, whole, "", places)
    for name, found in {"": ["The file"], **places}.items():
        mapping = whole["$defs"][name] if name else whole
        yield f"\n## {' and '.join(found)}\n".replace("<", "&lt;").replace(">", "&gt;")
        yield " ".join(mapping["description"].split()) + "\n"
        yield from ("| key | allowed | default |", "|---|---|---|")
        for key, about in mapping["properties"].items():
            allowed = about["description"].replace("|", "\\|")
            default = _default(about, key in mapping.get("required", ()))
            yield f"| `{key}` | {allowed} | {default} |"


def _find(whole: dict, node: dict, place: str, places: dict[str, list[str]]) -> None:
    """Add the places of all mappings below a node that stands at ``place``, by their names."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        node = whole["$defs"][name]
        kind = node["properties"].get("kind", {}).get("const")
        found = places.setdefault(name, [])
        told = f"{place}, kind: {kind}" if kind else place
        if told in found:
            return
        found.append(told)
        # What stands below is told once; a mapping may also stand below itself.
        if len(found) > 1:
            return
    for part in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        _find(whole, part, place, places)
    for part in node.get("patternProperties", {}).values():
        _find(whole, part, f"{place}.<name>", places)
    if "items" in node:
        _find(whole, node["items"], f"{place}[]", places)
    for key, part in node.get("properties", {}).items():
        _find(whole, part, f"{place}.{key}" if place else key, places)


def _default(about: dict, needed: bool) -> str:
    if needed or "default" not in about:
        return "needed" if needed else ""
    if (default := about["default"]) is None:
        return "left out"
    words = isinstance(default, str)
    return f"`{default if words else json.dumps(default, ensure_ascii=False)}`"


def main() -> None:
    """Write both files."""
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")
    (FOLDER / "schema.json").write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
