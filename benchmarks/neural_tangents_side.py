"""The other side of against_neural_tangents.py: runs in an environment of neural-tangents.

    python neural_tangents_side.py FILE WIDTH...

Writes one JSON object: networks a second of each way of computing the tangent kernels of fresh
networks, and infinite-width kernels to compare with.
"""

import json
import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from neural_tangents import stax

DEPTH, REPEATS = 4, 5
#: C_W and C_b of the infinite-width kernels.
C_W, C_b = 1.7, 0.3
TARGETS, TIMES = np.array([[0.7, -0.2], [-1.1, 0.4]]), (0.3, 2.0)
INPUTS = np.array([[1.0, -0.4, 0.3, 0.8], [0.2, 0.9, -1.1, 0.4], [1.0, -0.4, 0.3, 0.81]])


def network(width, activation, outputs=1, W_std=2**0.5, b_std=None):
    dense = {"W_std": W_std, "b_std": b_std, "parameterization": "ntk"}
    hidden = [layer for _ in range(DEPTH - 1) for layer in (stax.Dense(width, **dense), activation)]
    return stax.serial(*hidden, stax.Dense(outputs, **dense))


def best(function):
    """Seconds of the fastest of several calls, once everything is compiled."""
    jax.block_until_ready(function())
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(function())
        taken.append(time.perf_counter() - start)
    return min(taken)


def rates(width, x):
    """Networks a second of each way."""
    init, apply, _ = network(width, stax.Relu())
    samples, found, key = (64 if width <= 512 else 4), {}, jax.random.PRNGKey(0)
    for way in nt.NtkImplementation:
        name = way.name.lower()
        kernel = nt.monte_carlo_kernel_fn(
            init, apply, key, samples, device_count=0, trace_axes=(), implementation=way
        )
        seconds = best(lambda kernel=kernel: kernel(x, None, "ntk"))
        found[f"monte_carlo_kernel_fn, {name}"] = samples / seconds
        # What the library does not do: draw and compute within one compiled loop.
        ntk = nt.empirical_ntk_fn(apply, trace_axes=(), implementation=way)

        def one(key, ntk=ntk):
            return ntk(x, None, init(key, x.shape)[1])

        loop = jax.jit(lambda key, one=one: jax.lax.map(one, jax.random.split(key, samples)))
        seconds = best(lambda loop=loop: loop(key))
        found[f"empirical_ntk_fn in a compiled loop, {name}"] = samples / seconds
    return found


def trained(kernel):
    """Ensembles trained on the first two inputs: mean and covariance at the third, by time; at the
    end of training; and the posterior of the Gaussian process."""
    x, y = jnp.asarray(INPUTS), jnp.asarray(TARGETS)
    predict = nt.predict.gradient_descent_mse_ensemble(kernel, x[:2], y)

    def both(get, t):
        mean, covariance = predict(x_test=x[2:], get=get, t=t, compute_cov=True)
        return {"mean": np.asarray(mean).tolist(), "covariance": np.asarray(covariance).tolist()}

    # Its loss is a mean over inputs and outputs, and time runs so many times slower.
    flow = [both("ntk", t * y.size) for t in TIMES]
    return {"flow": flow, "end": both("ntk", None), "posterior": both("nngp", None)}


def oracle():
    """NNGP and NTK at infinite width, double precision."""
    jax.config.update("jax_enable_x64", True)
    found = {}
    for name, activation in {
        "relu": stax.Relu(),
        "erf": stax.Erf(),
        "gelu": stax.Gelu(),
        "sin": stax.Sin(),
    }.items():
        _, _, kernel = network(1, activation, W_std=C_W**0.5, b_std=C_b**0.5)
        nngp, ntk = kernel(jnp.asarray(INPUTS), None, ("nngp", "ntk"))
        found[name] = {"nngp": np.asarray(nngp).tolist(), "ntk": np.asarray(ntk).tolist()}
        found[name]["trained"] = trained(kernel)
    about = {"depth": DEPTH, "C_W": C_W, "C_b": C_b, "inputs": INPUTS.tolist()}
    about |= {"targets": TARGETS.tolist(), "times": TIMES}
    return about | {"kernels": found}


if __name__ == "__main__":
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 10)), dtype=jnp.float32)
    speeds = {width: rates(int(width), x) for width in sys.argv[2:]}
    made_with = {"neural_tangents": nt.__version__, "jax": jax.__version__}
    with open(sys.argv[1], "w") as file:
        json.dump({"made_with": made_with, "rates": speeds, "oracle": oracle()}, file, indent=1)
