"""Rule crate: the run as an RO-Crate, beside a copy of the code that ran."""

from pathlib import Path

from finitewidth.runtime.job import progress, run
from finitewidth.provenance.crate import ROOT, copy_code, write_crate


def main(job):
    results, code = Path(job.output.metadata).parent, Path(job.output.code)
    copy_code(ROOT, code)
    write_crate(
        results,
        list(job.input),
        config=job.params.config,
        code=code.name,
        on_file=progress("files"),
    )


run(main, snakemake)
