"""Rule normality: tests of normality on groups of networks, and on Gaussian controls."""

from pathlib import Path

import xarray as xr

from finitewidth.runtime.job import run, stamp
from finitewidth.estimate.preactivations.normality import normality
from finitewidth.members.plain import of_plain
from finitewidth.members.stages import NormalityTests
from finitewidth.provenance.artifacts import read_dataset, samples_digest, write_dataset


def main(job):
    ensemble, member = job.wildcards.ensemble, job.wildcards.member
    shards = [read_dataset(path) for path in job.input]
    samples = xr.concat(shards, "network", data_vars="minimal")
    seed, tests = (
        job.params.config["seed"],
        of_plain(job.params.config["normality"], NormalityTests),
    )
    result = normality(
        samples,
        seed=seed,
        ensemble=ensemble,
        member=member,
        groups=tests.groups,
        networks=tests.networks,
        neurons=tests.neurons,
    )
    source = {str(Path(job.input[0]).parent): samples_digest(shards)}
    mark = stamp(job, rule="normality", inputs=source)
    write_dataset(result, job.output[0], mark, title=f"normality of {ensemble}, {member}")


run(main, snakemake)
