"""Rules estimate: from the shards of each of several members to estimates with standard errors."""

from pathlib import Path

from finitewidth.runtime.job import begin, run, stamp
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.members.stages import estimated
from finitewidth.provenance.artifacts import read_dataset, samples_digest, write_dataset


def main(job):
    paths = iter(job.input)
    for config, shards, path in zip(job.params.configs, job.params.shards, job.output, strict=True):
        member = estimated(config["member"])
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        mine = [next(paths) for _ in range(shards)]
        samples = [read_dataset(shard) for shard in mine]
        estimates = estimate_member(member, samples, seed=config["seed"])
        mark = stamp(
            job,
            rule="estimate",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            # Of the samples, not of the files: so the division into shards leaves no trace.
            inputs={str(Path(mine[0]).parent): samples_digest(samples)},
        )
        write_dataset(estimates, path, mark, title=f"estimates of {ensemble}, {name}")


run(main, snakemake)
