"""A process that has imported what jobs need, and forks one for each script that it is handed.

`warm.py` starts it and says over a socket what to run. It has no threads of its own: a fork would
not have them, and what they held would stay locked.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading

#: What the preamble imports that Snakemake writes before every script.
PREAMBLE = ("snakemake.iocontainers", "snakemake.logging")
#: What jobs import of a package, where that is more than the package itself.
MODULES = {
    "matplotlib": (
        "matplotlib.pyplot", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf",
    ),
    "scipy": ("scipy.linalg", "scipy.sparse.linalg", "scipy.special"),
    "sklearn": ("sklearn.datasets",),
    "torch": ("torch", "torch.func", "torch.utils.flop_counter"),
}  # fmt: skip


def serve(control: socket.socket) -> dict:
    """Fork for every request; returns in the children alone, with what they are to run.

    A request is a byte with a socket of its own. Over that one come the request as a line of JSON,
    and back a line with the number of the process, then one with its exit status; where it is
    closed without a word, nothing was run. Ends when the other end of ``control`` is closed,
    however that came about.
    """
    # Ctrl-C reaches every process of the terminal: jobs are to hear of it, and this one is not.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with running.pop(pid) as job, contextlib.suppress(OSError):
                        job.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        if control in ready:
            _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not descriptors:
                os._exit(0)
            job = socket.socket(fileno=descriptors[0])
            with job.makefile() as stream, contextlib.suppress(ValueError):
                request = json.loads(stream.readline())
                load(request["packages"])
                pid = os.fork() if is_alone() else None
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, interrupt)
                    for mine in (control, woken, wake, job, *running.values()):
                        mine.close()
                    return request
                if pid is not None:
                    with contextlib.suppress(OSError):
                        job.sendall(b"%d\n" % pid)
                    running[pid] = job
                    continue
            job.close()


def load(packages: list[str]) -> None:
    """Import what scripts use of these packages; what cannot be had, the job itself will miss."""
    for name in (*PREAMBLE, *(m for package in packages for m in MODULES.get(package, (package,)))):
        if name not in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # Else the children's garbage collection would copy all of it.
    gc.freeze()


def is_alone() -> bool:
    """Whether this process has no thread but the main one, not even one of a library in C."""
    return len(os.listdir("/proc/self/task")) == 1


if __name__ == "__main__":
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    # What top shows, and ps -e: the script, whose name Snakemake puts behind one of its own.
    with open("/proc/self/comm", "w") as name:
        name.write(os.path.basename(request["file"]).partition(".")[2])
    # From here on as a fresh interpreter that was given the file.
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = [request["file"]]
    sys.path[0] = os.path.dirname(request["file"])
    runpy.run_path(request["file"], run_name="__main__")
    # What ended well leaves at once, as children of multiprocessing do: to take all modules apart
    # would cost more than many a job.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
