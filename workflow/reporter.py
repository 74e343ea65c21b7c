"""What Snakemake's report (9.27) lacks: words of ours in its captions, and room for them.

Captions get to know which file they belong to, the study file, and the filters `plain`,
`ensembles`, `notes` and `outcome`. Parameters of jobs are left out: those of a figure fill screens
and stand in its stamp, and Snakemake writes them into a script of the page as they are, so that the
title of a study could end it. The front page gets room, instead of a graph of more than a hundred
rules. Nothing is touched unless a report is made.
"""

from __future__ import annotations

from pathlib import Path

_STYLE = Path(__file__).parent / "report" / "style.css"


def present(workflow, study_file) -> None:
    """Let a report that this workflow makes have what it lacks."""
    create = workflow.create_report

    def create_report(*args, report_settings, **options):
        report_settings.stylesheet_path = report_settings.stylesheet_path or _STYLE
        _add_words(study_file)
        _name_files()
        return create(*args, report_settings=report_settings, **options)

    workflow.create_report = create_report


def _add_words(study_file) -> None:
    """What every Jinja template made from now on may use."""
    from jinja2 import defaults

    from finitewidth import captions
    from finitewidth.vocabulary import FIGURES

    defaults.DEFAULT_FILTERS.update(
        plain=captions.plain,
        ensembles=captions.ensembles,
        notes=captions.notes,
        outcome=captions.outcome,
    )
    defaults.DEFAULT_NAMESPACE.update(study_file=study_file, figure_entries=FIGURES)


def _name_files() -> None:
    from snakemake.report import FileRecord

    render = FileRecord.render

    def with_name(self, env, *others):
        env.globals["result"] = self.path
        self.params = ""
        return render(self, env, *others)

    FileRecord.render = with_name
