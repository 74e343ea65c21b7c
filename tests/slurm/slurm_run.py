"""The workflow on the cluster, as a person runs it, and what is looked at while it runs."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import yaml
from slurm_cluster import HERE, Cluster, Job, wait_until

from finitewidth.core.files import sha256
from running import digests, snakemake

ROOT = HERE.parents[1]
PROFILE = ROOT / "workflow/profiles/slurm"
SMALL = HERE / "small.yaml"
QUICK, SHARD, THEORY, ESTIMATE = (
    f"results/ensembles/{file}.nc"
    for file in ("quick/only/samples/0", "slow/only/samples/0", "quick/only/theory",
                 "slow/only/estimates")
)  # fmt: skip
TARGETS = [QUICK, ESTIMATE]


def profile(folder: Path, **site: str) -> Path:
    """The profile as a person leaves it: the site's lines taken out of their comments."""
    text = (PROFILE / "config.yaml").read_text()
    for key, value in site.items():
        line = next(line for line in text.splitlines() if line.strip().startswith(f"# {key}:"))
        indent = line[: line.index("#")]
        text = text.replace(line, f"{indent}{key}: {value}")
    (folder / "config.yaml").write_text(text)
    given = yaml.safe_load(text)["default-resources"]
    assert {key: given[key] for key in site} == site
    return folder


def local(folder: Path, *arguments: str | Path) -> dict[str, str]:
    """Digests of what a run without a cluster makes."""
    # Of a machine that has a GPU, as on the cluster, the CPU.
    with mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES=""):
        done = snakemake(folder, *arguments, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return digests(folder)


class Run:
    """One controller, in the background; leaving the block ends it."""

    def __init__(
        self, cluster: Cluster, profile: Path, folder: Path, *arguments: str | Path, **environment
    ):
        self.folder, self.log = folder, folder / "controller.log"
        command = [
            sys.executable, "-m", "snakemake", *arguments,
            "--workflow-profile", profile, "--directory", folder,
            # Jobs are over in seconds.
            "--seconds-between-status-checks", "1",
        ]  # fmt: skip
        environment = cluster.environment | {"PYTHONPATH": ""} | environment
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            # Ctrl-C, on which it cancels its jobs.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ends(self, seconds: float = 600) -> int:
        """The exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not over after {seconds} s:\n{self.said()}") from None

    def succeeds(self, seconds: float = 600) -> None:
        assert self.ends(seconds) == 0, self.said()

    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str, seconds: float = 60) -> None:
        """Wait until something stands on the terminal."""
        wait_until(f"the controller says {text!r}", lambda: text in self.said(), seconds)

    def works_on(self, log: str) -> bool:
        """Whether a job's script has got to its work, by its log."""
        path = self.folder / "results/logs" / log
        return path.exists() and path.stat().st_size > 0


class Watch:
    """Looks all the time at every artifact in a folder: each is whole whenever it is there."""

    def __init__(self, folder: Path, expected: dict[str, str]):
        self.folder, self.expected = folder / "results", expected
        self.wrong: list[str] = []
        self.seen: dict[str, tuple] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _look_on(self) -> None:
        while not self._over.wait(0.1):
            self._look()

    def _look(self) -> None:
        for name, digest in self.expected.items():
            try:
                about = (self.folder / name).stat()
                state = (about.st_ino, about.st_mtime_ns, about.st_size)
                if self.seen.get(name) != state and sha256(self.folder / name) != digest:
                    self.wrong.append(name)
                self.seen[name] = state
            except FileNotFoundError:
                continue


def of_rule(jobs: list[Job], rule: str) -> list[Job]:
    return [job for job in jobs if job.rule == rule]


def running(cluster: Cluster, run: Run, shard: int) -> Job:
    """The job of a shard of `slow`, once its script is at work."""
    rule = f"sample_slow_wildcards_{shard}"

    def found() -> Job | None:
        assert run.process.poll() is None, run.said()
        jobs = [job for job in of_rule(cluster.jobs(), rule) if job.state == "RUNNING"]
        return jobs[0] if jobs and run.works_on(f"sample/slow/{shard}.log") else None

    return wait_until(f"{rule} is at work", found, 300)


def never_two_at_once(jobs: list[Job]) -> None:
    """Of jobs that write the same files, each starts after the one before has ended."""
    for rule in {job.rule for job in jobs}:
        same = sorted(of_rule(jobs, rule), key=lambda job: int(job.id))
        for before, after in itertools.pairwise(same):
            assert before.end is not None
            assert after.start is None or before.end <= after.start, rule
