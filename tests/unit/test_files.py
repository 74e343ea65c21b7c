"""What stands where something is to be written, or is looked for: it may be somebody else's."""

import os

import pytest

from finitewidth.core.files import inside, make_way
from finitewidth.provenance import crate
from finitewidth.provenance.code import CHECKOUT


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "theirs"
    path.mkdir()
    (path / "Makefile").write_text("of somebody else")
    return path


def test_way_is_made_but_for_what_is_one_file_or_folder(theirs, tmp_path):
    file, folder, place = theirs / "Makefile", tmp_path / "folder", tmp_path / "place"
    folder.mkdir()
    make_way(tmp_path / "nothing")
    make_way(folder)
    assert folder.is_dir()
    for put in (
        lambda: place.symlink_to(file), lambda: place.symlink_to(theirs), lambda: os.mkfifo(place),
        lambda: place.symlink_to("nowhere"), lambda: os.link(file, place),
    ):  # fmt: skip
        put()
        make_way(place)
        assert not os.path.lexists(place)
    assert file.read_text() == "of somebody else"
    make_way(file)
    assert file.exists()


def test_the_copy_of_the_code_is_not_written_through_a_link(theirs, tmp_path):
    (tmp_path / "code").symlink_to(theirs)
    crate.copy_code(CHECKOUT, tmp_path / "code")
    assert (theirs / "Makefile").read_text() == "of somebody else"
    assert sorted(p.name for p in theirs.iterdir()) == ["Makefile"]
    assert (tmp_path / "code/Makefile").is_file()


def test_what_stands_inside_a_folder_is_found_by_its_plain_name_alone(theirs, tmp_path):
    assert inside(tmp_path, "theirs/Makefile") == theirs.resolve() / "Makefile"
    (tmp_path / "link").symlink_to(theirs)
    assert inside(tmp_path, "link/Makefile") == theirs.resolve() / "Makefile"
    for name in ("theirs", "theirs/", "/theirs/Makefile", "./theirs/Makefile", "theirs//Makefile",
                 "link/../theirs/Makefile", "", "no", "a\0b", "\ud800", 9999 * "x"):  # fmt: skip
        assert inside(tmp_path, name) is None, name
    assert inside(theirs, "../theirs/Makefile") is None
    (theirs / "out").symlink_to(tmp_path)
    (tmp_path / "secret").write_text("x")
    assert inside(theirs, "out/secret") is None
