"""Rules figures: draw the figures of one study."""

from pathlib import Path

from finitewidth.job import log, run, stamp
from finitewidth.artifacts import write_figure
from finitewidth.figures import draw
from finitewidth.results import Study


def main(job):
    study = Study.read(job.params.config["study"])
    seconds = list(job.input.seconds)
    shared = [path for path in job.input if path not in seconds]
    for name, code in zip(job.params.figures, job.params.code, strict=True):
        log.info("%s", name)
        figure = draw(name, study)
        marks = stamp(
            job,
            rule="figure",
            wildcards={"study": study.name, "figure": name},
            code=code,
            # Times differ from run to run: only the figure of them depends on their digest.
            inputs=[*shared, *seconds] if name == "ntk_times" else shared,
        )
        for path in (path for path in job.output if Path(path).stem == name):
            write_figure(figure, path, marks, title=f"{study.name}: {name}")


run(main, snakemake)
