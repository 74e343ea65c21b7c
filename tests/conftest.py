"""What holds for every test: the order in which they are dealt to processes, and signals."""

import signal

import pytest

#: What begins first, so that nothing long is left for the end: by marker, then by folder.
LONG = ("slurm", "slow")


def pytest_configure():
    # What a shell starts in the background ignores Ctrl-C, and so would every run that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with long tests first; all tests of a file, which share fixtures, one after another."""
    long = {}
    for item in items:
        marks = [k for k, mark in enumerate(LONG) if item.get_closest_marker(mark)]
        long[item.path] = min(long.get(item.path, len(LONG)), *marks, len(LONG))
    items.sort(key=lambda item: (long[item.path], "workflow" not in item.path.parts))
