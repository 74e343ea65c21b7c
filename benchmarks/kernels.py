"""Kernels of infinite width for data sets, against neural-tangents 0.6.5 on a processor.

    python benchmarks/kernels.py [--vectors 1000] [--images 24] [--sequences 200]

Both sides compute the kernel of one set of inputs with itself, in double precision, in processor
time of one thread; the other library in its own environment (against_neural_tangents.py makes it),
compiled before it is timed. Each time is the shortest of three. Then a data set of thousands of
inputs, with the memory that it takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from against_neural_tangents import environment

import finitewidth as fw
from finitewidth.face.kernels import InfiniteWidth

HERE = Path(__file__).parent
LAW = {"C_W": 1.6, "C_b": 0.1, "width": 8, "outputs": 1}
EPS, REPEATS = 1e-5, 3
NORMED = {"norm": "layer", "eps": EPS}
TOKENS, CHANNELS = 6, 16
WIDE = ["activation", "dense", "activation", "dense"]

MLP = [{"dense": {"width": "4n"}}, "activation", "dense"]


def vectors(activation: str, *blocks: dict, **readout: object) -> object:
    return fw.network(activation, inputs=64, blocks=list(blocks), readout=dict(readout), **LAW)


def images(activation: str, places: int, *blocks: dict, pool: str, padding: str) -> object:
    return fw.network(
        activation,
        inputs=(3, places, places),
        embed={"map": "conv", "padding": padding},
        blocks=list(blocks),
        readout={"pool": pool},
        **LAW,
    )


def sequences(*blocks: dict, **readout: object) -> object:
    more = {"blocks": list(blocks), "readout": {"activation": "none", **readout}}
    return fw.network("gelu", inputs=CHANNELS, tokens=TOKENS, **more, **LAW)


def attention(**residual: object) -> dict:
    """Identity scores, as the other library has them: without biases but that of the output."""
    none = {"C_b": 0.0}
    heads = {"heads": 1, "head_dim": 8, "scores": "identity", "q": none, "k": none, "v": none}
    skip = {"residual": residual} if residual else {}
    return {"branch": [{"attention": heads}], **skip}


def conv(padding: str = "circular", **more: object) -> dict:
    return {"branch": [{"conv": {"padding": padding, **more}}]}


SKIP = {"residual": NORMED, "branch": ["conv"]}
NETWORKS = {
    "dense relu": ("vectors", vectors("relu", {"repeat": 3})),
    "dense erf": ("vectors", vectors("erf", {"repeat": 3})),
    "dense gelu": ("vectors", vectors("gelu", {"repeat": 3})),
    "residual gelu": ("vectors", vectors("gelu", {"repeat": 4, "residual": {}})),
    "layer norm relu": (
        "vectors", vectors("relu", {"repeat": 4, "residual": NORMED}, norm="same")
    ),
    "wide branches erf": (
        "vectors", vectors("erf", {"repeat": 2, "residual": NORMED, "branch": WIDE})
    ),
    "convolution relu, flatten": (
        "more images", images("relu", 8, conv("zero"), conv(), pool="flatten", padding="circular")
    ),
    "convolution relu, mean over places": (
        "images", images("relu", 8, conv("zero"), conv(), pool="average", padding="circular")
    ),
    "convolution erf, stride 2": (
        "odd", images("erf", 9, conv("zero", stride=2), pool="average", padding="zero")
    ),
    "residual convolution with pooling": (
        "images",
        images(
            "gelu", 8, SKIP, {"branch": [{"pool": {"average": 2}}]}, SKIP, pool="average",
            padding="circular",
        ),
    ),
    "identity attention": ("sequences", sequences(attention(), attention(), pool="flatten")),
    "transformer, identity attention": (
        "sequences",
        sequences(*2 * [attention(**NORMED), {"residual": NORMED, "branch": MLP}], **NORMED),
    ),
}  # fmt: skip


def timed(kernel: InfiniteWidth, x: np.ndarray, get: tuple[str, ...]) -> tuple:
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        found = kernel(x, get=get)
        taken.append(time.process_time() - start)
    return min(taken), found


def gaps(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Largest deviation between different inputs, and of an input with itself, in units of the root
    of the two entries on the diagonal."""
    root = np.sqrt(np.diagonal(mine))
    off = np.abs(mine - theirs) / np.multiply.outer(root, root)
    diagonal = np.diagonal(off).max()
    np.fill_diagonal(off, 0.0)
    return float(off.max()), float(diagonal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1000)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--many", type=int, default=5000)
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = np.random.default_rng(0)
    x = {
        "vectors": rng.normal(size=(given.vectors, 64)),
        "images": rng.normal(size=(given.images, 3, 8, 8)),
        "more images": rng.normal(size=(8 * given.images, 3, 8, 8)),
        "odd": rng.normal(size=(given.images, 3, 9, 9)),
        "sequences": rng.normal(size=(given.sequences, TOKENS, CHANNELS)),
    }
    with tempfile.TemporaryDirectory() as folder:
        inputs, found = Path(folder) / "inputs.npz", Path(folder) / "found.npz"
        last = {name: np.moveaxis(a, 1, -1) if a.ndim == 4 else a for name, a in x.items()}
        np.savez(inputs, **last)
        side = [environment(), HERE / "neural_tangents_kernels.py", inputs, found]
        subprocess.run(side, check=True, stdout=subprocess.DEVNULL)
        theirs = dict(np.load(found))
    heads = "network", "inputs", "nngp off", "ntk off", "ntk off, diagonal", "nngp, ms", "there"
    print(f"| {' | '.join(heads)} | both, ms | there |\n{'|---' * (len(heads) + 2)}|")
    for name, (inputs, network) in NETWORKS.items():
        kernel, row = fw.infinite_width(network), []
        for get in (("nngp",), ("nngp", "ntk")):
            seconds, mine = timed(kernel, x[inputs], get)
            row += [seconds, float(theirs[f"{name}|{'+'.join(get)}|seconds"])]
        nngp = max(gaps(mine.nngp, theirs[f"{name}|nngp"]))
        told = [f"{g:.0e}" for g in (nngp, *gaps(mine.ntk, theirs[f"{name}|ntk"]))]
        told += [f"{1e3 * s:.0f}" for s in row]
        print(f"| {name} | {len(x[inputs])} | {' | '.join(told)} |")
    many = rng.normal(size=(given.many, 64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    fw.infinite_width(NETWORKS["layer norm relu"][1])(many, get="ntk")
    taken, more = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 8 * given.many**2 / 2**20
    print(
        f"\n{given.many} inputs, layer norm relu, ntk: {taken:.1f} s, {(more - before) / 2**10:.0f}"
        f" MiB more than before, {size:.0f} of them the kernel."
    )


if __name__ == "__main__":
    main()
