"""The law of Ghat transported: against closed forms, sums, simulated chains and golden numbers."""

import numpy as np
import pytest
from scipy import special

from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import Perceptron
from finitewidth.theory.distributions import scale_invariant
from finitewidth.theory.gaussian.expectations import expectation
from finitewidth.theory.mlp import transport
from finitewidth.theory.mlp.chain import second_order
from finitewidth.theory.mlp.exact import moment_ratios
from finitewidth.theory.mlp.mean_squares import log_mean_square
from finitewidth.theory.mlp.square_means import MeanRules, Resolution

X = np.array([[1.0, 2.0, -1.0, 0.5], [0.1, -0.3, 0.2, 0.1]])
RESOLUTION = Resolution(24, 14, 13)
GELU = {"C_b": 0.17292239, "C_W": 1.98305826}
SILU = {"C_b": 0.55514317, "C_W": 1.98800468}


def deep(activation, width, depth, **how):
    return Perceptron.uniform_width(activation, dimension=4, width=width, depth=depth, **how)


def varied(activation, bias=True):
    C_b = (0.3, 0.1, 0.2, 0.4, 0.05) if bias else (0.0,) * 5
    return Perceptron(activation, (4, 5, 8, 6, 12, 4), C_b, (1.4, 0.9, 1.1, 1.3, 1.7))


def transformed(y, s):
    """exp(-s y), which is no polynomial in any power of y."""
    return np.exp(-s * y)


@pytest.mark.parametrize("name", ["tanh", "sin", "gelu", "softplus", "relu", "leaky_relu(0.1)"])
@pytest.mark.parametrize(("n", "tolerance"), [(1, 1e-6), (2, 1e-7), (7, 1e-9), (64, 1e-12)])
def test_rule_of_a_mean_of_squares(name, n, tolerance):
    sigma, g = get(name).function, np.array([0.02, 0.7, 9.0])
    y, weight = MeanRules(get(name), RESOLUTION).rules(g, n)
    assert weight.min() >= 0
    assert y.min() >= 0
    # The moments of a sum: its exponential generating function is a power.
    one = np.array([expectation(lambda z, k=k: sigma(z) ** (2 * k), g) for k in range(5)])
    one /= special.factorial(np.arange(5))[:, None]
    for k, single in enumerate(one.T):
        series = np.ones(1)
        for _ in range(n):
            series = np.convolve(series, single)[:5]
        moments = series * special.factorial(np.arange(5)) / float(n) ** np.arange(5)
        for order, moment in enumerate(moments):
            assert weight[k] @ y[k] ** order == pytest.approx(moment, rel=1e-12)
        for s in np.array([0.3, 3.0]) / moments[1]:
            one_factor = expectation(lambda z, s=s: transformed(sigma(z) ** 2, s / n), g[k])
            assert weight[k] @ transformed(y[k], s) == pytest.approx(one_factor**n, rel=tolerance)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu(0.2)", "abs"])
@pytest.mark.parametrize("bias", [False, True])
def test_moments_of_two_slopes(name, bias):
    mlp, layers = varied(name, bias), [5, 1, 3, 2]
    values, errors = transport.transport(mlp, X, layers)
    G = np.exp(log_mean_square(mlp, X, layers))
    one, two, three, four = moment_ratios(mlp, X, layers) * G ** np.arange(1, 5)[:, None, None]
    expected = {
        "mean": one,
        "shift": np.zeros_like(one),
        "variance": two - one**2,
        "third": three - 3 * two * one + 2 * one**3,
        "fourth": four,
    }
    rounding = 1e-14 * G ** np.array([1, 1, 2, 3, 4])[:, None, None]
    for (name, exact), digits in zip(expected.items(), rounding, strict=True):
        value, error = getattr(values, name), getattr(errors, name)
        assert np.all(np.abs(value - exact) <= error + digits), name
        assert np.all(error <= 1e-6 * np.abs(exact) + 30 * digits), name


@pytest.mark.parametrize(
    ("name", "width"),
    [("linear", 5), ("abs", 8), ("leaky_relu(0.3)", 8), ("leaky_relu(0.01)", 24), ("relu", 80)],
)
@pytest.mark.parametrize("depth", [2, 8])
def test_logarithm_and_inverse_of_two_slopes(name, width, depth):
    mlp = deep(name, width, depth, C_W=1.7)
    values, errors = transport.transport(mlp, X, [depth])
    exact = scale_invariant.log_kernel(mlp, depth)
    log_G = log_mean_square(mlp, X, [depth])
    assert np.all(np.abs(values.log_mean - exact.mean - log_G) <= errors.log_mean)
    assert np.all(np.abs(values.log_variance - exact.variance) <= errors.log_variance)
    assert np.all(errors.log_mean < 1e-5)
    assert np.all(errors.log_variance < 1e-5)
    if name != "relu":
        inverse = np.exp(exact.log_mgf(np.array([-1.0 + 0j])).real - exact.mean - log_G)
        assert np.all(np.abs(values.inverse_mean - inverse) <= errors.inverse_mean)
        assert np.all(errors.inverse_mean < 1e-3 * inverse)


