"""Documents that are made from code, and pins that stand twice, cannot drift apart."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, Field

from finitewidth.config import reference
from finitewidth.study.study_file import load

pytestmark = pytest.mark.fast

ROOT = Path(__file__).parents[2]
LOCK = dict(
    re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "envs/requirements.lock").read_text(), re.M)
)
PINS = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in LOCK.items()}


def test_the_configs_description_is_that_of_the_model():
    assert (ROOT / "config/README.md").read_text() == reference.readme(), "run: make docs"
    assert (ROOT / "config/schema.json").read_text() == reference.schema(), "run: make docs"


def test_a_heading_names_a_place_once():
    for line in reference.sections(json.loads(reference.schema())):
        if line.startswith("\n## "):
            places = line.removeprefix("\n## ").rstrip().split(" and ")
            assert len(places) == len(set(places)), line


def test_every_key_of_the_model_says_what_it_allows():
    schema = json.loads(reference.schema())
    text = reference.readme()
    for mapping in (schema, *schema["$defs"].values()):
        assert " ".join(mapping["description"].split()) in text
        for key, about in mapping["properties"].items():
            assert f"| `{key}` | {about['description'].replace('|', chr(92) + '|')} |" in text


class Dense(BaseModel):
    """A layer of weights."""

    kind: Literal["dense"] = Field(description="dense")
    scale: Annotated[float, Field(description="at least |x|")] = 1.0


class Residual(BaseModel):
    """Layers, and their input added."""

    kind: Literal["residual"] = Field(description="residual")
    layers: list["Layer"] = Field(description="layers within")


Layer = Annotated[Dense | Residual, Field(discriminator="kind")]


class Network(BaseModel):
    """A network."""

    layers: list[Layer] = Field(description="a list of layers")
    first: Dense | None = Field(None, description="what stands before")
    other: dict[Annotated[str, Field(pattern="^a$")], Dense] = Field({}, description="more")


def test_mappings_are_described_wherever_they_stand():
    lines = "\n".join(reference.sections(Network.model_json_schema()))
    assert re.findall("^## (.*)$", lines, re.M) == [
        "The file",
        "layers[], kind: dense and layers[].layers[], kind: dense"
        " and first, kind: dense and other.&lt;name&gt;, kind: dense",
        "layers[], kind: residual and layers[].layers[], kind: residual",
    ]
    assert "| `layers` | a list of layers | needed |" in lines
    assert "| `scale` | at least \\|x\\| | `1.0` |" in lines
    assert "| `first` | what stands before | left out |" in lines
    assert "| `other` | more | `{}` |" in lines


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_every_study_file_that_ships_is_valid(path):
    config = load([path])
    assert config.ensembles or config.trained
    assert load([ROOT / "config.yaml"]).studies


@pytest.mark.parametrize("name", ["torch", "analysis"])
def test_conda_environments_are_pinned_to_the_lock(name):
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    for line in environment["dependencies"]:
        package, version = line.split(" ", 1)
        if package == "python":
            continue
        locked = PINS[{"pytorch": "torch"}.get(package, package)]
        # A post-release of a Python package is the same code in a new box, which conda lacks.
        assert version == f"={re.sub(r'[.]post[0-9]+$', '', locked)}", package


def test_the_lock_pins_everything_that_is_asked_for():
    for line in (ROOT / "envs/requirements.in").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.match(r"[\w-]+", line)[0].lower() in PINS, line
