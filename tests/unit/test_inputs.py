"""Named sets of input vectors."""

import netCDF4
import numpy as np
import pytest

from finitewidth.errors import ConfigError
from finitewidth.inputs import vectors


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


def array(path, variable=None, count=None):
    spec = {"kind": "array", "file": str(path), "variable": variable, "count": count}
    return vectors("u", spec, seed=1)


def test_a_users_array_is_read_row_by_row(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "x.npy", x)
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as file:
        file.createDimension("i", 4)
        file.createDimension("j", 3)
        file.createVariable("x", "f8", ("i", "j"))[:] = x
    assert np.array_equal(array(tmp_path / "x.npy"), x)
    assert np.array_equal(array(tmp_path / "x.nc", "x", count=2), x[:2])
    with pytest.raises(ConfigError, match='variable: given "y", allowed is one of x'):
        array(tmp_path / "x.nc", "y")
    with pytest.raises(ConfigError, match="at most 4"):
        array(tmp_path / "x.npy", count=5)


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
