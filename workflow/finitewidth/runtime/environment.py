"""The environment that the workflow hands to its jobs."""

from __future__ import annotations

import os
from pathlib import Path

from finitewidth.core import processor


def prepare() -> None:
    """Let jobs find this library, and keep each to one thread and to one code of each library.

    A conda environment of a rule need not hold the library; and with parallelism from jobs alone,
    results are the same bytes on any number of cores, and on other processors
    (:mod:`finitewidth.core.processor`).
    """
    here = str(Path(__file__).parents[2])
    before = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != here]
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *before])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    processor.pin()
