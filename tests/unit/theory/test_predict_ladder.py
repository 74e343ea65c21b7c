"""Predictions of a ladder: their shape, their limits, and what networks say."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from finitewidth.core.bins import EDGES
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities import coupled
from finitewidth.quantities.vocabulary import COEFFICIENTS, FAMILIES, FROM_LADDER
from finitewidth.theory.distributions import scale_invariant as exact_laws
from finitewidth.theory.mlp import exact, linear, mean_squares
from finitewidth.theory.predict.predict_ladder import predict_ladder
from finitewidth.theory.predict.predict_preactivations import ORDERS, predict

# The tangent kernels' mean is predicted apart, in tests/unit/theory/test_predict_ntk.py.
OF_KERNELS = [family for family in FROM_LADDER if family != "ntk_mean"]
LAYERS = [1, 2, 4]
WIDTHS = (8, 16, 40)
X = np.array([[1.0, -0.5, 2.0], [0.2, 1.1, -0.4], [0.5, 0.5, 1.0]])
ALONE = [0, 3, 5]  # the pairs (a, a) of three inputs


def rungs(activation, C_b=0.0, widths=WIDTHS, depth=4, C_W=1.2):
    shape = {"dimension": 3, "depth": depth, "C_b": C_b, "C_W": C_W}
    return [Perceptron.uniform_width(activation, width=n, **shape) for n in widths]


def chain(mlp, G, networks, seed):
    """Conditional variances of every layer: the law's Markov chain on one input."""
    stream, found = np.random.default_rng(seed), [np.full(networks, G)]
    for C_b, C_W, n in zip(mlp.C_b[1:], mlp.C_W[1:], mlp.widths[1:-1], strict=True):
        square = np.zeros(networks)
        for _ in range(n):
            z = np.sqrt(found[-1]) * stream.normal(size=networks)
            square += mlp.activation.function(z) ** 2
        found.append(C_b + C_W * square / n)
    return found


@pytest.fixture(scope="module")
def tanh():
    return predict_ladder(rungs("tanh", C_b=0.1), X, LAYERS, OF_KERNELS)


def test_names_dimensions_and_coordinates_are_those_of_the_estimates(tanh):
    dims = {
        "kernel_mean": ("rung", "layer", "pair"),
        "kernel_covariance": ("rung", "layer", "pair", "pair_"),
        "kernel_third": ("rung", "layer", "input"),
        "inverse_kernel_mean": ("rung", "layer", "input"),
        "log_kernel_mean": ("rung", "layer", "input"),
        "log_kernel_variance": ("rung", "layer", "input"),
        "log_kernel_histogram": ("rung", "layer", "input", "standard_bin"),
        "kernel_mean_1": ("layer", "pair"),
        "kernel_mean_2": ("layer", "pair"),
        "kernel_covariance_1": ("layer", "pair", "pair_"),
        "kernel_covariance_2": ("layer", "pair", "pair_"),
        "kernel_third_2": ("layer", "input"),
    }
    assert set(tanh.data_vars) == set(dims)
    assert set(dims) == {
        *(name for family in OF_KERNELS for name in FAMILIES[family].names),
        *(c.quantity.name for c in coupled.COEFFICIENTS if c.of != "ntk_mean"),
    }
    for name, variable in tanh.data_vars.items():
        assert variable.dims == ("order", *dims[name])
        assert {"long_name", "units", "equation", "references"} <= set(variable.attrs)
    assert tuple(tanh.order.values) == ORDERS
    assert tanh.width.dims == ("rung",)
    assert tuple(tanh.width.values) == WIDTHS
    assert list(tanh.layer.values) == LAYERS
    assert list(tanh.pair_b.values) == [0, 1, 2, 1, 2, 2]
    assert np.array_equal(tanh.standard_bin_left, EDGES[:-1])


@pytest.mark.parametrize("family", OF_KERNELS)
def test_only_what_is_asked_for(family):
    result = predict_ladder(rungs("relu"), X, LAYERS, (family,))
    assert all(family.split("_")[0] in name for name in result.data_vars)
    own = FAMILIES["kernel_moments"].names
    coefficients = {name for name, c in COEFFICIENTS.items() if c.of in own}
    assert coefficients <= set(result.data_vars) or family != "kernel_moments"
    assert {"order", "rung", "width", "layer"} <= set(result.coords)


