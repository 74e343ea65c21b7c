"""Questions to SLURM by its own commands, of which no answer is an answer, too."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable

#: States in which a job has ended, and not well.
FAILED = {
    "BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
}  # fmt: skip
ENDED = {*FAILED, "COMPLETED"}

Asked = subprocess.CompletedProcess
Ask = Callable[..., Asked]


def ask(*command: str, seconds: float = 60, stop: threading.Event | None = None) -> Asked:
    """What a command says; status 1, and why, where it is not there or does not end in time.

    Where ``stop`` is set meanwhile, it is not waited for either.
    """
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
    except OSError as error:
        return Asked(command, 1, "", str(error))
    end = time.monotonic() + seconds
    while True:
        try:
            out, err = process.communicate(timeout=0.5)
            return Asked(command, process.returncode, out, err)
        except subprocess.TimeoutExpired:
            if time.monotonic() > end or (stop is not None and stop.is_set()):
                process.kill()
                process.communicate()
                return Asked(command, 1, "", f"{command[0]} did not answer in {seconds:.0f} s")


def states(name: str, ask: Ask = ask) -> dict[str, str] | None:
    """State by number of each job of a name that SLURM remembers; None where it does not answer."""
    told = ask("squeue", "--all", "--noheader", "--states=all", "--format=%i|%T", f"--name={name}")
    if told.returncode != 0:
        return None
    lines = (line.strip().partition("|") for line in told.stdout.splitlines())
    return {number: state for number, _, state in lines if state}


def accounted(numbers: Iterable[str], ask: Ask = ask) -> dict[str, str]:
    """The end of each job of which the accounting database knows one; none where there is none.

    Of a job that SLURM lost it may say for ever that it runs.
    """
    done = ask("sacct", "-X", "-P", "-n", "--format=JobIDRaw,State", f"--jobs={','.join(numbers)}")
    if done.returncode != 0:
        return {}
    lines = (line.strip().partition("|") for line in done.stdout.splitlines())
    # "CANCELLED by 1000"
    told = {number: state.split()[0] for number, _, state in lines if state.strip()}
    return {number: state for number, state in told.items() if state in ENDED}


def has_jobs(ask: Ask = ask) -> bool:
    """Whether the user has jobs in the queue; that is taken to be so where nobody can tell."""
    told = ask("squeue", "--me", "--noheader", "--format=%i")
    return told.returncode != 0 or bool(told.stdout.strip())


def cancel(name: str, ask: Ask = ask) -> bool:
    """Cancel every job of a name; whether SLURM heard it."""
    return ask("scancel", f"--name={name}", seconds=20).returncode == 0
