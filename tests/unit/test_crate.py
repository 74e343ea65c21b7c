"""The crate of a few files written by hand."""

import json
import shutil

import pytest

from finitewidth.provenance import crate
from finitewidth.provenance.artifacts import ArtifactError, make_stamp
from finitewidth.provenance.code import CHECKOUT, used
from tables import write_csv

pytestmark = pytest.mark.fast


@pytest.fixture
def run(tmp_path):
    """A folder with a chain of two files, one of times, and one made from a user's file."""
    results = tmp_path / "results"
    (tmp_path / "mine.csv").write_text("1")
    made = {
        "results/a b.csv": ["mine.csv"],
        "results/studies/s/c.csv": ["results/a b.csv"],
    }
    for path, sources in made.items():
        stamp = make_stamp(rule="compare", wildcards={"study": path}, config={}, used=used(),
                           inputs={s: crate.sha256(tmp_path / s) for s in sources})  # fmt: skip
        write_csv(f"text of {path}\n", tmp_path / path, stamp)
    (results / "configs").mkdir()
    (results / "configs/0.yaml").write_text("seed: 1\n")
    crate.copy_code(CHECKOUT, results / "code")

    def write():
        files = [name for path in made for name in (path, f"{path}-metadata.json")]
        crate.write_crate(results, files, config="results/configs/0.yaml")
        content = (results / "ro-crate-metadata.json").read_bytes()
        graph = json.loads(content)["@graph"]
        return content, {entity["@id"]: entity for entity in graph}

    return tmp_path, write


def test_a_file_is_named_with_what_it_was_made_from(run):
    folder, write = run
    _, entities = write()
    assert entities["a%20b.csv-metadata.json"]["encodingFormat"] == "application/csvm+json"
    assert entities["a%20b.csv"]["sha256"] == crate.sha256(folder / "results/a b.csv")
    written = [{"@id": f"studies/s/c.csv{more}"} for more in ("", "-metadata.json")]
    (action,) = (e for e in entities.values() if e["@type"] == "CreateAction"
                 and e["result"] == written and e["@id"] != "#run")  # fmt: skip
    assert action["object"] == {"@id": "a%20b.csv"}
    assert action["instrument"] == {"@id": "code/workflow/scripts/compare.py"}
    outside = [e for e in entities.values() if e["@id"].startswith("#outside")]
    assert [e["identifier"] for e in outside] == [crate.sha256(folder / "mine.csv")]
    assert str(folder) not in json.dumps(entities)


def test_the_same_files_give_the_same_bytes_wherever_they_stand(run, tmp_path_factory):
    folder, write = run
    before, _ = write()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "deeper"
    shutil.copytree(folder, elsewhere)
    files = [f"results/{name}" for name in ("studies/s/c.csv", "a b.csv")]
    files += [f"{file}-metadata.json" for file in files]
    crate.write_crate(elsewhere / "results", files, config="results/configs/0.yaml")
    assert (elsewhere / "results/ro-crate-metadata.json").read_bytes() == before


def test_a_file_that_was_made_from_another_is_not_passed_off(run):
    folder, write = run
    write()
    with open(folder / "results/a b.csv", "a") as file:
        file.write("edited")
    with pytest.raises(ArtifactError, match=r"c\.csv was made from another .*a b\.csv"):
        write()
