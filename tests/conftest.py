"""What holds for every test."""

import signal


def pytest_configure():
    # What a shell starts in the background ignores Ctrl-C, and so would every run that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
