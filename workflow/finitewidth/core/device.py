"""Where a job computes: on the processor or on a GPU, and how torch is set up for it."""

from __future__ import annotations

import os

import torch


def device_of(wanted: str) -> str:
    """``cuda`` or ``cpu``; ``auto`` is a GPU where there is one.

    Raises
    ------
    ValueError
        Where a GPU is wanted and there is none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ValueError(
            "device: cuda, but there is no GPU here that torch can use: set device to auto or cpu,"
            " or run the job where there is one"
        )
    if wanted == "auto":
        return "cuda" if there else "cpu"
    return wanted


def prepare(wanted: str) -> str:
    """Set torch up so that the same device computes the same bytes, and return :func:`device_of`.

    One thread, since the sums of a job must not depend on the number of cores. Products of single
    precision are of single precision, convolutions too: TF32 keeps 10 bits of 23, and is allowed
    nowhere. Convolutions take the algorithm that adds up in a fixed order, not the fastest of the
    moment, and so does cuBLAS with a workspace of fixed size, which it looks for when it starts.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return device_of(wanted)


def label(device: str) -> str:
    """What a stamp calls the device: ``cpu``, or ``cuda`` with the name of the card."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