@pytest.mark.parametrize(("name", "C_b"), product(["tanh", "relu", "linear"], [0.0, 0.1]))
def test_a_rung_is_the_member_of_its_width(name, C_b):
    mlps = rungs(name, C_b)
    ladder = predict_ladder(mlps, X, LAYERS, ("kernel_moments",))
    a, b = ladder.pair_a.values, ladder.pair_b.values
    for k, mlp in enumerate(mlps):
        alone = predict(mlp, X, LAYERS, ("covariance", "four_point", "six_point"))
        for mine, its in (
            (ladder.kernel_mean, alone.covariance.values[..., a, b]),
            (ladder.kernel_covariance, alone.four_point.values),
            (ladder.kernel_third, alone.six_point.values),
        ):
            assert np.allclose(mine.isel(rung=k), its, rtol=1e-10, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu", "linear"])
def test_orders_are_made_of_the_coefficients(name):
    ladder = predict_ladder(rungs(name, 0.1), X, LAYERS, ("kernel_moments",))
    n = ladder.width
    first, second, infinite = (ladder.sel(order=o) for o in ("1/n", "1/n^2", "infinite_width"))
    mean = infinite.kernel_mean + first.kernel_mean_1 / n
    assert np.allclose(mean.transpose(*first.kernel_mean.dims), first.kernel_mean)
    mean = mean + second.kernel_mean_2 / n**2
    assert np.allclose(mean.transpose(*second.kernel_mean.dims), second.kernel_mean, equal_nan=True)
    covariance = first.kernel_covariance_1 / n
    assert np.allclose(
        covariance.transpose(*first.kernel_covariance.dims), first.kernel_covariance, atol=1e-15
    )
    covariance = covariance + second.kernel_covariance_2 / n**2
    both = second.kernel_covariance
    assert np.allclose(covariance.transpose(*both.dims), both, equal_nan=True)
    third = second.kernel_third_2 / n**2
    assert np.allclose(third.transpose(*second.kernel_third.dims), second.kernel_third)
    assert np.isfinite(first.kernel_covariance_1).all()
    assert np.isfinite(second.kernel_covariance_2.values[:, ALONE, ALONE]).all()
    assert np.isnan(second.kernel_covariance_2.values[:, 0, 1]).all()


@pytest.mark.parametrize("C_b", [0.0, 0.2])
@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "abs"])
def test_exact_moments_of_two_slopes(name, C_b):
    mlps = rungs(name, C_b)
    known = predict_ladder(mlps, X, LAYERS, ("kernel_moments",)).sel(order="exact")
    for k, mlp in enumerate(mlps):
        _, two, three, _ = exact.moment_ratios(mlp, X, LAYERS)
        G = np.exp(mean_squares.log_mean_square(mlp, X, LAYERS))
        assert known.kernel_mean.values[k][:, ALONE] == pytest.approx(G)
        variance = known.kernel_covariance.values[k][:, ALONE, ALONE]
        assert variance == pytest.approx((two - 1) * G**2)
        assert known.kernel_third.values[k] == pytest.approx((three - 3 * two + 2) * G**3)
    assert np.isfinite(known.kernel_mean.values[:, :2]).all()
    assert np.isnan(known.kernel_mean.values[:, 2, 1]).all()


def test_exact_moments_of_linear_networks():
    mlps = rungs("linear", 0.1)
    known = predict_ladder(mlps, X, LAYERS, ("kernel_moments",)).sel(order="exact")
    a, b = known.pair_a.values, known.pair_b.values
    for k, mlp in enumerate(mlps):
        V = linear.four_point(mlp, X, LAYERS).pairs[:, a[:, None], b[:, None], a, b]
        assert np.array_equal(known.kernel_covariance.values[k], V)
    assert np.isfinite(known.kernel_mean).all()


def test_the_first_two_layers_are_exact_whatever_the_activation(tanh):
    known = tanh.sel(order="exact")
    assert np.isfinite(known.kernel_mean.values[:, :2]).all()
    assert np.isnan(known.kernel_mean.values[:, 2]).all()
    assert np.all(known.kernel_covariance.values[:, 0] == 0)
    assert np.all(known.log_kernel_variance.values[:, 0] == 0)
    K = known.kernel_mean.values[:, 0, ALONE]
    assert known.log_kernel_mean.values[:, 0] == pytest.approx(np.log(K))
    assert known.inverse_kernel_mean.values[:, 0] == pytest.approx(1 / K)
    # Layer 2 is a mean over neurons whose law is the same at every width.
    for name, power in (("kernel_covariance", 1), ("kernel_third", 2)):
        second = known[name].values[:, 1]
        scaled = (
            second * np.array(WIDTHS, dtype=float).reshape(-1, *[1] * (second.ndim - 1)) ** power
        )
        assert np.isfinite(second).all()
        assert scaled == pytest.approx(np.broadcast_to(scaled[:1], scaled.shape))


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu(0.3)", "abs"])
def test_what_each_order_leaves_out_falls_with_its_power(name):
    mlps = rungs(name, widths=(400, 800))
    result = predict_ladder(mlps, X[:1], [4], OF_KERNELS).isel(layer=0, input=0)
    names = ["log_kernel_mean", "log_kernel_variance"]
    if name != "relu":  # where 1/Ghat has no mean
        names.append("inverse_kernel_mean")
    # At twice the width a quarter is left, an eighth, or less: digamma has no term of n^-3.
    for quantity, (order, ratio) in product(names, (("1/n", 4), ("1/n^2", 8))):
        off = result[quantity].sel(order=order) - result[quantity].sel(order="exact")
        assert float(off[0] / off[1]) > 0.85 * ratio, (quantity, order)


