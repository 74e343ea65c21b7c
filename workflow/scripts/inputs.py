"""Rule inputs: write one named set of input vectors."""

import xarray as xr

from finitewidth.runtime.job import run, stamp
from finitewidth.data.inputs import vectors
from finitewidth.provenance.artifacts import write_dataset


def main(job):
    config = job.params.config
    x = vectors(job.wildcards.name, config["spec"], config["seed"])
    attributes = {"long_name": "input vectors", "units": "1"}
    dataset = xr.Dataset({"x": (("input", "component"), x, attributes)})
    title = f"input vectors {job.wildcards.name}"
    write_dataset(dataset, job.output[0], stamp(job, rule="inputs"), title=title)


run(main, snakemake)
