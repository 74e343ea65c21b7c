"""What a run survives: a full disk, no right to write, damaged files."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from finitewidth.provenance.artifacts import check
from running import KINDS, TINY, TINYS, artifacts, digests, snakemake

TARGET = f"{TINYS}/ensembles/norms/only/estimates.nc"
SHARD = f"{TINYS}/ensembles/norms/only/samples/0.nc"


def mounted(folder, *options):
    """Mount a small file system, or remount it; skips where that is not allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "size=2500k")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_named_and_what_was_made_is_kept(kinds, small_disk):
    done = snakemake(small_disk, "--configfile", KINDS, "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout, done.stdout
    (line, *_) = (line for line in done.stdout.splitlines() if "on its disk" in line)
    assert "cannot be written" in line
    assert "(log: results/logs/" in line
    kept = {path: path.stat().st_mtime_ns for path in artifacts(small_disk)}
    assert kept
    for path in kept:
        check(path)
    mounted(small_disk, "remount", "size=300m")
    done = snakemake(small_disk, "--configfile", KINDS, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert digests(small_disk) == digests(kinds)
    # What stood there was not made again.
    assert any(path.stat().st_mtime_ns == made for path, made in kept.items())


def test_where_nothing_can_be_written_nothing_is_started(small_disk):
    (small_disk / "results").mkdir()
    for place in ("results", "."):
        folder = small_disk / place
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        try:
            done = snakemake(small_disk, "--configfile", KINDS, "--cores", "1")
        finally:
            subprocess.run(["umount", folder], check=True)
        assert done.returncode != 0
        assert "cannot be written to" in done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        assert not list((small_disk / "results").iterdir())


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_shard_is_named_and_computed_anew_and_never_read(tiny, tmp_path, damage):
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    shard = tmp_path / SHARD
    content = bytearray(shard.read_bytes())
    before = shard.stat()
    if damage == "truncated":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 64
    shard.write_bytes(content)
    # As if the disk had done it: no time tells.
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / TARGET).unlink()
    run = (tmp_path, TARGET, "--configfile", TINY, "--cores", "1")
    done = snakemake(*run)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("estimate_norms: "))
    assert line == done.stdout.splitlines()[-1]
    assert f"{SHARD} is damaged" in line
    assert "Traceback" in (tmp_path / line.split("(log: ")[1].rstrip(")")).read_text()
    assert not (tmp_path / TARGET).exists()
    # What is damaged is kept beside it, and not in the way.
    assert not shard.exists()
    assert shard.with_name("0.nc.damaged").read_bytes() == bytes(content)
    done = snakemake(*run)
    assert done.returncode == 0, done.stdout
    for name in (SHARD, TARGET):
        assert Path(tmp_path / name).read_bytes() == (tiny / name).read_bytes()
