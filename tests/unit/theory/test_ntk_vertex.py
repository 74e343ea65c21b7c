"""First order of the NTK on several inputs, against networks, one input, and symmetries."""

import numpy as np
import pytest

import tangents
from finitewidth.models.activations.table import TABLE
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.mlp import vertex
from finitewidth.theory.mlp_ntk import ntk_chain
from finitewidth.theory.mlp_ntk.infinite_width_ntk import infinite_width_ntk
from finitewidth.theory.mlp_ntk.ntk_vertex import first_order

X = np.array([[1.0, 0.3, -0.5], [0.4, -1.1, 0.6], [-0.2, 0.9, 1.2]])
NAMES = [*TABLE, "leaky_relu(0.2)"]
TENSORS = ("V", "A", "B", "D", "F")


def varied(activation, bias=0.2, factor=1):
    widths = (3, 9 * factor, 6 * factor, 8 * factor, 5)
    mlp = Perceptron(activation, widths, (bias, 2 * bias, 0.5 * bias, bias), (1.5, 1.7, 1.2, 1.4))
    return mlp, LearningRates((0.3, 0.7, 0.2, 0.4), (1.0, 0.5, 2.0, 1.3))


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_diagonal_is_the_chain(activation, bias):
    mlp, rates = varied(activation, bias)
    found = first_order(mlp, rates, X[:2], [2, 4])
    chain = ntk_chain.first_order(mlp, rates, X[:2], [2, 4])
    for name, value in found._asdict().items():
        spec = "taa->ta" if value.ndim == 3 else "taaaa->ta"
        one = getattr(chain, name)
        assert np.einsum(spec, value) == pytest.approx(one, rel=1e-8, abs=1e-10), name


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sin"])
def test_kernels_against_other_recursions(activation):
    mlp, rates = varied(activation)
    found = first_order(mlp, rates, X, [3, 1, 4])
    plain = vertex.first_order(mlp, X, [3, 1, 4])
    for name, value in plain._asdict().items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-8, abs=1e-12), name
    theta = infinite_width_ntk(mlp, rates, X, [3, 1, 4])
    assert pytest.approx(theta, rel=1e-12) == found.Theta


def products(mlp, rates, nets):
    """Per network what has each tensor as its mean; last layer of two neurons."""
    theta = tangents.tangent_kernel(mlp, rates, nets)
    G, z = tangents.conditional_variance(mlp, nets), nets.z[-1]
    one, two, cross = theta[:, 0, :, 0], theta[:, 1, :, 1], theta[:, 0, :, 1]
    mean = (one + two) / 2
    G, left, right = (t - t.mean(axis=0) for t in (G, one, two))
    A = np.einsum("mab,mcd->mabcd", left, right)
    return {
        "V": np.einsum("mab,mcd->mabcd", G, G),
        "A": (A + A.transpose(0, 3, 4, 1, 2)) / 2,
        "B": np.einsum("mab,mcd->mabcd", cross, cross),
        "D": np.einsum("mab,mcd->mabcd", G, mean - mean.mean(axis=0)),
        "F": np.einsum("ma,mb,mcd->mabcd", z[:, 0], z[:, 1], cross),
    }


def bent(mlp, rates, nets):
    """The same for P and Q, from explicit second derivatives."""
    z, inputs = nets.z[-1], nets.z[-1].shape[2]
    P, Q = (np.empty((len(z), *(inputs,) * 4)) for _ in range(2))

    def second(y):
        return 0 * y if mlp.activation.slopes else mlp.activation.derivatives(y)[2]

    for a, b, c in np.ndindex((inputs,) * 3):
        dH = tangents.second_derivative(mlp, rates, nets, second, a, (1, b), (1, c))
        P[:, a, b, c] = dH[:, 0, None] * z[:, 0]
        dH = tangents.second_derivative(mlp, rates, nets, second, a, (0, b), (1, c))
        Q[:, a, b, c] = dH[:, 0, None] * z[:, 1]
    return {"P": P, "Q": Q}


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "leaky_relu(-0.3)"])
def test_layer_2_is_exact_at_any_width(activation, assert_mean):
    # Layer 1 is Gaussian and its NTK fixed: every tensor of layer 2 is that of one neuron, over n.
    mlp = Perceptron(activation, (3, 3, 2), (0.1, 0.2), (1.5, 1.3))
    rates = LearningRates((0.5, 0.3), (1.0, 0.7))
    nets = tangents.networks(mlp, X[:2], 60_000, seed=1)
    found = first_order(mlp, rates, X[:2], [2])
    for name, samples in (products(mlp, rates, nets) | bent(mlp, rates, nets)).items():
        # The means that are taken off are those of the sample.
        factor = 1 - 1 / 60_000 if name in "VAD" else 1.0
        assert_mean(samples, factor * getattr(found, name)[0])
    # The variance of one neuron's NTK holds B in both orders.
    own = tangents.tangent_kernel(mlp, rates, nets)[:, 0, :, 0] - found.Theta[0]
    A, B = found.A[0], found.B[0]
    variance = np.einsum("abab->ab", A + B) + np.einsum("abba->ab", B)
    assert_mean(own**2, variance)


