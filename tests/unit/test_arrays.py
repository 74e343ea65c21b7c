"""Arrays in files of strangers: read as what they are, or refused in one sentence."""

import io
import os
import random

import netCDF4
import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.core.files import bounded_sha256, unreadable
from finitewidth.data.inputs import vectors
from finitewidth.data.labelled import labelled


def array(path, variable=None):
    spec = {"kind": "array", "file": str(path), "variable": variable, "count": None}
    return vectors("u", spec, seed=1)


def images(path):
    spec = {
        "kind": "array", "file": str(path), "images": "x", "labels": "y", "validation": 0.25,
        "normalise": False, "classes": None,
    }  # fmt: skip
    return labelled("u", spec, seed=1)


def outcome(read, *arguments):
    """What was read, or the sentence; anything else that is thrown is a fault."""
    try:
        return read(*arguments)
    except ConfigError as error:
        return str(error)


def npy(x):
    stream = io.BytesIO()
    np.save(stream, x)
    return stream.getvalue()


def damaged(chance, whole):
    """An .npy file with bytes of its header changed, put in, taken out, or another header."""
    content = bytearray(whole)
    end = content.index(b"\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(6, end)
        kind = chance.randrange(4)
        if kind == 0:
            content[at] = chance.randrange(256)
        elif kind == 1:
            content[at] = ord(chance.choice("(){}[]'\",:\\0123456789<>|=fiumMOVUSc\n\t#;.-+eEjL_"))
        elif kind == 2:
            del content[at]
        else:
            content[at:at] = chance.choice([b"(", b"'", b"9" * 30, b"\0", b"\xff", b"None", b"-"])
    return bytes(content[: chance.choice([len(content)] * 4 + [at, at + 1])])


def test_a_damaged_npy_file_is_numbers_or_one_sentence(tmp_path):
    chance, path, refused = random.Random(5), tmp_path / "x.npy", 0
    wholes = [npy(x) for x in (np.eye(3), np.arange(6).reshape(2, 3), np.ones((2, 2), "f4"))]
    for _ in range(600):
        path.write_bytes(damaged(chance, chance.choice(wholes)))
        found = outcome(array, path)
        refused += isinstance(found, str)
        assert isinstance(found, str) or (found.ndim == 2 and np.isfinite(found).all())
    assert refused > 400


HEADS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), ",  # a token that never ends
    "{'descr': ('<f8', 3, 4, 5), 'fortran_order': False, 'shape': (2, 2)}",
    "{'descr': None, 'fortran_order': False, 'shape': (2, 2)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -2)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 'x')}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 8)}",
    "{'descr': [('a', '<f8'), ('a', '<f8')], 'fortran_order': False, 'shape': (2, 2)}",
    "{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 2)}",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (9999999999, 2)}",
    "{[]: 1}", "(" * 200, "'\\N{x}'", "{1: 2}", "{'descr'}", "\\", "9" * 5000, "", "\0",
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("version", [1, 2, 3, 9])
def test_an_npy_header_of_another_shape_is_one_sentence(tmp_path, head, version):
    text, size = head.encode(), 2 if version == 1 else 4
    start = b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(size, "little")
    (tmp_path / "x.npy").write_bytes(start + text + bytes(64))
    assert "inputs.u.file: given" in outcome(array, tmp_path / "x.npy")


@pytest.mark.parametrize("kind", ["m8[s]", "M8[D]", "?", "S3", "U2", "V4", "c16", "c8"])
def test_what_is_no_real_number_is_not_read_as_one(tmp_path, kind):
    np.save(tmp_path / "x.npy", np.zeros((2, 3), dtype=kind))
    found = outcome(array, tmp_path / "x.npy")
    if kind.startswith("c"):
        assert "finite real numbers" in found
    else:
        assert "allowed is an array of shape (inputs, n_0), of real numbers" in found


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="no wider floats")
def test_numbers_beyond_double_precision_are_refused(tmp_path):
    x = np.ones((2, 2), dtype=np.longdouble)
    np.save(tmp_path / "x.npy", x)
    assert np.array_equal(array(tmp_path / "x.npy"), np.ones((2, 2)))
    for value in (
        np.finfo(np.longdouble).max,
        np.longdouble(2) ** 1024,
        -(np.longdouble(10) ** 400),
    ):
        x[1, 0] = value
        np.save(tmp_path / "x.npy", x)
        assert "a number beyond 1.8e308" in outcome(array, tmp_path / "x.npy")


