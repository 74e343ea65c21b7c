"""Which of their instruction sets libraries use, so that every processor gives the same bytes.

numpy, OpenBLAS, torch, oneDNN and MKL choose code for the processor that they find, and each code
rounds in another way. Each has a variable of the environment that names one of its codes instead.
They are read when a library is loaded: so they are set where a run starts, and jobs inherit them.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path

#: What every processor of the promise has (docs/provenance.md).
NEEDED = ("avx2", "fma")
#: The variable of each library, and its code for such processors.
PINS = {
    # The groups of features that numpy 2.4 has code for beyond AVX2; it passes over those of them
    # that the processor lacks.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # Of one maker's processors. COMPATIBLE would be of both, and takes seven times as long.
    "MKL_CBWR": "AVX2",
}


def _told(key: str) -> str | None:
    """What the kernel says of the first processor under a key; None where it says nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{key}\s*: ?(.*)$", text, re.MULTILINE)
    return found[1] if found else None


def features() -> frozenset[str]:
    """What the processor can do, in the words of the kernel; none where it does not say."""
    return frozenset((_told("flags") or "").split())


def pin(environment: MutableMapping[str, str] = os.environ) -> None:
    """Name one code of each library, for the processes that are started from here.

    On a processor that lacks it nothing is named, and libraries choose.
    """
    if features().issuperset(NEEDED):
        environment.update(PINS)


def about() -> dict[str, str]:
    """The processor, and what the libraries that this process has loaded make of it."""
    return {"processor": _name(), "instructions": _level(features()), **_libraries()}


def _name() -> str:
    """Maker, family and model; the machine's kind where the kernel does not tell them."""
    maker, family, model = map(_told, ("vendor_id", "cpu family", "model"))
    if None in (maker, family, model):
        return platform.machine()
    return f"{maker} family {family} model {model}"


def _level(known: frozenset[str]) -> str:
    """The most that is known of x86-64's vector instructions."""
    levels = ("avx512f", "avx2", "avx", "sse4_2")
    return next((level for level in levels if level in known), platform.machine())


def _libraries() -> dict[str, str]:
    found = {}
    if "numpy" in sys.modules:
        from numpy.lib.introspect import opt_func_info

        # One loop tells for all: which of its codes numpy takes for an exponential.
        loops = opt_func_info(func_name="^exp$", signature="float64").get("exp", {})
        found["numpy"] = ", ".join(sorted({loop["current"] for loop in loops.values()}))
        import threadpoolctl

        cores = {i.get("architecture") for i in threadpoolctl.threadpool_info()} - {None}
        found["openblas"] = ", ".join(sorted(cores))
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    if "llvmlite.binding" in sys.modules:
        found["numba"] = sys.modules["llvmlite.binding"].get_host_cpu_name()
    return found