def test_logarithm_and_inverse_with_bias_against_sums():
    # Linear, two hidden layers: integrals over two chi squares, by sums over their logarithms.
    mlp = Perceptron("linear", (4, 3, 6, 2), (0.3, 0.1, 0.2), (1.4, 0.9, 1.1))
    values, errors = transport.transport(mlp, X, [3])
    u = np.exp(np.linspace(-30, 5, 701))
    p, q = (u ** (n / 2) * np.exp(-u / 2) for n in (3, 6))
    p, q = p / p.sum(), q / q.sum()
    first = 0.3 + 1.4 * np.mean(X**2, axis=1)
    second = 0.1 + 0.9 * np.multiply.outer(first, u) / 3
    last = 0.2 + 1.1 * np.multiply.outer(second, u) / 6

    def mean(f):
        return np.einsum("auv,u,v->a", f, p, q)

    log_mean = mean(np.log(last))
    log_variance = mean((np.log(last) - log_mean[:, None, None]) ** 2)
    for value, error, exact in (
        (values.inverse_mean[0], errors.inverse_mean[0], mean(1 / last)),
        (values.log_mean[0], errors.log_mean[0], log_mean),
        (values.log_variance[0], errors.log_variance[0], log_variance),
    ):
        assert np.all(np.abs(value - exact) <= error)
        assert np.all(error < 1e-6)


def chain(mlp, start, networks, seed):
    """Ghat of every layer, (depth, networks), drawn neuron by neuron."""
    rng = np.random.default_rng(seed)
    g = np.full(networks, mlp.C_b[0] + mlp.C_W[0] * start)
    drawn = [g]
    for n, C_b, C_W in zip(mlp.widths[1:-1], mlp.C_b[1:], mlp.C_W[1:], strict=True):
        z = np.sqrt(g)[:, None] * rng.standard_normal((networks, n))
        g = C_b + C_W * np.mean(mlp.activation.function(z) ** 2, axis=1)
        drawn.append(g)
    return np.array(drawn)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("tanh", {}),
        ("sin", {"C_b": 0.0, "C_W": 4.0}),
        ("gelu", GELU),
        ("silu", SILU),
        ("softplus", {"C_b": 0.1, "C_W": 1.0}),
    ],
)
def test_drawn_chains(name, how, assert_mean):
    mlp = deep(name, 9, 5, **how)
    g = chain(mlp, 2.0, 60_000, seed=71)
    values, _ = transport.transport(mlp, np.full((1, 4), np.sqrt(2.0)), range(1, 6))
    found = {name: value[:, 0] for name, value in values._asdict().items()}
    off = g - found["mean"][:, None]
    log = np.log(g)
    # Powers above the second of gelu and silu are too heavy-tailed to be drawn.
    drawn = {
        "mean": g,
        "variance": off**2,
        "inverse_mean": 1 / g,
        "log_mean": log,
        "log_variance": (log - found["log_mean"][:, None]) ** 2,
    }
    if name in ("tanh", "sin"):
        drawn |= {"third": off**3, "fourth": g**4}
    for quantity, samples in drawn.items():
        assert samples[0] == pytest.approx(found[quantity][0], rel=1e-12, abs=1e-24)
        assert_mean(samples[1:].T, found[quantity][1:])


def test_networks_with_explicit_weights(simulate, assert_mean):
    mlp = Perceptron("tanh", (4, 5, 6, 2), (0.3, 0.1, 0.2), (1.4, 2.9, 3.1))
    z = simulate(mlp, X, 100_000, seed=72)[2]
    values, _ = transport.transport(mlp, X, [3])
    assert_mean(z[:, 0] ** 2, values.mean[0])
    assert_mean(np.prod(z, axis=1) ** 2, values.variance[0] + values.mean[0] ** 2)


# K, n G1, n V in layer 5 at |x|^2/n_0 = 1, from quadrature and recursions by other code.
GOLDEN = {
    "tanh": ({}, 0.1279047353, -0.06822537136, 0.03939844304),
    "gelu": (GELU, 2.159648474, 0.4712111154, 88.98364884),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_first_order_coefficients_by_extrapolation(name):
    how, K, G1, V = GOLDEN[name]
    n = 2 ** np.arange(7, 13)
    ladder = [deep(name, int(width), 5, **how) for width in n]
    values, _ = transport.transport_ladder(ladder, np.ones((1, 4)), [5])
    powers = np.vander(1 / n, increasing=True)
    first = {
        name: np.linalg.solve(powers, n * getattr(values, name)[:, 0, 0])[0]
        for name in ("shift", "variance")
    }
    assert (values.mean - values.shift)[:, 0, 0] == pytest.approx(np.full(len(n), K), rel=1e-9)
    assert first["shift"] == pytest.approx(G1, rel=1e-7)
    assert first["variance"] == pytest.approx(V, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "how", "width"),
    [
        ("tanh", {}, 400),
        ("sin", {"C_W": 1.5}, 400),
        ("gelu", GELU, 1600),
        ("cos", {"C_b": 0.2}, 200),
    ],
)
def test_what_two_orders_leave_is_of_third_order(name, how, width):
    left = []
    for n in (width, 2 * width):
        mlp = deep(name, n, 4, **how)
        values, _ = transport.transport(mlp, X, [4])
        orders = second_order(mlp, X, [4])
        left.append(
            [
                values.shift - orders.mean_1 - orders.mean_2,
                values.variance - orders.variance_1 - orders.variance_2,
                values.third - orders.third_2,
            ]
        )
        assert values.variance == pytest.approx(orders.variance_1, rel=0.1)
    assert np.array(left[0]) / np.array(left[1]) == pytest.approx(np.full((3, 1, 2), 8), rel=0.1)


