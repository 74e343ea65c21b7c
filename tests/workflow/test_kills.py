"""Kills at any moment: nothing that stands there is ever half, and the next run goes on to the same
bytes."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from finitewidth.provenance.artifacts import check
from running import KINDS, ROOT, artifacts, digests, rests, snakemake

#: Runs from the start to the end, more of them where CI runs the tests, and kills at jobs in each.
ROUNDS, KILLS = 3 if os.environ.get("CI") else 1, 6


class Killed:
    """One run of the study with every kind of job, in the background, to be killed."""

    def __init__(self, folder, log):
        self.results, self.log = folder / "results", log
        command = [sys.executable, "-m", "snakemake", "--directory", folder, "--cores", "2"]
        with open(log, "w") as file:
            self.process = subprocess.Popen(
                [*map(str, command), "--configfile", str(KINDS)],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def runs(self):
        return self.process.poll() is None

    def wait_for_a_file_being_written(self, number):
        """Until so many files under hidden names have been seen, or the run is over."""
        seen = set()
        while self.runs() and len(seen) < number:
            seen |= {p.name for p in self.results.rglob(".*.part*")}
            time.sleep(0.005)

    def wait_in_jobs(self, seconds):
        while self.runs() and "Execute" not in self.log.read_text():
            time.sleep(0.02)
        self.wait(seconds)

    def wait(self, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def kill(self):
        """Kill all of it, if it has not ended before."""
        if self.runs():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def moments(draw):
    """What is waited for before each kill of a round: once for its start, at random among the jobs,
    and as often until a file is being written, which random moments seldom meet."""
    yield "wait", draw.uniform(0, 2.5)
    for _ in range(KILLS // 2):
        yield "wait_in_jobs", draw.uniform(0, 3)
        yield "wait_for_a_file_being_written", draw.randint(1, 3)


def test_a_second_run_of_a_folder_is_refused_and_a_killed_one_gone_on_from(tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    folder.mkdir()
    run = Killed(folder, log)
    try:
        run.wait_in_jobs(0)
        # Held still, so that it has not ended before the others begin.
        os.killpg(run.process.pid, signal.SIGSTOP)
        for entry in ([], ["-s", ROOT / "workflow/Snakefile"]):
            options = ("--cores", "1", "--quiet", "all")
            second = snakemake(folder, *entry, "--configfile", KINDS, *options)
            assert second.returncode == 1
            said = [line for line in second.stdout.splitlines() if not line.startswith("Using")]
            (line,) = filter(None, said)
            assert "another run is at work in this folder (run default, process" in line
            assert f"process {run.process.pid} on " in line
        # To look is let be.
        assert snakemake(folder, "--configfile", KINDS, "--dry-run").returncode == 0
        assert run.runs()
    finally:
        run.kill()
    target = "results/inputs/three.nc"
    done = snakemake(folder, target, "--configfile", KINDS, "--cores", "1", "--forceall")
    assert done.returncode == 0, done.stdout
    assert "The last run of this folder was killed: going on from where it was." in done.stdout
    assert "unlock" not in done.stdout


@pytest.mark.slow
def test_kills_at_any_moment_change_no_byte(kinds, tmp_path):
    draw, folder, log = random.Random(20), tmp_path / "run", tmp_path / "log"
    written = 0
    for _ in range(ROUNDS):
        folder.mkdir()
        for wait, how_long in moments(draw):
            run = Killed(folder, log)
            try:
                getattr(run, wait)(how_long)
            finally:
                run.kill()
            written += any((folder / "results").rglob(".*.part*"))
            said = log.read_text()
            assert "Traceback" not in said, said
            assert "Error" not in said, said
            for path in artifacts(folder):
                check(path)
        done = snakemake(folder, "--configfile", KINDS, "--cores", "2")
        assert done.returncode == 0, done.stdout
        assert digests(folder) == digests(kinds)
        assert not rests(folder)
        shutil.rmtree(folder)
    # The kills met what they are for.
    assert written >= ROUNDS * KILLS // 4
