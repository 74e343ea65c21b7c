"""Training as a rule: killed, diverged, or given images that are not what they should be."""

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

from finitewidth.comparison.tables import read_csv
from finitewidth.core.files import sha256
from finitewidth.provenance.artifacts import read_dataset, read_stamp
from running import ROOT, snakemake


@pytest.fixture(autouse=True)
def one_thread():
    """As jobs of the workflow have: sums then come in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def study(folder: Path, *, data=None, **trained) -> Path:
    """A study file with one entry of trained networks."""
    entry = {"data": "images", "mlp": [64, 16, 10], "replicas": 3, "epochs": 2, "batch": 32,
             "learning_rate": 0.05, "rainbow": {"networks": 1}} | trained  # fmt: skip
    content = {
        "run": "default",
        "seed": 5,
        "device": "cpu",
        "data": {"images": data or {"kind": "digits"}},
        "trained": {"networks": entry},
        "studies": {"s": {"trained": ["networks"], "figures": ["training_curves"]}},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def jobs_of(folder: Path, script: str) -> list[int]:
    """Processes that run a script of the workflow for a run in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(process / "cwd") == str(folder)
            words = (process / "cmdline").read_text().split("\0")
            # Snakemake writes a script with what its job is told to a file named after it.
            if here and any(word.endswith(f".{script}") for word in words):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_a_killed_training_ends_in_the_same_weights(tmp_path):
    path = study(tmp_path, epochs=600, checkpoint=5)
    target = "results/trained/networks/only/networks.nc"
    state = tmp_path / "results/trained/networks/only/.training.pt"
    command = [sys.executable, "-m", "snakemake", target, "--directory", str(tmp_path),
               "--configfile", str(path), "--cores", "1"]  # fmt: skip
    with open(tmp_path / "out", "w") as out:
        run = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        end = time.monotonic() + 300
        while not state.exists():
            assert time.monotonic() < end, (tmp_path / "out").read_text()
            assert run.poll() is None, (tmp_path / "out").read_text()
            time.sleep(0.05)
        for process in jobs_of(tmp_path, "train.py"):
            os.kill(process, signal.SIGKILL)
        assert run.wait(60) != 0
    assert state.exists()
    assert not (tmp_path / target).exists()

    done = snakemake(tmp_path, target, "--configfile", path, "--cores", "1")
    assert done.returncode == 0, done.stdout
    assert "goes on after epoch" in (tmp_path / "results/logs/train/networks.log").read_text()
    assert not state.exists()
    # Nobody kills this one.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = snakemake(elsewhere, target, "--configfile", path, "--cores", "1")
    assert done.returncode == 0, done.stdout
    whole = read_dataset(elsewhere / target)
    after = read_dataset(tmp_path / target)
    for name, values in whole.data_vars.items():
        assert np.array_equal(values.values, after[name].values), name


def test_diverged_training_leaves_nothing_behind(tmp_path):
    path = study(tmp_path, learning_rate=1e6, epochs=5)
    done = snakemake(tmp_path, "--configfile", path, "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("train_networks: "))
    assert "networks, only: training diverged: given learning_rate 1e+06" in line
    assert "is not finite in epoch" in line
    left = {p.name for p in (tmp_path / "results").rglob("*") if p.is_file()}
    kept = {p.name for p in (tmp_path / "results/configs").iterdir()}
    # Which config the run was given is kept before the first job; the rule that keeps it for the
    # crate may have had its turn or not.
    assert left - kept - {"crate_config.log"} == {
        "images.nc", "images.log", "images.processor.json", "networks.log",
    }  # fmt: skip


def test_more_replicas_than_memory_holds_are_refused_before_anything_is_computed(tmp_path):
    path = study(tmp_path, replicas=100_000, mlp=[64, 2000, 10])
    done = snakemake(tmp_path, "--configfile", path, "--cores", "1")
    assert done.returncode != 0
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("train_networks: "))
    assert "config key trained.networks.replicas: given 100000, allowed is at most" in line


