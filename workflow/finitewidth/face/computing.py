"""Computing as a job does, and leaving the process as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from finitewidth.core.device import prepare

DEVICES = ("auto", "cpu", "cuda")


@contextmanager
def as_a_job(device: str) -> Iterator[str]:
    """The device to compute on, with torch set up as jobs have it (:mod:`core.device`).

    What belongs to the whole process is set back: environment, threads, precision of products,
    algorithms. Without torch it is there for what needs none.
    """
    before = dict(os.environ)
    try:
        with _torch_as_it_was():
            yield prepare(device)
    finally:
        for key in os.environ.keys() - before.keys():
            del os.environ[key]
        os.environ.update(before)


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Settings of torch, which are read before anything may change them."""
    try:
        import torch
    except ModuleNotFoundError:
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    flags = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = flags
