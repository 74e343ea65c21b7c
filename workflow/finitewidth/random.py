"""Named random streams: each depends on the config's seed and on its own name, and nothing else."""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, *name: str | int) -> list[int]:
    """Eight 32-bit words derived by SHA-256 from the seed and the stream's name.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") are different streams.
    """
    digest = hashlib.sha256()
    for part in (seed, *name):
        text = str(part).encode()
        digest.update(f"{len(text)}:".encode() + text)
    return [int(word) for word in np.frombuffer(digest.digest(), dtype="<u4")]


def numpy_stream(seed: int, *name: str | int) -> np.random.Generator:
    """A numpy generator (Philox) for the named stream."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(stream_seed(seed, *name))))


def torch_stream(seed: int, *name: str | int, device: str = "cpu"):
    """A ``torch.Generator`` on ``device`` for the named stream.

    ``Generator.manual_seed`` keeps only 32 bits of its argument on the CPU, so that among 10^5
    streams two would probably coincide. There we fill the Mersenne Twister's whole state instead,
    as numpy derives it from 256 bits; on a GPU the Philox generator takes 64 bits of seed.
    """
    import torch

    words = stream_seed(seed, *name)
    generator = torch.Generator(device=device)
    if generator.device.type != "cpu":
        generator.manual_seed(words[0] | (words[1] & 0x7FFFFFFF) << 32)
        return generator
    key = np.random.MT19937(np.random.SeedSequence(words)).state["state"]["key"]
    state = generator.get_state().numpy().copy()
    # Layout of torch's CPU generator: seed (8 bytes), left and seeded (4 + 4), next (8), then 624
    # state words of 8 bytes each. left = 1 makes the next draw refresh the whole state.
    state[8:12].view(np.int32)[0] = 1
    state[16:24].view(np.uint64)[0] = 0
    state[24 : 24 + 624 * 8].view(np.uint64)[:] = key
    generator.set_state(torch.from_numpy(state))
    return generator
