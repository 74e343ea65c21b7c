"""The other side of kernels.py: runs in an environment of neural-tangents.

    python neural_tangents_kernels.py INPUTS FOUND

INPUTS is a file of arrays ``vectors``, ``images``, ``more images``, ``odd`` (of 9 by 9
places) and ``sequences``, channels last. Writes kernels and seconds of each network of
``NETWORKS`` to FOUND, one file of arrays.
"""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)
W, B, REPEATS = 1.6**0.5, 0.1**0.5, 3
LAW = {"W_std": W, "b_std": B, "parameterization": "ntk"}
GELU, RELU, ERF = stax.Gelu(), stax.Relu(), stax.Erf()


def dense():
    return stax.Dense(1, **LAW)


def conv(padding="CIRCULAR", stride=1):
    return stax.Conv(1, (3, 3), (stride, stride), padding, **LAW)


def skip(*branch):
    return stax.serial(
        stax.FanOut(2), stax.parallel(stax.serial(*branch), stax.Identity()), stax.FanInSum()
    )


def norm():
    return stax.LayerNorm(axis=-1, eps=1e-5)


def attention():
    """Independent queries and keys, products over the root of their number, no softmax."""
    stds = {f"W_{part}_std": W for part in ("key", "value", "query", "out")}
    return stax.GlobalSelfAttention(
        1, 1, 1, 1, linear_scaling=False, b_std=B, attention_mechanism="IDENTITY", **stds
    )


def plain(activation):
    return stax.serial(*[layer for _ in range(4) for layer in (dense(), activation)], dense())


NETWORKS = {
    "dense relu": ("vectors", plain(RELU)),
    "dense erf": ("vectors", plain(ERF)),
    "dense gelu": ("vectors", plain(GELU)),
    "residual gelu": (
        "vectors", stax.serial(dense(), *[skip(GELU, dense()) for _ in range(4)], GELU, dense())
    ),
    "layer norm relu": (
        "vectors",
        stax.serial(
            dense(), *[skip(norm(), RELU, dense()) for _ in range(4)], norm(), RELU, dense()
        ),
    ),
    "wide branches erf": (
        "vectors",
        stax.serial(
            dense(), *[skip(norm(), ERF, dense(), ERF, dense()) for _ in range(2)], ERF, dense()
        ),
    ),
    "convolution relu, flatten": (
        "more images",
        stax.serial(conv(), RELU, conv("SAME"), RELU, conv(), RELU, stax.Flatten(), dense()),
    ),
    "convolution relu, mean over places": (
        "images",
        stax.serial(conv(), RELU, conv("SAME"), RELU, conv(), RELU, stax.GlobalAvgPool(), dense()),
    ),
    "convolution erf, stride 2": (
        "odd",
        stax.serial(conv("SAME"), ERF, conv("SAME", 2), ERF, stax.GlobalAvgPool(), dense()),
    ),
    "residual convolution with pooling": (
        "images",
        stax.serial(
            conv(), skip(norm(), GELU, conv()), stax.AvgPool((2, 2), (2, 2)),
            skip(norm(), GELU, conv()), GELU, stax.GlobalAvgPool(), dense(),
        ),
    ),
    "identity attention": (
        "sequences",
        stax.serial(dense(), attention(), attention(), stax.Flatten(), dense()),
    ),
    "transformer, identity attention": (
        "sequences",
        stax.serial(
            dense(),
            *2 * [skip(norm(), attention()), skip(norm(), dense(), GELU, dense())],
            norm(), stax.GlobalAvgPool(), dense(),
        ),
    ),
}  # fmt: skip


def main():
    given, found = np.load(sys.argv[1]), {}
    for name, (inputs, (_, _, kernel)) in NETWORKS.items():
        x, kernel = jnp.asarray(given[inputs]), jax.jit(kernel, static_argnames="get")
        for get in (("nngp",), ("nngp", "ntk")):
            jax.block_until_ready(kernel(x, None, get=get))
            taken = []
            for _ in range(REPEATS):
                start = time.process_time()
                value = jax.block_until_ready(kernel(x, None, get=get))
                taken.append(time.process_time() - start)
            found[f"{name}|{'+'.join(get)}|seconds"] = min(taken)
        found[f"{name}|nngp"], found[f"{name}|ntk"] = map(np.asarray, (value.nngp, value.ntk))
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
