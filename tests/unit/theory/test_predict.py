"""The dataset of predictions: its shape, and in particular what it may call exact."""

import re
from pathlib import Path

import numpy as np
import pytest

from finitewidth.core.bins import EDGES, PROBABILITIES, QUANTILE_U
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import (
    DESCRIBED,
    FAMILIES,
    FROM_LADDER,
    FROM_NTK,
    FROM_TRAINING,
    TRAINED_FAMILIES,
)
from finitewidth.quantities.vocabulary import QUANTITIES as WORDS
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.predict.predict_preactivations import ORDERS, predict

_OTHERS = (*FROM_LADDER, *FROM_NTK, *FROM_TRAINING)
ALL = tuple(family for family in FAMILIES if family not in _OTHERS)
LAYERS = [1, 2, 4]
X = np.array([[1.0, -0.5, 2.0], [0.2, 1.1, -0.4], [0.0, 0.0, 0.0]])


def member(activation, weights="normal", C_b=0.0, width=6):
    return Perceptron.uniform_width(
        activation, dimension=3, width=width, depth=4, C_b=C_b, C_W=1.3, weights=weights
    )


@pytest.fixture(scope="module")
def relu():
    return predict(member("relu"), X, LAYERS, ALL, networks=1000)


def test_quantities_and_dimensions_are_those_of_the_estimates(relu):
    expected = {q for family in ALL for q in FAMILIES[family].names}
    of_trained = {q for family in TRAINED_FAMILIES.values() for q in family}
    assert set(DESCRIBED) == set(WORDS) - of_trained
    assert set(relu.data_vars) == expected
    for quantity, variable in relu.data_vars.items():
        assert variable.dims == ("order", *DESCRIBED[quantity].dims)
        assert {"long_name", "units", "equation", "references"} <= set(variable.attrs)
    assert tuple(relu.order.values) == ORDERS
    assert list(relu.layer.values) == LAYERS
    assert list(relu.width.values) == [6, 6, 6]
    assert relu.sizes["quad"] == 15
    assert list(zip(relu.pair_a.values, relu.pair_b.values, strict=True))[:4] == [
        (0, 0), (0, 1), (0, 2), (1, 1),
    ]  # fmt: skip
    assert np.array_equal(relu.bin_left, EDGES[:-1])
    assert np.array_equal(relu.standard_bin_right, EDGES[1:])
    assert np.array_equal(relu.probability, PROBABILITIES)


def test_equations_are_sections_of_the_document():
    text = (Path(__file__).parents[3] / "docs" / "theory.md").read_text()
    sections = set(re.findall(r"^#+ (\d+\.\d+) ", text, re.MULTILINE))
    for quantity in DESCRIBED.values():
        # How far ways of computing one number are apart is no matter of theory.
        if quantity.name == "way_deviation":
            continue
        named = re.findall(r"\d+\.\d+", quantity.equation)
        assert named
        assert set(named) <= sections


