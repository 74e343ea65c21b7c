"""Named random streams of torch, apart from those of numpy, which need no torch."""

from __future__ import annotations

import numpy as np
import torch

from finitewidth.core.random import stream_words

#: 32-bit words of a Mersenne Twister's state.
_STATE = 624


def torch_stream(seed: int, *name: str | int, device: str = "cpu") -> torch.Generator:
    """A ``torch.Generator`` on ``device`` for the named stream.

    ``Generator.manual_seed`` keeps only 32 bits of its argument on the CPU, so that among 10^5
    streams two would probably coincide. There we fill the Mersenne Twister's whole state instead;
    on a GPU the Philox generator takes 64 bits of seed.
    """
    generator = torch.Generator(device=device)
    if generator.device.type != "cpu":
        low, high = (int(word) for word in stream_words(seed, *name, count=2))
        generator.manual_seed(low | (high & 0x7FFFFFFF) << 32)
        return generator
    state = generator.get_state().numpy()
    # Layout of torch's CPU generator: seed (8 bytes), left and seeded (4 + 4), next (8), then the
    # state's words, 8 bytes each. left = 1 makes the next draw refresh the whole state.
    state[8:12].view(np.int32)[0] = 1
    state[16:24].view(np.uint64)[0] = 0
    state[24 : 24 + 8 * _STATE].view(np.uint64)[:] = stream_words(seed, *name, count=_STATE)
    generator.set_state(torch.from_numpy(state))
    return generator
