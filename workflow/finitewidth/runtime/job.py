"""What every script of the workflow does around its one call of the library."""

from __future__ import annotations

import atexit
import gc
import io
import logging
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from finitewidth.core import places
from finitewidth.core.errors import ConfigError
from finitewidth.core.files import make_way, sha256
from finitewidth.provenance import processors
from finitewidth.provenance.artifacts import ArtifactError, DamagedError, make_stamp
from finitewidth.runtime import failed

log = logging.getLogger("finitewidth")
_ended_well = threading.Event()
#: Those that the job has begun with.
_members: list[str] = []
#: The object that Snakemake puts into a script, by a name that does not import Snakemake.
Script = Any


def run(main: Callable, snakemake: Script) -> None:
    """Call ``main(snakemake)`` with a log file; end in one line and status 1 where it fails.

    The log holds what happened, each line with the time and with the seconds of processor time so
    far, what the script and all libraries printed or warned of, and tracebacks; the terminal gets
    the line that matters and the path of the log.
    """
    terminal = _into_log(snakemake)
    # What imports left stays to the end: no collection needs to go through it.
    gc.freeze()
    gc.enable()
    start = time.process_time()
    try:
        main(snakemake)
        # Without imports, which come before (benchmarks/overhead.py).
        seconds = time.process_time() - start
        log.info("done in %.3f s of processor time, %.0f MiB at most", seconds, _peak_memory())
        processors.note(snakemake.log[0], place(snakemake), snakemake.output)
    except BaseException as error:
        _fail(error, snakemake, terminal)
    finally:
        _back_to(terminal)
    _ended_well.set()


def _into_log(snakemake: Script) -> int:
    """Send what this process prints, Python and C alike, to a new log; returns the terminal."""
    path = snakemake.log[0]
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        make_way(path)
        written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    except OSError as error:
        _tell(snakemake, f"{path} cannot be written: {error.strerror}", terminal)
        os._exit(1)
    for printed in (1, 2):
        os.dup2(written, printed)
    os.close(written)
    # Its lines in their order among those of libraries.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler()
    handler.addFilter(_with_processor_time)
    # Of libraries what they warn of: those that write fonts say hundreds of lines a figure.
    log.setLevel(logging.INFO)
    logging.basicConfig(
        handlers=[handler],
        level=logging.WARNING,
        format="%(asctime)s %(processor).2f s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    # Where the disk is full, nothing can be done about a line of the log.
    logging.raiseExceptions = False
    return terminal


def _back_to(terminal: int) -> None:
    sys.stdout.flush()
    for printed in (1, 2):
        os.dup2(terminal, printed)
    os.close(terminal)


def _fail(error: BaseException, snakemake: Script, terminal: int) -> None:
    """Write the traceback to the log and one line to the terminal, and end."""
    if isinstance(error, KeyboardInterrupt):
        log.info("interrupted")
        sentence = "interrupted"
    else:
        log.error("failed", exc_info=error)
        told = isinstance(error, ArtifactError | ConfigError | ValueError | MemoryError | OSError)
        sentence = str(error) if told else f"{type(error).__name__}: {error}"
        sentence = sentence or type(error).__name__
        if _members and not isinstance(error, ArtifactError):
            # A file that cannot be read is named by its path.
            sentence = f"{_members[-1]}: {sentence}"
    if isinstance(error, DamagedError):
        sentence += _put_aside(error.path)
    logging.shutdown()
    sys.stdout.flush()
    _tell(snakemake, sentence, terminal)
    # Without a traceback, which stands in the log, and without waiting for other threads.
    os._exit(1)


def _tell(snakemake: Script, sentence: str, terminal: int) -> None:
    """Have one line written to the terminal: at once, or when the run ends."""
    line = " ".join(f"{snakemake.rule}: {sentence} (log: {snakemake.log[0]})".split())
    if not failed.kept(line, snakemake.log[0]):
        os.write(terminal, f"{line}\n".encode())


def _put_aside(path: Path) -> str:
    """Out of the way of the next run, which then computes it anew, but not lost."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        os.replace(path, aside)
    except OSError:
        return ""
    return f": it was put aside as {aside.name}; run again, and it is computed anew"


def _while_importing(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What a script throws before it comes to :func:`run`, told in the same way."""
    frame = trace
    while frame is not None and "snakemake" not in frame.tb_frame.f_globals:
        frame = frame.tb_next
    if frame is None or issubclass(kind, SystemExit):
        sys.__excepthook__(kind, error, trace)
        return
    snakemake = frame.tb_frame.f_globals["snakemake"]
    _fail(error, snakemake, _into_log(snakemake))


def _leave() -> None:
    """End the process of a script that ended well without taking its modules apart one by one.

    With torch that takes 0.35 s. What others registered to be done at the end is done before, since
    they did so later than this module.
    """
    if _ended_well.is_set():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


# Scripts import this module first; where it is no script that does, nothing is changed.
if hasattr(sys.modules["__main__"], "snakemake"):
    sys.excepthook = _while_importing
    atexit.register(_leave)
    # Until `run` is called: imports make hundreds of thousands of objects that all stay, and to go
    # through them again and again takes a tenth of the time of `import torch`.
    gc.disable()


def _with_processor_time(record: logging.LogRecord) -> bool:
    record.processor = time.process_time()
    return True


def _peak_memory() -> float:
    """MiB of memory that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on a Mac, KiB elsewhere.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def begin(ensemble: str, name: str) -> None:
    """Say which of a job's members comes next: in the log, and where the job fails by it."""
    _members.append(f"{ensemble}, {name}")
    log.info("%s", _members[-1])


def place(snakemake: Script) -> str:
    """The folder of a job's run: `results` or `results/runs/NAME`, behind a module's prefix."""
    # Whoever uses a rule may change where it writes.
    for path in (*snakemake.output, *snakemake.input):
        if found := places.place(path):
            return "".join(found)
    return places.RESULTS


def stamp(snakemake: Script, rule: str, **differences: Any) -> dict:
    """The stamp of a job's outputs, from its wildcards, inputs and parameters.

    ``rule`` is the stage, whatever the rule is called in a workflow that uses this one as a module;
    paths are named as if the run stood in ``results/`` here. ``differences`` replace what
    is read off the job (``wildcards``, ``config``, ``inputs``, ``code``, ``device``): a job for
    several members stamps each file as if it had been alone.
    """
    told = {
        "wildcards": dict(snakemake.wildcards.items()),
        "config": snakemake.params.get("config"),
        "inputs": list(snakemake.input),
        "code": snakemake.params.code,
        **differences,
    }
    inputs, root = told.pop("inputs"), place(snakemake)
    if not isinstance(inputs, Mapping):
        inputs = {str(path): sha256(path) for path in inputs}
    inputs = {places.alone(root, path): digest for path, digest in inputs.items()}
    return make_stamp(rule=rule, inputs=inputs, used=told.pop("code"), **told)


def progress(what: str, every: float = 5.0) -> Callable[[int, int], None]:
    """A callback (done, total) that logs a line with rate and time left every few seconds."""
    start = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == 0 or (now - last < every and done < total):
            return
        last = now
        rate = done / max(now - start, 1e-9)
        left = (total - done) / rate
        log.info("%d of %d %s, %.3g a second, %.0f s left", done, total, what, rate, left)

    return report
