"""Do z-scores of a ladder's estimates behave like z-scores, with controls and without?

The truth is known at finite width for linear and ReLU networks: with C_b = 0 the kernel of one
input is a product of independent factors of mean 1 whose moments are rational in 1/n, and on two
inputs its second moments obey a linear recursion. Controls regressed on the networks they are used
on, or whose expectation were not 0, would show as a bias; an error that does not know what controls
leave over, as a spread of z.
"""

import numpy as np
import pytest

from finitewidth.estimate.ladder import estimate_ladder
from finitewidth.indices import pairs
from finitewidth.law import Law
from finitewidth.sampling.ladder import sample_ladder

WIDTHS, DEPTH, NETWORKS, SEEDS = (48, 96), 4, 3000, 60
X = {1: np.array([[1.0, 1.0]]), 2: np.array([[1.0, 1.0], [1.2, -0.4]])}
CRITICAL = {"linear": 1.0, "relu": 2.0}
QUANTITIES = ("kernel_mean", "kernel_covariance", "kernel_third")
CASES = {
    "linear, plain": ("linear", 1, None),
    "relu, plain": ("relu", 1, None),
    # Without u|u| half of a ReLU's square is beyond the controls, so that there is something left.
    "relu, one control": ("relu", 1, ["He2"]),
    "linear, two inputs": ("linear", 2, slice(None)),
}


def truths(activation, inputs, widths=WIDTHS):
    """Mean, covariance and third cumulant of the last layer at each width."""
    found = {name: [] for name in QUANTITIES}
    a, b = pairs(inputs).T
    G = CRITICAL[activation] * X[inputs] @ X[inputs].T / 2
    for n in widths:
        second, third = {
            "linear": (2 / n, 6 / n + 8 / n**2),
            "relu": (5 / n, 15 / n + 44 / n**2),
        }[activation]
        M = np.einsum("ab,cd->abcd", G, G)
        for _ in range(DEPTH - 1):
            if inputs == 1:
                M = M * (1 + second)
            else:
                M = M + (M.transpose(0, 2, 1, 3) + M.transpose(0, 3, 2, 1)) / n
        V = M - np.einsum("ab,cd->abcd", G, G)
        m2, m3 = (1 + second) ** (DEPTH - 1), (1 + third) ** (DEPTH - 1)
        found["kernel_mean"].append(G[a, b])
        found["kernel_covariance"].append(V[a[:, None], b[:, None], a, b])
        found["kernel_third"].append(np.diag(G) ** 3 * (m3 - 3 * m2 + 2))
    return {name: np.array(values) for name, values in found.items()}


def ladder(activation, inputs, kept, networks, seed, widths=WIDTHS):
    """Estimates from the last layer, with the controls ``kept``."""
    critical = CRITICAL[activation]
    laws = [
        Law.uniform_width(activation, dimension=2, width=n, depth=DEPTH, C_W=critical)
        for n in widths
    ]
    options = {"networks": networks, "seed": seed, "layers": [DEPTH], "controls": bool(kept)}
    samples = sample_ladder(laws, X[inputs], **options)
    if kept:
        samples = samples.sel(control=kept)
    return estimate_ladder(
        [samples], ["kernel_moments"], seed=0, ensemble="", member="", blocks=250
    )


@pytest.fixture(scope="module", params=CASES)
def runs(request):
    """Estimates of ``SEEDS`` ladders, and the truth."""
    activation, inputs, kept = CASES[request.param]
    found = [ladder(activation, inputs, kept, NETWORKS, seed) for seed in range(SEEDS)]
    for one in found:
        assert ("controls" in one["kernel_mean"].attrs["estimator"]) == bool(kept)
    return found, truths(activation, inputs)


def of_all(found, name):
    return np.stack([one[name].values[:, 0] for one in found])


def known_to_rounding(truth, name):
    """The first input of a linear network on two: its controls span the kernel, and its square."""
    return len(truth["kernel_mean"][0]) == 3 and name != "kernel_third"


@pytest.mark.parametrize("name", QUANTITIES)
def test_z_scores_are_z_scores(runs, name):
    found, truth = runs
    z = (of_all(found, name) - truth[name]) / of_all(found, f"{name}_stderr")
    z = z.reshape(SEEDS, len(WIDTHS), -1)
    if known_to_rounding(truth, name):
        assert np.abs(z[..., 0]).max() < 3
        z = z[..., 1:]
    # Let the numbers of one ladder count as one or two draws. The mean of z is then 0 +- 0.13, but
    # for the skewness of squares and cubes, and its spread 1 +- 0.09: bounds of four such, and of
    # more for cubes, whose errors are seldom trusted at so few networks.
    third = name == "kernel_third"
    assert abs(np.mean(z)) < (0.8 if third else 0.5)
    assert 0.65 < np.std(z) < (1.8 if third else 1.35)
    trusted = np.mean(of_all(found, f"{name}_trusted"))
    assert third or trusted > 0.8


def test_rungs_vary_together_as_they_say(runs):
    found, truth = runs
    for name in ("kernel_mean", "kernel_covariance"):
        values = of_all(found, name).reshape(SEEDS, len(WIDTHS), -1)
        rungs = np.mean([one[f"{name}_rungs"].values[:, :, 0] for one in found], axis=0)
        rungs = rungs.reshape(len(WIDTHS), len(WIDTHS), -1)
        first = int(known_to_rounding(truth, name))
        values = values[..., first:] - values[..., first:].mean(axis=0)
        spread = np.einsum("srx,stx->rtx", values, values)[0, 1] / (SEEDS - 1)
        rungs = rungs[..., first:]
        # A correlation over 60 ladders is known to 0.13 at worst: four such.
        size = np.sqrt(rungs[0, 0] * rungs[1, 1])
        assert np.abs((rungs[0, 1] - spread) / size).max() < 0.52
        assert (rungs[0, 1] > 0.1 * size).all()


def test_cross_fitting_leaves_no_bias():
    # 250 networks, so that a coefficient knows the networks it was fitted to: with those of the
    # other half exchanged for one's own, the covariance comes out 6 standard errors low here.
    # Three means of 300 within 4.5: a false alarm once in 50,000 seeds.
    found = [ladder("relu", 1, ["He2"], 250, seed, widths=(20,)) for seed in range(300)]
    truth = truths("relu", 1, widths=(20,))
    assert all("controls" in one["kernel_mean"].attrs["estimator"] for one in found[:20])
    for name in QUANTITIES:
        deviation = (of_all(found, name) - truth[name]).ravel()
        assert abs(deviation.mean()) < 4.5 * deviation.std() / np.sqrt(len(found))
