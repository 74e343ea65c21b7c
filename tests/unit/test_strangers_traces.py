"""Sealed files and stamps of any shape are traced to an end, in sentences and soon."""

import copy
import json
import os
import random
import time

import netCDF4
import numpy as np
import pytest
import xarray as xr

from finitewidth.__main__ import main
from finitewidth.provenance import trace_text
from finitewidth.provenance.artifacts import (
    ArtifactError,
    make_stamp,
    read_dataset,
    read_shards,
    read_stamp,
    write_dataset,
)
from finitewidth.provenance.code import used
from finitewidth.provenance.digests import seal
from finitewidth.provenance.trace import Tracer
from tables import write_csv

SAMPLES = "results/ensembles/e/m/samples"
ESTIMATES = "results/ensembles/e/m/estimates.nc"
TABLE = "results/studies/s/comparison.csv"
USED = used()


def stamp(rule="sample", **changes):
    made = make_stamp(rule=rule, wildcards={}, config={"seed": 1}, inputs=[], used=USED)
    return made | changes


def networks(start=0, count=4, **more):
    values = xr.DataArray(np.ones((count, 2)), dims=("network", "layer"))
    return xr.Dataset({"z": values, **more}, coords={"network": np.arange(start, start + count)})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A table made from estimates made from samples, which may be anything."""
    monkeypatch.chdir(tmp_path)
    write_dataset(networks(), f"{SAMPLES}/0.nc", stamp(), title="t")
    write_dataset(networks(4), f"{SAMPLES}/1.nc", stamp(), title="t")
    write_dataset(networks(), ESTIMATES, stamp("estimate", inputs={SAMPLES: "a"}), title="t")
    write_csv("a,b\n", TABLE, stamp("compare", inputs={ESTIMATES: "b"}))
    return tmp_path


def told(path=TABLE):
    """All that is said of a file: as a tree, as data, and beside another."""
    start = time.monotonic()
    ancestry = Tracer(".", []).trace(path)
    text = trace_text.tree(ancestry)
    json.dumps(trace_text.as_data(ancestry))
    trace_text.compared(ancestry, Tracer(".", []).trace(ESTIMATES))
    assert time.monotonic() - start < 20
    assert "BROKEN" in text
    return text


def by_hand(change):
    """A sealed netCDF file that no dataset of ours is."""
    with netCDF4.Dataset(f"{SAMPLES}/1.nc", "w") as file:
        file.setncattr("provenance", json.dumps(stamp(), separators=(",", ":"), sort_keys=True))
        change(file)
    seal(f"{SAMPLES}/1.nc")


def counted(file, kind, values):
    file.createDimension("network", len(values))
    file.createVariable("network", kind, ("network",))[:] = values


def huge(file):
    counted(file, "i8", np.arange(4, 8))
    file.createDimension("many", 10**12)
    file.createVariable("z", "f8", ("network", "many"), chunksizes=(1, 1000))


def packed(file):
    counted(file, "i8", np.arange(4, 8))
    file["network"].setncattr("scale_factor", "two")


SHAPES = {
    "nothing": lambda file: None,
    "no coordinate": lambda file: file.createDimension("network", 3),
    "scalar": lambda file: file.createVariable("network", "i8"),
    "text": lambda file: counted(file, str, np.array(["a", "b"], dtype=object)),
    "real": lambda file: counted(file, "f8", np.array([4.0, np.nan])),
    "empty": lambda file: counted(file, "i8", np.arange(0)),
    "endless": lambda file: file.createDimension("network", None),
    "huge": huge,
    "packed": packed,
    "group": lambda file: file.createGroup("z").createDimension("network", 3),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alone", [True, False])
def test_a_sealed_file_of_another_shape_is_named(folder, shape, alone):
    by_hand(SHAPES[shape])
    if alone:
        os.replace(f"{SAMPLES}/1.nc", f"{SAMPLES}/0.nc")
    assert SAMPLES in told()


OTHERS = {
    "other variables": networks(4, y=("network", np.zeros(4))),
    "text": networks(4, y=("network", np.array(list("abcd"), dtype=object))),
    "other dimensions": networks(4).rename(layer="width"),
    "turned": networks(4).transpose(),
    "no networks": xr.Dataset({"z": ("layer", [1.0])}),
    "words for numbers": networks(4).assign_coords(network=list("abcd")),
    "not one a network": xr.Dataset({"network": ("other", [4, 5])}),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_files_that_do_not_go_together_are_named(folder, kind):
    write_dataset(OTHERS[kind], f"{SAMPLES}/1.nc", stamp(), title="t")
    assert "BROKEN" in told()
    for read in (lambda: list(read_shards(SAMPLES)), lambda: read_stamp(f"{SAMPLES}/1.nc")):
        try:
            read()
        except ArtifactError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_a_file_that_stands_for_more_than_it_holds_is_not_read(folder):
    by_hand(huge)
    with pytest.raises(ArtifactError, match=r"stands for .* bytes"):
        read_dataset(f"{SAMPLES}/1.nc")


SPECIAL = {
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: os.mkdir(path),
    "device": lambda path: os.symlink("/dev/zero", path),
    "circle": lambda path: os.symlink(os.path.basename(path), path),
    "system": lambda path: os.symlink("/proc/kmsg", path),
    "empty": lambda path: open(path, "w").close(),
    "sparse": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10**7),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("place", [f"{SAMPLES}/0.nc", f"{SAMPLES}/1.nc", ESTIMATES, TABLE, "x"])
def test_what_is_no_file_is_not_waited_for(folder, kind, place, capsys):
    if os.path.exists(place):
        os.unlink(place)
    SPECIAL[kind](place)
    write_csv("a,b\n", "results/studies/s/other.csv", stamp("compare", inputs={"x": "a"}))
    for path in (place, TABLE, "results/studies/s/other.csv", "results"):
        for command in (["trace", path], ["stamp", path]):
            assert main(command) in (0, 1)
            assert capsys.readouterr()


def test_a_hundred_thousand_inputs_are_told_in_seconds(folder):
    names = {f"results/inputs/{k}.nc": "a" for k in range(100_000)}
    others = {f"results/data/{k}.nc": "a" for k in range(100_000)}
    modules = {f"finitewidth/{k}.py": "a" for k in range(20_000)}
    code = stamp()["code"] | {"modules": modules}
    write_csv("a\n", TABLE, stamp("compare", inputs=names, code=code))
    write_csv("a\n", "results/studies/s/b.csv", stamp("compare", inputs=others, code=code))
    start = time.monotonic()
    one, other = (Tracer(".", []).trace(p) for p in (TABLE, "results/studies/s/b.csv"))
    assert trace_text.tree(one).count("\n") > 100_000
    assert trace_text.compared(one, other)
    assert time.monotonic() - start < 60


def test_a_chain_of_thousands_and_a_circle_are_told(folder):
    for k in range(1100):
        following = {f"results/inputs/{(k + 1) % 1100}.csv": "a"}
        write_csv("a\n", f"results/inputs/{k}.csv", stamp("inputs", inputs=following))
    assert "results/inputs/0.csv (above)" in told("results/inputs/0.csv")


def test_long_values_and_deep_ones_are_told_or_refused(folder):
    write_csv("a\n", TABLE, stamp("compare", config={"a": "x" * 10**7, "b": [1] * 10**5}))
    assert len(told()) < 10_000
    for deep, most in ((40, 0), (400, 1), (900, 1)):
        nested: object = 1
        for _ in range(deep):
            nested = {"a": nested}
        write_csv("a\n", TABLE, stamp("compare", config={"a": nested}))
        assert main(["trace", TABLE]) == 1
        assert main(["stamp", TABLE]) == most


def values(chance):
    return chance.choice([None, True, 7, -1.5, "", "a", "é\ud800", [], ["a"], {}, {"a": 1},
                          {"a": "b"}, "/dev/zero", "results", TABLE, 10**400])  # fmt: skip


def test_stamps_changed_at_random_are_told_or_refused(folder, capsys):
    chance, refused = random.Random(8), 0
    for _ in range(300):
        made = stamp("compare", inputs={ESTIMATES: "b"})
        for _ in range(chance.randint(1, 3)):
            place = copy.copy(made)
            made = place
            key = chance.choice([*place, "more"])
            if isinstance(place.get(key), dict) and chance.random() < 0.6:
                inner = place[key] = dict(place[key])
                inner[chance.choice([*inner, "a", "é", "../x", ""])] = values(chance)
            elif chance.random() < 0.2:
                place.pop(key, None)
            else:
                place[key] = values(chance)
        write_csv("a\n", TABLE, made)
        try:
            ancestry = Tracer(".", []).trace(TABLE)
        except ArtifactError:
            refused += 1
            continue
        trace_text.tree(ancestry).encode()
        json.dumps(trace_text.as_data(ancestry)).encode()
        trace_text.compared(ancestry, Tracer(".", []).trace(ESTIMATES))
    assert 50 < refused < 250
