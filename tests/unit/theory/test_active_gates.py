"""The share of neurons above 0: closed forms, symmetry, and networks that are drawn."""

import numpy as np
import pytest

from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.preactivations.gates import active_share
from finitewidth.face.networks import network, perceptron
from finitewidth.face.one_ensemble import estimate, predict, sample

X = np.array([[1.0, -1.0, 1.0]])
HALF = 0.5**0.5


def told(of, order, x=X):
    return predict(of, x, ["active_share"])["active_share"].sel(order=order).values[:, 0]


def stream(activation, blocks, width=32, C_W=2.0, C_b=0.0, **residual):
    keys = {"blocks": [{"repeat": blocks, "residual": residual}], "readout": "none"}
    return network(activation, inputs=3, width=width, C_W=C_W, C_b=C_b, **keys)


@pytest.mark.parametrize("blocks", [3, 12, 40])
def test_skips_of_relu_close_gates_by_the_closed_form(blocks):
    """-(1/2 pi n) sum_k a^k sqrt(1 - a^2k), z' = a z + sqrt(1 - a^2) u; a^2 = 1/2 here."""
    powers = HALF ** np.arange(blocks + 1)
    wanted = 0.5 - np.cumsum(powers * np.sqrt(1 - powers**2))[1:] / (2 * np.pi * 32)
    found = told(stream("relu", blocks, gamma=HALF, beta=HALF), "1/n")
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_nothing_turns_the_signs_of_odd_activations():
    np.testing.assert_allclose(told(stream("tanh", 3, C_b=0.2), "1/n"), 0.5, atol=1e-12)


# Of these nobody has a closed form; widths are such that the order 1/n^2 is far below the error.
@pytest.mark.parametrize(("activation", "residual"), [
    ("gelu", {"gamma": 0.8}), ("relu", {"norm": "rms"}), ("softplus", {"beta": 2.0}),
])  # fmt: skip
def test_networks_with_skips_have_the_share_of_the_first_order(activation, residual):
    """4.5 standard errors of a number: one in 1e5. A half is as far off."""
    one = stream(activation, 3, width=24, **residual)
    layers = {"layers": [3], "networks": 40000, "record": 24, "seed": 3, "progress": False}
    found = estimate(sample(one, X, **layers), ["active_share"])
    value, error = (found[f"active_share{end}"].item() for end in ("", "_stderr"))
    theory = told(one, "1/n")[-1]
    assert abs(value - theory) < 4.5 * error + 0.1 * abs(theory - 0.5)
    assert abs(value - 0.5) > 4.5 * error


def test_dead_layers_have_no_gate_open():
    """Exact of two slopes at width 2: half of what is not dead; 4.5 standard errors of four."""
    one = perceptron("relu", inputs=3, width=2, depth=4, C_W=2.0)
    assert told(one, "exact")[1] == pytest.approx(3 / 8)
    found = estimate(sample(one, X, networks=20000, progress=False), ["active_share"])
    pull = (found["active_share"].values[:, 0] - told(one, "exact")) / found["active_share_stderr"][
        :, 0
    ]
    assert (np.abs(pull) < 4.5).all()
    assert (told(one, "infinite_width", 0 * X) == 0).all()
    assert (told(one, "exact", 0 * X) == 0).all()


def test_what_a_fresh_matrix_gives_is_symmetric_and_what_a_skip_keeps_is_not():
    plain = {"repeat": 2, "branch": ["dense"]}
    behind = {"residual": {"norm": "layer", "place": "post"}}
    one = network("gelu", inputs=3, width=8, C_W=2.0, outputs=4, blocks=[plain, behind])
    np.testing.assert_array_equal(told(one, "exact"), [0.5, 0.5, np.nan, 0.5])
    # Of ReLU without bias a whole layer may be dead.
    one = network("relu", inputs=3, width=8, C_W=2.0, outputs=4, blocks=[plain])
    assert np.isnan(told(one, "exact")).all()


def test_an_estimate_is_that_of_a_loop_and_rare_gates_are_not_trusted():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(300, 2, 5)) + np.array([0.3, 4.0])[:, None]
    found = active_share(z, block_bounds(300))
    shares = [np.mean([z[k, 0, i] > 0 for i in range(5)]) for k in range(300)]
    assert found.value[0] == pytest.approx(np.mean(shares))
    assert found.stderr[0] == pytest.approx(np.std(shares, ddof=1) / 300**0.5, rel=1e-3)
    assert found.trusted.tolist() == [True, False]
