"""Files of results: stamped, atomic, the same bytes twice, and never read when damaged."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from finitewidth.__main__ import main
from finitewidth.figures.common import style
from finitewidth.provenance.artifacts import (
    ArtifactError,
    DamagedError,
    beside,
    check,
    digest_of,
    make_stamp,
    read_dataset,
    read_sizes,
    read_stamp,
    replacing,
    samples_digest,
    sha256,
    write_dataset,
    write_figure,
    write_table,
    write_text,
)
from finitewidth.provenance.parquet_files import write_parquet

pytestmark = pytest.mark.fast


@pytest.fixture
def stamp(tmp_path):
    source = tmp_path / "input.txt"
    source.write_text("what it was made from")
    return make_stamp(
        rule="estimate",
        wildcards={"member": "width-8"},
        config={"seed": 3, "odd": "brackets ) ( and \\ and ü"},
        inputs=[str(source)],
        used={"sha256": "abc", "modules": {}, "packages": ["numpy", "sklearn", "os"]},
    )


def write(path, stamp):
    if path.suffix == ".nc":
        values = np.arange(4000.0).reshape(40, 100)
        dataset = xr.Dataset({"v": (("a", "b"), values)}, attrs={"provenance": "stale"})
        write_dataset(dataset, path, stamp, title="a test")
    elif path.suffix in (".png", ".pdf", ".svg"):
        figure, axes = style.grid(1, 1)
        axes[0, 0].plot([1, 2, 3])
        write_figure(figure, path, stamp, title="a test")
    elif path.name.endswith(".csv-metadata.json"):
        write(path.with_name(path.name.removesuffix("-metadata.json")), stamp)
    elif path.suffix == ".csv":
        columns = [{"name": name, "titles": name, "datatype": "integer"} for name in "ab"]
        write_table("a,b\n1,2\n", path, stamp, title="a ü test", columns=columns)
    elif path.suffix == ".parquet":
        write_parquet(pd.DataFrame({"a": [1], "b": [2]}), path, stamp)
    else:
        write_text("a,b\n1,2\n", path, stamp)


ENDINGS = ["nc", "png", "pdf", "svg", "csv", "csv-metadata.json", "parquet", "md", "tex", "html"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_of_file_holds_its_stamp_and_nothing_that_varies(tmp_path, stamp, ending):
    one, two = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
    write(one, stamp)
    write(two, stamp)
    found = read_stamp(one)
    assert len(found.pop("content_sha256")) == 64
    assert found == stamp
    # What stands beside a table names it.
    assert one.read_bytes() == two.read_bytes() or ending == "csv-metadata.json"
    before = one.read_bytes()
    write(one, stamp)
    assert one.read_bytes() == before
    assert stamp["inputs"] == {str(tmp_path / "input.txt"): sha256(tmp_path / "input.txt")}


def test_packages_are_those_of_the_code_and_not_of_the_process(stamp):
    assert "xarray" in sys.modules
    assert list(stamp["packages"]) == ["python", "numpy", "scikit-learn"]
    assert stamp["packages"]["numpy"] == np.__version__


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_without_a_stamp_says_so(tmp_path, ending):
    path = tmp_path / f"empty.{ending}"
    path.write_bytes(b"")
    with pytest.raises(ArtifactError, match=f"empty.{ending}"):
        read_stamp(path)


def test_the_command_prints_a_stamp(tmp_path, stamp, capsys):
    write(tmp_path / "a.csv", stamp)
    assert main(["stamp", str(tmp_path / "a.csv")]) == 0
    assert json.loads(capsys.readouterr().out) == read_stamp(tmp_path / "a.csv")
    assert main(["stamp", str(tmp_path / "none.csv")]) == 1


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_flipped_bit_is_found_not_read(tmp_path, stamp):
    path = tmp_path / "a.nc"
    write(path, stamp)
    content = bytearray(path.read_bytes())
    place = bytes(content).index(np.arange(1000.0, 1004.0).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"a\.nc is damaged"):
        read_dataset(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_bit_flipped_anywhere_is_found(tmp_path, stamp, ending):
    path = tmp_path / f"a.{ending}"
    write(path, stamp)
    check(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(5).integers(0, 8 * len(whole), 60):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(DamagedError):
            check(path)


def test_netcdf_is_looked_at_before_hdf5_sees_it(tmp_path, stamp, monkeypatch):
    """Which waits for ever where the size of a text in its heap becomes nothing."""
    path = tmp_path / "a.nc"
    write(path, stamp)
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(netCDF4, "Dataset", None)
    monkeypatch.setattr(xr, "open_dataset", None)
    for read in (read_dataset, read_sizes, check):
        with pytest.raises(DamagedError):
            read(path)
    assert read_stamp(path)["rule"] == "estimate"


def test_a_stamp_of_any_size_is_read(tmp_path, stamp):
    path = tmp_path / "a.nc"
    for size in (10, 3000, 70_000, 10**6):
        long = stamp | {"config": {"title": size * "ü"}}
        write(path, long)
        assert read_stamp(path) == long | {"content_sha256": read_stamp(path)["content_sha256"]}


def test_other_programs_read_what_is_sealed(tmp_path, stamp):
    path = tmp_path / "a.nc"
    write(path, stamp)
    with netCDF4.Dataset(path) as file:
        assert json.loads(file.provenance) == stamp
        assert np.array_equal(file["v"][:], np.arange(4000.0).reshape(40, 100))


def test_an_edit_by_a_program_that_mends_checksums_is_found(tmp_path, stamp):
    path = tmp_path / "a.nc"
    write(path, stamp)
    with netCDF4.Dataset(path, "a") as file:
        file.title = "another"
    with pytest.raises(DamagedError, match="digest"):
        read_dataset(path)
    path.unlink()
    for missing in (path, tmp_path / "a.csv"):
        with pytest.raises(ArtifactError, match="missing"):
            check(missing)


def test_a_truncated_or_missing_file_is_named(tmp_path, stamp):
    path = tmp_path / "a.nc"
    write(path, stamp)
    path.write_bytes(path.read_bytes()[:2000])
    for broken in (path, tmp_path / "missing.nc"):
        with pytest.raises(ArtifactError, match=broken.name):
            read_dataset(broken)


def test_the_digest_of_samples_is_that_of_what_they_hold(tmp_path, stamp):
    network = np.arange(10)
    values = np.random.default_rng(0).standard_normal((10, 3))
    whole = xr.Dataset(
        {"z": (("network", "layer"), values), "fixed": ("layer", [1.0, 2.0, 3.0])},
        coords={"network": network},
    )
    parts = [whole.isel(network=slice(a, b)) for a, b in [(4, 9), (9, 10), (0, 4)]]
    digest = samples_digest([whole])
    assert samples_digest([p.assign_attrs(shard=1) for p in parts]) == digest
    changed = whole.copy(deep=True)
    changed["z"][7, 1] += 1e-15
    renamed = whole.rename(z="y")
    other = whole.assign(fixed=("layer", [1.0, 2.0, 4.0]))
    for number, part in enumerate([parts[2], parts[0], parts[1], parts[0]]):
        write_dataset(part, tmp_path / f"{number}.nc", stamp, title="shard")
    # The last one is left from another division.
    assert digest_of(tmp_path) == digest
    assert len({digest, *(samples_digest([d]) for d in (changed, renamed, other))}) == 4


def test_two_writers_of_a_file_never_share_a_name_and_leave_nothing(tmp_path):
    path = tmp_path / "a.b.nc"
    left = tmp_path / f".a.b.{16 * 'f'}.part.nc"
    others = [tmp_path / f".{name}.{16 * 'f'}.part.nc" for name in ("a", "b", "a.b.c")]
    for file in (left, *others):
        file.write_text("what a killed job left")
    with replacing(path) as one:
        assert not left.exists()
        with replacing(path) as two:
            assert one != two
            two.write_text("two")
        assert path.read_text() == "two"
        one.write_text("one")
    assert path.read_text() == "one"
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_no_lock_of_hdf5_is_asked_for(tmp_path, stamp):
    """On a file system without locks it would be refused; here another process holds it."""
    path = tmp_path / "a.nc"
    write_dataset(xr.Dataset({"z": ("a", [1.0, 2.0])}), path, stamp, title="t")
    script = (
        "from finitewidth.provenance.artifacts import read_dataset;"
        " print(float(read_dataset({!r}).z[1]))"
    )
    given = {k: v for k, v in os.environ.items() if k != "HDF5_USE_FILE_LOCKING"}
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for locks, well in ((None, True), ("TRUE", False)):
            env = given | ({"HDF5_USE_FILE_LOCKING": locks} if locks else {})
            done = subprocess.run([sys.executable, "-c", script.format(str(path))], env=env,
                                  capture_output=True, text=True, timeout=60)  # fmt: skip
            assert (done.stdout == "2.0\n") == well, done.stderr


def test_a_table_is_what_any_reader_of_csv_reads(tmp_path, stamp):
    """The stamp stands beside it: neither as lines that readers would take for data, nor lost."""
    path = tmp_path / "a b.csv"
    write(path, stamp)
    assert path.read_bytes() == b"a,b\n1,2\n"
    assert pd.read_csv(path).to_dict("list") == {"a": [1], "b": [2]}
    about = json.loads((tmp_path / "a b.csv-metadata.json").read_text())
    assert about["url"] == "a%20b.csv"
    assert about["schema:sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [c["titles"] for c in about["tableSchema"]["columns"]] == ["a", "b"]
    assert read_stamp(path)["content_sha256"] == about["schema:sha256"]


def test_a_table_is_worth_what_stands_beside_it(tmp_path, stamp):
    path = tmp_path / "a.csv"
    write(path, stamp)
    about = beside(path)
    whole = about.read_bytes()
    for place in np.random.default_rng(6).integers(0, 8 * len(whole), 60):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        about.write_bytes(content)
        with pytest.raises(DamagedError):
            check(path)
    about.write_bytes(whole)
    check(path)
    about.unlink()
    for read in (check, read_stamp):
        with pytest.raises(ArtifactError, match=r"a\.csv-metadata\.json"):
            read(path)


@pytest.mark.parametrize("ending", ["md", "tex", "html"])
def test_people_read_one_line_before_a_text(tmp_path, stamp, ending):
    path = tmp_path / f"a.{ending}"
    write(path, stamp)
    first, *text, last = path.read_text().splitlines()
    assert text == ["a,b", "1,2"]
    assert len(first) < 120
    for word in (stamp["code"]["version"], stamp["code"]["commit"][:12],
                 stamp["config_sha256"][:12], "the last line"):  # fmt: skip
        assert word in first
    assert "provenance" in last


def test_no_title_takes_the_place_of_the_digest(tmp_path, stamp):
    """A user's own words may look like the line that says it."""
    hostile = '"dc:identifier": "sha256:' + 64 * "0" + '", "content_sha256":"' + 64 * "0" + '"'
    stamp["config"] = {"title": hostile}
    write_table("a\n", tmp_path / "a.csv", stamp, title=hostile, columns=[])
    check(tmp_path / "a.csv")
    assert read_stamp(tmp_path / "a.csv")["config"] == stamp["config"]
    # Texts of the table stand before what it says of itself.
    rows = pd.DataFrame({"a": [hostile, '{"code":{"a":1}}'], "z": ["=1", "\x00"]}, dtype=object)
    write_parquet(rows, tmp_path / "a.parquet", stamp)
    check(tmp_path / "a.parquet")
    assert read_stamp(tmp_path / "a.parquet")["config"] == stamp["config"]
    assert pd.read_parquet(tmp_path / "a.parquet").equals(rows)
