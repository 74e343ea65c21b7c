"""Where tests of the GPU kernels run: on a GPU, or else through Triton's interpreter.

Triton looks at TRITON_INTERPRET when it is imported, hence tests/conftest.py sets it.
"""

import os

import pytest
import torch

pytest.importorskip("triton", reason="skipped: no triton here")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("skipped: a driver, but no GPU that torch can use", allow_module_level=True)
