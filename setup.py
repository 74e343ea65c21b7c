"""What a wheel brings besides the library: the workflow, laid out as in a checkout.

Everything else about the package stands in pyproject.toml.
"""

import json
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
#: What running, tracing and archiving a study reads of a checkout.
PARTS = (
    "CITATION.cff", "LICENSE", "Makefile", "README.md", "Snakefile", "config", "config.yaml",
    "envs", "pyproject.toml", "setup.py", "workflow/Snakefile", "workflow/profiles",
    "workflow/rules", "workflow/scripts",
)  # fmt: skip
COMMIT = "COMMIT.json"


def write_commit(folder: Path) -> None:
    """Say in a folder which commit the code is: there is no git where it gets installed."""
    kept = ROOT / COMMIT
    if kept.is_file():
        shutil.copy(kept, folder / COMMIT)
        return
    sys.path.insert(0, str(ROOT / "workflow"))
    from finitewidth.provenance.code import recorded_commit

    (folder / COMMIT).write_text(json.dumps(recorded_commit(), sort_keys=True) + "\n")


class BuildWithWorkflow(build_py):
    """The library, and in it what it needs of a checkout."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "finitewidth/_checkout"
        shutil.rmtree(target, ignore_errors=True)
        leave = shutil.ignore_patterns("__pycache__", "*.pyc")
        for part in PARTS:
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, target / part, ignore=leave)
            else:
                shutil.copy(ROOT / part, target / part)
        write_commit(target)


class SdistWithCommit(sdist):
    """All sources, with the commit that they are."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


setup(cmdclass={"build_py": BuildWithWorkflow, "sdist": SdistWithCommit})