def extrapolated(law_of, sizes, chunks, sample):
    """2 T(2n) - T(n) for n times means of each, with its standard error: {name: (mean, error)}."""
    total = {}
    for n, sign in zip(sizes, (-1, 2), strict=True):
        mlp, rates = law_of(n)
        count, parts = 0, {}
        for seed in range(chunks):
            for name, values in sample(mlp, rates, 1000 * n + seed).items():
                one, two = parts.get(name, (0.0, 0.0))
                parts[name] = one + values.sum(axis=0), two + (values**2).sum(axis=0)
            count += len(values)
        for name, (one, two) in parts.items():
            mean, error = total.get(name, (0.0, 0.0))
            own = one / count
            variance = (two / count - own**2) / count
            total[name] = mean + sign * n * own, error + (sign * n) ** 2 * variance
    return {name: (mean, np.sqrt(error)) for name, (mean, error) in total.items()}


# abs of opposite inputs: z is the same from layer 2 on, the NTK is not.
@pytest.mark.parametrize(
    ("activation", "x"),
    [("tanh", X[:2]), ("relu", X[:2]), ("abs", np.array([X[0], -X[0]]))],
)
def test_networks_of_three_layers(activation, x):
    bias = 0.0 if activation == "abs" else 0.1

    def law_of(n):
        mlp = Perceptron(activation, (3, n, n, 2), (bias, 2 * bias, bias), (1.5, 1.3, 1.6))
        return mlp, LearningRates((0.5, 0.3, 0.2), (1.0, 0.7, 1.1))

    def sample(mlp, rates, seed):
        nets = tangents.networks(mlp, x, 4000, seed)
        return products(mlp, rates, nets) | bent(mlp, rates, nets)

    found = extrapolated(law_of, (12, 24), 6, sample)
    mlp, rates = law_of(1)
    expected = first_order(mlp, rates, x, [3])
    for name, (mean, error) in found.items():
        theory = getattr(expected, name)[0]
        size = np.abs(theory).max() or 1.0
        # What is left is of order 1/n^2; at n = 24 a percent or two.
        assert np.all(np.abs(mean - theory) < 4.5 * error + 0.02 * size), name
        # A wrong coefficient would be seen: errors are small against the tensor.
        assert np.median(error) < 0.12 * size, name


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_mean_of_networks(activation):
    def law_of(n):
        mlp = Perceptron(activation, (3, n, n, n, 2), (0.1,) * 4, (2.0,) * 4)
        return mlp, LearningRates((0.5,) * 4, (1.0,) * 4)

    mlp, rates = law_of(1)
    expected = first_order(mlp, rates, X[:2], [4])

    def sample(mlp, rates, seed):
        nets = tangents.networks(mlp, X[:2], 5000, seed)
        theta = np.einsum("miaib->mab", tangents.tangent_kernel(mlp, rates, nets)) / 2
        G = tangents.conditional_variance(mlp, nets)
        return {"G1": G - expected.K[0], "H1": theta - expected.Theta[0]}

    found = extrapolated(law_of, (8, 16), 20, sample)
    for name, (mean, error) in found.items():
        pull = (mean - getattr(expected, name)[0]) / error
        assert np.all(np.abs(pull) < 4.5), (name, pull)
    # Off the diagonal (ReLU is exact on it) the shift is far from nothing.
    mean, error = found["H1"]
    assert abs(mean[0, 1]) > 5 * error[0, 1]


@pytest.mark.parametrize("activation", ["tanh", "relu", "abs", "gelu"])
def test_order_of_inputs(activation):
    mlp, rates = varied(activation)
    turn = [2, 0, 1]
    found, moved = (first_order(mlp, rates, x, [4]) for x in (X, X[turn]))
    for name, value in found._asdict().items():
        value = value[0][np.ix_(*[turn] * (value.ndim - 1))]
        assert getattr(moved, name)[0] == pytest.approx(value, rel=1e-7, abs=1e-10), name
    assert pytest.approx(found.A.transpose(0, 2, 1, 3, 4), rel=1e-9, abs=1e-12) == found.A
    assert pytest.approx(found.A.transpose(0, 3, 4, 1, 2), rel=1e-12) == found.A
    assert pytest.approx(found.D.transpose(0, 1, 2, 4, 3), rel=1e-9, abs=1e-12) == found.D
    assert pytest.approx(found.B.transpose(0, 2, 1, 4, 3), rel=1e-9, abs=1e-12) == found.B
    assert pytest.approx(found.P.transpose(0, 1, 3, 2, 4), rel=1e-9, abs=1e-12) == found.P


