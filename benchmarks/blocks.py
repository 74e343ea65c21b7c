"""What networks made of blocks cost, as ratios measured in one run on one thread.

Eight residual blocks on two inputs: the time of the sampler without weights over that of drawing
its own normals by ``torch.Tensor.normal_``, that of the explicit sampler over drawing its weights,
and how many more networks a second come without; the same of three convolutions on 8 x 8 places,
and of a transformer block with 8 heads on 8 or 32 tokens, whose heads may have any dimension.
Then, for rows against width, both samplers and the one that a study file takes where none is named.

    python benchmarks/blocks.py            # all tables
    python benchmarks/blocks.py attention  # those of transformer blocks alone
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from finitewidth.config.network import network
from finitewidth.core.blocks import MapSize
from finitewidth.models.architecture import Architecture
from finitewidth.planning.members import members
from finitewidth.sampling.ensemble import sample
from finitewidth.study.study_file import validate

#: Numbers that a run draws, about.
_NUMBERS = 2**24


def seconds(job: Callable[[], object], repeats: int = 3) -> float:
    """Time of the processor, the least of several runs."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        taken.append(time.process_time() - start)
    return min(taken)


def stream(norm: str, width: int, blocks: int = 8, dimension: int = 3) -> Architecture:
    """Blocks of ReLU with a skip, and a read-out behind the same norm."""
    law = {"activation": "relu", "C_W": 2.0}
    keys = {"blocks": [{"repeat": blocks, "residual": {"norm": norm}}]}
    return network(inputs=dimension, width=width, readout={"norm": "same"}, **keys, **law)


def convolutions(width: int, side: int = 8, outputs: int = 10) -> Architecture:
    """Three convolutions of ReLU on images of three channels that go round, and means of places."""
    keys = {"embed": {"map": "conv"}, "blocks": [{"repeat": 2, "branch": ["conv"]}]}
    law = {"activation": "relu", "C_W": 2.0, "outputs": outputs}
    return network(inputs=(3, side, side), width=width, **keys, **law)


def transformer_blocks(head_dim: int | None = None) -> dict:
    """Attention of eight heads and a branch four times as wide, norms before them."""
    size = {} if head_dim is None else {"head_dim": head_dim}
    wide = [{"dense": {"width": "4n"}}, "activation", "dense"]
    return {
        "blocks": [
            {"residual": {"norm": "layer"}, "branch": [{"attention": {"heads": 8, **size}}]},
            {"residual": {"norm": "layer"}, "branch": wide},
        ]
    }


def transformer(width: int, tokens: int, head_dim: int | None = None) -> Architecture:
    """One such block, and means over tokens."""
    about = {"inputs": 64 * tokens, "input": {"tokens": tokens, "channels": 64}, "outputs": 10}
    blocks = transformer_blocks(head_dim)
    return network(width=width, activation="gelu", C_W=1.0, **about, **blocks)


