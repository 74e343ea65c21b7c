"""Infinite-width kernels against another library's; see benchmarks/against_neural_tangents.py."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import finitewidth as fw
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


@pytest.mark.parametrize("activation", ["relu", "erf", "gelu", "sin"])
def test_trained_ensembles_are_those_of_neural_tangents(activation):
    theirs, y = ORACLE["kernels"][activation], np.array(ORACLE["targets"])
    kernels = SimpleNamespace(nngp=np.array(theirs["nngp"]), ntk=np.array(theirs["ntk"]))
    trained = theirs["trained"]
    moments = [*zip(ORACLE["times"], trained["flow"], strict=True), (np.inf, trained["end"])]
    found = [(fw.gradient_descent_mse(kernels, y, time=t), at) for t, at in moments]
    found.append((fw.gaussian_process(kernels, y), trained["posterior"]))
    for mine, at in found:
        assert mine.mean[2:] == pytest.approx(np.array(at["mean"]), abs=1e-12)
        assert mine.covariance[2:, 2:] == pytest.approx(np.array(at["covariance"]), abs=1e-12)
