"""``config/README.md`` and ``config/schema.json``, made from the model of the config."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from finitewidth.config.model import (
    Arc,
    Array,
    Config,
    Digits,
    Ensemble,
    Init,
    Normality,
    Ntk,
    Sphere,
    Study,
    Style,
)
from finitewidth.config.model_trained import (
    ArrayImages,
    Cifar10,
    Convolutions,
    DigitImages,
    Published,
    Rainbow,
    Trained,
)
from finitewidth.config.style_file import ALLOWED
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES, TRAINED_FAMILIES

FOLDER = Path(__file__).parents[3] / "config"

_SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("The file", Config, "A study file has these keys and no others."),
    ("inputs.&lt;name&gt;, kind: sphere", Sphere, "Vectors of one norm."),
    ("inputs.&lt;name&gt;, kind: arc", Arc, "Vectors of one norm at given angles in a plane."),
    ("inputs.&lt;name&gt;, kind: digits", Digits, "Real 8×8 images that ship with scikit-learn."),
    ("inputs.&lt;name&gt;, kind: array", Array, "Rows of your own array."),
    ("ensembles.&lt;name&gt;", Ensemble, "Networks that share a law. Lists are sweeps."),
    ("ensembles.&lt;name&gt;.init", Init, "Var W = C_W/fan-in, Var b = C_b."),
    ("ensembles.&lt;name&gt;.ntk", Ntk, "Rates of tangent kernels: λ_b, and λ_W/fan-in."),
    ("ensembles.&lt;name&gt;.normality", Normality, "How the tests of normality group networks."),
    (
        "data.&lt;name&gt;, kind: digits",
        DigitImages,
        "Labelled 8×8 images, to train on: the 1797 that ship with scikit-learn.",
    ),
    (
        "data.&lt;name&gt;, kind: cifar10",
        Cifar10,
        "CIFAR-10 in its binary version, without pickles.",
    ),
    ("data.&lt;name&gt;, kind: array", ArrayImages, "Your own labelled images."),
    ("trained.&lt;name&gt;", Trained, "Replicas that are trained together. Lists are sweeps."),
    ("trained.&lt;name&gt;.cnn", Convolutions, "Convolutions and a linear read-out."),
    ("trained.&lt;name&gt;.rainbow", Rainbow, "Networks drawn from weight covariances, aligned."),
    ("trained.&lt;name&gt;.published", Published, "Numbers to stand beside the measured ones."),
    ("studies.&lt;name&gt;", Study, "A table and its figures."),
    ("style and studies.&lt;name&gt;.style", Style, "How figures look."),
)

_FRONT = """# The config, key by key

Made by `make docs` from `model.py` and `model_trained.py` in `workflow/finitewidth/config/`;
`schema.json` serves editors.

The default study is `config/config.yaml`, the same file as `config.yaml` at the top. A study file
stands alone: `snakemake --cores all --config study=my.yaml` reads it instead, and `--config
study=my.yaml seed=7` changes a key of it. Where a value can be a list of different values, the list
is a *sweep*: one member for each combination. A config that cannot be run ends before the first
job, in one sentence that names the key, what was given and what is allowed.
"""


_STYLE_FILE = """One setting a line, as in `axes.labelsize: large`, with comments after `#`. A
colour that begins with `#` stands in double quotes. Colours of lines and points are the project's
own. The file is read as data: other settings of matplotlib, such as programs of TeX and paths, are
refused.
"""


def readme() -> str:
    """The text of ``config/README.md``."""
    parts = [_FRONT]
    for title, model, about in _SECTIONS:
        parts += [f"\n## {title}\n", f"{about}\n", "| key | allowed | default |", "|---|---|---|"]
        for key, field in model.model_fields.items():
            allowed = (field.description or "").replace("|", "\\|")
            parts.append(f"| `{key}` | {allowed} | {_default(field)} |")
    parts += ["\n## What can be estimated\n", "| `estimate` | quantity | what it is |"]
    parts += ["|---|---|---|"]
    parts += [
        f"| `{family.name}` | `{q.name}` | {q.meaning.replace('|', '&#124;')} |"
        for family in FAMILIES.values()
        for q in family.quantities
    ]
    parts += ["\n## What is measured of trained networks\n", "| family | quantities |", "|---|---|"]
    parts += [
        f"| `{f}` | {', '.join(f'`{q}`' for q in qs)} |" for f, qs in TRAINED_FAMILIES.items()
    ]
    parts += ["\n## Figures\n", "| figure | shows | needs |", "|---|---|---|"]
    parts += [f"| `{n}` | {f.caption} | {', '.join(f.families)} |" for n, f in FIGURES.items()]
    parts += ["\n## What a style file may set\n", _STYLE_FILE]
    parts += [", ".join(f"`{name}`" for name in ALLOWED)]
    return "\n".join(parts) + "\n"


def schema() -> str:
    """The text of ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "needed" if field.is_required() else ""
    if isinstance(field.default, BaseModel):
        return f"`{field.default.model_dump()}`"
    return "left out" if field.default is None else f"`{field.default}`"


def main() -> None:
    """Write both files."""
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")
    (FOLDER / "schema.json").write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
