"""Labelled sets of images."""

import netCDF4
import numpy as np
import pytest
from sklearn.datasets import load_digits

from finitewidth.core.errors import ConfigError
from finitewidth.data.images import from_dataset, to_dataset
from finitewidth.data.labelled import labelled
from finitewidth.provenance.artifacts import make_stamp, read_dataset, write_dataset
from finitewidth.provenance.code import used

pytestmark = pytest.mark.fast


def digits(seed=1, name="d", **change):
    return labelled(name, {"kind": "digits", "validation": 0.25, "normalise": True} | change, seed)


def rows(x):
    """Images as a multiset: sorted rows of pixels."""
    return np.array(sorted(x.reshape(len(x), -1).tolist()))


def test_digits_are_all_there_once_with_their_labels():
    data = digits(normalise=False)
    assert data.classes == 10
    for part in (data.train_x, data.validation_x):
        assert part.dtype == np.float32
        assert part.shape[1:] == (1, 8, 8)
    assert data.train_y.dtype == data.validation_y.dtype == np.int64
    images, labels = load_digits(return_X_y=True)
    both = np.concatenate([data.train_x, data.validation_x])
    of_both = np.concatenate([data.train_y, data.validation_y])
    assert np.array_equal(rows(16 * both), rows(images))
    known = {tuple(image): label for image, label in zip(images, labels, strict=True)}
    assert all(
        known[tuple(16 * x.ravel())] == y
        for x, y in zip(both.astype(float), of_both, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.0001, 0.1, 0.25, 0.5, 0.9999])
def test_each_class_is_split_in_the_share_asked_for(share):
    data = digits(validation=share)
    validation = np.bincount(data.validation_y, minlength=10)
    count = validation + np.bincount(data.train_y, minlength=10)
    assert count.tolist() == np.bincount(load_digits().target).tolist()
    assert (abs(validation - share * count) <= 0.5).all() or share in (0.0001, 0.9999)
    assert validation.min() >= 1
    assert (count - validation).min() >= 1


def test_the_split_depends_on_seed_and_name_alone():
    first, again = digits(), digits()
    for key in ("train_x", "train_y", "validation_x", "validation_y"):
        assert np.array_equal(getattr(first, key), getattr(again, key))
    assert not np.array_equal(first.train_y, digits(seed=2).train_y)
    assert not np.array_equal(first.train_y, digits(name="e").train_y)


def test_a_part_is_not_sorted_by_class():
    data = digits()
    assert len(np.unique(data.train_y[:30])) > 7
    assert len(np.unique(data.validation_y[:30])) > 7


def test_two_numbers_of_the_training_part_normalise_both_parts():
    data, plain = digits(), digits(normalise=False)
    assert data.train_x.mean(dtype=float) == pytest.approx(0, abs=1e-6)
    assert data.train_x.std(dtype=float) == pytest.approx(1, abs=1e-6)
    mean, deviation = plain.train_x.mean(dtype=float), plain.train_x.std(dtype=float)
    assert np.allclose(data.train_x, (plain.train_x - mean) / deviation, atol=1e-6)
    assert np.allclose(data.validation_x, (plain.validation_x - mean) / deviation, atol=1e-6)


def test_what_is_written_is_read_again(tmp_path):
    data = digits()
    dataset = to_dataset(data)
    assert dataset["train_x"].dims == ("train", "channel", "row", "column")
    assert dataset["validation_x"].dims == ("validation", "channel", "row", "column")
    assert dataset["train_label"].dtype == dataset["validation_label"].dtype == np.int16
    assert all(v.attrs["long_name"] and v.attrs["units"] == "1" for v in dataset.values())
    stamp = make_stamp(rule="data", wildcards={}, config={}, inputs=[], used=used())
    write_dataset(dataset, tmp_path / "d.nc", stamp, title="digits")
    back = from_dataset(read_dataset(tmp_path / "d.nc"))
    assert back.classes == 10
    assert type(back.classes) is int
    for key in ("train_x", "train_y", "validation_x", "validation_y"):
        assert getattr(back, key).dtype == getattr(data, key).dtype
        assert np.array_equal(getattr(back, key), getattr(data, key))


LABELS = np.array([0, 1, 2] * 4)


