"""One study file to its tables in this process: ``emulated.py STUDY FOLDER``, digests to stdout.

What the tests of processors start under an emulator, and by itself. Prints one object of JSON: what
the libraries saw, and a digest of each thing that is promised to be the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np

import whole_runs
from finitewidth.core import processor
from finitewidth.data.inputs import vectors
from finitewidth.planning.members import members
from finitewidth.provenance.artifacts import read_dataset
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import load

warnings.simplefilter("ignore")


def digest(*arrays: np.ndarray) -> str:
    """Of the bytes of arrays, in their order."""
    found = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        found.update(str(array.tolist()).encode() if array.dtype == object else array.tobytes())
    return found.hexdigest()


def main(study: str, folder: str) -> None:
    """Run the study in the folder."""
    config, found = load([study]), {}
    for name in config.ensembles:
        for m in members(config, name):
            x = vectors(m.inputs, config.inputs[m.inputs].model_dump(), config.seed)
            samples = sample_member(
                m, x, seed=config.seed, device="cpu", blocks=(0, m.blocks),
                on_tile=lambda done, total: None,
            )  # fmt: skip
            arrays = (samples[v].values for v in sorted(map(str, samples.variables)))
            found[f"samples of {name} {m.name}"] = digest(*arrays)
    drawn = whole_runs.draw

    def draw(name, study):
        figure = drawn(name, study)
        for kind in ("png", "svg"):
            content = io.BytesIO()
            figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else {})
            found[f"figure {name}, {kind}"] = hashlib.sha256(content.getvalue()).hexdigest()
        return figure

    whole_runs.draw = draw
    ran = whole_runs.run(config, Path(folder))
    assert not ran.faults, ran.faults
    for path in sorted(Path(folder).rglob("*.nc")):
        data = read_dataset(path)
        arrays = (data[v].values for v in sorted(map(str, data.variables)))
        found[str(path.relative_to(folder))] = digest(*arrays)
    for column in ran.rows:
        found[f"tables, {column}"] = digest(ran.rows[column].to_numpy())
    print(json.dumps({"about": processor.about(), "digests": found}))


main(*sys.argv[1:])
