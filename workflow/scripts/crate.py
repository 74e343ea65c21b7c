"""Rule crate: the run as an RO-Crate, beside a copy of the code that ran."""

from pathlib import Path

from finitewidth.runtime.job import place, progress, run
from finitewidth.core.places import alone, run_in
from finitewidth.provenance.code import CHECKOUT
from finitewidth.provenance.crate import copy_code, write_crate


def main(job):
    results, code = Path(job.output.metadata).parent, Path(job.output.code)
    copy_code(Path(job.params.fetched or CHECKOUT), code)
    # As stamps name them.
    files = [alone(place(job), path) for path in job.input]
    config = alone(place(job), job.input.config)
    extensions = [alone(place(job), path) for path in job.input.extensions]
    write_crate(
        results,
        [path for path in files if path not in (config, *extensions)],
        config=config,
        extensions=extensions,
        code=code.name,
        run=run_in(place(job)),
        on_file=progress("files"),
    )


run(main, snakemake)