def test_laws_of_the_logarithm():
    mlps = rungs("relu", C_W=2.0, depth=6)
    result = predict_ladder(mlps, X, [1, 6], ("log_kernel", "inverse_kernel"))
    known, limit = (result.sel(order=o) for o in ("exact", "double_scaling"))
    log_K = result.log_kernel_mean.sel(order="infinite_width").values
    for k, n in enumerate(WIDTHS):
        mlp = exact_laws.log_kernel(mlps[k], 6)
        assert known.log_kernel_mean.values[k, 1] == pytest.approx(mlp.mean + log_K[k, 1])
        assert known.log_kernel_variance.values[k, 1] == pytest.approx([mlp.variance] * 3)
        assert known.log_kernel_histogram.values[k, 1].sum(axis=-1) == pytest.approx(1)
        assert limit.log_kernel_variance.values[k, 1] == pytest.approx(5 * 5 / n)
        assert limit.log_kernel_mean.values[k, 1] == pytest.approx(log_K[k, 1] - 12.5 / n)
    assert np.isnan(known.log_kernel_histogram.values[:, 0]).all()
    # One dead network in 2^n is enough.
    assert np.all(np.isinf(known.inverse_kernel_mean.values[:, 1]))


def test_inverse_of_linear_networks():
    result = predict_ladder(rungs("linear"), X, LAYERS, ("inverse_kernel",)).inverse_kernel_mean
    infinite, known = result.sel(order="infinite_width"), result.sel(order="exact")
    for k, n in enumerate(WIDTHS):
        # E[n/chi^2_n] = n/(n - 2).
        ratio = (known / infinite).values[k]
        assert ratio == pytest.approx(np.repeat([[1], [n / (n - 2)], [(n / (n - 2)) ** 3]], 3, 1))
    narrow = predict_ladder(rungs("linear", widths=(2,)), X, [2], ("inverse_kernel",))
    assert np.all(np.isinf(narrow.inverse_kernel_mean.sel(order="exact")))


def test_networks_side_with_the_second_order():
    # 4 10^5 networks of width 30: second orders are 10 to 30 % of first ones. Bounds: 4.5 standard
    # errors plus a third of the second order, for the orders beyond.
    mlp, networks = rungs("tanh", widths=(30,), depth=5)[0], 4 * 10**5
    square = float(np.mean(X[0] ** 2))
    G = chain(mlp, 1.2 * square, networks, seed=5)[4].reshape(50, -1)
    theory = predict_ladder([mlp], X[:1], [5], OF_KERNELS).isel(rung=0, layer=0)
    for name, values in (
        ("kernel_mean", G.mean(axis=1)),
        ("kernel_covariance", G.var(axis=1, ddof=1)),
        ("log_kernel_mean", np.log(G).mean(axis=1)),
        ("log_kernel_variance", np.log(G).var(axis=1, ddof=1)),
        ("inverse_kernel_mean", (1 / G).mean(axis=1)),
    ):
        first, second = theory[name].values.reshape(len(ORDERS))[1:3]
        error = values.std(ddof=1) / np.sqrt(50)
        off = abs(values.mean() - second)
        assert off < 4.5 * error + abs(second - first) / 3, name


