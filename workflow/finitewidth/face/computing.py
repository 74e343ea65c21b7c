"""Computing as a job does, and leaving torch as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

DEVICES = ("auto", "cpu", "cuda")


@contextmanager
def as_a_job(device: str) -> Iterator[str]:
    """The device to compute on, with torch set up as jobs have it (:mod:`core.device`).

    What belongs to the whole process is set back: threads, precision of products, algorithms.
    """
    import torch

    from finitewidth.core.device import prepare

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    flags = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    try:
        yield prepare(device)
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = flags
