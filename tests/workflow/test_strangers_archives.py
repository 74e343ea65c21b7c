"""Somebody else's folder of results is packed from what stands in it alone, or refused."""

import json
import os
import random
import tarfile
from hashlib import sha256
from urllib.parse import quote

import pytest

from finitewidth.provenance import archive
from finitewidth.provenance.artifacts import ArtifactError
from finitewidth.study.study_file import load
from running import TINY

CONFIG = load([TINY])
SECRET = b"what nobody is to have\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with results, beside one that is not to be read."""
    private = tmp_path / "private"
    (private / "deep").mkdir(parents=True)
    for place in (private / "key", private / "deep/key"):
        place.write_bytes(SECRET)
    folder = tmp_path / "theirs"
    (folder / "results/studies").mkdir(parents=True)
    (folder / "results/studies/a.csv").write_bytes(b"a,b\n")
    (folder / "results/linked").symlink_to(private)
    (folder / "results/near").symlink_to("../../private/deep")
    (folder / "results/key").symlink_to(private / "key")
    (folder / "results/twice").symlink_to("linked")
    os.mkfifo(folder / "results/pipe")
    (folder / "beside").write_bytes(SECRET)
    return folder


def names(folder):
    """Names by which a crate could mean the secret, or what cannot be read to an end."""
    private = folder.parent / "private"
    plain = [
        "../beside", "../../private/key", "studies/../../beside", "./../beside", "linked/key",
        "linked/deep/key", "near/key", "twice/key", "key", "pipe", "/dev/zero",
        str(private / "key"),
        f"//{private}/key", "studies/../key", "linked/../key", "/etc/passwd", "a\0b", "\ud800",
        "x" * 5000, "", ".", "..", "studies", "studies//a.csv/", "/proc/self/environ",
    ]  # fmt: skip
    encoded = [quote(name.encode(errors="surrogatepass"), safe="") for name in plain]
    return plain + encoded + [quote(n) for n in encoded if n]


def with_crate(folder, graph):
    text = graph if isinstance(graph, str) else json.dumps({"@graph": graph})
    (folder / "results" / "ro-crate-metadata.json").write_text(text)


def packed(folder, target):
    archive.pack(CONFIG, [TINY], target=target, folder=folder)
    with tarfile.open(target) as tar:
        return {m.name: tar.extractfile(m).read() if m.isfile() else m.linkname for m in tar}


@pytest.fixture
def refused(folder, tmp_path):
    def refuse(graph):
        with_crate(folder, graph)
        target = tmp_path / "out.tar.gz"
        with pytest.raises(ArtifactError) as caught:
            archive.pack(CONFIG, [TINY], target=target, folder=folder)
        assert not target.exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refuse


def test_nothing_outside_the_results_is_packed_by_any_name(folder, refused):
    for digest in (None, sha256(SECRET).hexdigest()):
        for name in names(folder):
            said = refused([{"@type": "File", "@id": name, "sha256": digest}])
            assert "is not the file that the crate names" in said, name


@pytest.mark.parametrize("what", ["results", "crate", "metadata"])
def test_nor_through_a_link_in_place_of_what_is_looked_at(folder, refused, tmp_path, what):
    entity = {"@type": "File", "@id": "studies/a.csv"}
    with_crate(folder, [entity])
    if what == "results":
        (folder / "results").rename(tmp_path / "private/results")
        (folder / "results").symlink_to(tmp_path / "private/results")
    elif what == "crate":
        place = folder / "results" / "ro-crate-metadata.json"
        place.symlink_to(place.rename(tmp_path / "private/crate"))
    else:
        # Snakemake's record of a result, of which a JSON file of somebody else's takes the place.
        (tmp_path / "private/record").write_text(json.dumps({"secret": SECRET.decode()}))
        (folder / ".snakemake/metadata").mkdir(parents=True)
        named = "cmVzdWx0cy9zdHVkaWVzL2EuY3N2"  # results/studies/a.csv
        (folder / ".snakemake/metadata" / named).symlink_to(tmp_path / "private/record")
        content = packed(folder, tmp_path / "out.tar.gz")
        assert content["out/results/studies/a.csv"] == b"a,b\n"
        assert not any("metadata" in name and name.endswith(named) for name in content)
        return
    with pytest.raises(ArtifactError, match="cannot be read"):
        archive.pack(CONFIG, [TINY], target=tmp_path / "out.tar.gz", folder=folder)


def test_a_link_that_stays_inside_is_packed_as_the_file_that_it_means(folder, tmp_path):
    (folder / "results/b.csv").symlink_to("studies/a.csv")
    with_crate(folder, [{"@type": ["File"], "@id": "b.csv"}])
    assert packed(folder, tmp_path / "out.tar.gz")["out/results/b.csv"] == b"a,b\n"


def malformed(chance):
    """A crate of another shape."""
    scalars = [None, True, 0, -1.5, "File", "", [], {}, ["File"], {"@id": "x"}, "studies/a.csv"]
    kind = chance.randrange(4)
    if kind == 0:
        return "[" * chance.choice([1, 5000]) + chance.choice(["", "]", "{", '"'])
    if kind == 1:
        return json.dumps(chance.choice([*scalars, {"@graph": chance.choice(scalars[:5])}]))
    entity = {"@type": "File", "@id": "studies/a.csv", "sha256": "0" * 64}
    entity[chance.choice(["@type", "@id", "sha256"])] = chance.choice(scalars)
    if chance.random() < 0.3:
        entity.pop(chance.choice(["@type", "@id"]))
    return [entity if chance.random() < 0.8 else chance.choice(scalars)]


def test_a_malformed_crate_is_one_sentence(folder, tmp_path):
    chance, well, said = random.Random(17), 0, set()
    for _ in range(100):
        with_crate(folder, malformed(chance))
        try:
            packed(folder, tmp_path / "out.tar.gz")
            well += 1
        except ArtifactError as error:
            said.add(str(error))
    # Such as have nothing in them, or an entity that is no file.
    assert 0 < well < 40
    assert not any("\n" in sentence for sentence in said)
