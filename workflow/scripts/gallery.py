"""Rule gallery: every figure of the run on one page, unless one could not be drawn."""

from pathlib import Path

from finitewidth.runtime.job import place, run, stamp
from finitewidth.comparison.gallery import gallery, undrawn
from finitewidth.core.places import run_in
from finitewidth.provenance.artifacts import write_text


def main(job):
    studies = job.params.config["studies"]
    if problems := undrawn(list(job.input), place(job)):
        raise ValueError("; ".join(problems))
    # The figure of times differs from run to run; the page only names it.
    same = [path for path in job.input if Path(path).stem != "ntk_times"]
    page = gallery(studies, job.params.config["formats"], run_in(place(job)))
    write_text(page, job.output[0], stamp(job, rule="gallery", inputs=same))


run(main, snakemake)
