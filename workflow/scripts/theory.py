"""Rules theory: predict what the estimates of each of several members should be."""

from finitewidth.runtime.job import begin, run, stamp
from finitewidth.members.inputs import inputs_of
from finitewidth.members.stages import predicted
from finitewidth.provenance.artifacts import read_dataset, write_dataset
from finitewidth.theory.predict.predict_member import predict_member


def main(job):
    sources = iter(job.input)
    for config, path in zip(job.params.configs, job.output, strict=True):
        member = predicted(config["member"])
        mine = [next(sources) for _ in member.input_sets]
        x = inputs_of(member, [read_dataset(source) for source in mine])
        ensemble, name = member.ensemble, member.name
        begin(ensemble, name)
        mark = stamp(
            job,
            rule="theory",
            wildcards={"ensemble": ensemble, "member": name},
            inputs=mine,
            config=config,
        )
        title = f"theory of {ensemble}, {name}"
        write_dataset(predict_member(member, x), path, mark, title=title)


run(main, snakemake)
