"""Rules train: train the replicas of each of several members, from where a killed job left off."""

from pathlib import Path

from finitewidth.runtime.job import begin, log, progress, run, stamp
from finitewidth.core.device import label, prepare
from finitewidth.core.files import sha256
from finitewidth.data.images import from_dataset
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import TrainedNetworks
from finitewidth.provenance.artifacts import canonical, read_dataset, write_dataset
from finitewidth.trained.train_member import train_member


def main(job):
    device, source = prepare(job.params.device), job.input.data
    images, digest = from_dataset(read_dataset(source)), sha256(source)
    kept = [Path(path).with_name(".training.pt") for path in job.output]
    each = zip(job.params.configs, job.params.checkpoints, kept, job.output, strict=True)
    for config, epochs, state, path in each:
        member = of_plain(config["member"], TrainedNetworks)
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        log.info("%d replicas on %s", member.replicas, device)
        networks = train_member(
            member,
            images,
            seed=config["seed"],
            device=device,
            kept=state,
            every=epochs,
            fingerprint=canonical([config, digest, job.params.code, label(device)]),
            on_epoch=progress("epochs"),
        )
        mark = stamp(
            job,
            rule="train",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            device=label(device),
        )
        write_dataset(networks, path, mark, title=f"trained networks of {ensemble}, {name}")
    for state in kept:
        # Until all of the job's members are written: what Snakemake removes can be had again.
        state.unlink(missing_ok=True)


run(main, snakemake)
