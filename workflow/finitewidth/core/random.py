"""Named random streams: each depends on the config's seed and on its own name, and nothing else."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_words(seed: int, *name: str | int, count: int = 8) -> np.ndarray:
    """``count`` 32-bit words that SHAKE-256 makes of the seed and the stream's name.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") are different streams.
    """
    shake = hashlib.shake_256()
    for part in (seed, *name):
        text = str(part).encode()
        shake.update(f"{len(text)}:".encode() + text)
    return np.frombuffer(shake.digest(4 * count), dtype="<u4")


def numpy_stream(seed: int, *name: str | int) -> np.random.Generator:
    """A numpy generator (Philox) for the named stream."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(stream_words(seed, *name))))
