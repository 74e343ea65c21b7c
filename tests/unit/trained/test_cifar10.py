"""CIFAR-10: what stands in an archive comes out as arrays, and nothing else passes."""

import contextlib
import gzip
import hashlib
import http.server
import io
import logging
import os
import re
import socket
import tarfile
import threading
import time

import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.data import cifar10
from finitewidth.data import download as downloads
from finitewidth.data.download import DownloadError, download
from finitewidth.data.labelled import labelled
from finitewidth.runtime import job

BATCHES = [*(f"data_batch_{k}.bin" for k in (1, 2, 3, 4, 5)), "test_batch.bin"]
#: The official archive has its batches out of order too, and these files among them.
OTHERS = {"batches.meta.txt": b"airplane\n", "readme.html": b"<html>", "._data_batch_1.bin": b"\0"}
URL = "http://127.0.0.1/cifar-10-binary.tar.gz"


def images(count, seed):
    """Pixels (image, channel, row, column) and labels."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return pixels, random.integers(0, 10, count)


def batch(pixels, labels):
    """The bytes of a batch, written value by value."""
    out = bytearray()
    for image, label in zip(pixels, labels, strict=True):
        out.append(label)
        for plane in image:
            for row in plane:
                out += bytes(row.tolist())
    return bytes(out)


def pack(path, contents, order=None, mode="w:gz"):
    """An archive like the official one of ``contents`` (name: bytes)."""
    with tarfile.open(path, mode) as tar:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in order or contents:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(contents[name])
            tar.addfile(member, io.BytesIO(contents[name]))
    return path


def small(counts=(3, 2, 4, 1, 2, 3)):
    """Pixels and labels of each of the six batches."""
    pairs = zip(BATCHES, counts, strict=True)
    return {name: images(count, seed) for seed, (name, count) in enumerate(pairs)}


def contents(parts):
    return {name: batch(*part) for name, part in parts.items()}


@pytest.fixture(scope="module")
def parts():
    return small()


@pytest.fixture(scope="module")
def archive(parts, tmp_path_factory):
    order = [BATCHES[1], "readme.html", *BATCHES[:0:-2], "batches.meta.txt", *BATCHES[4::-2]]
    order = list(dict.fromkeys([*order, *BATCHES, *OTHERS]))
    path = tmp_path_factory.mktemp("cifar10") / "c.tar.gz"
    return pack(path, contents(parts) | OTHERS, order)


def read(path, **change):
    spec = {
        "kind": "cifar10", "archive": None if path is None else str(path), "url": URL,
        "sha256": None, "grayscale": False, "normalise": False, "train": None, "validation": None,
    }  # fmt: skip
    return labelled("c", spec | change, seed=1)


def stacked(parts, names, which):
    return np.concatenate([parts[name][which] for name in names])


def test_every_pixel_and_label_comes_out_in_its_place(parts, archive):
    data = read(archive)
    assert data.classes == 10
    for part, names in (("train", BATCHES[:5]), ("validation", BATCHES[5:])):
        x, y = getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert np.array_equal(x, (stacked(parts, names, 0) / 255).astype(np.float32))
        assert np.array_equal(y, stacked(parts, names, 1))


def test_more_images_than_are_converted_at_a_time(parts, archive, monkeypatch):
    whole = read(archive, grayscale=True)
    monkeypatch.setattr(cifar10, "_IMAGES", 2)
    assert np.array_equal(read(archive, grayscale=True).train_x, whole.train_x)
    assert np.array_equal(read(archive, grayscale=True).train_y, whole.train_y)


@pytest.mark.parametrize("train", [1, 3, 4, 12])
def test_the_first_images_are_taken(archive, train):
    whole, data = read(archive), read(archive, train=train, validation=2)
    assert np.array_equal(data.train_x, whole.train_x[:train])
    assert np.array_equal(data.train_y, whole.train_y[:train])
    assert np.array_equal(data.validation_x, whole.validation_x[:2])
    assert np.array_equal(data.validation_y, whole.validation_y[:2])


@pytest.mark.parametrize(("part", "there"), [("train", 12), ("validation", 3)])
def test_more_images_than_there_are_is_refused(archive, part, there):
    with pytest.raises(
        ConfigError, match=rf"data\.c\.{part}: given 13, allowed is at most {there}"
    ):
        read(archive, **{part: 13})


def test_normalised_and_gray_pixels_are_those_of_a_computation_by_hand(parts, archive):
    red, green, blue = (int(c) for c in parts["data_batch_2.bin"][0][1, :, 7, 30])
    assert len({red, green, blue}) == 3
    plain, normal = read(archive), read(archive, normalise=True)
    k = 3 + 1
    assert plain.train_x[k, :, 7, 30] == pytest.approx([red / 255, green / 255, blue / 255])
    by_hand = [
        (red / 255 - 0.485) / 0.229,
        (green / 255 - 0.456) / 0.224,
        (blue / 255 - 0.406) / 0.225,
    ]
    assert normal.train_x[k, :, 7, 30] == pytest.approx(by_hand)
    gray = read(archive, normalise=True, grayscale=True)
    assert gray.train_x.shape == (12, 1, 32, 32)
    assert gray.validation_x.shape == (3, 1, 32, 32)
    luma = 0.2989 * by_hand[0] + 0.587 * by_hand[1] + 0.114 * by_hand[2]
    assert gray.train_x[k, 0, 7, 30] == pytest.approx(luma, abs=1e-6)
    plainly = (0.2989 * red + 0.587 * green + 0.114 * blue) / 255
    assert read(archive, grayscale=True).train_x[k, 0, 7, 30] == pytest.approx(plainly)


def test_black_and_white_have_the_numbers_that_everybody_gets(tmp_path):
    black, white = np.zeros((1, 3, 32, 32), np.uint8), np.full((1, 3, 32, 32), 255, np.uint8)
    bytes_ = contents({name: (np.concatenate([black, white]), [0, 9]) for name in BATCHES})
    path = pack(tmp_path / "c.tar.gz", bytes_)
    x = read(path, normalise=True).train_x
    assert np.allclose(x[0, :, 0, 0], [-2.1179, -2.0357, -1.8044], atol=5e-5)
    assert np.allclose(x[1, :, 31, 31], [2.2489, 2.4286, 2.6400], atol=5e-5)
    assert np.allclose(read(path, grayscale=True).train_x[1], 0.9999)


def test_an_archive_that_is_not_there_is_named_with_where_it_can_be_had(tmp_path):
    says = rf'data\.c\.archive: given "gone\.tar\.gz", allowed is a file that exists.* {URL}$'
    with pytest.raises(ConfigError, match=says):
        read("gone.tar.gz")
    with pytest.raises(ConfigError, match=r"archive: given nothing, allowed is a file that exists"):
        read(None)
    with pytest.raises(ConfigError, match="a file that exists"):
        read(tmp_path)


def test_an_altered_byte_is_caught_by_the_digest_before_anything_is_read(
    archive, tmp_path, monkeypatch
):
    whole = archive.read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    assert len(read(archive, sha256=digest.upper()).train_x) == 12
    altered = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
    (tmp_path / "c.tar.gz").write_bytes(altered)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10, "_opened", None)
    found = hashlib.sha256(altered).hexdigest()
    with pytest.raises(ConfigError) as caught:
        read("c.tar.gz", sha256=digest)
    assert str(caught.value) == (
        'config key data.c.archive: given "c.tar.gz", '
        f"allowed is a file with SHA-256 {digest} (this one has {found})"
    )


@pytest.mark.parametrize("at", [3000, 20000, -6])
def test_an_altered_byte_is_caught_without_a_digest(archive, tmp_path, at):
    altered = bytearray(archive.read_bytes())
    altered[at] ^= 1
    (tmp_path / "c.tar.gz").write_bytes(altered)
    with pytest.raises(ConfigError, match=r"data\.c\.archive: .* tar\.gz archive .*damaged"):
        read(tmp_path / "c.tar.gz")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.7, 0.99, 1.0])
def test_an_archive_that_is_cut_short_is_refused(archive, tmp_path, share):
    whole = archive.read_bytes()
    (tmp_path / "c.tar.gz").write_bytes(whole[: min(int(share * len(whole)), len(whole) - 1)])
    with pytest.raises(ConfigError, match=r"data\.c\.archive: .*damaged or cut short") as caught:
        read(tmp_path / "c.tar.gz")
    assert "\n" not in str(caught.value)


# Within data, within the header of a member, and right behind the first batch.
@pytest.mark.parametrize("end", [512 + 512 + 4000, 31_440, 40_000, 512 + 512 + 9728])
def test_a_tar_that_was_cut_before_it_was_compressed_is_refused(parts, tmp_path, end):
    pack(tmp_path / "c.tar", contents(parts), mode="w")
    (tmp_path / "c.tar.gz").write_bytes(gzip.compress((tmp_path / "c.tar").read_bytes()[:end]))
    with pytest.raises(ConfigError, match=r"damaged or cut short|this one has no data_batch_"):
        read(tmp_path / "c.tar.gz")


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all", gzip.compress(b"no tar" * 200, mtime=0)],
    ids=["empty", "text", "gzip of no tar"],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "c.tar.gz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"allowed is a whole tar\.gz archive"):
        read(tmp_path / "c.tar.gz")


@pytest.mark.parametrize("name", BATCHES)
def test_a_missing_batch_is_named(parts, tmp_path, name):
    there = contents(parts)
    del there[name]
    with pytest.raises(ConfigError, match=rf"\(this one has no {re.escape(name)}\)"):
        read(pack(tmp_path / "c.tar.gz", there))


def test_a_link_is_no_batch(parts, tmp_path):
    there = contents(parts)
    del there["test_batch.bin"]
    path = pack(tmp_path / "c.tar", there, mode="w")
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "c.tar.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ConfigError, match=r"has no test_batch\.bin"):
        read(tmp_path / "c.tar.gz")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
def test_a_batch_that_is_no_whole_number_of_records_is_refused(parts, tmp_path, change):
    there = contents(parts)
    there["data_batch_3.bin"] = change(there["data_batch_3.bin"])
    says = rf"whole records of 3073 bytes \(data_batch_3\.bin has {len(there['data_batch_3.bin'])} "
    with pytest.raises(ConfigError, match=says):
        read(pack(tmp_path / "c.tar.gz", there))


def test_a_label_beyond_the_classes_is_named_with_its_record(parts, tmp_path, monkeypatch):
    there = contents(parts)
    spoilt = bytearray(there["data_batch_3.bin"])
    spoilt[2 * 3073] = 10
    there["data_batch_3.bin"] = bytes(spoilt)
    path = pack(tmp_path / "c.tar.gz", there)
    monkeypatch.setattr(cifar10, "_IMAGES", 2)
    says = r"labels 0 to 9 \(record 2, counted from 0, of data_batch_3\.bin has 10\)"
    with pytest.raises(ConfigError, match=says):
        read(path)
    assert len(read(path, train=5).train_x) == 5


# Downloads, from a server on this machine.


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the server's ``behaviour`` says, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        behaviour, content = self.server.behaviour, self.server.content
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        start, status = 0, 200
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", behaviour.get("moves_to", "/there"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "status" in behaviour:
            self.send_error(behaviour["status"])
            return
        if asked and not behaviour.get("ignores_range"):
            start, status = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]), 206
            if start >= len(content):
                self.send_error(416)
                return
        claimed = 0 if behaviour.get("other_range") and status == 206 else start
        body = content[claimed:]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {claimed}-{len(content) - 1}/{len(content)}")
        self.send_header("Connection", "close")
        self.close_connection = True
        if not behaviour.get("silent_about_length"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: behaviour.get("cut_after")])
        self.wfile.flush()
        if "sleeps" in behaviour:
            time.sleep(behaviour["sleeps"])

    def log_message(self, *what):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.behaviour, server.asked = {}, []
    server.content = np.random.default_rng(5).bytes(3_000_001)
    server.url = f"http://127.0.0.1:{server.server_address[1]}/there"
    server.sha256 = hashlib.sha256(server.content).hexdigest()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "c.tar.gz"


def part_of(path):
    return path.with_name(".c.tar.gz.part")


def ranges(server):
    return [asked for _, asked in server.asked]


def test_a_download_arrives_whole_and_tells_its_progress(server, path):
    told = []
    download(server.url, path, server.sha256.upper(), lambda *what: told.append(what))
    assert path.read_bytes() == server.content
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert told == sorted(told)
    assert told[0][0] > 0
    assert told[-1] == (len(server.content), len(server.content))
    assert ranges(server) == [None]


def test_the_progress_of_jobs_can_be_told(server, path, caplog):
    with caplog.at_level(logging.INFO, logger="finitewidth"):
        download(server.url, path, None, job.progress("bytes"))
    assert "3000001 of 3000001 bytes" in caplog.text


def test_a_download_that_was_cut_goes_on_where_it_ended(server, path):
    server.behaviour["cut_after"] = 1_234_567
    with pytest.raises(DownloadError) as caught:
        download(server.url, path, server.sha256)
    assert str(caught.value) == (
        f"{server.url} cannot be downloaded (the connection ended after 1234567 of 3000001 bytes): "
        f"run again to go on where this ended, or put the archive at {path}"
    )
    assert not path.exists()
    assert part_of(path).read_bytes() == server.content[:1_234_567]
    server.behaviour["cut_after"] = 1_000_000
    with pytest.raises(DownloadError, match="ended after 1000000 of 1765434 bytes"):
        download(server.url, path, server.sha256)
    server.behaviour.clear()
    told = []
    download(server.url, path, server.sha256, lambda *what: told.append(what))
    assert path.read_bytes() == server.content
    assert ranges(server) == [None, "bytes=1234567-", "bytes=2234567-"]
    assert told[-1] == (765_434, 765_434)
    assert not part_of(path).exists()


@pytest.mark.parametrize("behaviour", ["ignores_range", "other_range"])
def test_a_server_that_sends_other_bytes_than_asked_for_starts_it_anew(server, path, behaviour):
    path.parent.mkdir()
    part_of(path).write_bytes(server.content[:1000])
    server.behaviour[behaviour] = True
    download(server.url, path, server.sha256)
    assert path.read_bytes() == server.content
    again = [None] if behaviour == "other_range" else []
    assert ranges(server) == ["bytes=1000-", *again]


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_with_nothing_left_to_ask_for_is_fetched_anew(server, path, extra):
    path.parent.mkdir()
    part_of(path).write_bytes(server.content + extra)
    download(server.url, path, server.sha256)
    assert path.read_bytes() == server.content
    assert ranges(server) == [f"bytes={len(server.content) + len(extra)}-", None]


def test_a_part_longer_than_the_file_leaves_nothing_behind(server, path):
    path.parent.mkdir()
    part_of(path).write_bytes(2 * server.content)
    server.behaviour["ignores_range"] = True
    download(server.url, path, None)
    assert path.read_bytes() == server.content


def test_a_wrong_digest_removes_what_arrived(server, path):
    path.parent.mkdir()
    part_of(path).write_bytes(b"of another file")
    with pytest.raises(DownloadError) as caught:
        download(server.url, path, server.sha256)
    mixed = hashlib.sha256(b"of another file" + server.content[15:]).hexdigest()
    assert str(caught.value) == (
        f"what was downloaded from {server.url} has SHA-256 {mixed} instead of {server.sha256} and "
        f"was removed: run again, or put the archive at {path}"
    )
    assert list(path.parent.iterdir()) == []
    download(server.url, path, server.sha256)
    assert path.read_bytes() == server.content


def test_an_older_archive_stays_until_a_new_one_is_whole(server, path):
    path.parent.mkdir()
    path.write_bytes(b"old")
    server.behaviour["cut_after"] = 1000
    with pytest.raises(DownloadError):
        download(server.url, path, server.sha256)
    assert path.read_bytes() == b"old"


def test_a_server_that_does_not_tell_the_length_is_believed_by_digest(server, path):
    server.behaviour["silent_about_length"] = True
    told = []
    download(server.url, path, server.sha256, lambda *what: told.append(what))
    assert path.read_bytes() == server.content
    assert told == []


def test_a_redirection_keeps_the_range(server, path):
    path.parent.mkdir()
    part_of(path).write_bytes(server.content[:1000])
    download(server.url.replace("there", "moved"), path, server.sha256)
    assert path.read_bytes() == server.content
    assert server.asked == [("/moved", "bytes=1000-"), ("/there", "bytes=1000-")]


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/there", "data:,there"])
def test_a_redirection_leads_to_no_other_kind_of_address(server, path, to):
    server.behaviour["moves_to"] = to
    with pytest.raises(DownloadError, match="cannot be downloaded") as caught:
        download(server.url.replace("there", "moved"), path, server.sha256)
    assert "not allowed" in str(caught.value) or "unknown url type: ftp" in str(caught.value)
    assert not path.exists()
    assert [asked for asked, _ in server.asked] == ["/moved"]


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("there", [0, 1000])
def test_more_bytes_than_any_such_archive_has_are_not_kept(
    server, path, silent, there, monkeypatch
):
    monkeypatch.setattr(downloads, "MOST_BYTES", 3_000_000)
    path.parent.mkdir()
    part_of(path).write_bytes(server.content[:there])
    server.behaviour["silent_about_length"] = silent
    told = []
    with pytest.raises(DownloadError) as caught:
        download(server.url, path, server.sha256, lambda *what: told.append(what))
    # Where the server says how much there is, not a byte of it is fetched.
    assert told == []
    assert str(caught.value) == (
        f"what stands at {server.url} is larger than 3000000 bytes, which no archive of CIFAR-10"
        " is: nothing of it was kept"
    )
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("there", [b"", b"12345"])
def test_an_error_of_the_server_is_said_and_keeps_the_part(server, path, there):
    path.parent.mkdir()
    part_of(path).write_bytes(there)
    server.behaviour["status"] = 503
    with pytest.raises(
        DownloadError, match=r"cannot be downloaded \(HTTP 503 Service Unavailable\)"
    ):
        download(server.url, path, server.sha256)
    assert part_of(path).read_bytes() == there


def test_a_server_that_falls_silent_is_given_up(server, path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    server.behaviour |= {"cut_after": 70_000, "sleeps": 1.0}
    with pytest.raises(DownloadError, match=r"cannot be downloaded \(timed out\)"):
        download(server.url, path, server.sha256)
    assert part_of(path).read_bytes() == server.content[:70_000]


def test_without_a_connection_one_sentence_says_what_to_do(path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        # A port that is bound and not listened to refuses connections.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/c.tar.gz"
        with pytest.raises(DownloadError) as caught:
            download(url, path, "0" * 64)
    assert str(caught.value) == (
        f"{url} cannot be downloaded (Connection refused): "
        f"run again to go on where this ended, or put the archive at {path}"
    )
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("url", ["c.tar.gz", "nothing://here/c.tar.gz", "http://a b/c"])
def test_an_address_that_is_none_is_one_sentence_too(path, url):
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        download(url, path, "0" * 64)


def test_what_was_downloaded_is_read(server, path, archive):
    server.content = archive.read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    download(server.url, path, digest)
    assert np.array_equal(read(path, sha256=digest).train_x, read(archive).train_x)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "pipe"])
def test_what_stands_where_a_part_goes_is_not_written_through(server, path, tmp_path, kind):
    path.parent.mkdir()
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"of somebody else")
    if kind == "link":
        part_of(path).symlink_to(theirs)
        path.symlink_to(theirs)
    elif kind == "link to nothing":
        part_of(path).symlink_to(tmp_path / "nothing")
    elif kind == "hard link":
        os.link(theirs, part_of(path))
    else:
        os.mkfifo(part_of(path))
    for digest in (64 * "0", server.sha256):
        with contextlib.suppress(DownloadError):
            download(server.url, path, digest)
    assert path.read_bytes() == server.content
    assert not path.is_symlink()
    assert theirs.read_bytes() == b"of somebody else"
    assert not (tmp_path / "nothing").exists()
    assert ranges(server) == [None, None]
