"""Infinite-width kernels against another library's; see benchmarks/against_neural_tangents.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import infinite_width
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk

ORACLE = json.loads(
    (Path(__file__).parents[3] / "benchmarks" / "neural_tangents_oracle.json").read_text()
)


@pytest.mark.parametrize("activation", ["relu", "erf", "gelu", "sin"])
def test_infinite_width_kernels_are_those_of_neural_tangents(activation):
    x, depth = np.array(ORACLE["inputs"]), ORACLE["depth"]
    mlp = Perceptron(
        activation,
        (x.shape[1], *(7,) * depth),
        (ORACLE["C_b"],) * depth,
        (ORACLE["C_W"],) * depth,
    )
    theirs = ORACLE["kernels"][activation]
    nngp = infinite_width(mlp, x, [depth])[0]
    ntk = infinite_width_ntk(mlp, LearningRates.named("ntk", mlp), x, [depth])[0]
    assert nngp == pytest.approx(np.array(theirs["nngp"]), rel=1e-12)
    assert ntk == pytest.approx(np.array(theirs["ntk"]), rel=1e-12)
