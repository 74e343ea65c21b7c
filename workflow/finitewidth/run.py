"""``python -m finitewidth run``: Snakemake on this workflow, with study files read as plain data.

Snakemake evaluates a ``--configfile`` that calls itself a template. Here study files are handed
over by their names instead, for the workflow's own reader to read; everything else is Snakemake's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from finitewidth import following
from finitewidth.errors import ConfigError

SNAKEFILE = Path(__file__).resolve().parents[2] / "Snakefile"
HELP = """usage: python -m finitewidth run [--configfile FILE ... | FILE] [options of Snakemake]

Runs a study file (without one: the default study) with `snakemake`, which takes all other options,
as `--cores all`, `--dry-run`, `--config seed=2` or `-- TARGET`; `snakemake --help` lists them.
A line of progress takes the place of what Snakemake says, which stands in .snakemake/log; with
--verbose or --printshellcmds Snakemake speaks for itself."""


def run(words: list[str]) -> int:
    """Run Snakemake in this process; returns the exit status."""
    if words[:1] in (["-h"], ["--help"]):
        print(HELP)
        return 0
    # Before all else is imported: Ctrl-C is a word from now on, and no traceback.
    following.start()
    try:
        status = _run(words)
    except KeyboardInterrupt:
        status = 130
    following.ended(status)
    return status


def _run(words: list[str]) -> int:
    try:
        told = [] if any(_is(word, "--logger") for word in words) else ["--logger", "finitewidth"]
        sys.argv = ["snakemake", *told, *arguments(words)]
        from snakemake.cli import main

        main()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except SystemExit as end:
        # As an interpreter does with what it is told to end with.
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def arguments(words: list[str]) -> list[str]:
    """What Snakemake gets for what was typed.

    Raises ``ConfigError`` in one sentence, where an entry of ``--config`` cannot be read as a study
    file can.
    """
    files, config, rest, targets = _sorted(words)
    if config:
        from finitewidth.handed import check_entry
        from finitewidth.study_file import overrides

        for entry in config:
            check_entry(entry)
        overrides(config)
    if files:
        from finitewidth.handed import option

        config = [option(files), *config]
    if not any(_is(word, "--snakefile", "-s") for word in rest):
        rest = ["--snakefile", str(SNAKEFILE), *rest]
    return [*rest, *(["--config", *config] if config else []), *targets]


def _sorted(words: list[str]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Study files, entries of --config, other words, and what stands behind ``--``."""
    end = words.index("--") if "--" in words else len(words)
    words, targets = words[:end], words[end:]
    files: list[str] = []
    config: list[str] = []
    rest: list[str] = []
    into = files if words and not words[0].startswith("-") else rest
    for k, word in enumerate(words):
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            into = files if _is(name, "--configfile", "--configfiles") else rest
            into = config if name in ("--config", "-C") else into
            if into is rest:
                rest.append(word)
            elif equals:
                into.append(value)
                into = rest
        else:
            into.append(word)
            # The study file that comes first is one; what follows it is Snakemake's.
            into = rest if k == 0 else into
    if any(_is(word, "--configfile", "--configfiles") for word in words) and not files:
        raise ConfigError("--configfile: given nothing, allowed is the name of a study file")
    return files, config, rest, targets


def _is(word: str, *options: str) -> bool:
    """Whether a word is one of these options, or as much of a long one as Snakemake knows it by."""
    name = word.partition("=")[0]
    longer = (option for option in options if len(name) > len("--config"))
    return name in options or any(option.startswith(name) for option in longer)
