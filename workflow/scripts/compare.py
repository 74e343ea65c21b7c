"""Rule compare: one study's table, as CSV, Parquet, Markdown, TeX and HTML."""

import json

from finitewidth.runtime.job import place, run, stamp
from finitewidth.comparison.columns import schema
from finitewidth.comparison.compare import table
from finitewidth.comparison.html_table import to_html
from finitewidth.comparison.results import Study
from finitewidth.comparison.tables import to_csv, to_markdown, to_tex, typed
from finitewidth.provenance.artifacts import write_table, write_text
from finitewidth.provenance.parquet_files import write_parquet


def main(job):
    config = json.loads(job.params.config)
    study = Study.read(config["study"], place(job))
    rows = table(study)
    marks = stamp(job, rule="compare", config=config)
    title = f"{study.name}: theory beside estimate"
    write_table(to_csv(rows), job.output.csv, marks, title=title, columns=schema(rows))
    write_parquet(typed(rows), job.output.parquet, marks)
    write_text(to_markdown(rows), job.output.markdown, marks)
    write_text(to_tex(rows), job.output.tex, marks)
    write_text(to_html(rows, name=study.name, title=study.title), job.output.html, marks)


run(main, snakemake)
