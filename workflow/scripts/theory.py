"""Rule theory: predict what the estimates should be, order by order."""

from finitewidth.artifacts import read_dataset, write_dataset
from finitewidth.job import run, stamp
from finitewidth.law import Law
from finitewidth.theory.predict import predict


def main(job):
    member = job.params.member
    x = read_dataset(job.input[0])["x"].values
    theory = predict(
        Law.of_member(member, dimension=x.shape[1]),
        x,
        member["layers"],
        member["estimate"],
        neurons=min(4, member["record"]),
        networks=member["networks"],
    )
    title = f"theory of {member['ensemble']}, {member['name']}"
    write_dataset(theory, job.output[0], stamp(job), title=title)


run(main, snakemake)
