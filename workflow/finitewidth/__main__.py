"""``finitewidth``, or ``python -m finitewidth``: reads the command, and imports the one module that
carries it out."""

from __future__ import annotations

import signal
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    from finitewidth.core.extras import MissingExtraError

    try:
        return _main(words)
    except MissingExtraError as error:
        print(error, file=sys.stderr)
        return 1


def _main(words: list[str]) -> int:
    if words[:1] == ["run"]:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # Ctrl-C while this imports ends it without a traceback; later, the run hears of it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        from finitewidth.runtime.run import run

        return run(words[1:])
    from finitewidth.core.errors import ConfigError

    try:
        from finitewidth.extensions.named import hand_on

        # What is typed names files from here; rebuilding works elsewhere.
        hand_on()
        from finitewidth.commands import main as commands
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return commands(words)


if __name__ == "__main__":
    sys.exit(main())
