"""Rule normality: tests of normality on groups of networks, and on Gaussian controls."""

import xarray as xr

from finitewidth.artifacts import read_dataset, write_dataset
from finitewidth.estimate.normality import normality
from finitewidth.job import run, stamp


def main(job):
    ensemble, member = job.wildcards.ensemble, job.wildcards.member
    samples = xr.concat([read_dataset(path) for path in job.input], "network", data_vars="minimal")
    result = normality(
        samples, seed=job.params.seed, ensemble=ensemble, member=member, **job.params.normality
    )
    write_dataset(result, job.output[0], stamp(job), title=f"normality of {ensemble}, {member}")


run(main, snakemake)
