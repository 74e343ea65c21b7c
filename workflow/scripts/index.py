"""Rule index: all results of the run on one page."""

from pathlib import Path

from finitewidth.runtime.job import place, run, stamp
from finitewidth.comparison.index_page import index_page
from finitewidth.comparison.tables import read_csv
from finitewidth.core.places import run_in
from finitewidth.provenance.artifacts import write_text


def main(job):
    config, tables = job.params.config, list(job.input.tables)
    read = {Path(path).parent.name: read_csv(path) for path in tables if path.endswith(".csv")}
    called, about = run_in(place(job)), config["about"] or ""
    page = index_page(config["studies"], config["formats"], read, called, about)
    # The figure of times differs from run to run; the page only names it.
    write_text(page, job.output[0], stamp(job, rule="index", inputs=tables))


run(main, snakemake)
