"""One cluster for all tests, started where SLURM is installed; local runs to compare with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from slurm_cluster import NODES, Cluster
from slurm_run import SMALL, TARGETS, Run, local, profile

from running import KINDS


@pytest.fixture(scope="session")
def cluster():
    # Sockets want short paths.
    base = Path(tempfile.mkdtemp(prefix="slurm-"))
    started = Cluster(base)
    try:
        started.start()
        yield started
    finally:
        started.stop()
        left = [f"{process.pid} {process.name()}" for process in started.processes()]
        shutil.rmtree(base)
    assert not left


@pytest.fixture
def steady(cluster):
    """The cluster, for a test that takes a part of it down: whole before, and again after."""
    yield cluster
    if "is UP" not in cluster.ask("scontrol", "ping"):
        cluster.start_controller()
    for node in NODES:
        if not (cluster.base / f"run/slurmd.{node}.pid").exists():
            cluster.start_node(node)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The profile with this site's partitions."""
    folder = tmp_path_factory.mktemp("profile")
    return profile(folder, slurm_partition="cpu", gpu_partition="gpu")


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    """The study with every kind of job, for GPUs where there are some."""
    path = tmp_path_factory.mktemp("kinds") / "kinds.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(KINDS.read_text()) | {"device": "auto"}))
    return path


@pytest.fixture(scope="session")
def local_kinds(cluster, tmp_path_factory, kinds):
    """What that study is without a cluster: digests by file."""
    return local(tmp_path_factory.mktemp("local"), "--configfile", kinds)


@pytest.fixture(scope="session")
def local_small(cluster, tmp_path_factory):
    return local(tmp_path_factory.mktemp("local"), *TARGETS, "--configfile", SMALL)


@pytest.fixture
def before(cluster):
    """Which jobs of earlier tests are on record."""
    return {job.id for job in cluster.jobs()}


@pytest.fixture
def new(cluster, before):
    """The jobs of this test."""
    return lambda: [job for job in cluster.jobs() if job.id not in before]


@pytest.fixture
def start(cluster, site, tmp_path):
    """Start the small study, or some files of it, on the cluster."""

    def start(*more, targets=TARGETS, **environment):
        given = (*targets, "--configfile", SMALL, *more)
        return Run(cluster, site, tmp_path, *given, **environment)

    return start
