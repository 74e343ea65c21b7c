"""Named sets of input vectors, each of a kind that stands in a file of ``kinds/``.

A file ``<kind>.py`` holds ``Inputs``, the model of its keys with ``kind`` among them, and
``vectors(path, spec, stream)``, which makes an array of shape (inputs, n_0) of the keys as plain
data; ``path`` names the entry in sentences. The docstring of ``Inputs`` is its line in
config/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from finitewidth.core.random import numpy_stream

#: Kinds by their names.
KINDS: dict[str, ModuleType] = {
    file.stem: import_module(f"finitewidth.data.kinds.{file.stem}")
    for file in sorted((Path(__file__).parent / "kinds").glob("[a-z]*.py"))
    if file.stem != "kind"
}


def vectors(name: str, spec: Mapping, seed: int) -> np.ndarray:
    """The input vectors that ``spec`` (one entry of the config's ``inputs``) describes.

    Returns
    -------
    array, shape (inputs, n_0), float64

    Raises
    ------
    ConfigError
        Where a file or the data in it is not what the config says.
    """
    stream = numpy_stream(seed, "inputs", name)
    return KINDS[spec["kind"]].vectors(f"inputs.{name}", spec, stream)
