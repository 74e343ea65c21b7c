"""Ensembles of finite-width networks, measured and held against theory."""

import os

__version__ = "0.1.0"

# HDF5 reads this when it is first used. Nothing here needs its locks: a file is written under a
# name that no other writer has, and read once it is whole. Where a file system has none, they would
# end every write in "Permission denied" (docs/cluster.md).
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
