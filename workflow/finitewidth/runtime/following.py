"""A run of Snakemake in this process, followed by another one that draws (``progress.py``).

The other process is a fork, made before anything is imported. It gets two pipes: one takes the
place of standard error, for this process and for all jobs; over the other go events, one line of
JSON each. It ends when this process does, however that comes about, and this one waits for it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
from types import FrameType

from finitewidth.runtime import progress


class _Run:
    """What is followed: the process that draws, the terminal, and where events go."""

    def __init__(self, follower: int, terminal: int, events: int) -> None:
        self.follower, self.terminal, self.events = follower, terminal, events
        self.status = 1
        # Ctrl-C comes at any time, while something is told, too.
        self.lock = threading.RLock()


_run: _Run | None = None


def start() -> None:
    """Have this process followed, from now until it ends."""
    global _run
    sys.stdout.flush()
    sys.stderr.flush()
    told, events = os.pipe()
    said, standard_error = os.pipe()
    # Ctrl-C reaches both processes, and neither before it is ready for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    follower = os.fork()
    if follower == 0:
        for theirs in (events, standard_error):
            os.close(theirs)
        progress.follow(told, said, 2)
    for theirs in (told, said):
        os.close(theirs)
    _run = _Run(follower, os.dup(2), events)
    os.dup2(standard_error, 2)
    os.close(standard_error)
    # Before all that is registered from now on, and so after it.
    atexit.register(_end, os.getpid())
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
        signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def followed() -> bool:
    """Whether somebody draws what this process tells."""
    return _run is not None


def tell(**event: object) -> None:
    """Tell the process that draws of an event; where there is none, nothing happens."""
    run = _run
    if run is None:
        return
    line = json.dumps(event, default=str).encode() + b"\n"
    with run.lock:
        try:
            while line:
                line = line[os.write(run.events, line) :]
        except OSError:
            # Whoever draws is gone: the run goes on.
            pass


def ended(status: int) -> None:
    """Say with which exit status this process will end."""
    if _run is not None:
        _run.status = status


def plain() -> None:
    """Give the terminal back: Snakemake says in its own words what it does."""
    tell(kind="plain")
    _leave()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End what runs, as Ctrl-C does, but a moment later where locks are being handed over."""
    if _is_handing_over(frame):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        return
    tell(kind="interrupted")
    raise KeyboardInterrupt


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


def _end(process: int) -> None:
    # Not in a child that was forked from this process.
    if os.getpid() == process and _run is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tell(kind="ended", status=_run.status)
        _leave()


def _leave() -> None:
    """Let the other process say its last, and end."""
    global _run
    run, _run = _run, None
    if run is not None:
        sys.stderr.flush()
        os.dup2(run.terminal, 2)
        os.close(run.terminal)
        os.close(run.events)
        os.waitpid(run.follower, 0)
