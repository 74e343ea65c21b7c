"""``python -m finitewidth stamp FILE``: what made an artifact."""

from __future__ import annotations

import argparse
import json
import sys

from finitewidth.artifacts import ArtifactError, read_stamp


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m finitewidth", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    stamp = commands.add_parser("stamp", help="print what made a file of results, as JSON")
    stamp.add_argument("file")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(read_stamp(options.file), indent=2))
    except ArtifactError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
