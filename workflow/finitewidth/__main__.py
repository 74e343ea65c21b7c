"""``python -m finitewidth``: ``stamp`` says what made a file, ``estimate`` what a config takes."""

from __future__ import annotations

import argparse
import json
import sys

from finitewidth.artifacts import ArtifactError, read_stamp
from finitewidth.errors import ConfigError
from finitewidth.plan import report
from finitewidth.study_file import load


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m finitewidth")
    commands = parser.add_subparsers(dest="command", required=True)
    stamp = commands.add_parser("stamp", help="print what made a file of results, as JSON")
    stamp.add_argument("file")
    estimate = commands.add_parser(
        "estimate", help="print what a study file takes: core-hours, GPU-hours, memory and disk"
    )
    estimate.add_argument("config", nargs="+", help="study files, a later one over an earlier one")
    options = parser.parse_args(arguments)
    try:
        if options.command == "stamp":
            print(json.dumps(read_stamp(options.file), indent=2))
        else:
            print(report(load(options.config)))
    except (ArtifactError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
