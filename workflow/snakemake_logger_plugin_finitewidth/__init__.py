"""Has Snakemake read the study files of this workflow as plain data, and no other way.

Snakemake reads what it is given as --configfile before it opens a Snakefile. It evaluates the
expressions of a file that calls itself a template, and ends in a traceback where a file is nested
too deep or holds a day that no calendar has (docs/security.md). A package of this name it imports
before that, where it is installed as `make` does it; as a logger, that it is in name only, it
writes nothing. Workflows of others are read as ever.
"""

from __future__ import annotations

import functools
from pathlib import Path

from snakemake import cli
from snakemake.api import resolve_snakefile
from snakemake.settings import types
from snakemake_interface_logger_plugins.base import LogHandlerBase

WORKFLOW = Path(__file__).resolve().parents[1]
OURS = (WORKFLOW / "Snakefile", WORKFLOW.parent / "Snakefile")


def read(path: str | Path) -> dict:
    """What a study file holds; a sentence where it cannot be read, or holds expressions to run."""
    from finitewidth.errors import ConfigError
    from finitewidth.study_file import read_yaml
    from refusal import RefusedError

    try:
        return read_yaml(path)
    except ConfigError as error:
        raise RefusedError(str(error)) from None


def _reading_ours(args_to_api):
    @functools.wraps(args_to_api)
    def with_our_reader(args, parser):
        snakefile = resolve_snakefile(args.snakefile, allow_missing=True)
        if isinstance(snakefile, Path) and snakefile.resolve() in OURS:
            types.load_configfile = read
        return args_to_api(args, parser)

    return with_our_reader


# To a Snakemake that is made of other parts nothing is done.
if hasattr(cli, "args_to_api") and hasattr(types, "load_configfile"):
    cli.args_to_api = _reading_ours(cli.args_to_api)


class LogHandler(LogHandlerBase):
    """Without it Snakemake takes this package for none of its own."""

    writes_to_stream = writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def emit(self, record) -> None:
        pass
