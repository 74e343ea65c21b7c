"""Critical points as computed, against those known and against the recursion itself."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from finitewidth.models.activations.table import TABLE, get
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.gaussian.expectations import covariance, second_moment
from finitewidth.theory.mlp import kernel
from finitewidth.theory.mlp.chain import second_order
from finitewidth.theory.mlp.criticality import (
    FOUND,
    chi_parallel,
    chi_perp,
    critical_point,
    crossing,
)
from running import ROOT

pytestmark = pytest.mark.fast

# PDLT sections 5.1 to 5.3; the digits of GELU and SWISH from independent root finding.
KNOWN = {
    "linear": ("scale-invariant", 0, 1, None),
    "relu": ("scale-invariant", 0, 2, None),
    "abs": ("scale-invariant", 0, 1, None),
    "leaky_relu(0.5)": ("scale-invariant", 0, 1.6, None),
    "tanh": ("K* = 0", 0, 1, 0),
    "sin": ("K* = 0", 0, 1, 0),
    "arctan": ("K* = 0", 0, 1, 0),
    "erf": ("K* = 0", 0, np.pi / 4, 0),
    "gelu": ("half-stable", 0.17292239, 1.98305826, 3.56155281),
    "silu": ("half-stable", 0.55514317, 1.98800468, 14.32017362),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_critical_points_are_found(name):
    found = critical_point(get(name))
    universality_class, C_b, C_W, K = KNOWN[name]
    assert found.universality_class == universality_class
    assert (found.C_b, found.C_W) == pytest.approx((C_b, C_W), abs=6e-9)
    assert found.K_star == (K if not K else pytest.approx(K, abs=6e-9))


def test_critical_points_that_are_written_down_are_those_that_a_search_finds():
    searched = {name: entry for name, entry in TABLE.items() if entry.slopes is None}
    assert {name: crossing(entry) for name, entry in searched.items()} == FOUND
    # One of the same name that is another function is searched for.
    other = dataclasses.replace(TABLE["silu"], name="gelu")
    assert critical_point(other).K_star == FOUND["silu"][0]


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "cos"])
def test_where_there_is_none_it_says_so(name):
    with pytest.raises(ValueError, match="no kernel makes both its susceptibilities 1"):
        critical_point(get(name))


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_at_the_fixed_point_nothing_moves(name):
    at = critical_point(get(name))
    K = at.K_star
    assert at.C_b + at.C_W * second_moment(get(name), K) == pytest.approx(K, rel=1e-14)
    # Susceptibilities by differences of the recursion: of one kernel, and of two near inputs.
    step = 1e-4 * K
    up, down = (at.C_W * second_moment(get(name), K + s) for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx(1, abs=1e-7)
    apart = at.C_W * (second_moment(get(name), K) - covariance(get(name), K, K, K - step))
    assert apart / step == pytest.approx(1, abs=1e-4)
    # and the quadratic terms, from farther away.
    wide = 0.005 * K
    up, down = (at.C_W * second_moment(get(name), K + s) for s in (wide, -wide))
    middle = at.C_W * second_moment(get(name), K)
    assert (up + down - 2 * middle) / (2 * wide**2) == pytest.approx(at.a, rel=2e-2)
    slope = np.diff(chi_perp(get(name), at.C_W, [K - wide, K + wide]))[0] / (2 * wide)
    assert slope == pytest.approx(at.b, rel=1e-3)


@pytest.mark.parametrize("name", ["tanh", "sin", "erf", "arctan"])
def test_kernels_of_the_class_at_zero_decay_as_they_should(name):
    at = critical_point(get(name))
    depth = 3000
    mlp = Perceptron.uniform_width(name, dimension=1, width=1, depth=depth, C_b=0, C_W=at.C_W)
    K = kernel.variances(mlp, np.ones((1, 1)), [depth])[0, 0]
    # Corrections are of order log(l)/l.
    assert -at.a1 * depth * K == pytest.approx(1, abs=5e-3)
    assert depth * (1 - chi_parallel(get(name), at.C_W, K)) == pytest.approx(2, abs=1e-2)
    expected = at.b1 / at.a1
    assert depth * (1 - chi_perp(get(name), at.C_W, K)) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "abs"])
def test_angles_of_two_slopes_close_as_one_over_depth(name):
    at = critical_point(get(name))
    depth = 20000
    mlp = Perceptron.uniform_width(name, dimension=2, width=1, depth=depth, C_b=0, C_W=at.C_W)
    K = kernel.infinite_width(mlp, np.array([[1.0, 0], [0.6, 0.8]]), [depth])[0]
    assert depth * np.arccos(K[0, 1] / K[0, 0]) == pytest.approx(at.angle, rel=2e-2)


@pytest.mark.parametrize("name", ["relu", "linear", "tanh", "sin", "gelu", "silu"])
def test_the_vertex_grows_with_the_slope_of_its_class(name):
    at = critical_point(get(name))
    depth, n = 1500, 7
    C_W = at.C_W
    mlp = Perceptron.uniform_width(name, dimension=1, width=n, depth=depth, C_b=at.C_b, C_W=C_W)
    start = 1.0 if not at.K_star else (at.K_star - at.C_b) / C_W
    orders = second_order(mlp, np.full((1, 1), np.sqrt(start)), [depth])
    slope = n * orders.variance_1 / orders.K**2 / depth
    # The half-stable kernel drifts off its fixed point by rounding; logarithms in the other class.
    assert slope[0, 0] == pytest.approx(at.vertex_slope, rel=1e-2)


#: Code that libraries choose on other processors: numpy's and OpenBLAS's.
CODES = [
    {},
    {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Haswell"},
    {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
]
TELL = """
import sys
import numpy as np
from finitewidth.models.activations.table import get, names
from finitewidth.planning.members import members
from finitewidth.study.study_file import load
from finitewidth.theory.mlp.criticality import critical_point, crossing
for name in names():
    if "(" in name:
        continue
    print(name, get(name).slopes is None and crossing(get(name)))
    try:
        point = critical_point(get(name))
    except ValueError:
        continue
    print(name, point.C_b.hex(), point.C_W.hex(), point.where)
config = load([sys.argv[1]])
for ensemble in config.ensembles:
    print(members(config, ensemble))
u = np.sin(np.linspace(0, 700, 50 * 701)).reshape(50, 701)
print("code:", (u @ u[0]).sum().hex())
"""


def test_a_plan_made_with_other_code_has_the_same_numbers():
    """Else Snakemake would sample again what a controller on another processor has planned."""
    said = [
        subprocess.run(
            [sys.executable, "-c", TELL, str(ROOT / "config.yaml")], env={**os.environ, **code},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout.splitlines()
        for code in CODES
    ]  # fmt: skip
    assert len({lines[-1] for lines in said}) > 1, "these processes ran the same code"
    assert len(said[0]) > 8
    assert said[0][:-1] == said[1][:-1] == said[2][:-1]