def drawing(count: int) -> float:
    """Seconds that drawing so many normals takes."""
    buffer, generator = torch.empty(min(count, 2**20)), torch.Generator().manual_seed(1)

    def job() -> None:
        for _ in range(-(-count // len(buffer))):
            buffer.normal_(generator=generator)

    return seconds(job) * count / (-(-count // len(buffer)) * len(buffer))


def per_network(one: Architecture, x: np.ndarray, sampler: str, networks: int) -> float:
    """Seconds a network, of which the last layer is recorded."""
    last = [len(one.result_widths) - 1]
    how = {"networks": networks, "seed": 1, "sampler": sampler, "layers": last}
    return seconds(lambda: sample(one, x, **how), 3 if sampler == "marginal" else 1) / networks


def against_floors(name: str, one: Architecture, width: int, inputs: int) -> None:
    """One line of the first table."""
    x = np.random.default_rng(0).standard_normal((inputs, one.components))
    # Where rows are no fewer than what a matrix multiplies, it is drawn itself.
    normals = sum(_drawn(m, inputs) for m in one.map_sizes)
    without = per_network(one, x, "marginal", max(32, _NUMBERS // normals))
    drawn = per_network(one, x, "explicit", max(2, _NUMBERS // one.parameters))
    floors = drawing(_NUMBERS) / _NUMBERS
    print(
        f"| {name} | {width} | {without * 1e3:.3f} | {without / (floors * normals):.2f}"
        f" | {drawn / (floors * one.parameters):.2f} | {drawn / without:.0f} |"
    )


def _drawn(size: MapSize, inputs: int) -> int:
    """Normals that one map takes without weights."""
    rows = min(inputs * size.places, max(size.fan_in, size.head_dim))
    return rows * size.drawn("marginal", inputs)


def attention() -> None:
    """The lines of transformer blocks, and how long heads of other dimensions take."""
    for width in (512, 1024, 4096):
        for tokens in (8, 32):
            name = f"transformer block, {tokens} tokens"
            against_floors(name, transformer(width, tokens), width, inputs=1)
    print("\n| width | tokens | dimension of a head | ms a network |")
    print("|---|---|---|---|")
    for head_dim in (64, 10**3, 10**6):
        x = np.random.default_rng(0).standard_normal((1, 8, 64))
        each = per_network(transformer(512, 8, head_dim), x, "marginal", 2000)
        print(f"| 512 | 8 | {head_dim} | {each * 1e3:.3f} |")
    print("\n| width | tokens | marginal, us | explicit, us | chosen | over the better |")
    print("|---|---|---|---|---|---|")
    for width in (16, 32, 64, 128, 256):
        for tokens in (8, 32, 64):
            choice_on_tokens(width, tokens)


def choice_on_tokens(width: int, tokens: int) -> None:
    """One line of the fourth table."""
    x = np.random.default_rng(0).standard_normal((1, tokens * 64))
    one = transformer(width, tokens)
    count = max(8, 2**21 // (width * tokens * 4)), max(4, 2**22 // one.parameters)
    each = {
        name: per_network(one, x, name, n)
        for name, n in zip(("marginal", "explicit"), count, strict=True)
    }
    ensemble = {
        "activation": "gelu", "init": {"C_W": 1.0}, "width": width, "outputs": 10, "inputs": "x",
        "networks": 1000, "estimate": ["covariance"], "layers": ["last"],
        "network": transformer_blocks(),
    }  # fmt: skip
    spec = {"kind": "tokens", "length": tokens, "channels": 64, "count": 1}
    (member,) = members(
        validate({"seed": 1, "inputs": {"x": spec}, "ensembles": {"e": ensemble}}), "e"
    )
    over = each[member.sampler] / min(each.values())
    print(
        f"| {width} | {tokens} | {each['marginal'] * 1e6:.0f} | {each['explicit'] * 1e6:.0f}"
        f" | {member.sampler} | {over:.2f} |"
    )


def choice_on_images(width: int, side: int, inputs: int) -> None:
    """One line of the third table."""
    x = np.random.default_rng(0).standard_normal((inputs, 3, side, side))
    one, rows = convolutions(width, side), inputs * side**2
    count = max(8, 2**21 // (width * rows)), max(4, 2**22 // one.parameters)
    each = {
        name: per_network(one, x, name, n)
        for name, n in zip(("marginal", "explicit"), count, strict=True)
    }
    ensemble = {
        "activation": "relu", "init": {"C_W": 2.0}, "width": width, "outputs": 10, "inputs": "x",
        "networks": 1000, "estimate": ["covariance"], "layers": ["last"],
        "network": {"embed": {"map": "conv"}, "blocks": [{"repeat": 2, "branch": ["conv"]}]},
    }  # fmt: skip
    pixels = {"kind": "images", "positions": [side, side], "channels": 3, "count": inputs}
    study = {"seed": 1, "inputs": {"x": pixels}, "ensembles": {"e": ensemble}}
    (member,) = members(validate(study), "e")
    over = each[member.sampler] / min(each.values())
    print(
        f"| {width} | {rows} | {each['marginal'] * 1e6:.0f} | {each['explicit'] * 1e6:.0f}"
        f" | {member.sampler} | {over:.2f} |"
    )


def choice(width: int, rows: int) -> None:
    """One line of the second table."""
    x = np.random.default_rng(0).standard_normal((rows, 100))
    one = stream("rms", width, 4, 100)
    count = max(16, 2**21 // (width * rows)), max(2, _NUMBERS // one.parameters)
    each = {
        name: per_network(one, x, name, min(2048, n))
        for name, n in zip(("marginal", "explicit"), count, strict=True)
    }
    ensemble = {
        "activation": "relu", "init": {"C_W": 2.0}, "width": width, "inputs": "x", "networks": 1000,
        "network": {"blocks": [{"repeat": 4, "residual": {"norm": "rms"}}],
                    "readout": {"norm": "same"}},
        "estimate": ["covariance"], "layers": ["last"],
    }  # fmt: skip
    inputs = {"x": {"kind": "sphere", "dimension": 100, "count": rows, "norm": 1.0}}
    (member,) = members(validate({"seed": 1, "inputs": inputs, "ensembles": {"e": ensemble}}), "e")
    over = each[member.sampler] / min(each.values())
    print(
        f"| {width} | {rows} | {each['marginal'] * 1e6:.0f} | {each['explicit'] * 1e6:.0f}"
        f" | {member.sampler} | {over:.2f} |"
    )


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    head = (
        "| network | width | ms a network | over its normals | explicit over its weights | faster |"
    )
    print(f"{head}\n|---|---|---|---|---|---|")
    if sys.argv[1:] == ["attention"]:
        attention()
        return
    for width in (512, 1024, 4096):
        for norm in ("none", "rms", "layer"):
            against_floors(norm, stream(norm, width), width, inputs=2)
        against_floors("convolutions", convolutions(width), width, inputs=1)
    print("\n| width | inputs | marginal, us | explicit, us | chosen | over the better |")
    print("|---|---|---|---|---|---|")
    for width in (16, 64, 256, 1024):
        for rows in (1, 4, 16, 64):
            choice(width, rows)
    print("\n| width | rows | marginal, us | explicit, us | chosen | over the better |")
    print("|---|---|---|---|---|---|")
    for width in (16, 32, 64, 128, 256):
        for side, inputs in ((4, 1), (4, 4), (8, 1), (8, 2)):
            choice_on_images(width, side, inputs)
    print(f"\n{head}\n|---|---|---|---|---|---|")
    attention()


if __name__ == "__main__":
    main()
