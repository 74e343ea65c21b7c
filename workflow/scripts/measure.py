"""Rules measure: spectra, rank truncation and alignment of several members' replicas."""

from pathlib import Path

from finitewidth.runtime.job import begin, log, run, stamp
from finitewidth.core.device import label, prepare
from finitewidth.data.images import from_dataset
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import TrainedNetworks
from finitewidth.provenance.artifacts import read_dataset, write_dataset
from finitewidth.trained.representations.measure_member import measure_member


def main(job):
    device, source = prepare(job.params.device), job.input.data
    images = from_dataset(read_dataset(source))
    files = zip(
        job.params.configs,
        job.input.networks,
        job.output.estimates,
        job.output.covariances,
        strict=True,
    )
    for config, networks, *paths in files:
        member, seed = of_plain(config["member"], TrainedNetworks), config["seed"]
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        measured = measure_member(
            member, images, read_dataset(networks), seed=seed, device=device, on_step=log.info
        )
        mark = stamp(
            job,
            rule="measure",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            inputs=[source, networks],
            device=label(device),
        )
        for dataset, path in zip(measured, paths, strict=True):
            title = f"{Path(path).stem} of {ensemble}, {name}"
            write_dataset(dataset, path, mark, title=title)


run(main, snakemake)
