"""Rules sample: draw the networks of one shard, or of each of several members."""

from pathlib import Path

from finitewidth.runtime.job import begin, progress, run, stamp
from finitewidth.core.device import label, prepare
from finitewidth.members.inputs import inputs_of
from finitewidth.members.stages import sampled
from finitewidth.provenance.artifacts import read_dataset, write_dataset
from finitewidth.sampling.sample_member import sample_member


def main(job):
    device = prepare(job.params.device)
    seconds, sources = iter(job.output.seconds), iter(job.input)
    for config, path in zip(job.params.configs, job.output.samples, strict=True):
        member, seed, blocks = sampled(config["member"]), config["seed"], tuple(config["blocks"])
        mine = [next(sources) for _ in member.input_sets]
        x = inputs_of(member, [read_dataset(source) for source in mine])
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        islands = tuple(config["islands"]) if "islands" in config else None
        samples = sample_member(
            member, x, seed=seed, device=device, blocks=blocks, islands=islands,
            on_tile=progress("networks"),
        )  # fmt: skip
        mark = stamp(
            job,
            rule="sample",
            wildcards={"ensemble": ensemble, "member": name, "shard": Path(path).stem},
            inputs=mine,
            config=config,
            device=label(device),
        )
        if "seconds" in samples:
            # What differs from run to run stands in a file of its own.
            title = f"seconds that each way took, {ensemble}, {name}"
            write_dataset(samples[["seconds"]], next(seconds), mark, title=title)
            samples = samples.drop_vars("seconds")
        write_dataset(samples, path, mark, title=f"networks of {ensemble}, {name}")


run(main, snakemake)
