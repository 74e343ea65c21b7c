"""Which processor a file was made on: said beside the job's log, and in no stamp.

Were it in the stamp, files of two processors would differ for that alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from finitewidth.core import processor
from finitewidth.core.files import replacing, unreadable
from finitewidth.core.places import alone

_ENDING = ".processor.json"


def note(log: str | Path, root: str, outputs: Iterable[str]) -> None:
    """Write down what this process ran on, beside its log, with the files that it has made.

    ``root`` is the folder of the run. Paths are kept as if it stood in `results/` itself.
    """
    said = {"files": [alone(root, path) for path in outputs], **processor.about()}
    with replacing(Path(log).with_suffix(_ENDING)) as temporary:
        temporary.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def noted(run: str | Path) -> dict[str, dict[str, str]]:
    """What each file of a run was made on, by its path as if the run stood in `results/` itself.

    ``run`` is the folder of the run. A note that cannot be read is passed over.
    """
    found: dict[str, dict[str, str]] = {}
    for path in sorted((Path(run) / "logs").rglob(f"*{_ENDING}")):
        try:
            if unreadable(path):
                continue
            said = json.loads(path.read_text(encoding="utf-8"))
            files = said.pop("files")
            found |= {str(file): {str(k): str(v) for k, v in said.items()} for file in files}
        except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
            continue
    return found