@pytest.mark.parametrize(("name", "a1"), [("tanh", 2), ("sin", 1)])
def test_inverse_kernels_of_the_class_at_zero(name, a1):
    # Width times depth to infinity: the solution with the limiting drift, up to log(l)/l.
    def limit(n, layers, depth):
        mlp = rungs(name, widths=(n,), depth=depth, C_W=1.0)
        x = np.ones((1, 3))
        return predict_ladder(mlp, x, layers, ("inverse_kernel",)).inverse_kernel_mean.values[:, 0]

    deep = limit(2000, [1001, 2001], 2001)[ORDERS.index("double_scaling"), :, 0]
    tau = np.array([0.5, 1.0])
    assert deep == pytest.approx(2000 * a1 * np.expm1(2 * tau) / 2, rel=0.01)
    wide = limit(10**6, [1, 3, 10], 10)
    assert wide[3] == pytest.approx(wide[0], rel=1e-4)
    # Networks: the errors of a finite n are a few percent.
    mlp = rungs(name, widths=(50,), depth=51, C_W=1.0)[0]
    G = chain(mlp, 1.0, 4000, seed=6)
    found = limit(50, [26, 51], 51)[ORDERS.index("double_scaling"), :, 0]
    for k, layer in enumerate((26, 51)):
        y = 1 / G[layer - 1]
        assert abs(y.mean() - found[k]) < 4.5 * y.std() / np.sqrt(len(y)) + 0.05 * found[k]


def test_no_double_scaling_away_from_the_critical_point():
    for name, C_b, C_W in (("tanh", 0.0, 1.1), ("tanh", 0.1, 1.0), ("gelu", 0.0, 1.0)):
        mlp = rungs(name, C_b, C_W=C_W)
        result = predict_ladder(mlp, X, LAYERS, ("inverse_kernel",)).inverse_kernel_mean
        assert np.isnan(result.sel(order="double_scaling")).all()


def test_exact_values_of_a_caller_fill_what_is_unknown():
    shape = (len(WIDTHS), len(LAYERS), len(X))
    given = {
        name: 7.0 + k + np.zeros(shape)
        for k, name in enumerate(
            ("kernel_mean", "kernel_covariance", "kernel_third", "inverse_kernel_mean")
        )
    }
    known = predict_ladder(rungs("tanh", 0.1), X, LAYERS, ("kernel_moments",), exact=given).sel(
        order="exact"
    )
    assert np.all(known.kernel_mean.values[:, 2, ALONE] == 7)
    assert np.isnan(known.kernel_mean.values[:, 2, 1]).all()
    assert np.all(known.kernel_mean.values[:, :2] < 7)
    assert np.all(known.kernel_covariance.values[:, 2, ALONE, ALONE] == 8)
    assert np.isnan(known.kernel_covariance.values[:, 2, 0, 3]).all()
    assert np.all(known.kernel_third.values[:, 2] == 9)
    # One input and one pair are not the same dimension.
    one = predict_ladder(
        rungs("tanh", 0.1),
        X[:1],
        LAYERS,
        OF_KERNELS,
        exact={k: v[..., :1] for k, v in given.items()},
    ).sel(order="exact")
    assert np.all(one.kernel_covariance.values[:, 2] == 8)
    assert np.all(one.inverse_kernel_mean.values[:, 2] == 10)
    with pytest.raises(ValueError, match="nothing exact is taken of kernel_mean_1"):
        predict_ladder(rungs("tanh"), X, LAYERS, (), exact={"kernel_mean_1": np.zeros(shape)})
    with pytest.raises(ValueError, match=r"\(rung, layer, input\) = \(3, 3, 3\)"):
        predict_ladder(rungs("tanh"), X, LAYERS, (), exact={"kernel_third": np.zeros(3)})


def test_zero_input_says_no_nonsense():
    for name in ("tanh", "relu"):
        x = np.vstack([X[:1], np.zeros((1, 3))])
        result = predict_ladder(rungs(name), x, LAYERS, OF_KERNELS)
        for quantity in ("log_kernel_mean", "log_kernel_histogram", "inverse_kernel_mean"):
            assert np.isnan(result[quantity].isel(input=1)).all()
        assert np.all(result.kernel_mean.sel(order=["infinite_width", "1/n"]).isel(pair=2) == 0)


def test_errors():
    mlps = rungs("tanh")
    with pytest.raises(ValueError, match="unknown families covariance; allowed are kernel_moments"):
        predict_ladder(mlps, X, LAYERS, ["covariance"])
    with pytest.raises(ValueError, match="one rung at least"):
        predict_ladder([], X, LAYERS, OF_KERNELS)
    with pytest.raises(ValueError, match="weights of a ladder are normal"):
        predict_ladder([replace(mlps[0], weights="uniform")], X, LAYERS, OF_KERNELS)
    with pytest.raises(ValueError, match="equally wide"):
        predict_ladder([replace(mlps[0], widths=(3, 8, 9, 8, 8))], X, LAYERS, OF_KERNELS)
    with pytest.raises(ValueError, match="differ in their widths alone"):
        predict_ladder([mlps[0], replace(mlps[1], C_b=(0.1,) * 4)], X, LAYERS, OF_KERNELS)
    with pytest.raises(ValueError, match="numbered from 1 to 4"):
        predict_ladder(mlps, X, [9], OF_KERNELS)
