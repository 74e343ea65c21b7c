"""``python -m finitewidth run``: Snakemake on this workflow, with study files read as plain data.

Snakemake evaluates a ``--configfile`` that calls itself a template. Here study files are handed
over by their names instead, for the workflow's own reader to read; everything else is Snakemake's.

The other way round, a Snakemake that was given the name of a stage (``--forcerun estimate``) begins
again with the names of its rules: members of an ensemble share a job, as a rule of their own
(``estimate_relu``), and Snakemake takes single rules and files alone (its issue 660 asks for more).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from finitewidth.core.errors import ConfigError
from finitewidth.extensions.named import hand_on
from finitewidth.provenance.code import SNAKEFILE
from finitewidth.runtime import following

#: Stages with more than one rule, which are named by batch or by study.
STAGES = (
    "sample", "estimate", "normality", "theory", "figures",
    "train", "measure", "generate", "predict",
)  # fmt: skip
HELP = """usage: finitewidth run [--configfile FILE ... | FILE] [options of Snakemake]

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
        hand_on()
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


def _become(command: list[str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)


def spelled_out(words: Sequence[str], rules: Collection[str]) -> list[str]:
    """A command line of Snakemake with the rules of a stage in place of its name, where an option
    takes names of rules (``--forcerun``, ``--until``, ``--omit-from``).

    ``rules`` are all there are. In a workflow that uses this one as a module, a stage is named as
    its rules are: ``fw_estimate``.
    """
    result: list[str] = []
    taking = False
    for word in words:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            result += _rules_of(word, rules) if taking else [word]
        elif word[1] in "RUO" and len(word) > 2:
            result += [word[:2], *_rules_of(word[2:], rules)]
        elif _takes_names(option) and equals:
            result += [option, *_rules_of(value, rules)]
        else:
            taking = _takes_names(word)
            result.append(word)
    return result


def _takes_names(option: str) -> bool:
    if not option.startswith("--"):
        # Perhaps behind others of one letter, as in -nR.
        return option[-1] in "RUO"
    names = ("--forcerun", "--until", "--omit-from")
    # As much of it as Snakemake knows it by.
    return (
        any(name.startswith(option) for name in names)
        and len(option) > len("--un")
        and (option != "--force")
    )


def _rules_of(name: str, rules: Collection[str]) -> list[str]:
    if name in rules or not name.endswith(STAGES):
        return [name]
    return sorted(rule for rule in rules if rule.startswith(f"{name}_")) or [name]


def begin_again(words: Sequence[str], snakefile: str | Path) -> None:
    """Become Snakemake with other words, where it was begun.

    ``snakefile`` is the one that it reads. Raises ``ConfigError`` where it cannot be told where it
    was begun: relative paths among the words count from there, and it is elsewhere by then.
    """
    here = Path.cwd()
    for place in (
        sys.path[0] if Path(sys.argv[0]).suffix == ".py" else None,
        os.environ.get("PWD"),
    ):
        if place and _leads(place, words, snakefile, here):
            os.chdir(place)
            # Begun by `run`, it is followed; begun by itself, it speaks for itself.
            begun = ["finitewidth", "run"] if following.followed() else ["snakemake"]
            following.plain()
            _become([sys.executable, "-m", *begun, *words])
    raise ConfigError(
        "a stage is many rules: give their names, or begin Snakemake in the folder that it is to"
        f" work in, without --directory (it would be: snakemake {' '.join(words)})"
    )


def _leads(place: str, words: Sequence[str], snakefile: str | Path, here: Path) -> bool:
    """Whether relative paths among the words lead from ``place`` to where they have led."""
    folder = _value(words, "--directory", "-d")
    found = _value(words, "--snakefile", "-s")
    files = [found] if found else ["Snakefile", "workflow/Snakefile"]
    try:
        there = folder is None or os.path.samefile(Path(place, folder), here)
        return there and any(
            Path(place, file).exists() and os.path.samefile(Path(place, file), snakefile)
            for file in files
        )
    except OSError:
        return False


def _value(words: Sequence[str], long: str, short: str) -> str | None:
    """What stands behind an option, however it is written."""
    for k, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in (long, short):
            return value if equals else next(iter(words[k + 1 :]), None)
        if word.startswith(short) and not word.startswith("--"):
            return word[len(short) :]
    return None


def arguments(words: list[str]) -> list[str]:
    """What Snakemake gets for what was typed.

    Raises ``ConfigError`` in one sentence, where an entry of ``--config`` cannot be read as a study
    file can.
    """
    files, config, rest, targets = _sorted(words)
    if config:
        from finitewidth.study.handed import check_entry
        from finitewidth.study.study_file import overrides

        for entry in config:
            check_entry(entry)
        overrides(config)
    if files:
        from finitewidth.study.handed import option

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
