"""What Snakemake reports, handed to the line of progress of ``python -m finitewidth run``.

Chosen by ``--logger finitewidth``, which ``run`` adds; plain ``snakemake`` knows nothing of it.
Where Snakemake's own words are asked for (a dry run, ``--verbose``, ``--printshellcmds``,
``--quiet``, ``--debug-dag``), its own handler writes them.
"""

from __future__ import annotations

from logging import ERROR, WARNING, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Tells what happens to jobs, and what is warned of; the rest stands in Snakemake's log."""

    has_filter = True
    has_formatter = True
    needs_rulegraph = False
    writes_to_file = False

    def __post_init__(self) -> None:
        # Snakemake imports this at every start, also for a copy of the workflow that has a library
        # of its own: nothing of ours is imported before this logger is chosen.
        from finitewidth.runtime import following

        asked = self.common_settings
        self.tell = following.tell
        self.plain = not following.followed() or bool(
            asked.dryrun or asked.verbose or asked.printshellcmds or asked.quiet or asked.debug_dag
        )
        if self.plain:
            following.plain()

    @property
    def writes_to_stream(self) -> bool:
        """Where this is false, Snakemake's own handler writes."""
        return not self.plain

    def emit(self, record: LogRecord) -> None:
        """Tell of one record."""
        if self.plain:
            return
        try:
            self.tell(**_told(record))
        except Exception:
            self.handleError(record)


def _told(record: LogRecord) -> dict:
    event, about = getattr(record, "event", None), vars(record)
    if event == LogEvent.WORKFLOW_STARTED:
        return {"kind": "planned"}
    if event == LogEvent.RUN_INFO:
        return {"kind": "jobs", "counts": dict(about["stats"])}
    if event == LogEvent.JOB_INFO:
        words = [str(value) for value in dict(about["wildcards"] or {}).values()]
        rule = about["rule_name"]
        return {"kind": "begun", "job": about["jobid"], "rule": rule, "words": words}
    if event == LogEvent.JOB_FINISHED:
        return {"kind": "finished", "job": about["job_id"]}
    if event == LogEvent.PROGRESS:
        return {"kind": "progress", "done": about["done"], "total": about["total"]}
    if event == LogEvent.JOB_ERROR:
        said, logs = str(about["rule_msg"] or ""), [str(log) for log in about["log"] or []]
        told = {"job": about["jobid"], "rule": about["rule_name"], "said": said, "logs": logs}
        return {"kind": "failed", **told}
    if event == LogEvent.ERROR:
        return {"kind": "thrown", "by": about["exception"], "said": record.getMessage()}
    # Records with other events are about what a rule is, and without a message often.
    said = record.getMessage() if record.msg else ""
    level = "error" if record.levelno >= ERROR else "warning"
    return {"kind": level if record.levelno >= WARNING else "said", "said": said}
