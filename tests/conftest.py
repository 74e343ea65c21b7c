"""What holds for every test: the order in which they are dealt to processes, and signals."""

import os
import shutil
import signal
import sys

import pytest

# Without a GPU its kernels are interpreted. Triton looks at this when it is imported (by torch,
# too), so that a test could only say it too late.
if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"

#: What begins first, so that nothing long is left for the end: by marker, then by folder.
LONG = ("slurm", "slow")


def pytest_configure():
    # What a shell starts in the background ignores Ctrl-C, and under nohup the end of its terminal;
    # so would every run that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Matplotlib keeps each figure until it is closed, and warns of many: in another test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with long tests first; all tests of a file, which share fixtures, one after another."""
    long = {}
    for item in items:
        marks = [k for k, mark in enumerate(LONG) if item.get_closest_marker(mark)]
        long[item.path] = min(long.get(item.path, len(LONG)), *marks, len(LONG))
    items.sort(key=lambda item: (long[item.path], "workflow" not in item.path.parts))
