"""Rules predict: what theory says of the networks of each of several trained members."""

from finitewidth.runtime.job import run, stamp
from finitewidth.members.plain import of_plain
from finitewidth.members.trained import PredictedReplicas
from finitewidth.provenance.artifacts import read_dataset, read_sizes, write_dataset
from finitewidth.theory.predict.predict_trained import predict_trained


def main(job):
    source = job.input.data
    sizes = read_sizes(source)
    shape = tuple(sizes[name] for name in ("channel", "row", "column"))
    for config, measured, path in zip(
        job.params.configs, job.input.estimates, job.output, strict=True
    ):
        member, seed = of_plain(config["member"], PredictedReplicas), config["seed"]
        ensemble, name = member.ensemble, member.name
        estimates = read_dataset(measured)
        theory = predict_trained(member, shape, sizes["classes"], estimates, seed)
        mark = stamp(
            job,
            rule="predict",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            inputs=[source, measured],
        )
        write_dataset(theory, path, mark, title=f"theory of {ensemble}, {name}")


run(main, snakemake)
