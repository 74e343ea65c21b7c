"""Running the workflow as a person would: the command line, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from finitewidth.artifacts import sha256

ROOT = Path(__file__).parents[1]
TINY = ROOT / "config" / "tiny.yaml"


def snakemake(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Run snakemake with its working directory in ``folder``; stdout and stderr together."""
    command = [sys.executable, "-m", "snakemake", "--directory", folder, *arguments]
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1800,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result, but of logs and of what is made of measured times."""
    results = folder / "results"
    files = (p for p in sorted(results.rglob("*")) if p.is_file() and "logs" not in p.parts)
    files = (p for p in files if p.stem not in ("seconds", "ntk_times"))
    return {str(path.relative_to(results)): sha256(path) for path in files}
