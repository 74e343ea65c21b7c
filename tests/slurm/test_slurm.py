"""The workflow through the profile on a real SLURM: where jobs run, and what may happen to them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from slurm_cluster import missing, wait_until
from slurm_run import (
    ESTIMATE,
    QUICK,
    SHARD,
    SMALL,
    THEORY,
    Run,
    Watch,
    local,
    never_two_at_once,
    of_rule,
    running,
)  # fmt: skip

from extending import OWN, VARIABLE, small
from finitewidth.provenance.artifacts import read_stamp
from processors import EMULATOR, HASWELL
from running import digests, rests, snakemake

pytestmark = pytest.mark.slurm
if reason := missing():
    # Once, not test by test.
    pytest.skip(reason, allow_module_level=True)

#: The jobs of the small study, once each.
ONCE = {
    "sample_quick", "sample_slow_wildcards_0", "sample_slow_wildcards_1", "estimate_slow",
}  # fmt: skip


@pytest.fixture
def watch(tmp_path, local_small):
    with Watch(tmp_path, local_small) as watching:
        yield watching
    assert not watching.wrong
    assert set(watching.seen) == set(local_small)


def all_is_well(folder, expected, jobs, once=frozenset(ONCE)):
    """The bytes of a local run, no rest of a file, no file that two jobs wrote at once."""
    assert digests(folder) == expected
    assert not rests(folder)
    never_two_at_once(jobs)
    assert {job.rule for job in jobs if job.state == "COMPLETED"} == once
    for rule in once:
        assert [job.state for job in of_rule(jobs, rule)].count("COMPLETED") == 1, rule


def only(expected, *files):
    """Digests of these files and of the inputs."""
    kept = {file.removeprefix("results/") for file in files} | {"inputs/pair.nc"}
    return {name: digest for name, digest in expected.items() if name in kept}


def test_jobs_run_the_extension_that_is_named_where_the_controller_is(cluster, site, tmp_path, new):
    (tmp_path / "own.py").write_text(OWN.read_text())
    estimates = "results/ensembles/bumps/only/estimates.nc"
    words = (estimates, "--config", f"study={small(tmp_path)}")
    # Named from the folder of the run, which is where the controller works, and not where it began.
    with Run(cluster, site, tmp_path, *words, **{VARIABLE: "own.py"}) as run:
        run.succeeds()
    assert {job.rule for job in new()} == {"sample_bumps", "estimate_bumps"}
    used = read_stamp(tmp_path / estimates)["code"]["modules"]
    assert "extensions/own.py:FAMILIES.participation.estimator" in used


def test_every_kind_of_job_runs_where_it_belongs(cluster, site, tmp_path, kinds, local_kinds, new):
    with Run(cluster, site, tmp_path, "--configfile", kinds) as run:
        run.succeeds()
    assert digests(tmp_path) == local_kinds
    assert not rests(tmp_path)
    jobs = new()
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert len({job.rule for job in jobs}) == len(jobs)
    # Those that may use a GPU, and no other, got one, on the partition that has them.
    on_gpus = {job.rule.split("_")[0] for job in jobs if job.gpus}
    assert on_gpus == {"sample", "train", "measure", "generate"}
    for job in jobs:
        # These two sample on the CPU, whatever there is.
        of_cpu = job.rule.startswith(("sample_scalar", "sample_ways"))
        gpu = job.rule.split("_")[0] in on_gpus and not of_cpu
        assert (job.gpus, job.partition) == ((1, "gpu") if gpu else (0, "cpu")), job
        assert (job.node == "gpu1") == gpu
    # Light rules stayed with the controller.
    ours = {job.rule.split("_")[0] for job in jobs}
    assert ours == on_gpus | {"estimate", "theory", "predict", "normality", "compare", "figures"}
    # What the cost model asks for is what SLURM was asked for.
    plan = ("--dry-run", "--forceall", "--workflow-profile", site)
    asked = snakemake(tmp_path, *plan, "--configfile", kinds).stdout
    checked = set()
    for text in re.split(r"^rule ", asked, flags=re.MULTILINE)[1:]:
        name = text.split(":")[0]
        wanted = {key: int(n) for key, n in re.findall(r"\b(mem_mb|runtime)=(\d+)", text)}
        for job in (job for job in jobs if job.rule.split("_wildcards")[0] == name):
            assert {"mem_mb": job.memory, "runtime": job.minutes} == wanted, job
            checked.add(job.id)
    assert checked == {job.id for job in jobs}


def test_a_job_that_takes_more_memory_than_it_asked_for_gets_more_next_time(
    start, watch, tmp_path, local_small, new
):
    with start("--set-resources", "sample_quick:mem_mb=200 if attempt == 1 else 1500") as run:
        run.succeeds()
    jobs = new()
    all_is_well(tmp_path, local_small, jobs)
    first, second = of_rule(jobs, "sample_quick")
    assert (first.state in ("FAILED", "OUT_OF_MEMORY"), first.memory) == (True, 200)
    assert (second.state, second.memory) == ("COMPLETED", 1500)
    (log,) = (tmp_path / ".snakemake/slurm_logs").rglob(f"{first.id}.log")
    assert "exceeded memory limit" in log.read_text()
    assert len(jobs) == len(ONCE) + 1


def test_the_jobs_of_a_node_that_goes_down_run_again_elsewhere(
    steady, start, watch, tmp_path, local_small, new
):
    with start() as run:
        lost = running(steady, run, 0)
        steady.kill_node(lost.node)
        run.succeeds()
    jobs = new()
    all_is_well(tmp_path, local_small, jobs)
    again = of_rule(jobs, lost.rule)
    assert [job.state for job in again] == ["NODE_FAIL", "COMPLETED"]
    assert again[1].node != lost.node


def test_a_cancelled_job_runs_again_and_asks_for_more(
    cluster, start, watch, tmp_path, local_small, new
):
    with start() as run:
        cancelled = running(cluster, run, 1)
        cluster.run("scancel", cancelled.id)
        run.succeeds()
    jobs = new()
    all_is_well(tmp_path, local_small, jobs)
    first, second = of_rule(jobs, cancelled.rule)
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (second.memory, second.minutes) == (2 * first.memory, 2 * first.minutes)
    assert len(jobs) == len(ONCE) + 1


def test_a_preempted_job_runs_again(cluster, start, watch, tmp_path, local_small, new):
    with start() as run:
        preempted = running(cluster, run, 0)
        urgent = cluster.run(
            "sbatch", "--parsable", "--partition=urgent", f"--nodelist={preempted.node}",
            "--exclusive", "--mem=10", "--time=1", "--comment=urgent", "--wrap=sleep 2",
            f"--chdir={tmp_path}", "--output=/dev/null",
        ).strip()  # fmt: skip
        run.succeeds()
    jobs = [job for job in new() if job.id != urgent]
    all_is_well(tmp_path, local_small, jobs)
    first, second = of_rule(jobs, preempted.rule)
    assert (first.state, second.state) == ("PREEMPTED", "COMPLETED")
    # Whatever else the node had to give up for it.
    assert {job.state for job in jobs} == {"PREEMPTED", "COMPLETED"}


@pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 is installed (make emulator does)")
def test_nodes_of_different_processors_give_the_same_bytes(
    cluster, start, tmp_path, tmp_path_factory, new
):
    """One node has no AVX-512 and is of another maker: jobs that sample and estimate run there."""
    files = [f"results/ensembles/quick/only/{name}.nc" for name in ("estimates", "theory")]
    expected = local(tmp_path_factory.mktemp("one"), *files, "--configfile", SMALL)
    # Compiled for that node, but here, since an emulator would take minutes for it.
    compiled = HASWELL | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    ahead = "from finitewidth.sampling.sample_member import compile_ahead; compile_ahead()"
    subprocess.run([sys.executable, "-c", ahead], env=os.environ | compiled, check=True)
    there = [f"{rule}_quick:slurm_extra='--nodelist=cpu2'" for rule in ("sample", "estimate")]
    with (
        cluster.emulated("cpu2", EMULATOR, "-cpu", "Haswell", **compiled),
        start("--set-resources", *there, "theory_quick:slurm_extra='--nodelist=cpu1'",
              targets=files) as run,
    ):  # fmt: skip
        run.succeeds()
    assert {(job.rule.split("_")[0], job.node) for job in new()} == {
        ("sample", "cpu2"), ("estimate", "cpu2"), ("theory", "cpu1"),
    }  # fmt: skip
    assert digests(tmp_path) == expected
    note = json.loads((tmp_path / "results/logs/sample/quick.processor.json").read_text())
    assert note["numba"] == "haswell"


def test_a_controller_that_was_killed_starts_again_beside_no_job_of_its_own(
    cluster, start, watch, tmp_path, local_small, new
):
    def states(rule):
        return [job.state for job in of_rule(new(), rule)]

    with start() as run:
        slow = running(cluster, run, 1)
        # Takes long: it is still there when the next controller starts.
        cluster.run("scontrol", "suspend", slow.id)
        wait_until("the quick job is at work", lambda: run.works_on("sample/quick.log"))
        run.process.kill()
        run.process.wait()

    # Nobody looks on while this one ends.
    wait_until("the quick job has ended", lambda: states("sample_quick") == ["COMPLETED"])
    kept = tmp_path / "results/ensembles/quick/only/samples/0.nc"
    first = kept.stat()

    with start() as run:
        run.succeeds()
    assert "was killed: going on" in run.said()
    (line,) = (line for line in run.said().splitlines() if "cancelling" in line)
    # Killed outright, and cancelled where it was no more than waiting.
    ended = ({"CANCELLED"}, {"FAILED"})
    assert set(states(slow.rule)[:1]) in ended
    # One that had written its file when it was killed has no need of another.
    unneeded = {rule for rule in ONCE if len(states(rule)) == 1 and set(states(rule)) in ended}
    assert unneeded <= {"sample_slow_wildcards_0", "sample_slow_wildcards_1"}
    all_is_well(tmp_path, local_small, new(), ONCE - unneeded)
    assert states("sample_quick") == ["COMPLETED"]
    assert kept.stat().st_ino == first.st_ino
    assert slow.id in re.findall(r"\d+", line)


def test_ten_seconds_without_slurm_cost_nothing(steady, start, watch, tmp_path, local_small, new):
    with start() as run:
        running(steady, run, 0)
        steady.stop_controller()
        time.sleep(10)
        steady.start_controller()
        run.succeeds()
    assert "SLURM answers again" in run.said()
    jobs = new()
    all_is_well(tmp_path, local_small, jobs)
    assert len(jobs) == len(ONCE)


def test_ctrl_c_leaves_no_job_behind(cluster, start, new):
    with start() as run:
        running(cluster, run, 0)
        run.process.send_signal(signal.SIGINT)
        assert run.ends(60) == 1
    wait_until("the queue is empty", lambda: not cluster.ask("squeue", "-h"), 30)
    assert {job.state for job in new()} <= {"CANCELLED", "COMPLETED"}


def test_a_partition_that_drains_and_a_limit_are_waited_for(
    cluster, start, tmp_path, local_small, new
):
    """And said once; on a site without the commands of accounting, and without an account."""
    site = {"PATH": cluster.without("sacct", "sacctmgr", "sshare")}
    drains = "Required partition not available (inactive or drain)"
    with cluster.partition("DRAIN"), start(targets=[QUICK], **site) as run:
        run.says(drains)
        with cluster.limit("QOSMaxSubmitJobPerUserLimit"):
            cluster.run("scontrol", "update", "PartitionName=cpu", "State=UP")
            run.says("QOSMaxSubmitJobPerUserLimit")
            # Looks enough for another attempt each.
            time.sleep(4)
        run.succeeds()
    said = run.said()
    assert [said.count(text) for text in (drains, "QOSMaxSubmitJobPerUserLimit")] == [1, 1]
    assert "Trying to restart" not in said
    assert [job.state for job in new()] == ["COMPLETED"]
    assert digests(tmp_path) == only(local_small, QUICK)


def test_what_slurm_never_takes_fails_at_once_and_is_said_once(start, new):
    never = (
        "sample_quick:slurm_partition=nowhere", "sample_slow:runtime=100000",
        "theory_quick:mem_mb=900000",
    )  # fmt: skip
    with start("--set-resources", *never, targets=[QUICK, ESTIMATE, THEORY]) as run:
        assert run.ends(60) == 1
    for sentence in (
        "invalid partition specified: nowhere",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "Memory specification can not be satisfied",
    ):
        assert run.said().count(sentence) == 1, run.said()
    assert "Trying to restart" not in run.said()
    # Some are on record all the same, but none has run.
    assert not [job for job in new() if job.node]


def test_jobs_that_slurm_forgot_before_it_showed_them_are_judged_by_their_files(
    steady, start, tmp_path, local_small, before
):
    with (
        steady.command("squeue", "#!/bin/sh\nexit 1\n"),
        start(
            *("--latency-wait", "3", "--set-resources"),
            "sample_slow:slurm_extra='--hold' if attempt == 1 else ''",
            targets=[QUICK, SHARD],
        ) as run,
    ):
        kept = tmp_path / QUICK
        wait_until("one job is over, unseen", kept.exists)
        first = kept.stat().st_ino
        steady.lose_state()
        (steady.base / "bin/squeue").write_text('#!/bin/sh\nexec /usr/bin/squeue "$@"\n')
        run.succeeds()
    assert kept.stat().st_ino == first
    assert [job.rule for job in steady.jobs() if job.state == "COMPLETED"] == [
        "sample_slow_wildcards_0"
    ]
    assert digests(tmp_path) == only(local_small, QUICK, SHARD)


def test_ctrl_c_during_submission_leaves_no_job_behind(cluster, start, new):
    slowly = f'#!/bin/sh\nsleep 1\nexec {shutil.which("sbatch")} "$@"\n'
    many = ("--config", "run=default", "ensembles={slow: {shards: 8}}")
    with cluster.partition("DOWN"), cluster.command("sbatch", slowly), start(*many) as run:
        wait_until("some jobs are in the queue", lambda: len(new()) > 1)
        run.process.send_signal(signal.SIGINT)
        run.process.send_signal(signal.SIGINT)
        assert run.ends(30) == 1
        at_the_end = new()
        time.sleep(3)
        assert len(new()) == len(at_the_end) < 8
    assert {job.state for job in new()} == {"CANCELLED"}
    assert "Traceback" not in run.said()


def test_sigterm_lets_jobs_end_and_submits_no_other(cluster, start, new):
    with start() as run:
        running(cluster, run, 0)
        run.process.terminate()
        assert run.ends(120) == 1
    assert {job.state for job in new()} == {"COMPLETED"}
    assert not of_rule(new(), "estimate_slow")


def test_sighup_leaves_jobs_in_the_queue(cluster, start, new):
    with cluster.partition("DOWN"), start(targets=[QUICK]) as run:
        wait_until("a job is in the queue", new)
        run.process.send_signal(signal.SIGHUP)
        assert run.ends(10) == -signal.SIGHUP
        assert [job.state for job in new()] == ["PENDING"]
        cluster.run("scancel", new()[0].id)


def test_a_full_disk_is_told_once(cluster, start, tmp_path, new):
    folder = (tmp_path / QUICK).parent
    folder.mkdir(parents=True)
    # As large as a page or two: no file of results fits.
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "none", folder]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        with start("--retries", "1", targets=[QUICK]) as run:
            assert run.ends(180) == 1
    finally:
        subprocess.run(["umount", folder], check=True)
    assert [job.state for job in new()] == ["FAILED", "FAILED"]
    assert run.said().count("0.0 MiB are free on its disk") == 1, run.said()


def test_a_resource_that_nothing_reads_is_refused(start, new):
    with start("--default-resources", "mem_mb=1000", "our_queue=long") as run:
        assert run.ends(60) == 1
    assert 'nothing reads the resource "our_queue"' in run.said()
    assert "known are slurm_account, slurm_partition, gpu_partition" in run.said()
    assert not new()