def images_file(folder: Path, change) -> Path:
    stream = np.random.default_rng(0)
    x, label = stream.normal(size=(60, 8, 8)), np.arange(60) % 10
    change(x, label)
    path = folder / "mine.nc"
    dataset = xr.Dataset({"x": (("sample", "row", "column"), x), "label": ("sample", label)})
    dataset.to_netcdf(path, encoding={"x": {"_FillValue": None}})
    return path


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda x, label: x.__setitem__((7, 0, 0), np.nan), "sample 7"),
        (lambda x, label: label.__setitem__(3, 12), "12"),
    ],
)
def test_a_bad_array_ends_in_one_sentence_that_names_it(tmp_path, change, part):
    file = images_file(tmp_path, change)
    data = {"kind": "array", "file": str(file), "classes": 10}
    path = study(tmp_path, data=data)
    done = snakemake(tmp_path, "--configfile", path, "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("data: "))
    assert "data.images" in line
    assert part in line
    assert not list((tmp_path / "results").rglob("*.nc"))


def archive(path: Path, images: int = 6) -> None:
    """CIFAR-10's format at a hundredth of its size: six files of records of 3073 bytes."""
    stream = np.random.default_rng(1)
    names = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name in names:
            records = stream.integers(0, 256, (10 * images, 3073), dtype=np.uint8)
            records[:, 0] = np.arange(10 * images) % 10
            content = records.tobytes()
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))


def cifar_study(folder: Path, **data) -> Path:
    """``config/cifar10.yaml`` with smaller networks and a small archive."""
    content = yaml.safe_load((ROOT / "config/cifar10.yaml").read_text())
    path = folder / "small.tar.gz"
    archive(path)
    content["data"]["cifar"] |= {"archive": str(path), "sha256": sha256(path)} | data
    content["device"], content["run"] = "cpu", "default"
    for name in ("cifar_mlp", "cifar_cnn"):
        content["trained"][name] |= {"replicas": 3, "epochs": 1}
        content["trained"][name]["rainbow"] = {"networks": 1}
    content["trained"]["cifar_mlp"]["mlp"] = [1024, 16, 12, 10]
    content["trained"]["cifar_cnn"]["cnn"]["channels"] = [1, 4, 5]
    study = folder / "cifar.yaml"
    study.write_text(yaml.safe_dump(content))
    return study


def test_the_cifar10_study_runs_where_the_archive_is(tmp_path):
    done = snakemake(tmp_path, "--configfile", cifar_study(tmp_path), "--cores", "2")
    assert done.returncode == 0, done.stdout
    folder = tmp_path / "results/studies/cifar10"
    rows = read_csv(folder / "comparison.csv")
    said = rows[rows["order"] == "published"]
    assert [tuple(row) for row in said[["ensemble", "quantity", "theory"]].values] == [
        ("cifar_mlp", "accuracy", 0.427),
        ("cifar_mlp", "alignment", 0.922),
        ("cifar_mlp", "alignment", 0.875),
        ("cifar_mlp", "generated_accuracy", 0.314),
        ("cifar_cnn", "accuracy", 0.58),
        ("cifar_cnn", "generated_accuracy", 0.36),
    ]
    assert len(list((folder / "figures").glob("*.pdf"))) == 6
    data = tmp_path / "results/data/cifar.nc"
    (source,) = read_stamp(data)["inputs"].values()
    assert source == sha256(tmp_path / "small.tar.gz")
    assert read_dataset(data)["train_x"].shape == (300, 1, 32, 32)


def test_an_altered_archive_is_refused(tmp_path):
    path = cifar_study(tmp_path, sha256="0" * 64)
    done = snakemake(tmp_path, "results/data/cifar.nc", "--configfile", path, "--cores", "1")
    assert done.returncode != 0
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("data: "))
    assert "small.tar.gz" in line
    assert "0" * 64 in line
    assert not (tmp_path / "results/data/cifar.nc").exists()


def test_offline_ends_in_one_sentence(tmp_path):
    # Nothing listens on port 9 of this machine.
    path = cifar_study(tmp_path, archive=None, url="http://127.0.0.1:9/cifar.tar.gz")
    done = snakemake(tmp_path, "results/data/cifar.nc", "--configfile", path, "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("download: "))
    assert "http://127.0.0.1:9/cifar.tar.gz" in line
    assert "results/downloads/cifar.tar.gz" in line
