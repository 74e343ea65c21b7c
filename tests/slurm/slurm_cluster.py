"""A SLURM of this machine's own: munge, slurmctld and three slurmd, in one folder and no other."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

HERE = Path(__file__).parent
NODES = ("cpu1", "cpu2", "gpu1")
DAEMONS = ("munged", "slurmctld", "slurmd")


def missing() -> str | None:
    """Why there can be no cluster here, in one line."""
    if any(shutil.which(name) is None for name in (*DAEMONS, "sbatch")):
        return "SLURM is not installed (make slurm-test installs it)"
    return None if os.geteuid() == 0 else "SLURM's daemons want to be started by root"


def wait_until(what: str, happens: Callable[[], object], seconds: float = 120.0):
    """What ``happens`` returns, once that is true."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class Job:
    """What SLURM has on record of a job."""

    id: str
    rule: str
    state: str
    partition: str
    node: str
    memory: int
    minutes: int
    gpus: int
    start: datetime | None
    end: datetime | None


class Cluster:
    """Daemons and records of one cluster; ``stop`` leaves no process of it behind."""

    def __init__(self, base: Path):
        self.base = base
        self.environment = os.environ | {
            "SLURM_CONF": str(base / "etc/slurm.conf"),
            "CUDA_VISIBLE_DEVICES": "",
            "PATH": f"{base / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self) -> None:
        for folder in ("etc", "run", "state", "log", "bin", *(f"spool/{n}" for n in NODES)):
            (self.base / folder).mkdir(parents=True)
        # munge wants to be the only one who can write where its socket stands.
        for folder in (self.base, self.base / "etc", self.base / "run"):
            folder.chmod(0o755)
        self._configure()
        self._munged()
        self.start_controller()
        for node in NODES:
            self.start_node(node)

    def _configure(self) -> None:
        daemons = ("controller", *NODES)
        free = free_ports(len(daemons))
        ports = {f"{name}_port": port for name, port in zip(daemons, free, strict=True)}
        host = socket.gethostname().split(".")[0]
        text = (HERE / "slurm.conf").read_text().format(base=self.base, host=host, **ports)
        (self.base / "etc/slurm.conf").write_text(text)
        shutil.copy(HERE / "gres.conf", self.base / "etc")
        # The executor takes SLURM_* out of the environment of the srun inside a job, so that a
        # SLURM whose configuration is not at its usual place is not found: here it is again.
        srun = self.base / "bin/srun"
        conf, real = self.environment["SLURM_CONF"], shutil.which("srun")
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {real} "$@"\n')
        srun.chmod(0o755)
        prolog = self.base / "etc/task_prolog"
        prolog.write_text(
            f'#!/bin/sh\ncat "{self.base}/etc/$SLURMD_NODENAME.env" 2>/dev/null || true\n'
        )
        prolog.chmod(0o755)
        script = (HERE / "job_submit.lua").read_text().replace("{base}", str(self.base))
        (self.base / "etc/job_submit.lua").write_text(script)

    def _munged(self) -> None:
        key = self.base / "etc/munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        run, log = self.base / "run", self.base / "log"
        self.run(
            "munged", f"--key-file={key}", f"--socket={run / 'munge.socket'}",
            f"--pid-file={run / 'munged.pid'}", f"--seed-file={run / 'munge.seed'}",
            f"--log-file={log / 'munged.log'}",
        )  # fmt: skip

    def start_controller(self) -> None:
        self.run("slurmctld")
        wait_until("slurmctld answers", lambda: "is UP" in self.ask("scontrol", "ping"))

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def lose_state(self) -> None:
        """What SLURM knows of jobs is lost; it gives them other numbers from then on."""
        self.stop_controller()
        with open(self.base / "etc/slurm.conf", "a") as conf:
            conf.write("FirstJobId=500000\n")
        self.run("slurmctld", "-c")
        wait_until("slurmctld answers", lambda: "is UP" in self.ask("scontrol", "ping"))

    @contextlib.contextmanager
    def partition(self, state: str):
        """The partition of CPUs in another state than UP: DOWN queues jobs, DRAIN refuses them."""
        self.run("scontrol", "update", "PartitionName=cpu", f"State={state}")
        try:
            yield
        finally:
            self.run("scontrol", "update", "PartitionName=cpu", "State=UP")

    @contextlib.contextmanager
    def limit(self, name: str):
        """A limit that each job violates from the first on, named as SLURM names them."""
        reason = self.base / "etc/refusal"
        reason.write_text(f"{name}\n")
        try:
            yield
        finally:
            reason.unlink()

    @contextlib.contextmanager
    def command(self, name: str, text: str):
        """Another command in the place of one of SLURM's."""
        path = self.base / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        try:
            yield
        finally:
            path.unlink()

    @contextlib.contextmanager
    def emulated(self, node: str, *before: str, **environment: str):
        """A node whose scripts run by the command ``before``, and with this environment.

        Of Snakemake's own processes none does: the interpreter that the last of them, which runs
        the script, takes for its own is another one.
        """
        folder = self.base / "emulated"
        folder.mkdir(exist_ok=True)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {" ".join(before)} {sys.executable} "$@"\n')
        python.chmod(0o755)
        (folder / "sitecustomize.py").write_text(
            f"import os, sys\n"
            f"if os.environ.get('SLURM_STEP_ID', '').isdigit():\n"
            f"    sys.executable = {str(python)!r}\n"
        )
        given = environment | {"PYTHONPATH": str(folder)}
        exports = self.base / f"etc/{node}.env"
        exports.write_text("".join(f"export {k}={v}\n" for k, v in given.items()))
        try:
            yield
        finally:
            exports.unlink()

    def without(self, *commands: str) -> str:
        """A PATH on which commands of SLURM are not to be found."""
        folder = self.base / "some"
        folder.mkdir(exist_ok=True)
        for place in os.environ["PATH"].split(os.pathsep):
            for path in Path(place).glob("*"):
                if path.name not in commands and not (folder / path.name).is_symlink():
                    (folder / path.name).symlink_to(path)
        return f"{self.base / 'bin'}{os.pathsep}{folder}"

    def start_node(self, node: str) -> None:
        self.run("slurmd", "-N", node)

        # One line for each partition that the node is in.
        def states() -> set[str]:
            return set(self.ask("sinfo", "-hN", "-n", node, "-o", "%t").splitlines())

        wait_until(f"{node} is idle", lambda: states() == {"idle"})

    def kill_node(self, node: str) -> None:
        """The node's death: its daemon and all that runs there, at once, and SLURM is told.

        SLURM would see it by itself after SlurmdTimeout.
        """
        steps = {f"[{job.id}." for job in self.jobs() if job.node == node}
        there = [
            p
            for p in psutil.process_iter(["cmdline"])
            if (line := " ".join(p.info["cmdline"] or [])).startswith("slurmstepd:")
            and any(step in line for step in steps)
        ]
        for step in list(there):
            with contextlib.suppress(psutil.NoSuchProcess):
                there += step.children(recursive=True)
        self._end(f"slurmd.{node}", signal.SIGKILL)
        for process in there:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def stop(self) -> None:
        """Jobs first, so that their ends are on record; then daemons; then whatever is left."""
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.ask("scancel", "--user=root")
            wait_until("the queue is empty", lambda: not self.ask("squeue", "-h"), 15)
        for node in NODES:
            self._end(f"slurmd.{node}")
        self._end("slurmctld")
        self._end("munged")
        # Whoever looks for what is left afterwards names it.
        with contextlib.suppress(AssertionError):
            wait_until("what ran in the cluster has ended", self._all_killed, 15)

    def _all_killed(self) -> bool:
        """Whether nothing is alive any more; what is was killed just now, and takes a moment."""
        alive = self.processes()
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return not alive

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started by or in this cluster."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if ours and process.pid != os.getpid() and process.status() != "zombie":
                    found.append(process)
        return found

    def _end(self, daemon: str, how: signal.Signals = signal.SIGTERM) -> None:
        file = self.base / "run" / f"{daemon}.pid"
        if not file.exists():
            return
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            process = psutil.Process(int(file.read_text()))
            # The file of a daemon that crashed stays: its number may be another's now.
            if process.name() == daemon.split(".")[0]:
                process.send_signal(how)
                end = time.monotonic() + 8
                # One that has ended may stay a zombie for as long as nobody asks for its status.
                while process.is_running() and process.status() != "zombie":
                    if time.monotonic() > end:
                        process.kill()
                    time.sleep(0.05)
        file.unlink(missing_ok=True)

    def run(self, *command: str) -> str:
        done = self._command(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *command: str) -> str:
        """What a command prints, whether it fails or not."""
        return self._command(*command).stdout.strip()

    def _command(self, *command: str) -> subprocess.CompletedProcess:
        # A daemon would keep pipes open for as long as it lives, and with them whoever reads them.
        log = self.base / "log" / "commands.log"
        with open(log, "a") as errors, open(self.base / "log" / "out", "w+") as out:
            code = subprocess.run(
                command, env=self.environment, stdout=out, stderr=errors, timeout=60
            ).returncode
            out.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), log.read_text()[-500:])

    def jobs(self) -> list[Job]:
        """Every job that SLURM has on record, oldest first."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        return [_job(line) for line in lines if line.startswith("JobId=")]


def _job(line: str) -> Job:
    fields = dict(re.findall(r"(\S+?)=(\S*)", line))

    def moment(name: str) -> datetime | None:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(fields[name])
        return None

    hours, minutes, _ = fields["TimeLimit"].split("-")[-1].split(":")
    gpus = re.search(r"gpu:(\d+)", fields.get("TresPerJob", "") + fields.get("TresPerNode", ""))
    size = fields["MinMemoryNode"]
    return Job(
        id=fields["JobId"],
        rule=fields["Comment"].removeprefix("rule_"),
        state=fields["JobState"],
        partition=fields["Partition"],
        node=fields["NodeList"],
        memory=int(size[:-1]) * {"M": 1, "G": 1024}[size[-1]],
        minutes=60 * int(hours) + int(minutes),
        gpus=int(gpus[1]) if gpus else 0,
        start=moment("StartTime"),
        end=moment("EndTime"),
    )


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
