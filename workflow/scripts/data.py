"""Rule data: labelled images, divided into those to train on and those held out."""

from pathlib import Path

from finitewidth.runtime.job import run, stamp
from finitewidth.data.images import to_dataset
from finitewidth.data.labelled import labelled
from finitewidth.provenance.artifacts import write_dataset


def main(job):
    name = Path(job.output[0]).stem
    spec = dict(job.params.config["spec"])
    if spec["kind"] == "cifar10":
        spec["archive"] = job.input[0]
    images = labelled(name, spec, job.params.config["seed"])
    mark = stamp(job, rule="data")
    write_dataset(to_dataset(images), job.output[0], mark, title=f"labelled images {name}")


run(main, snakemake)