def written(path, images, labels):
    """A netCDF file with the variables x and y."""
    with netCDF4.Dataset(path, "w") as file:
        for name, values in (("x", np.asanyarray(images)), ("y", np.asanyarray(labels))):
            for k, length in enumerate(values.shape):
                file.createDimension(f"{name}{k}", length)
            dimensions = [f"{name}{k}" for k in range(values.ndim)]
            kind = str if values.dtype.kind == "U" else values.dtype
            file.createVariable(name, kind, dimensions)[...] = (
                values.astype(object) if kind is str else values
            )
    return path


def array(path, **change):
    spec = {
        "kind": "array", "file": str(path), "images": "x", "labels": "y", "validation": 0.25,
        "normalise": False, "classes": None,
    }  # fmt: skip
    return labelled("u", spec | change, seed=1)


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [((12, 5), (5, 1, 1)), ((12, 3, 2), (1, 3, 2)), ((12, 3, 4, 2), (3, 4, 2))],
)
def test_a_users_images_get_their_missing_dimensions(tmp_path, shape, becomes):
    images = np.arange(np.prod(shape), dtype=float).reshape(shape)
    data = array(written(tmp_path / "u.nc", images, LABELS))
    assert data.train_x.shape == (9, *becomes)
    assert data.validation_x.shape == (3, *becomes)
    assert data.classes == 3
    both = np.concatenate([data.train_x, data.validation_x])
    assert np.array_equal(rows(both), rows(images))
    sample = both.reshape(12, -1)[:, 0] / np.prod(becomes)
    of_both = np.concatenate([data.train_y, data.validation_y])
    assert np.array_equal(of_both, LABELS[sample.astype(int)])


@pytest.mark.parametrize("kind", ["u1", "i2", "f4", "f8"])
def test_a_users_images_of_any_type_are_normalised_by_their_training_part(tmp_path, kind):
    images = np.random.default_rng(3).integers(0, 256, (12, 4, 4)).astype(kind)
    images[0] = 255
    path = written(tmp_path / "u.nc", images, LABELS.astype("f8"))
    plain, data = array(path), array(path, normalise=True)
    mean, deviation = plain.train_x.mean(dtype=float), plain.train_x.std(dtype=float)
    assert plain.train_x.max() == 255 or plain.validation_x.max() == 255
    assert np.allclose(data.train_x, (plain.train_x - mean) / deviation, atol=1e-5)
    assert np.allclose(data.validation_x, (plain.validation_x - mean) / deviation, atol=1e-5)


def test_white_is_a_value_unless_the_file_says_that_it_is_missing(tmp_path):
    images = np.full((12, 4), 255, dtype="u1")
    path = written(tmp_path / "u.nc", images, LABELS.astype("u1"))
    assert np.all(array(path).train_x == 255)
    with netCDF4.Dataset(path, "a") as file:
        file["x"].missing_value = np.uint8(255)
    with pytest.raises(ConfigError, match="sample 0"):
        array(path)


def test_a_small_signal_on_a_large_offset_survives_normalising(tmp_path):
    signal = np.random.default_rng(3).standard_normal((12, 4))
    data = array(written(tmp_path / "u.nc", 1e9 + signal, LABELS), normalise=True)
    same = array(written(tmp_path / "v.nc", signal, LABELS), normalise=True)
    assert np.allclose(data.train_x, same.train_x, atol=1e-5)


IMAGES = np.arange(48.0).reshape(12, 4)


