"""The device of a job, and how torch is set up for it."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from finitewidth.core import device

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("wanted", "there", "taken"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_auto_takes_a_gpu_where_there_is_one(wanted, there, taken, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device.device_of(wanted) == taken


def test_a_gpu_that_is_not_there_is_missed_in_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="set device to auto or cpu") as error:
        device.device_of("cuda")
    assert "\n" not in str(error.value)


def test_single_precision_is_single_precision(monkeypatch):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
    threads = torch.get_num_threads()
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.allow_tf32 = True
        assert device.prepare("cpu") == "cpu"
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic
        assert torch.get_num_threads() == 1
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.deterministic = before[1]
        torch.set_num_threads(threads)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_a_stamp_names_the_card(monkeypatch):
    assert device.label("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some Card 80GB")
    assert device.label("cuda") == "cuda (Some Card 80GB)"


@pytest.mark.parametrize(
    ("version", "system", "files", "asked"),
    [
        ("2.13.0+cpu", "linux", ["nvidia0"], False),
        ("2.13.0", "linux", ["null", "nvme0n1", "nvram", "dri", "kmsg"], False),
        ("2.13.0", "linux", ["null", "nvidia0"], True),
        ("2.13.0", "linux", ["nvhost-gpu"], True),
        ("2.13.0", "linux", ["kfd"], True),
        ("2.13.0", "linux", ["dxg"], True),
        ("2.13.0", "darwin", ["null"], True),
    ],
)
def test_torch_is_asked_where_there_could_be_a_gpu(version, system, files, asked, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(device.metadata, "version", lambda package: version)
    monkeypatch.setattr(device.sys, "platform", system)
    monkeypatch.setattr(device.os, "listdir", lambda path: files)
    stands_in = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True))
    monkeypatch.setattr("builtins.__import__", lambda name, *rest: {"torch": stands_in}[name])
    found = device.device_of("auto")
    monkeypatch.undo()
    assert found == ("cuda" if asked else "cpu")


def test_a_processor_is_taken_without_asking(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("torch was asked"))
    assert device.device_of("cpu") == "cpu"