@pytest.mark.parametrize("families", [("four_point",), ("log_norm",), ("normality",), ()])
def test_only_what_is_asked_for(families):
    result = predict(member("relu"), X, LAYERS, families)
    assert set(result.data_vars) == {q for f in families for q in FAMILIES[f].names}
    assert set(result.coords) - set(result.dims) <= {
        "width", "pair_a", "pair_b", "quad_a", "quad_b", "quad_c", "quad_d",
        "standard_bin_left", "standard_bin_right",
    }  # fmt: skip


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
@pytest.mark.parametrize("weights", ["normal", "uniform"])
@pytest.mark.parametrize("C_b", [0.0, 0.2])
def test_what_is_called_exact_is_so_in_explicit_networks(
    activation, weights, C_b, simulate, assert_mean
):
    mlp, networks = member(activation, weights, C_b), 40_000
    exact = predict(mlp, X, LAYERS, ALL, networks=networks).sel(order="exact")
    simulated = simulate(mlp, X, networks, seed=51)
    a, b = exact.pair_a.values, exact.pair_b.values
    quad = [exact[f"quad_{letter}"].values for letter in "abcd"]
    for k, layer in enumerate(LAYERS):
        z = simulated[layer - 1]
        n, here = z.shape[1], exact.isel(layer=k)

        def hold(samples, expected):
            known = np.isfinite(expected)
            assert_mean(samples[:, known], expected[known])

        kernel = np.einsum("rna,rnb->rab", z, z) / n
        quartic = np.mean(np.prod([z[..., i] for i in quad], axis=0), axis=1)
        products = np.einsum("rp,rq->rpq", kernel[:, a, b], kernel[:, a, b])
        place = np.array([[sorted((a[p], b[p], a[q], b[q])) for q in range(6)] for p in range(6)])
        lookup = {tuple(q): i for i, q in enumerate(zip(*quad, strict=True))}
        at = np.array([[lookup[tuple(q)] for q in row] for row in place])
        G = here["covariance"].values
        hold(kernel, G)
        pairs = (n * products - quartic[:, at]) / (n - 1)
        hold(pairs, here["four_point"].values + np.multiply.outer(G[a, b], G[a, b]))
        wick = sum(
            G[quad[i], quad[j]] * G[quad[p], quad[q]]
            for i, j, p, q in ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))
        )
        hold(quartic, here["four_point_same"].values + wick)
        cross = np.einsum("ra,rb->rab", z[:, 0], z[:, 1])
        hold(cross, here["cross_covariance"].values)
        # Distributions: shares of networks in bins of neuron 0, in units of the exact G.
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = z[:, 0] / np.sqrt(np.diagonal(G))
            log_norm = np.log(np.mean(z**2, axis=1)) / 2
        inside = (unit[..., None] >= EDGES[:-1]) & (unit[..., None] < EDGES[1:])
        common = here["histogram"].values > 20 / networks
        hold(inside[:, common], here["histogram"].values[common])
        hold(np.isneginf(log_norm), here["dead_fraction"].values)
        for i in range(2):
            alive = log_norm[np.isfinite(log_norm[:, i]), i]
            mean, variance = (here[f"log_norm_{m}"].values[i] for m in ("mean", "variance"))
            hold(alive[:, None], mean[None])
            hold((alive[:, None] - mean) ** 2, variance[None])
        # Deeper, the tail of z^6 is too heavy for its sample error to mean anything.
        if layer > 2:
            continue
        six = n**3 * np.mean(z**2, axis=1) ** 3
        six -= 3 * n * np.mean(z**4, axis=1) * n * np.mean(z**2, axis=1)
        six += 2 * n * np.mean(z**6, axis=1)
        six /= n * (n - 1) * (n - 2)
        V, M1 = here["intralayer"].values, np.diagonal(G)
        hold(six, here["six_point"].values + 3 * V * M1 + M1**3)


def test_exact_is_silent_where_it_should_be(relu):
    exact = relu.sel(order="exact")
    off = exact.covariance.sel(input=0, input_=1).values
    assert np.isfinite(off[:2]).all()  # layers 1 and 2: nothing before them is random but Gaussian
    assert np.isnan(off[2])
    diagonal = (exact.pair == exact.pair_) & (exact.pair_a == exact.pair_b)
    beyond = exact.four_point.sel(layer=4)
    assert np.isfinite(beyond.where(diagonal).values[diagonal]).all()
    assert np.isnan(beyond.values[~diagonal.values]).all()
    uniform = predict(member("relu", "uniform"), X, LAYERS, ALL, networks=9).sel(order="exact")
    for quantity in ("histogram", "quantile", "log_norm_mean", "log_norm_histogram"):
        assert np.isnan(uniform[quantity]).all()
    for quantity in ("six_point", "quadruple"):
        assert np.isnan(uniform[quantity].sel(layer=4).isel(input=0)).any()
    tanh = predict(member("tanh"), X, LAYERS, ALL, networks=9).sel(order="exact")
    for quantity in ("covariance", "intralayer", "six_point", "excess_kurtosis", "histogram"):
        assert np.isfinite(tanh[quantity].sel(layer=1).values[0]).all()
        assert np.isnan(tanh[quantity].sel(layer=4).values).all()


def test_infinite_width(relu):
    infinite = relu.sel(order="infinite_width").isel(input=0)
    assert np.all(infinite.four_point == 0)
    assert np.all(infinite.six_point == 0)
    assert np.all(infinite.excess_kurtosis == 0)
    assert infinite["quantile"].values == pytest.approx(np.tile(QUANTILE_U, (3, 1)))
    assert infinite.quadruple.values == pytest.approx(np.sqrt(2 / (np.pi * 1000)))
    K = infinite.covariance.isel(input_=0).values
    neurons = infinite.neuron_covariance.isel(input_=0).values
    assert neurons == pytest.approx(K[:, None, None] * np.eye(4))