#: Attributes that say how numbers are packed, with what no number follows from.
UNUSABLE = [
    (key, value)
    for key in ("scale_factor", "add_offset")
    for value in ("two", "2", "", [1.0, 2.0], np.nan, np.inf, [])
] + [
    (key, value)
    for key in ("missing_value", "_FillValue", "valid_min", "valid_max", "valid_range")
    for value in ("7", "x", 1e30, 0.5)
    # netCDF4 itself takes no other for the fill value.
    if key != "_FillValue"
] + [("valid_range", [1, 2, 3]), ("valid_min", [1, 2])]  # fmt: skip


def packed(path, attributes):
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("i", 12), ("j", 3), ("one", 1)):
            file.createDimension(name, length)
        file.createVariable("x", "i2", ("i", "j"))[:] = np.arange(36).reshape(12, 3)
        file.createVariable("y", "i2", ("i",))[:] = [0, 1, 2] * 4
        for key, value in attributes.items():
            file["x"].setncattr(key, value)
    return path


@pytest.mark.parametrize(("key", "value"), UNUSABLE)
def test_an_attribute_that_would_be_passed_over_is_named(tmp_path, key, value):
    path = packed(tmp_path / "x.nc", {key: value})
    for said, where in ((outcome(array, path, "x"), "inputs.u.variable"),
                        (outcome(images, path), "data.u.images")):  # fmt: skip
        assert isinstance(said, str), value
        assert said.startswith(f'config key {where}: given "x", allowed is a variable whose')
        assert f"attribute {key} is" in said


def test_an_attribute_that_can_be_used_is(tmp_path):
    plain = np.arange(36.0).reshape(12, 3)
    for attributes, wanted in (
        ({"scale_factor": 0.5, "add_offset": np.float32(1)}, plain / 2 + 1),
        ({"scale_factor": np.array([2.0])}, plain * 2),
        ({"missing_value": np.int16(-5), "valid_range": np.int16([0, 50])}, plain),
        ({"missing_value": np.int16([-5, -6]), "units": "days since 2000-01-01"}, plain),
    ):
        assert np.array_equal(array(packed(tmp_path / "x.nc", attributes), "x"), wanted)


def test_what_is_no_file_is_told_by_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    os.mkfifo(tmp_path / "pipe.nc")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "link.npy").symlink_to("/dev/zero")
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    for name, part in (
        ("pipe.npy", "it is a device, a pipe or a socket"), ("pipe.nc", "a pipe"),
        ("link.npy", "a device"), ("folder.npy", "it is a folder"), ("none.npy", "that exists"),
        ("loop.npy", "symbolic links"),
    ):  # fmt: skip
        said = outcome(array, tmp_path / name, "x")
        assert "config key inputs.u.file: given" in said
        assert part in said
    for read in (images,):
        assert "data.u.file: given" in outcome(read, tmp_path / "pipe.nc")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc")
def test_what_a_system_shows_of_itself_is_no_file(tmp_path):
    (tmp_path / "link").symlink_to("/proc/self/environ")
    for path in ("/proc/kcore", "/proc/self/mem", "/proc/self/pagemap", "/proc/kmsg", "/proc/stat",
                 "/sys/kernel/uevent_seqnum", tmp_path / "link"):  # fmt: skip
        if os.path.exists(path):
            assert "what the system shows of itself" in unreadable(path), path
    # A file by a name there is the file that it is.
    (tmp_path / "x").write_bytes(b"numbers")
    with open(tmp_path / "x") as file:
        assert unreadable(f"/proc/self/fd/{file.fileno()}") is None


def test_a_digest_ends_where_the_file_says_that_it_does():
    if os.path.exists("/proc/self/status"):
        assert bounded_sha256("/proc/self/status").startswith("e3b0c442")
    assert bounded_sha256(__file__) != bounded_sha256(pytest.__file__)
