"""Rules estimate: from the shards of each of several members to estimates with standard errors."""

from pathlib import Path

from finitewidth.artifacts import read_dataset, samples_digest, write_dataset
from finitewidth.estimate.member import estimate_member
from finitewidth.job import log, run, stamp


def main(job):
    paths = iter(job.input)
    for member, shards, path in zip(job.params.members, job.params.shards, job.output, strict=True):
        ensemble, name = member["ensemble"], member["name"]
        log.info("%s, %s", ensemble, name)
        mine = [next(paths) for _ in range(shards)]
        samples = [read_dataset(shard) for shard in mine]
        estimates = estimate_member(member, samples, seed=job.params.seed)
        mark = stamp(
            job,
            rule="estimate",
            wildcards={"ensemble": ensemble, "member": name},
            config={"seed": job.params.seed, "member": member},
            # Of the samples, not of the files: so the division into shards leaves no trace.
            inputs={str(Path(mine[0]).parent): samples_digest(samples)},
        )
        write_dataset(estimates, path, mark, title=f"estimates of {ensemble}, {name}")


run(main, snakemake)
