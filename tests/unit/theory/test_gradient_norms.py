"""Derivatives of an output by layers at infinite width: closed forms, published values, drawing."""

import numpy as np
import pytest

import finitewidth as fw
from finitewidth.estimate.families import estimate
from finitewidth.face.networks import network
from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.theory.layers.gradient_norms import gradient_norms
from finitewidth.theory.predict.predict_member import predict_network

X = np.array([[1.0, -1.0, 1.0], [0.4, 0.2, 1.2]])
TOKENS = np.sin(1.7 * np.arange(18)).reshape(2, 3, 3)
IMAGES = np.sin(1.7 * np.arange(40)).reshape(2, 1, 4, 5)
MEASURE = ("preactivations", "gradient")
PLAIN = {"branch": [{"activation": "none"}, "dense"]}
NONE = {"activation": "none"}


def of(activation, blocks, x=X[:1], C_W=2.0, readout=None, width=8, **keys):
    shape = {"inputs": 3} | keys
    how = {"blocks": blocks, "readout": readout or {}, "outputs": 1}
    return gradient_norms(network(activation, width=width, C_W=C_W, **shape, **how), x)


@pytest.mark.parametrize("blocks", [2, 8, 32])
def test_norms_before_the_branch_let_derivatives_fall_and_norms_behind_do_not(blocks):
    """1/(L + 2) and 1 at layer L of ReLU, C_W = 2, a stream that begins with variance 2."""
    block = {"repeat": blocks, "residual": {"norm": "layer", "place": "pre"}}
    found = of("relu", [block], readout={"norm": "same"})
    assert found[-2] == pytest.approx([1 / (blocks + 2)], rel=1e-12)
    block = {"repeat": blocks, "residual": {"norm": "layer", "place": "post"}}
    assert of("relu", [block])[-2] == pytest.approx([1], rel=1e-12)


@pytest.mark.parametrize(("blocks", "log"), [(16, 3.6335), (32, 5.580)])
def test_derivatives_of_residual_tanh_networks_grow_as_was_computed_elsewhere(blocks, log):
    """Between the first layer and block L, C_W = 1 and |x|^2 = n_0; an independent recursion."""
    found = of("tanh", [PLAIN, {"repeat": blocks, "residual": {}}], C_W=1.0, readout=NONE)
    assert np.log(found[0] / found[blocks]) == pytest.approx([log], abs=1e-3)


def test_their_logarithm_goes_as_the_root_of_depth():
    """(8/3) sqrt(C_W l/(2 pi)) = 1.06385 sqrt(l) (Yang and Schoenholz 2017): 1.0836 at 1000."""
    found = of("tanh", [PLAIN, {"repeat": 1000, "residual": {}}], C_W=1.0, readout=NONE)
    assert np.log(found[0] / found[1000]) / 1000**0.5 == pytest.approx([1.0836], abs=2e-4)


def test_blocks_without_skips_are_those_of_a_perceptron():
    for name in ("tanh", "gelu", "relu"):
        mlp = Perceptron.uniform_width(name, dimension=3, width=8, depth=5, outputs=1, C_b=0.1,
                                       C_W=1.7)  # fmt: skip
        about = {"neurons": 2, "networks": 100, "rates": None}
        one = predict_network(mlp, X, range(1, 6), ["gradient_norm"], **about)
        general = gradient_norms(mlp.architecture, X)
        known = one["gradient_norm"].sel(order="infinite_width").values
        np.testing.assert_allclose(known, general, rtol=1e-12)
        exact = one["gradient_norm"].sel(order="exact").values
        assert np.isfinite(exact).all() == (name == "relu")


def test_a_dead_input_passes_nothing_back_through_a_kink():
    mlp = Perceptron.uniform_width("relu", dimension=3, width=8, depth=3, outputs=1, C_b=0.0,
                                   C_W=2.0)  # fmt: skip
    about = {"neurons": 2, "networks": 100, "rates": None}
    found = predict_network(mlp, np.zeros((1, 3)), [1, 2, 3], ["gradient_norm"], **about)
    for order in ("infinite_width", "exact"):
        assert found["gradient_norm"].sel(order=order).values.ravel().tolist() == [0, 0, 1]


def test_uniform_attention_averages_what_goes_back():
    """Each layer passes C_V C_O back from the mean over T tokens: f = W mean_t z_t, so C_W/T."""
    blocks = [PLAIN, {"repeat": 3, "branch": [{"attention": {"heads": 1, "scale": "full"}}]}]
    found = of("gelu", blocks, TOKENS, C_W=1.5, readout=NONE, tokens=3)
    wanted = 1.5 / 3 * 2.25 ** np.array([3, 2, 1, 0])
    np.testing.assert_allclose(found[:4], np.stack([wanted] * 2, 1), rtol=1e-12)


def test_linear_convolutions_are_followed_by_hand():
    """Around: C_W a layer. With zeros beside the image a place goes into as many patches as hold
    it. From all places as one vector derivatives are independent, C_W/P each."""
    conv = [{"conv": {"padding": "circular"}}]
    found = of("linear", [{"repeat": 3, "branch": conv}], IMAGES, inputs=(1, 4, 5), C_W=1.5,
               embed={"map": "conv"}, readout={"pool": "flatten"})  # fmt: skip
    np.testing.assert_allclose(found[:3, 0], 1.5 ** np.array([3, 2, 1]), rtol=1e-12)
    conv = [{"conv": {"padding": "zero"}}]
    found = of("linear", [{"repeat": 2, "branch": conv}], IMAGES, inputs=(1, 4, 5), C_W=1.5,
               embed={"map": "conv"}, readout={"pool": "flatten"})  # fmt: skip
    patches = np.outer([2, 3, 3, 2], [2, 3, 3, 3, 2])
    np.testing.assert_allclose(found[0], 1.5**2 * patches.mean() / 9, rtol=1e-12)


