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

from finitewidth.runtime import interrupts, progress


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
    interrupts.install(lambda: tell(kind="interrupted"))
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
