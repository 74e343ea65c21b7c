"""Ctrl-C that ends a run and leaves no lock behind.

Python raises ``KeyboardInterrupt`` between any two instructions of the main thread, inside its own
``threading.Condition`` as well. Snakemake hands jobs and lines of its log through those.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def install(hear: Callable[[], None] = lambda: None) -> None:
    """Have Ctrl-C end this process as Python does, once no condition is being handed over.

    ``hear`` is called before ``KeyboardInterrupt`` is raised. Where somebody else has a handler
    already, or Ctrl-C is ignored, that stays. To be called in the main thread.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_handing_over(frame):
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        hear()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
        signal.signal(signal.SIGINT, interrupt)


def _is_handing_over(frame: FrameType | None) -> bool:
    """Whether an exception here would spoil a condition for all who use it.

    In ``Condition.notify`` it leaves behind a waiter that is gone. The next call would wake this
    one and nobody else: the thread that writes Snakemake's log would never learn that it ended.
    What ``Condition.wait`` calls gives its lock away and takes it back: in between, the lock would
    be released without being held. ``wait`` itself, which waits, is left at once.
    """
    notify, wait = threading.Condition.notify.__code__, threading.Condition.wait.__code__
    innermost = frame
    while frame is not None:
        if frame.f_code is notify or (frame.f_code is wait and frame is not innermost):
            return True
        frame = frame.f_back
    return False