@pytest.mark.parametrize("activation", NAMES)
def test_equal_inputs_are_one(activation):
    for bias in (0.0, 0.2):
        mlp, rates = varied(activation, bias)
        found = first_order(mlp, rates, X[[0, 1, 0]], [2, 4])
        two = first_order(mlp, rates, X[:2], [2, 4])
        copies = [0, 1, 0]
        for name, value in found._asdict().items():
            grid = np.ix_(range(2), *[copies] * (value.ndim - 1))
            expected = getattr(two, name)[grid]
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("activation", ["relu", "leaky_relu(0.2)"])
def test_multiples_of_an_input(activation):
    # Without bias z of 3 x is 3 z, with the same gates: tensors of the weights alone scale.
    mlp, _ = varied(activation, 0.0)
    rates = LearningRates((0.0,) * 4, (1.0, 0.5, 2.0, 1.3))
    found = first_order(mlp, rates, np.array([X[0], 3 * X[0], X[1]]), [2, 4])
    two = first_order(mlp, rates, X[:2], [2, 4])
    copies, factor = [0, 0, 1], np.array([1.0, 3.0, 1.0])
    for name, value in found._asdict().items():
        order = value.ndim - 1
        expected = getattr(two, name)[np.ix_(range(2), *[copies] * order)]
        for axis in range(1, order + 1):
            shape = [1] * value.ndim
            shape[axis] = 3
            expected = expected * factor.reshape(shape)
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-9), name


def test_four_inputs():
    # Each set of two is as it is alone; what joins all four is that of networks of one layer.
    mlp = Perceptron("sin", (3, 4, 2), (0.0, 0.1), (0.6, 1.3))
    rates = LearningRates((0.5, 0.3), (1.0, 0.7))
    x = np.concatenate([X, [[0.5, 0.5, -0.8]]])
    found = first_order(mlp, rates, x, [2])
    alone = first_order(mlp, rates, x[2:], [2])
    for name in (*TENSORS, "P", "Q"):
        assert getattr(found, name)[:, 2:, 2:, 2:, 2:] == pytest.approx(
            getattr(alone, name), rel=1e-9, abs=1e-12
        )
    nets = tangents.networks(mlp, x, 40_000, seed=9)
    samples = products(mlp, rates, nets)
    for name in TENSORS:
        mean, error = samples[name].mean(axis=0), samples[name].std(axis=0) / 200
        assert np.all(np.abs(mean - getattr(found, name)[0]) < 5 * error), name


def test_a_zero_input():
    mlp, rates = varied("relu", 0.0)
    found = first_order(mlp, rates, np.array([X[0], 0 * X[0]]), [4])
    for name, value in found._asdict().items():
        if name not in ("K", "Theta"):
            joined = np.moveaxis(value, 1, 0)[1]
            assert not joined.any(), name
    assert np.isfinite(found.A).all()


@pytest.mark.parametrize("C_W", [1.0, 4.0])
def test_variances_beyond_the_range(C_W):
    mlp = Perceptron.uniform_width("relu", dimension=3, width=10, depth=1200, C_b=0.0, C_W=C_W)
    rates = LearningRates((0.0,) * 1200, (1.0,) * 1200)
    found = first_order(mlp, rates, X[:2], [200, 1200])
    chain = ntk_chain.first_order(mlp, rates, X[:2], [200, 1200])
    assert np.einsum("taaaa->ta", found.A)[0] == pytest.approx(chain.A[0], rel=1e-10)
    assert np.isnan(found.A[1]).all()
    if C_W < 2:
        # K is 2^-1200 of what it was: both have left the floats.
        assert not chain.K[1].any()
    else:
        assert np.isinf(chain.K[1]).all()


def test_widths_enter_as_one_over_n():
    mlp, rates = varied("gelu")
    wide, _ = varied("gelu", factor=7)
    found, less = (first_order(w, rates, X[:2], [4]) for w in (mlp, wide))
    for name, value in found._asdict().items():
        factor = 1 if name in ("K", "Theta") else 7
        assert value == pytest.approx(factor * getattr(less, name), rel=1e-12, abs=1e-18), name


def test_bad_input():
    mlp, rates = varied("tanh")
    with pytest.raises(ValueError, match="normal weights"):
        first_order(Perceptron("tanh", (3, 5), (0.0,), (1.0,), "uniform"), rates, X, [1])
    with pytest.raises(ValueError, match="rates need 4 values"):
        first_order(mlp, LearningRates((1.0,), (1.0,)), X, [1])
    with pytest.raises(ValueError, match="layers are numbered"):
        first_order(mlp, rates, X, [0])
