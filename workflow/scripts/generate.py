"""Rules generate: draw networks from the covariances of trained ones, and see how they do."""

from finitewidth.runtime.job import begin, progress, run, stamp
from finitewidth.core.device import label, prepare
from finitewidth.data.images import from_dataset
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import GeneratedNetworks
from finitewidth.provenance.artifacts import read_dataset, write_dataset
from finitewidth.trained.generation.generate_member import generate_member


def main(job):
    device, source = prepare(job.params.device), job.input.data
    images = from_dataset(read_dataset(source))
    for config, networks, path in zip(
        job.params.configs, job.input.networks, job.output, strict=True
    ):
        member = of_plain(config["member"], GeneratedNetworks)
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        generated = generate_member(
            member,
            images,
            read_dataset(networks),
            seed=config["seed"],
            device=device,
            on_network=progress("references"),
        )
        mark = stamp(
            job,
            rule="generate",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            inputs=[source, networks],
            device=label(device),
        )
        write_dataset(generated, path, mark, title=f"generated networks of {ensemble}, {name}")


run(main, snakemake)
