"""Rule compare: one study's table, as CSV, Markdown and TeX."""

from finitewidth.job import run, stamp
from finitewidth.artifacts import write_text
from finitewidth.compare import table
from finitewidth.results import Study
from finitewidth.tables import to_csv, to_markdown, to_tex


def main(job):
    rows = table(Study.read(job.params.config["study"]))
    marks = stamp(job)
    write_text(to_csv(rows), job.output.csv, marks)
    write_text(to_markdown(rows), job.output.markdown, marks)
    write_text(to_tex(rows), job.output.tex, marks)


run(main, snakemake)
