"""Whether estimates from populations are within their errors as often as they promise.

Over activations, widths from 8 and depths over widths from 0.1 to 4, each ensemble is drawn with
many seeds, plain networks and populations beside them, and its means, variances, third cumulants
and inverse means are held against exact moments (theory/mlp/transport.py), those of tangent kernels
of two slopes, too (theory/mlp_ntk/ntk_exact.py), and those of linear streams with skips. z of a
trusted estimate should have a standard deviation of 1. The table is written beside this file.

    python benchmarks/calibrate/population.py
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from finitewidth.core.indices import pairs
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.members.stages import Population
from finitewidth.models.activations.table import get
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.block import Block
from finitewidth.models.layers.dense import Dense
from finitewidth.models.layers.nonlinearity import Nonlinearity
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.sampling.population.network_populations import sample_network_populations
from finitewidth.sampling.population.populations import sample_populations
from finitewidth.sampling.population.tangent_populations import sample_tangent_populations
from finitewidth.theory.mlp import linear
from finitewidth.theory.mlp.criticality import critical_point
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp.transport import transport
from finitewidth.theory.mlp_ntk.ntk_exact import second_moments

HERE = Path(__file__).resolve()
ACTIVATIONS = ("relu", "linear", "leaky_relu(0.3)", "tanh", "sin", "erf", "gelu", "silu")
#: Width and depth, L/n from 0.1 to 4.
SHAPES = ((128, 13), (64, 17), (32, 33), (12, 14), (16, 33), (8, 17), (8, 33))
#: Width, blocks and variance of the rows of their matrices, of linear streams with skips.
READ_OUTS = ((32, 16, 0.5), (8, 12, 0.7), (8, 32, 0.3))
#: Fields of transport's moments, by the names of their estimates.
FIELDS = {
    "kernel_mean": "mean",
    "kernel_covariance": "variance",
    "kernel_third": "third",
    "inverse_kernel_mean": "inverse_mean",
}
#: What is added to the name of a quantity of so many inputs.
OF = {1: "", 2: " of two inputs", 3: " of three inputs", 4: " of four inputs"}


def network(activation: str, width: int, depth: int) -> tuple[Perceptron, np.ndarray]:
    """A critical network and an input at its fixed point, or of kernel 1."""
    at = critical_point(get(activation))
    kernel = at.K_star or 1.0
    x = np.full((1, 4), np.sqrt((kernel - at.C_b) / at.C_W))
    how = {"dimension": 4, "width": width, "depth": depth, "C_b": at.C_b, "C_W": at.C_W}
    return Perceptron.uniform_width(activation, **how), x


def several(x: np.ndarray, count: int) -> np.ndarray:
    """That many inputs, as long as it and at 60 degrees to each other; one is it itself."""
    if count == 1:
        return x
    corners = np.linalg.cholesky((np.eye(count) + 1) / 2)
    return np.linalg.norm(x) * np.pad(corners, ((0, 0), (0, x.shape[1] - count)))


def known_kernels(mlp: Perceptron, x: np.ndarray, layers: list[int]) -> dict[str, np.ndarray]:
    """Exact values, (layer, ...) each, NaN where none are known: each input's own has the law that
    it has alone, and linear networks have more (theory/mlp/linear.py)."""
    moments = transport(mlp, x, layers).values._asdict()
    known = {name: moments[field] for name, field in FIELDS.items()}
    a, b = pairs(len(x)).T
    own = a == b
    if mlp.activation.is_linear:
        G = infinite_width(mlp, x, layers)
        four = linear.four_point(mlp, x, layers).pairs[:, a, b]
        return known | {"kernel_mean": G[:, a, b], "kernel_covariance": four[:, :, a, b]}
    mean = np.full((len(layers), len(a)), np.nan)
    covariance = np.full((len(layers), len(a), len(a)), np.nan)
    mean[:, own], covariance[:, own, own] = known["kernel_mean"], known["kernel_covariance"]
    return known | {"kernel_mean": mean, "kernel_covariance": covariance}


def z_values(
    mlp: Perceptron,
    x: np.ndarray,
    layers: list[int],
    seeds: range,
    *,
    networks: int,
    islands: int,
    members: int | None = None,
    exact: bool = True,
) -> dict[tuple[str, str, int], list[float]]:
    """z of each seed by quantity, source (plain or population) and layer; NaN if not trusted, and
    left out where no exact value is known."""
    inverse = mlp.activation.slopes is None
    orders = (-1, 1, 2, 3) if inverse else (1, 2, 3)
    families = ["kernel_moments", *(["inverse_kernel"] if inverse else [])]
    known = known_kernels(mlp, x, layers)
    about = {"powers": (), "orders": orders, "of": None}
    asked = Population(**about, islands=islands, members=members, exact=exact)
    found = defaultdict(list)
    for seed in seeds:
        shared = {"networks": networks, "seed": seed, "name": ("calibrate",), "layers": layers}
        samples = sample_ladder([mlp], x, controls=False, **shared).merge(
            sample_populations([mlp], x, asked, precision="float32", islands=(0, islands), **shared)
        )
        e = estimate_ladder([samples], families, seed=seed, ensemble="e", member="m")
        for name in FIELDS:
            if name not in e:
                continue
            value, error, trusted = (
                e[f"{name}{part}"].values.reshape(len(layers), -1)
                for part in ("", "_stderr", "_trusted")
            )
            flags = f"{name}_estimator"
            grown = e[flags].values[0] if flags in e else np.zeros(len(layers), int)
            right = known[name].reshape(len(layers), -1)
            z = np.where(trusted, (value - right) / error, np.nan)
            for k, layer in enumerate(layers):
                source = "population" if grown[k] else "plain"
                found[name + OF[len(x)], source, layer].extend(z[k, np.isfinite(right[k])])
    return found


def tangent_z_values(
    mlp: Perceptron,
    x: np.ndarray,
    seeds: range,
    *,
    networks: int,
    islands: int,
    members: int | None,
) -> dict[tuple[str, str, int], list[float]]:
    """The same of tangent kernels of two slopes at the last layer, with rates 0 and 1."""
    rates = LearningRates.named("pdlt", mlp, 0.0, 1.0)
    exact = known_tangents(mlp, rates, x)
    about = {"powers": (), "orders": (), "of": None, "exact": True, "tangents": (1, 2)}
    asked = Population(**about, islands=islands, members=members)
    sampler = "scalar" if len(x) == 1 else "marginal"
    found = defaultdict(list)
    for seed in seeds:
        shared = {"networks": networks, "seed": seed, "name": ("calibrate",)}
        plain = sample_ntk(mlp, rates, x, sampler=sampler, outputs=1, **shared)
        grown = sample_tangent_populations(
            mlp, rates, x, asked, precision="float32", islands=(0, islands), **shared
        )
        e = estimate([plain.merge(grown)], ["ntk"], seed=seed, ensemble="e", member="m")
        for name, right in exact.items():
            value, error, trusted = (
                e[f"{name}{part}"].values[0] for part in ("", "_stderr", "_trusted")
            )
            source = "population" if f"{name}_estimator" in e else "plain"
            z = np.where(trusted, (value - right) / error, np.nan)
            found[name + OF[len(x)], source, mlp.depth].extend(z[np.isfinite(right)])
    return found


def known_tangents(mlp: Perceptron, rates: LearningRates, x: np.ndarray) -> dict[str, np.ndarray]:
    """Exact values, NaN where none are known.

    Theta_ab of linear networks is bilinear in a and b, and odd in any direction: of vectors as long
    as each other with the cosine c, E[Theta_ab Theta_aa] is c times E[Theta_aa^2].
    """
    known = second_moments(mlp, rates, x, [mlp.depth])
    H, ratio = known.H[0], known.ratio[0]
    a, b = pairs(len(x)).T
    alone = np.flatnonzero(a == b)
    mean, variance = np.full((len(x),) * 2, np.nan), np.full((len(a),) * 2, np.nan)
    np.fill_diagonal(mean, H)
    variance[alone, alone] = (ratio - 1) * H**2
    if mlp.activation.is_linear:
        cosine = x @ x.T / (x[0] @ x[0])
        mean = cosine * H[0]
        for p, q in np.ndindex(variance.shape):
            one, other = {a[p], b[p]}, {a[q], b[q]}
            if (len(one) == 1 and one <= other) or (len(other) == 1 and other <= one):
                variance[p, q] = cosine[a[p], b[p]] * cosine[a[q], b[q]] * variance[0, 0]
    return {"ntk": mean, "ntk_variance": variance, "ntk_second_moment": ratio}


def read_out(width: int, blocks: int, C: float) -> tuple[Architecture, np.ndarray, dict]:
    """A linear stream with skips on two inputs, and exact values at its read-out, from 1 on.

    A block takes z to z + W z, where C is the variance of W's rows; it multiplies E[G_ab G_cd] =
    A G_ab G_cd + B (G_ac G_bd + G_ad G_bc) by (A, B) -> (f^2 A + 2 e B, f^2 B + e (A + B)), with
    f = 1 + C and e = (2 C + C^2)/n.
    """
    branch = [Nonlinearity("linear"), Dense(inputs=width, neurons=width, C_W=C, C_b=0.0)]
    first, last = (
        Dense(inputs=i, neurons=o, C_W=1.0, C_b=0.0) for i, o in ((3, width), (width, 4))
    )
    layers = [first, *[Block(branch, 1.0, 1.0, "b")] * blocks, last]
    network = Architecture((3,), layers, range(1, blocks + 3))
    x = np.array([[1.0, 0.5, -0.5], [0.3, -1.0, 0.8]])
    f, e = 1 + C, (2 * C + C**2) / width
    A, B = 1.0, 1 / width
    for _ in range(blocks):
        A, B = f**2 * A + 2 * e * B, f**2 * B + e * (A + B)
    G = x @ x.T / 3
    pair = G[:, :, None, None] * G
    other = np.einsum("ac,bd->abcd", G, G) + np.einsum("ad,bc->abcd", G, G)
    a, b = pairs(2).T
    four = ((A - f ** (2 * blocks)) * pair + B * other)[a, b][:, a, b]
    return network, x, {"covariance": f**blocks * G, "four_point": four}


def read_out_z_values(
    width: int,
    blocks: int,
    C: float,
    seeds: range,
    *,
    networks: int,
    islands: int,
    members: int | None,
) -> dict[tuple[str, str, int], list[float]]:
    """The same of what the read-out of a stream with skips has from its populations."""
    network, x, exact = read_out(width, blocks, C)
    last = blocks + 2
    about = {"powers": (), "orders": (1, 2), "of": None, "exact": True, "tangents": ()}
    asked = Population(**about, islands=islands, members=members)
    found = defaultdict(list)
    for seed in seeds:
        shared = {"networks": networks, "seed": seed}
        plain = sample(
            network, x, layers=[last], record=4, measure=("preactivations", "quartic"), **shared
        )
        grown = sample_network_populations(
            network, x, asked, name=("e",), precision="float32", islands=(0, islands), **shared
        )
        e = estimate([plain.merge(grown)], list(exact), seed=seed, ensemble="e", member="m")
        for name, right in exact.items():
            value, error, trusted = (
                e[f"{name}{part}"].values[0] for part in ("", "_stderr", "_trusted")
            )
            flags = f"{name}_estimator"
            grown_here = flags in e and "islands" in e[flags].attrs["estimators"]
            z = np.where(trusted, (value - right) / error, np.nan)
            key = name + " of a read-out", "population" if grown_here else "plain", last
            found[key].extend(z.ravel())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="seed")
    parser.add_argument("--networks", type=int, default=4000)
    parser.add_argument("--islands", type=int, default=40)
    parser.add_argument("--members", type=int, default=400, help="of islands; 0: as many as fit")
    parser.add_argument("--activations", nargs="+", default=ACTIVATIONS)
    parser.add_argument("--shapes", nargs="+", type=int, default=range(len(SHAPES)))
    parser.add_argument("--inputs", nargs="+", type=int, default=(1, 2), choices=OF)
    parser.add_argument("--resampled", action="store_true", help="even where the law is known")
    parser.add_argument("--output", type=Path, default=HERE.with_suffix(".md"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start, rows, pooled = time.monotonic(), [], defaultdict(list)
    for activation in arguments.activations:
        for shape in arguments.shapes:
            width, depth = SHAPES[shape]
            mlp, x = network(activation, width, depth)
            seeds = range(arguments.first, arguments.first + arguments.seeds)
            layers = sorted({2, (depth + 1) // 2, depth})
            found = {}
            for inputs in (several(x, count) for count in arguments.inputs):
                if len(inputs) <= 2:
                    found |= z_values(
                        mlp, inputs, layers, seeds, networks=arguments.networks,
                        islands=arguments.islands, members=arguments.members or None,
                        exact=not arguments.resampled,
                    )  # fmt: skip
                if mlp.is_scale_invariant:
                    found |= tangent_z_values(
                        mlp, inputs, seeds, networks=arguments.networks,
                        islands=arguments.islands, members=None,
                    )  # fmt: skip
            for (name, source, layer), values in found.items():
                # What plain networks are left to tell shows whether the pilot leaves them too much.
                pooled[name if source == "population" else f"{name}, plain"].append(
                    np.array(values)
                )
                if source == "population":
                    pooled[activation].append(np.array(values))
                    rows.append((activation, width, depth, layer, name, np.array(values)))
    for width, blocks, C in READ_OUTS if 2 in arguments.inputs else ():
        values_of = read_out_z_values(
            width, blocks, C, range(arguments.first, arguments.first + arguments.seeds),
            networks=arguments.networks, islands=arguments.islands,
            members=arguments.members or None,
        )  # fmt: skip
        for (name, source, layer), values in values_of.items():
            pooled[name if source == "population" else f"{name}, plain"].append(np.array(values))
            rows.append((f"skips, C = {C:g}", width, blocks, layer, name, np.array(values)))
    seconds = time.monotonic() - start
    arguments.output.write_text(_table(arguments, rows, pooled, seconds))
    print(arguments.output.read_text())


def _table(arguments, rows, pooled, seconds: float) -> str:
    lines = [
        "# z of estimates from populations",
        "",
        f"`benchmarks/calibrate/population.py --seeds {arguments.seeds} --first {arguments.first}"
        f" --islands {arguments.islands} --inputs {' '.join(map(str, arguments.inputs))}`,"
        f" {datetime.date.today()}: {arguments.seeds} seeds of"
        f" {arguments.networks} plain networks and {arguments.islands} islands of"
        f" {arguments.members or 'as many members as fit'};"
        f" {seconds:.0f} s of one core. Tangent kernels have as many members as fit.",
        "",
        "| all of | numbers | trusted | mean z | sd of z | beyond 3 | beyond 4 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {name} | {_said(np.concatenate(parts))} |" for name, parts in sorted(pooled.items())),
        "",
        "Numbers from populations, one by one:",
        "",
        "| activation | n | L | layer | quantity | numbers | trusted | mean z | sd of z"
        " | beyond 3 | beyond 4 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {a} | {n} | {depth} | {layer} | {name} | {_said(z)} |"
            for a, n, depth, layer, name, z in rows
        ),
        "",
    ]
    return "\n".join(lines)


def _said(z: np.ndarray) -> str:
    t = z[np.isfinite(z)]
    if not len(t):
        return f"{len(z)} | 0 % | | | |"
    far = [f"{np.mean(np.abs(t) > k):.2%}" for k in (3, 4)]
    spread = f"{np.std(t):.2f}" if len(t) > 2 else ""
    share = f"{len(t) / len(z):.0%}".replace("%", " %")
    return f"{len(z)} | {share} | {np.mean(t):.2f} | {spread} | {far[0]} | {far[1]}"


if __name__ == "__main__":
    main()