def with_sample(values, sample, value):
    values = np.ma.array(values, dtype=float, copy=True)
    values[sample] = value
    return values


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, 0], LABELS, r'images: given "x", .* \(sample, component\).* shape \(12,\)'),
        (IMAGES.reshape(12, 2, 2, 1, 1), LABELS, r"shape \(12, 2, 2, 1, 1\) and type float64"),
        (np.array(3.0), LABELS, r"shape \(\)"),
        (np.zeros((12, 0)), LABELS, r"none of length 0 \(this one has shape \(12, 0\)"),
        (np.full((12, 2), "a"), LABELS, "images: .*variable of numbers"),
        (with_sample(IMAGES, (7, 2), np.nan), LABELS, r"finite .*\(sample 7, counted from 0"),
        (with_sample(IMAGES, (8, 0), -np.inf), LABELS, "sample 8"),
        (with_sample(IMAGES, (0, 3), 1e39), LABELS, "single precision .sample 0"),
        (with_sample(IMAGES, (5, 3), np.ma.masked), LABELS, "sample 5"),
        (IMAGES, LABELS[:11], 'labels: given "y", .* each of the 12 images .there are 11 labels'),
        (IMAGES, IMAGES, r"labels: .* one dimension, the sample \(this one has shape \(12, 4\)"),
        (IMAGES, np.full(12, "cat"), "labels: .*variable of whole numbers"),
        (IMAGES, np.array("cat"), "labels: .*variable of whole numbers"),
        (IMAGES, with_sample(LABELS, 4, 1.5), r"whole numbers \(sample 4, .* has 1\.5\)"),
        (IMAGES, with_sample(LABELS, 4, np.inf), r"whole numbers \(sample 4, .* has inf\)"),
        (IMAGES, with_sample(LABELS, 6, np.nan), r"whole numbers \(sample 6, .* has nan\)"),
        (IMAGES, with_sample(LABELS, 6, np.ma.masked), r"\(sample 6, .* has nothing\)"),
        (IMAGES, with_sample(LABELS, 2, -1), r"not negative \(sample 2, .* has -1\)"),
        (IMAGES, with_sample(LABELS, 2, 32768), r"at most 32767 \(sample 2, .* has 32768\)"),
        (IMAGES, with_sample(LABELS, 2, 3), r"2 images a class.*\(class 3 has 1\)"),
        (IMAGES, LABELS + 1, r"labels 0 to 3 in which each class occurs.*\(class 0 does not"),
        (IMAGES, np.where(LABELS == 1, 9, LABELS), r"labels 0 to 9 .*\(class 1 does not occur\)"),
        (IMAGES, 0 * LABELS, r"at least 2 classes \(these are of 1\)"),
    ],
)
def test_a_users_data_that_cannot_serve_is_refused(tmp_path, images, labels, message):
    path = written(tmp_path / "u.nc", images, labels)
    with pytest.raises(ConfigError, match=message) as caught:
        array(path)
    assert str(caught.value).startswith("config key data.u.")
    assert "\n" not in str(caught.value)


def test_classes_may_be_said_and_then_need_not_all_occur(tmp_path):
    path = written(tmp_path / "u.nc", IMAGES, LABELS)
    assert array(path, classes=5).classes == 5
    with pytest.raises(ConfigError, match=r"labels of at most 1 \(sample 2, counted from 0, has 2"):
        array(path, classes=2)


def test_images_without_contrast_are_not_normalised(tmp_path):
    path = written(tmp_path / "u.nc", np.full((12, 4), 0.1), LABELS)
    assert np.all(array(path).train_x == np.float32(0.1))
    with pytest.raises(
        ConfigError,
        match=r"data\.u\.normalise: given True, allowed is false: all pixels for training are",
    ):
        array(path, normalise=True)


def test_a_variable_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = written(tmp_path / "u.nc", IMAGES, LABELS)
    with pytest.raises(
        ConfigError, match=r'data\.u\.images: given "pixels", allowed is one of x, y'
    ):
        array(path, images="pixels")
    with pytest.raises(ConfigError, match=r'data\.u\.labels: given "z", allowed is one of x, y'):
        array(path, labels="z")
    netCDF4.Dataset(tmp_path / "empty.nc", "w").close()
    with pytest.raises(ConfigError, match="it has none"):
        array(tmp_path / "empty.nc")


def test_a_file_that_is_missing_or_broken_is_named(tmp_path):
    # Relative, as a config has it: an absolute path of pytest's is cut off in the sentence.
    with pytest.raises(ConfigError, match=r'data\.u\.file: given "gone\.nc", allowed is a file th'):
        array("gone.nc")
    (tmp_path / "no.nc").write_text("no")
    whole = written(tmp_path / "u.nc", IMAGES, LABELS).read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    for name in ("no.nc", "half.nc"):
        with pytest.raises(ConfigError, match=r"data\.u\.file: given .*, allowed is a netCDF file"):
            array(tmp_path / name)
