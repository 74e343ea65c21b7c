"""Rule estimate: merge a member's shards into estimates with standard errors."""

from finitewidth.artifacts import read_dataset, write_dataset
from finitewidth.estimate.estimates import estimate
from finitewidth.job import run, stamp


def main(job):
    ensemble, member = job.wildcards.ensemble, job.wildcards.member
    estimates = estimate(
        [read_dataset(path) for path in job.input],
        job.params.families,
        seed=job.params.seed,
        ensemble=ensemble,
        member=member,
    )
    write_dataset(estimates, job.output[0], stamp(job), title=f"estimates of {ensemble}, {member}")


run(main, snakemake)
