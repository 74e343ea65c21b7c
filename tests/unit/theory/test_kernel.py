"""The infinite-width kernel, against reference values, its own definition and known asymptotics."""

import numpy as np
import pytest

from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp.kernel import infinite_width, variances

pytestmark = pytest.mark.fast


def law_of(activation, depth, dimension=4, **how):
    return Perceptron.uniform_width(activation, dimension=dimension, width=8, depth=depth, **how)


# Computed apart from this project, with 1 input, |x|^2/n_0 = 1 and layer 5.
REFERENCE = {
    ("tanh", 0.0, 1.0): 0.1279047353,
    ("sin", 0.0, 1.0): 0.1777992879,
    ("erf", 0.0, np.pi / 4): 0.1145723959,
    ("gelu", 0.17292239, 1.98305826): 2.159648474,
    ("silu", 0.55514317, 1.98800468): 2.936667434,
}


@pytest.mark.parametrize("case", REFERENCE)
def test_reference_values(case):
    activation, C_b, C_W = case
    mlp = law_of(activation, 5, C_b=C_b, C_W=C_W)
    assert infinite_width(mlp, np.ones((1, 4)), [5]).item() == pytest.approx(
        REFERENCE[case], rel=1e-9
    )


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus"])
def test_second_layer_by_monte_carlo(activation, simulate, assert_mean):
    # Layer 1 is exactly Gaussian, hence layer 2 has this covariance at any width.
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 4))
    mlp = Perceptron(activation, (4, 2, 3), (0.3, 0.1), (1.5, 0.8))
    K = infinite_width(mlp, x, [1, 2])
    for k, z in enumerate(simulate(mlp, x, 200_000, seed=5)):
        assert_mean(np.einsum("rna,rnb->rab", z, z) / z.shape[1], K[k])


def test_layers_differ_in_their_variances():
    mlp = Perceptron("relu", (2, 3, 4, 5), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    x = np.array([[1.0, 1.0]])
    G1 = 0.1 + 1.0
    G2 = 0.2 + 2.0 * G1 / 2
    G3 = 0.3 + 3.0 * G2 / 2
    assert infinite_width(mlp, x, [3, 1, 2]).ravel() == pytest.approx([G3, G1, G2])
    assert variances(mlp, x, [3, 1, 2]).ravel() == pytest.approx([G3, G1, G2])


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu(0.3)", "abs"])
def test_path_without_bias_agrees_with_the_general_one(activation):
    x = np.random.default_rng(1).normal(size=(3, 4))
    x[2] = -2 * x[1]
    bare = infinite_width(law_of(activation, 7, C_W=1.7), x, [1, 4, 7])
    # A bias too small to matter takes the general path.
    general = infinite_width(law_of(activation, 7, C_W=1.7, C_b=1e-300), x, [1, 4, 7])
    assert np.allclose(bare, general, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "cos"])
def test_ordinary_inputs_that_make_singular_kernels(activation):
    x = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])
    for C_b in (0.0, 0.2):
        K = infinite_width(law_of(activation, 6, dimension=2, C_b=C_b), x, range(1, 7))
        assert np.isfinite(K).all()
        assert np.allclose(K[:, 0], K[:, 1], rtol=1e-9)
        assert np.allclose(K, K.transpose(0, 2, 1))
        assert np.allclose(
            K[:, range(4), range(4)],
            variances(law_of(activation, 6, dimension=2, C_b=C_b), x, range(1, 7)),
            rtol=1e-9,
        )
        assert np.linalg.eigvalsh(K).min() > -1e-9 * K.max()


def test_angles_of_relu_close_as_3_pi_over_depth():
    x = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    depth = 10_000
    K = infinite_width(law_of("relu", depth, dimension=2, C_W=2.0), x, [depth])[0]
    angle = np.arccos(K[0, 1] / np.sqrt(K[0, 0] * K[1, 1]))
    assert angle * depth / (3 * np.pi) == pytest.approx(0.998, abs=1e-3)


def test_depth_of_100_000():
    mlp = law_of("relu", 100_000, C_W=2.0)
    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert infinite_width(mlp, x, [1, 100_000]).ravel() == pytest.approx([15, 15], rel=1e-9)
    shrinking = infinite_width(law_of("relu", 100_000, C_W=1.0), x, [2, 100_000]).ravel()
    assert shrinking == pytest.approx([3.75, 0])
    assert np.isinf(infinite_width(law_of("linear", 100_000, C_W=2.0), x, [100_000]))


def test_errors():
    mlp = law_of("tanh", 3)
    for layers in ([0], [4], []):
        with pytest.raises(ValueError, match="numbered from 1 to 3"):
            infinite_width(mlp, np.ones((1, 4)), layers)
    with pytest.raises(ValueError, match="input, component"):
        infinite_width(mlp, np.ones(4), [1])