def test_orders_meet_at_great_width():
    wide = predict(member("relu", width=10**5), X[:2], LAYERS, ALL, networks=10**4)
    for quantity, order in (
        ("intralayer", "1/n"),
        ("excess_kurtosis", "1/n"),
        ("intralayer", "double_scaling"),
        ("excess_kurtosis", "double_scaling"),
    ):
        exact = wide[quantity].sel(order="exact").values
        assert wide[quantity].sel(order=order).values == pytest.approx(exact, rel=1e-2, abs=1e-12)
    for quantity in ("histogram", "quantile", "log_norm_mean", "log_norm_histogram", "quadruple"):
        by_order = wide[quantity]
        difference = by_order.sel(order="exact") - by_order.sel(order="infinite_width")
        assert np.max(np.abs(difference)) < 1e-2


def test_zero_input_says_no_nonsense(relu):
    zero = relu.isel(input=2)
    assert np.all(zero.dead_fraction.sel(order=["exact", "infinite_width"]) == 1)
    for quantity in ("excess_kurtosis", "histogram", "quantile", "log_norm_mean", "quadruple"):
        assert np.isnan(zero[quantity]).all()


def test_quadruples_of_gaussians_are_the_floor(relu):
    exact = relu.quadruple.sel(order="exact").isel(input=0)
    floor = np.sqrt(2 / np.pi / 1000)
    assert exact.sel(sample="gaussian").values == pytest.approx(floor)
    assert exact.sel(sample="ensemble").values[0] == pytest.approx(floor)
    assert exact.sel(sample="ensemble").values[2] > 2 * floor


def test_pytorch_biases_stay_uniform():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=50_000, depth=12, weights="pytorch")
    result = predict(mlp, X[:2], [1, 12], ("distribution", "kurtosis"))
    infinite = result.sel(order="infinite_width")
    assert np.isnan(infinite.histogram.sel(layer=1)).all()
    p = infinite.histogram.sel(layer=12).values[0]
    middle = (EDGES[1:-2] + EDGES[2:-1]) / 2
    # Sheppard's correction for bins of width 1/4.
    fourth = np.sum(p[1:-1] * (middle**4 - middle**2 / 32 + 7 / 240 / 256))
    assert fourth - 3 == pytest.approx(-5 / 6, abs=0.02)
    exact = result.excess_kurtosis.sel(order="exact", layer=12).values
    assert exact == pytest.approx(infinite.excess_kurtosis.sel(layer=12).values, rel=1e-2)


def test_depth_of_100_000():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=16, depth=100_000, C_W=2.0)
    result = predict(mlp, X[:2], [1, 10, 1000, 10_000, 100_000], ("log_norm",))
    exact = result.sel(order="exact")
    for quantity in ("dead_fraction", "log_norm_mean", "log_norm_variance", "log_norm_histogram"):
        assert np.isfinite(exact[quantity]).all()
    limit = result.sel(order="double_scaling")
    ratio = (limit.log_norm_variance / exact.log_norm_variance).sel(layer=100_000).values
    assert np.all((ratio > 0.6) & (ratio < 1))  # width 16 is not wide: the limit is 25 % below


