"""Where a job computes: on the processor or on a GPU, and how torch is set up for it.

To import torch takes a second, and much is drawn without it: it is imported here only where a job
computes with it, or where it must be asked whether there is a GPU.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata

#: What drivers of GPUs leave in the folder of devices: NVIDIA's (disks and memory that keeps its
#: content begin so, too), AMD's and that of Windows.
_DRIVERS = re.compile(r"nv(?!me|ram).*|kfd|dxg")


def device_of(wanted: str) -> str:
    """``cuda`` or ``cpu``; ``auto`` is a GPU where there is one.

    Raises
    ------
    ValueError
        Where a GPU is wanted and there is none.
    MissingExtraError
        Where one is wanted and torch is not installed.
    """
    if wanted == "cpu":
        return "cpu"
    there = _is_there()
    if wanted == "cuda" and not there:
        import torch  # noqa: F401  (where it is missing, that is what has to be said)

        raise ValueError(
            "device: cuda, but there is no GPU here that torch can use: set device to auto or cpu,"
            " or run the job where there is one"
        )
    if wanted == "auto":
        return "cuda" if there else "cpu"
    return wanted


def _is_there() -> bool:
    """Whether torch can use a GPU."""
    if "torch" not in sys.modules and not _can_be():
        return False
    import torch

    return torch.cuda.is_available()


def _can_be() -> bool:
    """False where torch is made for processors alone or missing, or the system knows no GPU."""
    try:
        if metadata.version("torch").endswith("+cpu"):
            return False
    except metadata.PackageNotFoundError:
        return False
    return sys.platform != "linux" or any(map(_DRIVERS.fullmatch, os.listdir("/dev")))


def prepare(wanted: str) -> str:
    """Set torch up so that the same device computes the same bytes, and return :func:`device_of`.

    One thread, since the sums of a job must not depend on the number of cores. Products of single
    precision are of single precision, convolutions too: TF32 keeps 10 bits of 23, and is allowed
    nowhere. Convolutions take the algorithm that adds up in a fixed order, not the fastest of the
    moment, and so does cuBLAS with a workspace of fixed size, which it looks for when it starts.

    On a processor torch that is imported later finds one thread in the environment, and needs no
    more: the rest is about GPUs, or its default.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    device = device_of(wanted)
    if device == "cpu" and "torch" not in sys.modules:
        return device
    import torch

    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return device


def label(device: str) -> str:
    """What a stamp calls the device: ``cpu``, or ``cuda`` with the name of the card."""
    if device != "cuda":
        return device
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"
