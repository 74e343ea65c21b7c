"""Named sets of input vectors."""

import pickle

import netCDF4
import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.data.inputs import vectors

pytestmark = pytest.mark.fast


def sphere(**change):
    spec = {"kind": "sphere", "dimension": 6, "count": 4, "norm": 2.5, "overlap": None} | change
    return vectors("a", spec, seed=1)


def test_sphere_has_the_norm_and_the_shape_asked_for():
    x = sphere()
    assert x.shape == (4, 6)
    assert np.allclose(np.linalg.norm(x, axis=1), 2.5)


@pytest.mark.parametrize(("overlap", "count"), [(0.0, 4), (0.5, 4), (1.0, 4), (-1.0, 2), (-0.5, 3)])
def test_sphere_has_the_overlap_asked_for(overlap, count):
    x = sphere(overlap=overlap, count=count, dimension=4)
    cosines = x @ x.T / 2.5**2
    assert np.allclose(cosines[~np.eye(count, dtype=bool)], overlap, atol=1e-12)
    assert np.allclose(np.diag(cosines), 1)


def test_an_arc_has_the_angles_and_the_norm_asked_for_to_the_last_bit():
    spec = {"kind": "arc", "dimension": 5, "norm": 2.0, "angles": [0, 30, 90, 180, 30, -45]}
    x = vectors("a", spec, seed=1)
    assert np.allclose(np.linalg.norm(x, axis=1), 2)
    assert np.allclose(x @ x[0] / 4, np.cos(np.deg2rad(spec["angles"])), atol=1e-12)
    assert np.allclose(x[1] @ x[5] / 4, np.cos(np.deg2rad(75)))
    assert np.array_equal(x[3], -x[0])
    assert np.array_equal(x[4], x[1])


def test_vectors_depend_on_seed_and_name_alone():
    spec = {"kind": "sphere", "dimension": 6, "count": 4, "norm": 1.0, "overlap": None}
    assert np.array_equal(vectors("a", spec, 1), vectors("a", spec, 1))
    assert not np.allclose(vectors("a", spec, 1), vectors("b", spec, 1))
    assert not np.allclose(vectors("a", spec, 1), vectors("a", spec, 2))


def test_digits_are_real_images_standardised_one_by_one():
    from sklearn.datasets import load_digits

    x = vectors("d", {"kind": "digits", "classes": [3, 8], "count": 5}, seed=4)
    assert x.shape == (5, 64)
    assert np.allclose(x.mean(axis=1), 0)
    assert np.allclose((x**2).mean(axis=1), 1)
    images, labels = load_digits(return_X_y=True)
    images = (images - images.mean(1, keepdims=True)) / images.std(1, keepdims=True)
    nearest = ((images[:, None] - x) ** 2).sum(2).argmin(0)
    assert np.allclose(images[nearest], x)
    assert labels[nearest].tolist() == [3, 8, 3, 8, 3]


def test_more_digits_than_there_are_is_refused():
    with pytest.raises(ConfigError, match=r"inputs\.d\.count: given 500, allowed is at most 1"):
        vectors("d", {"kind": "digits", "classes": [3], "count": 500}, seed=1)


def netcdf(path, x, kind=None):
    with netCDF4.Dataset(path, "w") as file:
        for name, length in zip("ij", x.shape, strict=True):
            file.createDimension(name, length)
        file.createVariable("x", kind or x.dtype, ("i", "j"))[:] = x
    return path


def array(path, variable=None, count=None):
    spec = {"kind": "array", "file": str(path), "variable": variable, "count": count}
    return vectors("u", spec, seed=1)


def test_a_users_array_is_read_row_by_row(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "x.npy", x)
    netcdf(tmp_path / "x.nc", x)
    assert np.array_equal(array(tmp_path / "x.npy"), x)
    assert np.array_equal(array(tmp_path / "x.nc", "x", count=2), x[:2])
    with pytest.raises(ConfigError, match='variable: given "y", allowed is "x"'):
        array(tmp_path / "x.nc", "y")
    with pytest.raises(ConfigError, match="at most 4"):
        array(tmp_path / "x.npy", count=5)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "i4", "f4"])
def test_whole_numbers_of_a_netcdf_file_are_taken_as_they_are(tmp_path, kind):
    x = np.array([[0, 1, 100], [127, 7, 100]]).astype(kind)
    if kind == "u1":
        x[0] = [255, 254, 128]
    path = netcdf(tmp_path / "x.nc", x)
    assert np.array_equal(array(path, "x"), x.astype(float))
    with netCDF4.Dataset(path, "a") as file:
        file["x"].missing_value = x[0, 1]
    with pytest.raises(ConfigError, match='given "an array with missing values", allowed is'):
        array(path, "x")


def test_packed_values_are_unpacked(tmp_path):
    path = netcdf(tmp_path / "x.nc", np.array([[0, 255]], dtype="u1"))
    with netCDF4.Dataset(path, "a") as file:
        file["x"].scale_factor, file["x"].add_offset = 2.0, -1.0
    assert array(path, "x").tolist() == [[-1.0, 509.0]]


def test_text_in_a_netcdf_file_is_refused(tmp_path):
    path = netcdf(tmp_path / "x.nc", np.array([["a", "b"]], dtype=object), str)
    with pytest.raises(ConfigError, match=r"an array of shape \(inputs, n_0\)"):
        array(path, "x")


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["objects", "pickle", "archive", "enormous", "header"])
def test_an_npy_file_that_is_something_else_is_refused_and_not_run(tmp_path, kind):
    path, sprung = tmp_path / "x.npy", tmp_path / "sprung"
    if kind == "objects":
        np.save(path, np.array([[Trap(sprung)]], dtype=object), allow_pickle=True)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Trap(sprung)))
    elif kind == "archive":
        with open(path, "wb") as file:
            np.savez(file, x=np.eye(2))
    else:
        shape = "(2, __import__('os').getpid())" if kind == "header" else "(1000000000, 1000000000)"
        head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(ConfigError, match=r"inputs\.u\.file: given .*, allowed is an \.npy array"):
        array(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([1.0, 2.0]), "shape"),
        (np.array([["a", "b"]]), "shape"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, 1j]]), "finite"),
        (np.array([[{}]], dtype=object), "npy"),
    ],
)
def test_an_array_that_cannot_serve_is_refused(tmp_path, content, message):
    np.save(tmp_path / "x.npy", content)
    with pytest.raises(ConfigError, match=message):
        array(tmp_path / "x.npy")


def test_a_file_that_is_missing_or_broken_is_named(tmp_path):
    (tmp_path / "x.npy").write_text("no")
    (tmp_path / "x.nc").write_text("no")
    for name in ("x.npy", "x.nc", "gone.npy"):
        with pytest.raises(ConfigError, match=rf"inputs\.u\.file: given .*{name}"):
            array(tmp_path / name, "x")
