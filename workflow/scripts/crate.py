"""Rule crate: the run as an RO-Crate, beside a copy of the code that ran."""

from pathlib import Path

from finitewidth.runtime.job import place, progress, run
from finitewidth.provenance.crate import ROOT, copy_code, write_crate


def main(job):
    results, code = Path(job.output.metadata).parent, Path(job.output.code)
    copy_code(Path(job.params.fetched or ROOT), code)
    # Named from the folder in which the results stand.
    files = [path.removeprefix(place(job)) for path in job.input]
    config = job.input.config.removeprefix(place(job))
    extensions = [path.removeprefix(place(job)) for path in job.input.extensions]
    write_crate(
        results,
        [path for path in files if path not in (config, *extensions)],
        config=config,
        extensions=extensions,
        code=code.name,
        on_file=progress("files"),
    )


run(main, snakemake)
