"""Rules normality: tests of normality on groups of networks, and on Gaussian controls."""

from pathlib import Path

import xarray as xr

from finitewidth.runtime.job import begin, run, stamp
from finitewidth.estimate.preactivations.normality import normality
from finitewidth.members.plain import of_plain
from finitewidth.members.stages import NormalityTests
from finitewidth.provenance.artifacts import read_dataset, samples_digest, write_dataset


def main(job):
    paths = iter(job.input)
    each = zip(job.params.members, job.params.configs, job.params.shards, job.output, strict=True)
    for (ensemble, name), config, count, path in each:
        begin(ensemble, name)
        mine = [next(paths) for _ in range(count)]
        shards = [read_dataset(shard) for shard in mine]
        tests = of_plain(config["normality"], NormalityTests)
        result = normality(
            xr.concat(shards, "network", data_vars="minimal"),
            seed=config["seed"],
            ensemble=ensemble,
            member=name,
            groups=tests.groups,
            networks=tests.networks,
            neurons=tests.neurons,
        )
        mark = stamp(
            job,
            rule="normality",
            wildcards={"ensemble": ensemble, "member": name},
            config=config,
            inputs={str(Path(mine[0]).parent): samples_digest(shards)},
        )
        write_dataset(result, path, mark, title=f"normality of {ensemble}, {name}")


run(main, snakemake)
