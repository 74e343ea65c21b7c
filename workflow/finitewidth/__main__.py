"""``python -m finitewidth``: what stands behind its commands is imported by those that need it."""

from __future__ import annotations

import sys

from finitewidth.core.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["run"]:
        from finitewidth.runtime.run import run

        try:
            return run(words[1:])
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 1
    from finitewidth.commands import main as commands

    return commands(words)


if __name__ == "__main__":
    sys.exit(main())
