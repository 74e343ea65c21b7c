"""Archives that somebody made to do harm: refused or harmless, at once, and nothing is written."""

import gzip
import io
import random
import re
import tarfile
import time
import tracemalloc

import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.data import cifar10, tar
from finitewidth.data.download import DownloadError, download
from finitewidth.data.labelled import labelled

BATCHES = [*cifar10.TRAIN, *cifar10.VALIDATION]
BATCH = bytes([3]) + bytes(3072)


def member(name, content=b"", size=None, **about):
    """A header with what stands behind it; ``size`` is what the header declares."""
    info = tarfile.TarInfo(name)
    info.size = len(content) if size is None else size
    for key, value in about.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def archive(folder, *members, batches=BATCHES, end=bytes(1024)):
    path = folder / "c.tar.gz"
    content = b"".join([*members, *(member(f"c/{name}", BATCH) for name in batches), end])
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def read(path):
    spec = {
        "kind": "cifar10", "archive": path.name, "url": "http://127.0.0.1/", "sha256": None,
        "grayscale": True, "normalise": False, "train": None, "validation": None,
    }  # fmt: skip
    return labelled("c", spec, seed=1)


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    """A working directory that nothing but the archive may appear in, or beside."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield folder
    there = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert there <= {"a", "a/b", "a/b/c.tar.gz"}


@pytest.mark.parametrize(
    "about",
    [
        {"name": "../../x", "content": b"outside"},
        {"name": "../../data_batch_1.bin", "content": BATCH},
        {"name": "{folder}/x", "content": b"absolute"},
        {"name": "/etc/data_batch_1.bin", "content": BATCH},
        {"name": "x", "type": tarfile.SYMTYPE, "linkname": "../../x"},
        {"name": "data_batch_1.bin", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": "data_batch_1.bin", "type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        {"name": "x", "type": tarfile.FIFOTYPE},
        {"name": "x", "type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        {"name": "x", "type": tarfile.BLKTYPE, "devmajor": 8},
        {"name": "x", "type": tarfile.DIRTYPE, "size": 2**30},
        {"name": "x", "type": tarfile.XHDTYPE, "content": b"30 path=../../data_batch_1.bin\n"},
        {"name": "x", "type": tarfile.XHDTYPE, "content": b"18 size=-10000000\n"},
        {"name": "x", "type": tarfile.XGLTYPE, "content": b"1" * 65536},
        {"name": "x", "type": tarfile.GNUTYPE_LONGNAME, "content": b"y/" * 65536},
    ],
)
def test_members_that_would_write_elsewhere_are_harmless(inside, about):
    about = about | {"name": about["name"].format(folder=inside)}
    data = read(archive(inside, member(**about)))
    # All of them stand before the batches, the last of which by a name counts.
    assert data.train_x.shape == (5, 1, 32, 32)
    assert np.all(data.train_y == 3)
    assert not np.any(data.train_x)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_is_no_batch(inside, kind):
    hostile = member("test_batch.bin", type=kind, linkname="/etc/passwd")
    with pytest.raises(ConfigError, match=r"\(this one has no test_batch\.bin\)"):
        read(archive(inside, hostile, batches=BATCHES[:5]))


def test_a_sparse_file_declares_nothing_that_is_not_there(inside):
    hostile = member("test_batch.bin", type=tarfile.GNUTYPE_SPARSE, size=0)
    with pytest.raises(ConfigError, match=r"no test_batch\.bin"):
        read(archive(inside, hostile, batches=BATCHES[:5]))


@pytest.mark.parametrize("size", [2**28, 8 * 2**30 - 1, 8 * 2**30, 2**63])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_member_of_enormous_declared_size_is_refused_at_once(inside, size, kind):
    path = archive(inside, member("data_batch_1.bin", size=size, type=kind))
    tracemalloc.start()
    begun = time.process_time()
    # From 8 GiB on a header spells it in another way.
    with pytest.raises(ConfigError, match="is too large: it declares more than 268435456 bytes"):
        read(path)
    assert time.process_time() - begun < 2
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def spelt(header, start, text):
    """A header with other bytes at one place, and the checksum of what it then is."""
    header = bytearray(header)
    header[start : start + len(text)] = text
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    return bytes(header)


@pytest.mark.parametrize("spelling", [(2**96 - 1024).to_bytes(12, "big"), b"-0000002000\0"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE])
def test_a_negative_size_does_not_turn_in_circles(inside, spelling, kind):
    with pytest.raises(ConfigError, match="this one is damaged"):
        # Back to the first of three members.
        read(
            archive(inside, member("x"), member("x"), spelt(member("x", type=kind), 124, spelling))
        )


PAX = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


@pytest.mark.parametrize(
    "hostile",
    [
        *(member("x", bytes(2**26), type=kind)
          for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
                       tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)),
        # Maps of holes, one block of them after the other.
        spelt(member("x", (bytes(504) + b"\1" + bytes(7)) * 2**13, type=tarfile.GNUTYPE_SPARSE),
              482, b"\1"),
        member("x", PAX, type=tarfile.XHDTYPE) + member("x", b"9999999\n" + b"0\n" * 2**22),
        member("x", PAX, type=tarfile.XHDTYPE) * 900,
    ],
    ids=["pax", "global pax", "Solaris", "long name", "long link", "holes", "pax holes", "chain"],
)  # fmt: skip
def test_extensions_are_not_followed(inside, hostile):
    path = archive(inside, hostile)
    del hostile
    tracemalloc.start()
    assert len(read(path).train_x) == 5
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_members_without_number_are_refused(inside, monkeypatch):
    path = archive(inside, *(member(f"{k}") for k in range(tar.MOST_MEMBERS)))
    with pytest.raises(ConfigError, match=r"too large: it has more than 1000 members"):
        read(path)
    assert len(read(archive(inside, *(member(f"{k}") for k in range(900)))).train_x) == 5


@pytest.mark.parametrize("behind_the_end", [False, True])
def test_a_gzip_that_expands_without_end_is_refused_in_little_memory(
    inside, behind_the_end, monkeypatch
):
    """40 kB that are 40 MiB: as a member's bytes, or behind the tar's end, where tar looks no more.

    The limit is a smaller one, for the sake of time.
    """
    monkeypatch.setattr(tar, "MOST_BYTES", 2**25)
    path = inside / "c.tar.gz"
    before = archive(inside, end=bytes(1024) if behind_the_end else b"").read_bytes()
    filler = io.BytesIO()
    with gzip.GzipFile(fileobj=filler, mode="wb", mtime=0) as out:
        if not behind_the_end:
            out.write(member("more.bin", size=2**24))
        for _ in range(40):
            out.write(bytes(2**20))
    path.write_bytes(before + filler.getvalue())
    assert path.stat().st_size < 50_000
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"too large: it expands to more than 33554432 bytes"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("end", [b"", bytes(100)])
def test_an_archive_without_its_end_is_refused(inside, end):
    with pytest.raises(ConfigError, match="this one is damaged or cut short"):
        read(archive(inside, end=end))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_whatever_is_damaged_is_read_or_refused_in_a_sentence(inside, form):
    """Headers with a few other bytes, most of them with the checksum of what they then are."""
    draw = random.Random(form)
    headers = [tarfile.TarInfo(name).tobuf(form) for name in ("b", "a/" * 70 + "c", "\xfc" * 40)]
    content, refused = b"".join(headers), []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            byte = draw.choice([0, 0x80, 0xFF, *b"7-", draw.randrange(256)])
            damaged[draw.randrange(len(damaged))] = byte
        for start in range(0, len(damaged), 512):
            if draw.random() < 0.9:
                damaged[start : start + 512] = spelt(damaged[start : start + 512], 0, b"")
        (inside / "c.tar.gz").write_bytes(gzip.compress(damaged + bytes(1024), 1))
        try:
            with tar.opened("c.tar.gz") as (opened, found):
                for file in found.values():
                    opened.extractfile(file).read(10)
        except tar.ArchiveError as error:
            refused.append(str(error))
    assert 10 < len(refused) < 290
    assert not any("\n" in said for said in refused)


def test_names_are_compared_as_they_are(inside):
    odd = ["data_batch_1.bin\\..\\x", "..", "/", "\x07$(touch y)", "data_batch_1.bin "]
    assert len(read(archive(inside, *(member(name, b"?") for name in odd))).train_x) == 5
    raw = spelt(member("x" * 16, b"?"), 0, b"\xff\xfe data_b\0/../??")
    assert len(read(archive(inside, raw)).train_x) == 5


def test_a_local_file_is_no_download(inside):
    path = archive(inside)
    for url in (path.as_uri(), "ftp://127.0.0.1/c.tar.gz", "data:,abc"):
        says = f"{re.escape(url)} cannot be downloaded .unknown url type"
        with pytest.raises(DownloadError, match=says):
            download(url, inside / "taken", None)
