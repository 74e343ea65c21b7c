"""Rule compare: one study's table, as CSV, Markdown, TeX and HTML."""

import json

from finitewidth.job import place, run, stamp
from finitewidth.artifacts import write_text
from finitewidth.compare import table
from finitewidth.html_table import to_html
from finitewidth.results import Study
from finitewidth.tables import to_csv, to_markdown, to_tex


def main(job):
    config = json.loads(job.params.config)
    study = Study.read(config["study"], place(job))
    rows = table(study)
    marks = stamp(job, rule="compare", config=config)
    write_text(to_csv(rows), job.output.csv, marks)
    write_text(to_markdown(rows), job.output.markdown, marks)
    write_text(to_tex(rows), job.output.tex, marks)
    write_text(to_html(rows, name=study.name, title=study.title), job.output.html, marks)


run(main, snakemake)