# Of these nobody has a closed form: networks of two widths are drawn, and extrapolated.
TWO = {"residual": {"norm": "layer"}, "branch": [{"dense": {"width": "2n"}}, "activation", "dense"]}
ATTEND = {"branch": [{"attention": {"heads": "n/2", "head_dim": "n/2", "q": {"C_W": 4.0}}}]}
DRAWN = {
    "two tokens": ([PLAIN, ATTEND, TWO], 2),
    "three tokens": ([PLAIN, ATTEND], 3),
    "post": ([PLAIN, ATTEND | {"residual": {"norm": "layer", "place": "post"}}], 3),
}


@pytest.mark.parametrize("case", DRAWN)
def test_drawn_transformers_tend_to_the_theory(case):
    """16 and 48 channels to order 1/n; 4.5 standard errors, at most four numbers: once in 4e4."""
    blocks, tokens = DRAWN[case]
    x, means = TOKENS[:1, :tokens], []
    for width in (16, 48):
        keys = {"tokens": tokens, "C_W": 1.3, "outputs": 1, "readout": NONE}
        one = network("gelu", inputs=3, width=width, blocks=blocks, **keys)
        found = sample(one, x, networks=1500, seed=1, measure=MEASURE)
        told = estimate([found], ["gradient_norm"], seed=1, ensemble="e", member="m")
        means.append((told["gradient_norm"].values[:-1, 0], told["gradient_norm_stderr"][:-1, 0]))
    (narrow, a), (wide, b) = means
    limit, error = (3 * wide - narrow) / 2, np.hypot(1.5 * b, 0.5 * a)
    assert (np.abs(limit - gradient_norms(one, x)[:-1, 0]) < 4.5 * error).all()
    # Half of what goes back through logits would be seen.
    assert (error < 0.05 * limit).all()


def test_several_inputs_are_each_its_own():
    blocks = [PLAIN, ATTEND, TWO]
    both = of("gelu", blocks, TOKENS, tokens=3)
    each = [of("gelu", blocks, x[None], tokens=3)[:, 0] for x in TOKENS]
    np.testing.assert_allclose(both, np.stack(each, 1), rtol=1e-12)


def test_where_nothing_is_known_nothing_is_said():
    unknown = [{"branch": ["dense", "activation", {"norm": "layer"}, "dense"]}]
    assert np.isnan(of("relu", [PLAIN, *unknown])[0]).all()
    open_ended = Architecture((3, 3), network("gelu", inputs=3, tokens=3, width=4, C_W=1.0,
                              blocks=[ATTEND], readout="none").layers, [1, 2])  # fmt: skip
    assert np.isnan(gradient_norms(open_ended, TOKENS)).all()


def test_what_is_exact_of_two_slopes_is_so_at_width_3():
    """ReLU with biases between maps alone; 4.5 standard errors of three numbers: once in 5e4."""
    one = network("relu", inputs=3, width=3, C_W=1.9, C_b=0.3, outputs=1, blocks=[{"repeat": 3}])
    found = sample(one, X[:1], networks=20000, seed=2, measure=MEASURE)
    told = estimate([found], ["gradient_norm"], seed=1, ensemble="e", member="m")
    about = {"neurons": 2, "networks": 100, "rates": None}
    theory = predict_network(one, X[:1], range(1, 5), ["gradient_norm"], **about)
    exact = theory["gradient_norm"].sel(order="exact").values[:-1, 0]
    pull = (told["gradient_norm"].values[:-1, 0] - exact) / told["gradient_norm_stderr"][:-1, 0]
    assert (np.abs(pull) < 4.5).all()


@pytest.mark.parametrize("weights", ["normal", "uniform"])
def test_dead_layers_pass_nothing_back(weights):
    """ReLU without biases at width 3 is dead in an eighth of networks, layer by layer; 4.5 standard
    errors of eight numbers: once in 2e4. Of networks made of blocks nothing exact is said then."""
    one = Perceptron.uniform_width("relu", dimension=3, width=3, depth=5, outputs=1, C_b=0.0,
                                   C_W=1.9, weights=weights)  # fmt: skip
    about = {"networks": 20000, "seed": 3, "measure": MEASURE, "sampler": "explicit"}
    found = sample(one, X[:1], **about)
    theory = fw.predict(one, X[:1], "gradient_norm")
    rows = fw.compare(fw.estimate(found, "gradient_norm"), theory)
    rows = rows[(rows["quantity"] == "gradient_norm") & (rows["order"] == "exact")]
    pull = (rows["estimate"] - rows["theory"]) / rows["standard_error"]
    assert (rows["layer"].tolist(), rows["theory"].iloc[-1]) == ([1, 2, 3, 4, 5], 1)
    assert (np.abs(pull[:-1]) < 4.5).all()
    blocks = network("relu", inputs=3, width=3, C_W=1.9, C_b=0.0, outputs=1,
                     blocks=[{"repeat": 3}])  # fmt: skip
    said = fw.predict(blocks, X[:1], ["gradient_norm"])["gradient_norm"].sel(order="exact").values
    assert np.isfinite(said.ravel()).tolist() == [False, False, False, True]
