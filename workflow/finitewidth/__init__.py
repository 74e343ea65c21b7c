"""Ensembles of finite-width networks, measured and held against theory.

``import finitewidth as fw`` gives what one does with it; docs/library.md shows how. Each name is
imported when it is first asked for, so that the import itself is fast and brings no torch.
"""

import os
from importlib import import_module

from finitewidth.core import extras as _extras

__version__ = "0.1.0"

# HDF5 reads this when it is first used. Nothing here needs its locks: a file is written under a
# name that no other writer has, and read once it is whole. Where a file system has none, they would
# end every write in "Permission denied" (docs/cluster.md).
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
_extras.tell()

#: What is called by its bare name, `fw.sample`, and the module it stands in. Its types stand in
#: `__init__.pyi`: imports here would be code that every stage uses.
_FACE = {
    "ArtifactError": "provenance.artifacts",
    "ConfigError": "core.errors",
    "compare": "face.results",
    "draw": "face.results",
    "estimate": "face.one_ensemble",
    "gaussian_process": "theory.training.gaussian_process",
    "gradient_descent_mse": "theory.training.gradient_descent",
    "infinite_width": "face.kernels",
    "inputs": "face.networks",
    "linearize": "face.linearized",
    "load_study": "face.study_file",
    "max_learning_rate": "theory.training.gradient_descent",
    "network": "face.networks",
    "open_ensemble": "face.together",
    "perceptron": "face.networks",
    "predict": "face.one_ensemble",
    "read_study": "face.results",
    "sample": "face.one_ensemble",
    "tangent_kernel": "ntk.network",
    "with_swept": "face.together",
}
__all__ = ["__version__", *_FACE]


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FACE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE} - {"import_module", "os"})
