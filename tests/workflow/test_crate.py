"""The crate of the tiny study: valid, complete and true."""

import json
import re
from urllib.parse import unquote

import pytest

from crates import issues
from finitewidth.core.files import sha256
from finitewidth.provenance.artifacts import read_stamp
from running import TINY, TINYS, digests, snakemake


@pytest.fixture(scope="module")
def entities(tiny):
    graph = json.loads((tiny / f"{TINYS}/ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


@pytest.mark.parametrize("profile", ["provenance-run-crate-0.5", "workflow-ro-crate-1.0"])
def test_the_crate_is_valid(tiny, monkeypatch, profile):
    assert issues(tiny / TINYS, profile, monkeypatch) == []


def test_what_is_recommended_is_there_but_for_times_and_people(tiny, monkeypatch):
    found = issues(tiny / TINYS, "provenance-run-crate-0.5", monkeypatch, "RECOMMENDED")
    left_out = ("have an endTime", "have an agent", "SoftwareApplication id", "have a url",
                "README.md", "organization SHOULD have a URL")  # fmt: skip
    assert [line for line in found if not any(words in line for words in left_out)] == []


def test_every_result_is_named_with_its_digest(tiny, entities):
    files = {unquote(name): e for name, e in entities.items() if "File" in e["@type"]}
    named = {name: e["sha256"] for name, e in files.items() if "sha256" in e}
    there = digests(tiny, TINYS)
    (config,) = (name for name in named if name.startswith("configs/"))
    assert named.pop(config) == sha256(tiny / TINYS / config)
    files.pop(config)
    assert named == {n: d for n, d in there.items()
                     if n != "ro-crate-metadata.json" and "/." not in n}  # fmt: skip
    without = {name.rpartition("/")[2] for name in files.keys() - named.keys()}
    assert without == {"seconds.nc", "ntk_times.pdf", "ntk_times.png"}
    parts = {part["@id"] for part in entities["./"]["hasPart"]}
    assert {name for name, e in entities.items() if "File" in e["@type"]} <= parts


def test_actions_say_what_the_stamps_say(tiny, entities):
    made = {}
    for entity in entities.values():
        if entity["@type"] == "CreateAction" and entity["@id"] != "#run":
            results = entity["result"]
            for link in results if isinstance(results, list) else [results]:
                made[unquote(link["@id"])] = entity
    for name in digests(tiny, TINYS):
        if name.split("/")[0] in ("code", "configs", "ro-crate-metadata.json"):
            continue
        stamp = read_stamp(tiny / TINYS / name)
        action = made[name]
        assert action["name"].startswith(stamp["rule"])
        objects = action.get("object", [])
        objects = objects if isinstance(objects, list) else [objects]
        sources = {f"results/{unquote(link['@id'])}".rstrip("/") for link in objects}
        assert sources == set(stamp["inputs"])
        values = {entities[link["@id"]]["value"] for link in action["additionalProperty"]}
        assert {stamp["config_sha256"], stamp["device"]} <= values
        assert any(stamp["code"]["sha256"] in value for value in values)


def test_nothing_of_time_or_place_stands_in_it(tiny, entities):
    text = (tiny / f"{TINYS}/ro-crate-metadata.json").read_text()
    assert str(tiny) not in text
    assert entities["./"]["datePublished"] == "2026-11-22"


def test_a_changed_result_is_named_anew_and_nothing_else_is(tiny_copy):
    done = snakemake(tiny_copy, "--configfile", TINY, "--dry-run")
    assert "Nothing to be done" in done.stdout
    changed = f"{TINYS}/studies/tangents/comparison.csv"
    done = snakemake(tiny_copy, "--configfile", TINY, "--dry-run", "--forcerun", changed)
    assert done.returncode == 0, done.stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE))
    assert rules == {"compare", "study"}
    assert "Naming every result" in done.stdout
