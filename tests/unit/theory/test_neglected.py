"""What an order leaves out: sizes guessed from the orders before, held against what is known."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.config.network import network
from finitewidth.models.activations.table import get
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import COEFFICIENTS
from finitewidth.theory.mlp.criticality import critical_point
from finitewidth.theory.predict.block_case import BlockCase
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_blocks import predict_blocks
from finitewidth.theory.predict.predict_ladder import predict_ladder
from finitewidth.theory.predict.predict_ntk import predict_ntk
from finitewidth.theory.predict.predict_preactivations import predict

CURVED = ("tanh", "sin", "erf", "arctan", "gelu", "silu", "softplus", "sigmoid")
SLOPES = ("relu", "linear", "abs", "leaky_relu(0.3)")
MOMENTS = ("covariance", "four_point", "kurtosis")


def random_law(rng, names, deepest=12):
    name = str(rng.choice(names))
    try:
        point = critical_point(get(name))
        C_b, C_W = point.C_b, point.C_W
    except ValueError:
        C_b, C_W = 0.0, 1.0
    C_W *= rng.choice([1.0, rng.uniform(0.7, 1.4)])
    C_b += rng.choice([0.0, rng.uniform(0, 0.5)])
    depth = int(rng.integers(3, deepest))
    # Where the expansion is one: depth up to a tenth of the width.
    width = int(depth * np.exp(rng.uniform(np.log(10), np.log(200))))
    about = {"dimension": 6, "width": width, "depth": depth, "outputs": 2}
    mlp = Perceptron.uniform_width(name, C_b=float(C_b), C_W=float(C_W), **about)
    return mlp, np.sqrt(rng.uniform(0.3, 3)) * np.ones((1, 6))


def without(theory, *orders):
    """The same, as if these orders were not known."""
    hidden = theory["order"].isin(orders)
    return theory.map(lambda values: values.where(~hidden), keep_attrs=True)


def guessed_and_true(theory, better, mlps, x, rates=None):
    """What the order 1/n is guessed to leave out, and what a better one adds to it."""
    guessed = with_neglected(without(theory, "1/n^2", "exact", "double_scaling"), mlps, x, rates)
    pairs = []
    for name, values in theory.data_vars.items():
        true = np.abs(values.sel(order=better) - values.sel(order="1/n")).values
        guess = guessed[f"{name}_neglected"].sel(order="1/n").values
        size = np.abs(values.sel(order="1/n").values)
        # Beneath this it is rounding.
        seen = np.isfinite(true) & (true > 1e-10 * size)
        pairs += list(zip(guess[seen], true[seen], strict=True))
    return np.array(pairs).reshape(-1, 2)


def test_the_next_order_of_kernels_is_about_as_large_as_guessed():
    """120 random laws: not above twice the guess, and the guess is not wild."""
    rng, found = np.random.default_rng(1), []
    for _ in range(120):
        mlp, x = random_law(rng, CURVED + SLOPES)
        # The next layer is exactly what 1/n says up to layer 2.
        theory = predict(mlp, x, [mlp.depth], MOMENTS)[["covariance", "four_point",
                                                        "excess_kurtosis"]]  # fmt: skip
        found.append(guessed_and_true(theory, "1/n^2", [mlp], x))
    guess, true = np.concatenate(found).T
    assert len(true) > 250
    assert (true <= 2 * guess).all()
    assert (true <= guess).mean() > 0.75
    assert 1 < np.median(guess / true) < 5


def test_what_tangent_kernels_add_beyond_1_n_is_about_as_large_as_guessed():
    """Two slopes, whose second moments are known at any width."""
    rng, found = np.random.default_rng(2), []
    for _ in range(60):
        mlp, x = random_law(rng, SLOPES)
        rates = LearningRates.named("pdlt", mlp, *rng.uniform(0.05, 1, 2))
        theory = predict_ntk(mlp, rates, x, [mlp.depth], ["ntk", "ntk_tensors"])
        found.append(guessed_and_true(theory, "exact", [mlp], x, [rates]))
    guess, true = np.concatenate(found).T
    assert len(true) > 300
    assert (true <= 2 * guess).all()
    assert (true <= guess).mean() > 0.75
    assert 1 < np.median(guess / true) < 5


@pytest.mark.parametrize(("width", "P"), [(16, 11.6), (32, 5.4), (64, 2.7)])
def test_a_tensor_that_begins_one_order_later_is_not_predicted_by_its_zero(width, P):
    """P of ReLU: docs/theory.md 9.3 has n P as measured; its first order is 0."""
    mlp = Perceptron.uniform_width("relu", dimension=8, width=width, depth=4, C_b=0.0, C_W=2.0)
    x, rates = np.ones((1, 8)), LearningRates.named("ntk", mlp)
    theory = with_neglected(predict_ntk(mlp, rates, x, [4], ["dntk"]), [mlp], x, [rates])
    for order in ("infinite_width", "1/n"):
        assert (theory["dntk_P"].sel(order=order) == 0).all()
        assert (theory["dntk_P_neglected"].sel(order=order) > 0.5 * P / width).all()


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_against_a_better_order_the_difference_is_what_is_left_out(name):
    mlp = Perceptron.uniform_width(
        name, dimension=6, width=40, depth=5, C_b=0.1, C_W=1.5, outputs=3
    )
    x = np.random.default_rng(3).standard_normal((2, 6))
    families = ("covariance", "four_point", "six_point", "kurtosis")
    theory = with_neglected(predict(mlp, x, [1, 2, 5], families), [mlp], x)
    for quantity in [q for q in theory.data_vars if not q.endswith("_neglected")]:
        values, left = theory[quantity], theory[f"{quantity}_neglected"]
        assert left.dims == values.dims
        assert (left.notnull() <= values.notnull()).all()
        assert (left.sel(order="exact").dropna("layer", how="all").fillna(0) == 0).all()
        exact = values.sel(order="exact")
        for order in ("infinite_width", "1/n", "1/n^2"):
            known = exact.notnull() & values.sel(order=order).notnull()
            gap = np.abs(exact - values.sel(order=order))
            assert np.allclose(left.sel(order=order).where(known), gap.where(known), equal_nan=True)
            # Elsewhere something is left out that is not known.
            unknown = exact.isnull() & values.sel(order=order).notnull()
            assert (left.sel(order=order).where(unknown) > 0).sum() == unknown.sum()


def test_coefficients_leave_out_nothing_and_rungs_what_members_do():
    mlps = [
        Perceptron.uniform_width("gelu", dimension=6, width=n, depth=4, C_b=0.0, C_W=1.98)
        for n in (30, 60)
    ]
    x = np.random.default_rng(4).standard_normal((2, 6))
    ladder = with_neglected(predict_ladder(mlps, x, [4], ("kernel_moments",)), mlps, x)
    for name in set(COEFFICIENTS) & set(ladder.data_vars):
        left, values = ladder[f"{name}_neglected"], ladder[name]
        assert left.notnull().equals(values.notnull())
        assert (left.fillna(0) == 0).all()
    for rung, mlp in enumerate(mlps):
        alone = with_neglected(predict(mlp, x, [4], ("four_point",)), [mlp], x)
        one = alone["four_point_neglected"].sel(order=["infinite_width", "1/n"])
        of_ladder = ladder["kernel_covariance_neglected"].sel(order=["infinite_width", "1/n"])
        assert np.allclose(of_ladder.isel(rung=rung), one, rtol=1e-9)


def test_nothing_is_known_of_what_no_expansion_describes():
    mlp = Perceptron.uniform_width("tanh", dimension=6, width=30, depth=3, C_b=0.0, C_W=1.0)
    x = np.ones((1, 6))
    theory = with_neglected(predict(mlp, x, [1, 3], ("normality",)), [mlp], x)
    left = theory["rejection_rate_neglected"]
    exact = theory["rejection_rate"].sel(order="exact").notnull()
    assert left.sel(order="infinite_width").where(~exact).isnull().all()
    assert (left.sel(order="infinite_width").where(exact).fillna(0) == 0).all()


@pytest.mark.parametrize("weights", ["uniform", "pytorch"])
def test_of_weights_that_are_not_normal_no_limit_is_taken_for_exact(weights):
    mlp = Perceptron.uniform_width(
        "tanh", dimension=6, width=30, depth=3, C_b=0.1, C_W=1.0, weights=weights
    )
    x = np.ones((1, 6))
    theory = predict(mlp, x, [2, 3], ("covariance", "four_point", "kurtosis"))
    theory = with_neglected(theory, [mlp], x)
    for quantity in ("covariance", "four_point", "excess_kurtosis"):
        values = theory[quantity].sel(order="infinite_width")
        left = theory[f"{quantity}_neglected"].sel(order="infinite_width")
        exact = theory[quantity].sel(order="exact").notnull()
        # Unknown where the variance at infinite width is: biases that stay uniform.
        assert not (left.where(values.notnull() & ~exact) == 0).any()


@pytest.mark.parametrize("x", [[[1.0, 0.5], [1.0, 0.5]], [[1.0, 0.5], [0.0, 0.0]]])
@pytest.mark.filterwarnings("error")
def test_equal_inputs_and_zero_ones_make_no_order_hold_by_chance(x):
    """Eigenvalues that are 0 and units that are 0 or infinite: never a 0 that is not exact."""
    mlp = Perceptron.uniform_width(
        "relu", dimension=2, width=10, depth=4, C_b=0.0, C_W=2.0, outputs=2
    )
    x, rates = np.array(x), LearningRates.named("ntk", mlp)
    families = ["ntk", "ntk_tensors", "ntk_spectrum"]
    bare = predict_ntk(mlp, rates, x, [4], families)
    theory = with_neglected(bare, [mlp], x, [rates])
    for order in ("infinite_width", "1/n"):
        left = theory["ntk_log_condition_neglected"].sel(order=order)
        assert not (left == 0).any()
        eigenvalue = theory["ntk_eigenvalue_neglected"].sel(order=order)
        assert not (eigenvalue.isel(rank=0) == 0).any()


def test_a_pair_of_near_inputs_takes_nothing_from_other_eigenvalues():
    """What two inputs that nearly agree make small is their difference, and no more."""
    mlp = Perceptron.uniform_width(
        "tanh", dimension=3, width=200, depth=3, C_b=0.1, C_W=1.5, outputs=1
    )
    rates = LearningRates.named("ntk", mlp)
    alone, near = np.array([[1.0, 0.3, 0.0], [-0.2, 0.9, 1.0]]), np.array([[1.0, 0.3, 1e-7]])
    left = []
    for x in (alone, np.concatenate([alone, near])):
        theory = predict_ntk(mlp, rates, x, [3], ["ntk", "ntk_tensors", "ntk_spectrum"])
        theory = with_neglected(theory, [mlp], x, [rates])
        left.append(theory["ntk_eigenvalue_neglected"].sel(order="1/n").values[0])
    assert left[1][0] == pytest.approx(left[0][0], rel=0.5)
    # Of the smallest nothing is known but that it is small.
    assert not left[1][2] < 1e-3


def test_a_dataset_without_expansions_is_left_in_peace():
    mlp = Perceptron.uniform_width("relu", dimension=6, width=4, depth=3, C_b=0.0, C_W=2.0)
    theory = predict(mlp, np.ones((1, 6)), [2], ("log_norm",))
    found = with_neglected(theory, [mlp], np.ones((1, 6)))
    xr.testing.assert_identical(found[list(theory.data_vars)], theory)
    # Ways of computing one number are no matter of theory: an empty dataset.
    assert not with_neglected(xr.Dataset(), [mlp], np.ones((1, 6))).data_vars


def test_norms_do_not_stop_what_derivatives_fluctuate_by():
    """They do so on the way forward: the kernel of a stream of 32 blocks varies by 0.45/n."""

    def left(depth):
        block = {"repeat": depth, "residual": {"norm": "layer"}}
        last = {"norm": "layer", "activation": "none"}
        law = {"inputs": 3, "activation": "relu", "C_W": 2.0, "width": 256, "outputs": 1}
        one, x = network(blocks=[block], readout=last, **law), np.array([[1.0, -0.5, 0.5]])
        case = BlockCase(one, x, [1], 4, None)
        told = with_neglected(predict_blocks(case, ("gradient_norm",)), [], x, blocks=case)
        names = ("gradient_norm", "gradient_norm_neglected")
        return [float(told[name].sel(order="infinite_width").squeeze()) for name in names]

    # Of 2000 drawn networks of 8 and of 32 blocks the mean is larger by 2.5(6) % and 4.3(8) %.
    for depth, off in ((8, 0.025), (32, 0.043)):
        limit, neglected = left(depth)
        assert neglected > off * limit


@pytest.mark.parametrize("name", ["sigmoid", "sin", "erf", "gelu", "softplus"])
def test_derivatives_fluctuate_where_kernels_hardly_do(name):
    """Biases and flat activations hold the kernel; a matrix of n rows still spreads what goes back
    by 2/n a layer, whichever layers are recorded."""
    mlp = Perceptron.uniform_width(name, dimension=5, width=8, depth=5, C_b=1.0, C_W=0.4)
    x = np.ones((1, 5))
    for layers in ([1], [1, 2, 3, 4, 5]):
        theory = with_neglected(predict(mlp, x, layers, ("gradient_norm",)), [mlp], x)
        limit = theory.sel(order="infinite_width").isel(layer=0)
        assert limit["gradient_log_variance_neglected"].item() > 4 * 2 / 8
        assert limit["gradient_log_mean_neglected"].item() > 4 / 8
        assert limit["gradient_norm_neglected"] > limit["gradient_norm"] / 8


def test_a_limit_of_zero_has_no_size():
    """Of scores that are products over all dimensions: at any head_dim what they weigh is not 0."""
    attention = {"attention": {"scale": "full", "scores": "identity"}}
    one = network(
        inputs=6,
        input={"tokens": 3, "channels": 2},
        activation="relu",
        C_W=1.8,
        width=16,
        outputs=1,
        blocks=[{"branch": [attention]}, {"residual": {}}],
    )
    x = np.sin(1.7 * np.arange(6.0))[None]
    case = BlockCase(one, x, [1], 4, None)
    told = with_neglected(predict_blocks(case, ("gradient_norm",)), [], x, blocks=case)
    limit = told.sel(order="infinite_width")
    assert not limit["gradient_norm"].any()
    assert np.isnan(limit["gradient_norm_neglected"]).all()


def test_eigenvalues_that_meet_have_all_orders_in_two_layers():
    """Two inputs of opposite signs, ReLU: the kernel is diagonal, its mean exact. Its entries are
    sums of 16 independent squares, here drawn as such, and the smaller is less than its mean."""
    mlp = Perceptron.uniform_width("relu", dimension=1, width=16, depth=2, C_b=0.0, C_W=1.0)
    x, rates = np.array([[-0.9], [1.0]]), LearningRates.named("ntk", mlp)
    theory = with_neglected(predict_ntk(mlp, rates, x, [2], ("ntk_spectrum",)), [mlp], x, [rates])
    one = theory.sel(order="1/n").isel(layer=-1)
    rng = np.random.default_rng(3)
    z = rng.normal(size=(20000, 16)) * np.abs(x[1])
    gates, weights = z > 0, rng.normal(size=(20000, 16))
    # Weights of the second layer, then of the first: mean sigma^2 and mean (v sigma')^2 x^2.
    first = lambda on: (np.where(on, z**2 + weights**2, 0)).mean(1)  # noqa: E731
    both = np.stack([first(gates), 0.81 * first(~gates)], axis=1)
    # Twenty standard errors: the means are those of theory, whatever their order.
    assert both.mean(0) == pytest.approx(one["ntk_eigenvalue"].values, rel=0.05)
    small, large = np.sort(both, axis=1).mean(0)
    off = np.array([large, small]) - one["ntk_eigenvalue"].values
    assert np.abs(off).min() > 0.05 * small
    assert (one["ntk_eigenvalue_neglected"].values > np.abs(off)).all()