@pytest.mark.parametrize(
    ("name", "how"), [("tanh", {}), ("gelu", GELU), ("softplus", {}), ("cos", {"C_W": 3.0})]
)
def test_finer_resolution(name, how, monkeypatch):
    ladder = [deep(name, n, 5, **how) for n in (16, 100)]
    values, errors = transport.transport_ladder(ladder, X, [5])
    monkeypatch.setattr(transport, "_FINE", Resolution(32, 20, 16))
    finer, _ = transport.transport_ladder(ladder, X, [5])
    for field in values._fields:
        value, error = getattr(values, field), getattr(errors, field)
        off = np.abs(value - getattr(finer, field))
        assert np.all((off <= error) | np.isnan(value)), field
    assert np.all(errors.shift <= 1e-6 * np.abs(values.shift))
    assert np.all(errors.variance <= 1e-6 * values.variance)
    assert np.all(errors.third <= 1e-4 * np.abs(values.third))


def test_deep_and_narrow_in_the_limit_of_depth_and_width():
    # 1/Ghat of tanh obeys a linear stochastic equation: E = n (e^(2 tau) - 1), tau = L/n, at
    # K* = 0 with -a_1 = 2. Corrections are of order log(L)/L.
    ratios = []
    for n in (40, 160):
        values, _ = transport.transport(deep("tanh", n, n), np.ones((1, 4)), [n])
        ratios.append(values.inverse_mean[0, 0] / (n * np.expm1(2.0)))
    assert ratios[1] == pytest.approx(1, abs=0.06)
    assert abs(ratios[1] - 1) < 0.6 * abs(ratios[0] - 1)


def test_a_ladder_is_its_laws_one_by_one():
    ladder = [varied("tanh"), deep("tanh", 16, 7), deep("tanh", 24, 5)]
    together = transport.transport_ladder(ladder, X, [5, 2])
    for k, mlp in enumerate(ladder):
        alone = transport.transport(mlp, X, [5, 2])
        for one, all_of_them in zip(alone.values, together.values, strict=True):
            assert one.shape == (2, 2)
            assert all_of_them[k] == pytest.approx(one, rel=1e-11, abs=1e-15)


def test_zero_input():
    x = np.zeros((1, 4))
    values, _ = transport.transport(deep("tanh", 8, 4), x, [1, 4])
    for name in ("mean", "shift", "variance", "third", "fourth"):
        assert np.array_equal(getattr(values, name), np.zeros((2, 1)))
    for name in ("inverse_mean", "log_mean", "log_variance"):
        assert np.all(np.isnan(getattr(values, name)))
    # A bias in layer 3 begins the network anew, there.
    late = Perceptron("tanh", (4, 8, 8, 8, 8), (0.0, 0.0, 0.5, 0.1), (1.0,) * 4)
    again = Perceptron("tanh", (4, 8, 8), (0.5, 0.1), (1.0,) * 2)
    found, _ = transport.transport(late, x, [3, 4])
    expected, _ = transport.transport(again, x, [1, 2])
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-12)


def test_what_cannot_be_known_is_nan():
    # Four ReLU neurons are all off in one of sixteen networks.
    values, _ = transport.transport(deep("relu", 4, 4, C_W=2.0), X[:1], [4])
    assert np.all(np.isfinite(values.third))
    for name in ("inverse_mean", "log_mean", "log_variance"):
        assert np.all(np.isnan(getattr(values, name)))
    # E[1/chi^2_n] is infinite for n <= 2.
    values, _ = transport.transport(deep("linear", 2, 3), X[:1], [3])
    assert np.all(np.isnan(values.inverse_mean))
    assert np.all(np.isfinite(values.log_variance))
    # The kernel leaves a float's range.
    values, _ = transport.transport(deep("linear", 8, 6, C_W=1e55), X[:1], [2, 6])
    assert np.all(np.isfinite(values.variance[0]))
    assert np.all(np.isnan(values.variance[1]))


def test_refusals():
    with pytest.raises(ValueError, match="normal weights"):
        transport.transport(deep("tanh", 4, 3, weights="uniform"), X, [2])
    with pytest.raises(ValueError, match="one activation"):
        transport.transport_ladder([deep("tanh", 4, 3), deep("sin", 4, 3)], X, [2])
    with pytest.raises(ValueError, match="layers are numbered"):
        transport.transport(deep("tanh", 4, 3), X, [4])
