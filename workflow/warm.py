"""Scripts of the local executor are forked from a process that has imported what they need.

A fresh interpreter spends one second (three with torch) on imports, and many jobs compute for less.
So Snakemake hands the script that it wrote to `warm_server.py` instead of a new Python: one server
for scripts that compute with torch, one for those that do not. A script in an environment of its
own, with a benchmark or with several threads starts as ever; so do all with FINITEWIDTH_WARM=0, on
the nodes of a cluster, and where this Snakemake is not the one that is known here (9.27).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.script import PythonScript

SERVER = Path(__file__).with_name("warm_server.py")
_THREADS = ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
_TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")

_cold = getattr(PythonScript, "execute_script", None)
_servers: dict[bool, Server] = {}
_lock = threading.Lock()


def warm(workflow) -> None:
    """Let scripts start warm, where that can be done and pays: where jobs are many."""
    wanted = os.environ.get("FINITEWIDTH_WARM", "1") != "0"
    if wanted and _cold and sys.platform == "linux" and workflow.is_main_process:
        PythonScript.execute_script = _execute_script


def _execute_script(self: PythonScript, fname: str, edit: bool = False) -> None:
    try:
        request = _request(self, fname) if _suits(self) else None
    except AttributeError:
        request = None
    status = request and _run(request)
    if status is None:
        _cold(self, fname, edit)
    elif status:
        raise subprocess.CalledProcessError(status, f"{sys.executable} {shlex.quote(fname)}")


def _suits(script: PythonScript) -> bool:
    """Whether the script is to be run by this Python, as it is, on one thread."""
    special = (script.conda_env, script.container_img, script.env_modules, script.bench_record,
               script.resources.get("shell_exec"))  # fmt: skip
    return script.threads == 1 and all(value is None for value in special)


def _request(script: PythonScript, file: str) -> dict:
    """What the server is told; ``packages`` are what the rule's parameter ``code`` says."""
    code = script.params.get("code")
    each = [part for part in (code if isinstance(code, list) else [code]) if isinstance(part, dict)]
    return {
        "file": os.path.abspath(file),
        "folder": os.getcwd(),
        "packages": sorted({name for part in each for name in part.get("packages", [])}),
        "environment": _environment(script),
    }


def _environment(script: PythonScript) -> dict[str, str]:
    """The environment that Snakemake gives to the commands it runs, by way of a shell."""
    threads = {f"{library}_NUM_THREADS": "1" for library in _THREADS}
    folder = script.resources.get("tmpdir")
    temporary = dict.fromkeys(_TEMPORARY, folder) if folder else {}
    rest = {"VECLIB_MAXIMUM_THREADS": "1", "PWD": os.getcwd()}
    return {**os.environ, **threads, **temporary, **rest}


class Server:
    """A running `warm_server.py`, which ends when its socket's other end, held here, is closed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, SERVER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
            )

    def close(self) -> None:
        """End it and wait for its end."""
        self.control.close()
        self.process.wait()


def _server(with_torch: bool, environment: dict[str, str]) -> Server:
    """The one that is running, or else a new one. What was killed is not started again."""
    if with_torch not in _servers:
        _servers[with_torch] = Server(environment)
        # Waited for, so that nothing is left once Snakemake has ended.
        atexit.register(_servers[with_torch].close)
    return _servers[with_torch]


def _run(request: dict) -> int | None:
    """The exit status of the script, negative for a signal; None where it was not run."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("r") as answers:
        try:
            with theirs, _lock:
                server = _server("torch" in request["packages"], request["environment"])
                socket.send_fds(server.control, [b"."], [theirs.fileno()])
            ours.sendall(json.dumps(request).encode() + b"\n")
            process = answers.readline()
        except OSError:
            return None
        if not process:
            return None
        status = answers.readline()
    if not status:
        # It goes on alone, while Snakemake takes it for failed.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
        raise WorkflowError(f"the process that had started {request['file']} was killed")
    return int(status)
