"""Jobs that a killed run left in SLURM's queue: ended before another run writes the same files.

A run writes down the name of its jobs, which no other run has, before it submits the first. The
next run of the folder cancels jobs of these names that were submitted from that folder: a copy of
the folder has the names, too, but not the jobs.

Such a job is killed outright, and the files that this run was planned on are held meanwhile. A job
has several processes. One that outlives another for a moment takes it for failed, and removes what
that one had just finished.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from finitewidth_slurm.ask import Ask, ask

#: In Snakemake's folder: the job name of every run that has not been seen to leave nothing behind.
RUNS = "slurm_runs"


class EarlierRunError(Exception):
    """Going on could mean two writers of a file; the message is one sentence."""


def note(runs: Path, name: str) -> None:
    """Write down the name of a run's jobs."""
    with open(runs, "a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def files_there(runs: Path, results: Path) -> list[Path]:
    """The files of results that a run is planned on, where an earlier run may still change them."""
    if not runs.exists():
        return []
    # None that is hidden, as what a killed run held (see ``held``).
    hidden = {folder for folder in results.glob(".*") if folder.is_dir()}
    return [f for f in results.rglob("*") if f.is_file() and not hidden.intersection(f.parents)]


@contextlib.contextmanager
def held(files: Sequence[Path], store: Path) -> Iterator[None]:
    """Give back, at the end of the block, those of ``files`` that were removed within it.

    A second name for each, in the folder ``store``, keeps it: the same file, with the same time.
    Where the file system has no hard links nothing is kept.
    """
    if not files:
        yield
        return
    shutil.rmtree(store, ignore_errors=True)
    names = {store / str(number): file for number, file in enumerate(files)}
    with contextlib.suppress(OSError):
        store.mkdir(parents=True)
    for name, file in names.items():
        with contextlib.suppress(OSError):
            os.link(file, name)
    try:
        yield
    finally:
        for name, file in names.items():
            # Never in the place of one that is there.
            with contextlib.suppress(OSError):
                os.link(name, file)
        shutil.rmtree(store, ignore_errors=True)


def check_there(files: Sequence[Path]) -> None:
    """Raise ``EarlierRunError`` where files that this run was planned on are gone since."""
    gone = [file for file in files if not file.exists()]
    if gone:
        raise EarlierRunError(
            f"jobs of an earlier run took {len(gone)} files with them when they ended, {gone[0]}"
            " first: start again, and they are made anew."
        )


def forget(runs: Path, name: str) -> None:
    """Take back the name of a run that has ended, and left nothing in the queue."""
    try:
        names = runs.read_text(encoding="utf-8").split()
        left = [other for other in names if other != name]
        if left:
            runs.write_text("".join(f"{other}\n" for other in left), encoding="utf-8")
        else:
            runs.unlink()
    except OSError:
        # It only costs the next run a question.
        return


def end_earlier_runs(
    runs: Path,
    folder: str,
    say: Callable[[str], None],
    *,
    ask: Ask = ask,
    pause: Callable[[float], None] = time.sleep,
    patience: int = 600,
) -> None:
    """Cancel the jobs that earlier runs left in the queue, and wait until they are gone.

    Parameters
    ----------
    runs : Path
        The names of those runs' jobs, one a line; removed when nothing of them is left.
    folder : str
        Where the runs were started.
    say
        What shows a line to the person at the terminal.
    ask, pause
        How a command is run, and how a second is waited.
    patience : int
        Seconds until a job that does not go, as on a node that does not answer, is an error.

    Raises
    ------
    EarlierRunError
        Where SLURM does not answer, or a job does not go.
    """
    if not runs.exists():
        return
    names = runs.read_text(encoding="utf-8").split()
    left = _in_queue(names, folder, ask)
    if left:
        say(
            f"An earlier run of this folder left {len(left)} jobs in SLURM's queue: cancelling "
            f"{', '.join(left)}, and waiting until they are gone; what they finished is kept."
        )
        ask("scancel", "--full", "--signal=KILL", *left)
        # Those that are not at work yet, which no signal reaches.
        ask("scancel", *left)
    for _ in range(patience):
        if not left:
            break
        pause(1)
        left = _in_queue(names, folder, ask)
    if left:
        raise EarlierRunError(
            f"SLURM jobs {', '.join(left)} of an earlier run were cancelled but do not go: "
            "see squeue, and start again when they are gone."
        )
    runs.unlink()


def _in_queue(names: Sequence[str], folder: str, ask: Ask) -> list[str]:
    """Jobs of these names, from this folder, that are pending, running or ending."""
    if not names:
        return []
    told = ask("squeue", "--all", "--noheader", "--format=%i|%Z", f"--name={','.join(names)}")
    if told.returncode != 0:
        raise EarlierRunError(
            "SLURM does not answer, and jobs of an earlier run may still be in its queue: start "
            f"again when it does ({told.stderr.strip()})."
        )
    here = os.path.realpath(folder)
    lines = (line.strip().partition("|") for line in told.stdout.splitlines())
    return [job for job, _, place in lines if job and os.path.realpath(place) == here]
