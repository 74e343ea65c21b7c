"""Rule figure: draw one figure of one study."""

from finitewidth.artifacts import write_figure
from finitewidth.figures import draw
from finitewidth.job import run, stamp
from finitewidth.results import Study


def main(job):
    study, name = Study.read(job.params.study), job.wildcards.figure
    figure = draw(name, study)
    marks = stamp(job)
    for path in (job.output.pdf, job.output.png):
        write_figure(figure, path, marks, title=f"{study.name}: {name}")


run(main, snakemake)
