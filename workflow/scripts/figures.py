"""Rules figures: draw the figures of one study."""

import json
from pathlib import Path

from finitewidth.runtime.job import log, place, run, stamp
from finitewidth.comparison.results import Study
from finitewidth.figures import draw, settings
from finitewidth.figures.common.failed import page, sentence
from finitewidth.figures.common.panels import CannotDrawError
from finitewidth.provenance.artifacts import write_figure


def main(job):
    config = json.loads(job.params.config)
    study = Study.read(config["study"], place(job))
    look = settings(**config["style"])
    seconds = list(job.input.seconds)
    shared = [path for path in job.input if path not in seconds]
    for name, code in zip(job.params.figures, job.params.code, strict=True):
        log.info("%s", name)
        figure, problem = drawn(name, study, look)
        marks = stamp(
            job,
            config=config,
            rule="figure",
            wildcards={"study": study.name, "figure": name},
            code=code,
            # Times differ from run to run: only the figure of them depends on their digest.
            inputs=[*shared, *seconds] if name == "ntk_times" else shared,
        )
        marks |= {"problem": problem} if problem else {}
        for path in (path for path in job.output if Path(path).stem == name):
            write_figure(figure, path, marks, title=f"{study.name}: {name}")


def drawn(name, study, look):
    """A figure and None, or a page in its place and why it could not be drawn.

    The job ends well, since Snakemake deletes every output of one that fails, those of the other
    figures too. The rule ``gallery`` fails in its stead. A lack of memory or a file that cannot be
    read is no fault of one figure, and ends the job.
    """
    try:
        return draw(name, study, look), None
    except CannotDrawError as nothing:
        # No fault: what was measured is nothing to draw, as where every network is dead.
        log.info("%s", nothing)
        return page(study.name, name, str(nothing)), None
    except (MemoryError, OSError):
        raise
    except Exception as error:
        log.exception("%s could not be drawn", name)
        problem = sentence(error)
        return page(study.name, name, problem), problem


run(main, snakemake)
