"""What every script of the workflow does around its one call of the library."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable

from finitewidth.artifacts import ArtifactError, make_stamp
from finitewidth.errors import ConfigError

log = logging.getLogger("finitewidth")


def run(main: Callable, snakemake) -> None:
    """Call ``main(snakemake)`` with a log file; end in one line and status 1 where it fails.

    The log holds what happened, tracebacks too, each line with the time and with the seconds of
    processor time so far; the terminal gets the line that matters and the path of the log.
    """
    path = snakemake.log[0]
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.addFilter(_with_processor_time)
    logging.basicConfig(
        handlers=[handler],
        level=logging.INFO,
        format="%(asctime)s %(processor).2f s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    start = time.process_time()
    try:
        main(snakemake)
        # Without imports, which come before (benchmarks/overhead.py).
        seconds = time.process_time() - start
        log.info("done in %.3f s of processor time, %.0f MiB at most", seconds, _peak_memory())
    except (ArtifactError, ConfigError, ValueError, MemoryError, OSError) as error:
        log.exception("failed")
        _end(f"{snakemake.rule}: {error or type(error).__name__} (log: {path})")
    except KeyboardInterrupt:
        log.info("interrupted")
        _end(f"{snakemake.rule}: interrupted (log: {path})")
    except Exception as error:
        log.exception("failed")
        _end(f"{snakemake.rule}: {type(error).__name__}: {error} (log: {path})")


def _with_processor_time(record: logging.LogRecord) -> bool:
    record.processor = time.process_time()
    return True


def _peak_memory() -> float:
    """MiB of memory that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on a Mac, KiB elsewhere.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _end(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
    logging.shutdown()
    # Without a traceback, which stands in the log, and without waiting for other threads.
    os._exit(1)


def stamp(snakemake, **differences) -> dict:
    """The stamp of a job's outputs, from its rule, wildcards, inputs and parameters.

    ``differences`` replace what is read off the job (``rule``, ``wildcards``, ``config``,
    ``inputs``, ``code``, ``device``): a job for several members stamps each file as if it had been
    alone.
    """
    told = {
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "config": snakemake.params.get("config"),
        "inputs": list(snakemake.input),
        "code": snakemake.params.code,
        **differences,
    }
    return make_stamp(used=told.pop("code"), **told)


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