@pytest.mark.parametrize("name", ["tanh", "gelu", "leaky_relu(0.3)"])
def test_first_order_in_explicit_networks(name, simulate):
    # 10^5 networks of width 20. What 1/n leaves out is smaller than it by a factor of about l/n;
    # a bound of 4.5 standard errors of the mean plus a fifth of the corrections in each quantity
    # tells it from infinite width.
    networks, blocks = 10**5, 50
    mlp = Perceptron.uniform_width(name, dimension=3, width=20, depth=3, C_b=0.1, C_W=1.6)
    families = ("covariance", "correlation", "four_point", "kurtosis")
    theory = predict(mlp, X[:2], [3], families).isel(layer=0)
    a, b = theory.pair_a.values, theory.pair_b.values
    found = {"covariance": [], "correlation": [], "four_point": [], "excess_kurtosis": []}
    for block in range(blocks):
        s = mlp.activation.function(simulate(mlp, X[:2], networks // blocks, seed=900 + block)[1])
        G = 0.1 + 1.6 * np.einsum("rna,rnb->rab", s, s) / 20
        mean, V = G.mean(axis=0), np.cov(G[:, a, b].T)
        size = np.sqrt(np.diagonal(mean))
        found["covariance"].append(mean)
        found["correlation"].append(mean / np.outer(size, size))
        found["four_point"].append(V)
        found["excess_kurtosis"].append(3 * np.diagonal(V)[[0, 2]] / np.diagonal(mean) ** 2)
    for quantity, values in found.items():
        first = theory[quantity].sel(order="1/n").values
        infinite = theory[quantity].sel(order="infinite_width").values
        error = np.std(values, axis=0, ddof=1) / np.sqrt(blocks)
        off = np.abs(np.mean(values, axis=0) - first)
        correction = np.max(np.abs(first - infinite))
        assert np.all(off < 4.5 * error + 0.2 * correction), quantity
        pull = np.max(np.abs(np.mean(values, axis=0) - infinite) / (error + 1e-12))
        # tanh hardly turns inputs at order 1/n: of its correlation the errors say nothing.
        assert pull > 5 or (name, quantity) == ("tanh", "correlation")


@pytest.mark.parametrize("name", ["tanh", "silu", "relu"])
def test_second_order_on_one_input(name):
    # 2 10^5 networks of width 12: here second orders are 5 to 30 % of first ones. Bounds: 4.5
    # standard errors plus a third of the second order, for the orders beyond.
    networks = 2 * 10**5
    mlp = Perceptron.uniform_width(name, dimension=3, width=12, depth=4, C_b=0.1, C_W=1.2)
    families = ("covariance", "four_point", "kurtosis")
    theory = predict(mlp, X[:1], [4], families).isel(layer=0, input=0)
    # Conditional variances straight from their Markov chain.
    stream, G = np.random.default_rng(77), np.full(networks, 0.1 + 1.2 * np.mean(X[0] ** 2))
    for _ in range(3):
        s = mlp.activation.function(np.sqrt(G)[:, None] * stream.normal(size=(networks, 12)))
        G = 0.1 + 1.2 * np.mean(s**2, axis=1)
    blocks = G.reshape(50, -1)
    mean, variance = blocks.mean(axis=1), blocks.var(axis=1, ddof=1)
    for quantity, values in (
        ("covariance", mean),
        ("intralayer", variance),
        ("excess_kurtosis", 3 * variance / mean**2),
    ):
        orders = theory[quantity].isel(input_=0) if quantity == "covariance" else theory[quantity]
        first, second = orders.values[1:3]
        error = values.std(ddof=1) / np.sqrt(50)
        off = abs(values.mean() - second)
        assert off < 4.5 * error + abs(second - first) / 3, quantity
    diagonal = theory.four_point.values[:3, 0, 0]
    assert np.array_equal(diagonal, theory.intralayer.values[:3])
    assert theory.four_point_same.values[1:3, 0] == pytest.approx(3 * diagonal[1:])


@pytest.mark.parametrize("C_b", [0.0, 0.2])
@pytest.mark.parametrize("name", ["relu", "linear", "leaky_relu(0.3)"])
def test_what_each_order_leaves_out_falls_with_its_power(name, C_b):
    left = {}
    for n in (300, 600):
        result = predict(member(name, C_b=C_b, width=n), X[:1], [4], ALL[:5]).isel(layer=0, input=0)
        for quantity in ("intralayer", "excess_kurtosis", "six_point"):
            orders = result[quantity]
            off = orders.sel(order="exact") - orders.sel(order=["1/n", "1/n^2"])
            left.setdefault(quantity, []).append(off.values)
    for quantity, (wide, wider) in left.items():
        expected = (np.nan, 8) if quantity == "six_point" else (4, 8)
        assert wide / wider == pytest.approx(np.array(expected), rel=0.05, nan_ok=True)


def test_excess_kurtosis_is_expanded_as_the_ratio_that_it_is():
    left = []
    for n in (300, 600):
        result = predict(member("tanh", C_b=0.1, width=n), X[:1], [4], ALL[:5]).isel(
            layer=0, input=0
        )
        second = result.sel(order="1/n^2")
        ratio = 3 * second.intralayer / second.covariance.isel(input_=0) ** 2
        left.append(float(ratio - second.excess_kurtosis))
    assert left[0] / left[1] == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("name", ["tanh", "relu", "linear"])
def test_first_orders_agree_where_both_recursions_go(name):
    result = predict(member(name, C_b=0.1), X, LAYERS, ALL, networks=9).sel(order="1/n")
    N, V = range(3), result.four_point.values
    diagonal = [0, 3, 5]
    assert V[:, diagonal, diagonal] == pytest.approx(result.intralayer.values)
    # Layer 1 is exactly Gaussian, and nothing before layer 2 fluctuates.
    exact = predict(member(name, C_b=0.1), X, LAYERS, ALL, networks=9).sel(order="exact")
    assert np.all(exact.four_point.values[0] == 0)
    assert exact.four_point.values[1] == pytest.approx(V[1], rel=1e-12)
    assert exact.covariance.values[1] == pytest.approx(result.covariance.values[1])
    assert exact.correlation.values[1] == pytest.approx(result.correlation.values[1])
    assert np.all(result.correlation.values[:, N, N] == pytest.approx(1))
    assert np.all(np.abs(result.correlation) <= 1 + 1e-12)


def test_what_the_new_orders_do_not_cover():
    tanh = predict(member("tanh", C_b=0.1), X, LAYERS, ALL, networks=9)
    second = tanh.sel(order="1/n^2")
    assert np.isnan(second.covariance.values[:, 0, 1]).all()
    assert np.isfinite(second.covariance.values[:, 0, 0]).all()
    assert np.isnan(second.four_point.values[:, 0, 1]).all()
    assert np.isnan(second.correlation).all()
    apart = second.neuron_covariance.sel(neuron=0, neuron_=1)
    assert np.all(apart == 0)
    for C_b, known in ((0.1, [True, False, False]), (0.0, [True] * 3)):
        uniform = predict(member("tanh", "uniform", C_b), X, LAYERS, ALL, networks=9)
        infinite = uniform.sel(order="infinite_width")
        for quantity in ("covariance", "correlation"):
            finite = np.isfinite(infinite[quantity].values[:, 0, 1])
            assert np.array_equal(finite, known)
            assert np.isnan(uniform[quantity].sel(order=["1/n", "1/n^2"])).all()
        # The first layer's law is not Gaussian; that of the second needs its variance.
        assert np.isfinite(infinite.excess_kurtosis.values[:, 0]).sum() == sum(known)
        after = infinite["quantile"].values[1:, 0]
        assert np.isfinite(after).all() == (C_b == 0)


def test_many_inputs_are_taken_in_pairs():
    x = np.random.default_rng(3).normal(size=(9, 3))
    mlp = member("tanh", C_b=0.1)
    many = predict(mlp, x, [4], ("covariance", "correlation"))
    few = predict(mlp, x[:3], [4], ("covariance", "correlation"))
    for quantity in ("covariance", "correlation"):
        assert many[quantity].values[:, 0, :3, :3] == pytest.approx(
            few[quantity].values[:, 0], nan_ok=True, rel=1e-9
        )
    beyond = predict(mlp, np.tile(x, (4, 1)), [2], ("covariance",)).covariance
    first = beyond.sel(order="1/n").values[0]
    assert np.isfinite(np.diagonal(first)).all()
    assert np.isnan(first[0, 1])


def test_great_depth_skips_what_would_go_layer_by_layer():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=16, depth=2000, C_W=2.0)
    result = predict(mlp, X[:2], [3, 2000], ("covariance", "four_point", "kurtosis"))
    assert np.isnan(result.covariance.sel(order="1/n")).all()
    first = result.four_point.sel(order="1/n").values
    assert np.isnan(first[:, 0, 1]).all()
    assert np.isfinite(first[:, 0, 0]).all()


def test_errors():
    with pytest.raises(ValueError, match="unknown families colour; allowed are covariance"):
        predict(member("relu"), X, LAYERS, ["colour"])
    with pytest.raises(ValueError, match="number of networks"):
        predict(member("relu"), X, LAYERS, ["quadruple"])
    with pytest.raises(ValueError, match="numbered from 1 to 4"):
        predict(member("relu"), X, [9], ["covariance"])


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "gelu"])
def test_the_radial_test_has_no_level_beyond_layer_1(activation):
    """What it looks at, the dispersion of |z|^2 in units of a Gaussian layer's, has another limit.

    Two widths and 4000 networks: a ratio is known to 2.5 %, and 8 of them lie within 4.5 of that.
    """
    x, layers = X[:1], [1, 3]
    for width in (48, 600):
        mlp = Perceptron.uniform_width(
            activation, dimension=3, width=width, depth=3, C_b=0.1, C_W=1.5
        )
        found = predict(mlp, x, layers, ("normality", "four_point", "covariance"))
        level = found["rejection_rate"].sel(test="radial", order="infinite_width")
        assert level.sel(sample="ensemble").values.ravel() == pytest.approx(
            [0.05, np.nan], nan_ok=True
        )
        assert (level.sel(sample="gaussian") == 0.05).all()
        samples = sample(mlp, x, networks=4000, seed=3, layers=layers)
        k = samples["kernel"].values[:, :, 0, 0]
        ratio = k.var(axis=0) / k.mean(axis=0) ** 2 * width / 2
        first = found.sel(order="1/n").isel(input=0)
        v = first["intralayer"].values / first["covariance"].values[:, 0] ** 2
        assert ratio == pytest.approx(1 + v * width / 2, rel=4.5 * 0.025 + 8 / width)
        assert ratio[1] > 1.2
