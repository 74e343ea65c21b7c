"""What holds for every test: how tests are dealt to processes, and signals."""

import signal

import pytest

#: What begins first, so that nothing long is left for the end: by marker, then by folder.
LONG = ("slurm", "slow")


def pytest_configure():
    # What a shell starts in the background ignores Ctrl-C, and so would every run that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests, which share fixtures, stay in one process, but where a test names a group."""

    def place(item):
        long = next((k for k, mark in enumerate(LONG) if item.get_closest_marker(mark)), len(LONG))
        return long, "workflow" not in item.path.parts

    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=place)
