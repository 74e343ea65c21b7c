"""Rule sample: draw the networks of one shard."""

import torch

from finitewidth.artifacts import read_dataset, write_dataset
from finitewidth.job import progress, run, stamp
from finitewidth.law import Law
from finitewidth.sampling.ensemble import sample


def main(job):
    torch.set_num_threads(1)
    device, member = job.params.device, job.params.member
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    x = read_dataset(job.input[0])["x"].values
    samples = sample(
        Law.of_member(member, dimension=x.shape[1]),
        x,
        networks=member["networks"],
        seed=job.params.seed,
        name=(member["ensemble"], member["name"]),
        sampler=member["sampler"],
        layers=member["layers"],
        record=member["record"],
        measure=member["measure"],
        precision=member["precision"],
        device=device,
        blocks=tuple(job.params.blocks),
        on_tile=progress("networks"),
    )
    title = f"networks of {member['ensemble']}, {member['name']}"
    write_dataset(samples, job.output[0], stamp(job, device), title=title)


run(main, snakemake)
