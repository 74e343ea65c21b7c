"""Rule inputs: write one named set of input vectors."""

from finitewidth.runtime.job import run, stamp
from finitewidth.data.input_sets import dataset
from finitewidth.provenance.artifacts import write_dataset


def main(job):
    name, config = job.wildcards.name, job.params.config
    made = dataset(name, config["spec"], config["seed"])
    write_dataset(made, job.output[0], stamp(job, rule="inputs"), title=f"input vectors {name}")


run(main, snakemake)
