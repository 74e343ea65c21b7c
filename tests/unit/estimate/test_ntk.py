"""Estimates of tangent kernels: loops, rotations, and a model whose tensors are known."""

from itertools import permutations, product

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.core.reasons import Reason
from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.ntk.ntk_estimates import estimate_ntk
from finitewidth.estimate.samples import Samples

DIMS = {
    "ntk": ("output", "output_", "input", "input_"),
    "output_preactivation": ("output", "input"),
    "conditional_kernel": ("pair",),
    "dntk": ("output", "output_", "output__", "input", "input_", "input__"),
}
ALL = ("ntk", "ntk_tensors", "dntk", "ntk_spectrum")


class Model:
    """Outputs z_ia = W_i.s_a and their tangent kernel, given one of two states of what is below.

    Theta_{ia,jb} = M_ab delta_ij + W_i L_ab W_j with L_ab = q_a q_b^T, and
    dH_{ijk;abc} = W_i.p_a t_bc delta_jk + W_k.r_c y_ab delta_ij + W_j.r_b y_ac delta_ik
    + W_i.p_a W_j.r_b W_k.r_c. Components of W have mean 0 and variance 1; s, q, M and t differ
    between the states.
    """

    def __init__(self, inputs, seed=0, size=3, aligned=0.0):
        rng = np.random.default_rng(seed)
        self.inputs, self.size = inputs, size
        self.s = rng.standard_normal((2, inputs, size))
        self.q = 0.5 * rng.standard_normal((2, inputs, size, size))
        if aligned:
            # Gradients along the outputs, as in networks of one scale.
            self.q = 0.2 * self.q + aligned * self.s[..., None] * np.eye(1, size)[0]
        root = rng.standard_normal((2, inputs, inputs))
        self.m = np.einsum("sax,sbx->sab", root, root)
        self.p, self.r = rng.standard_normal((2, inputs, size))
        self.y = rng.standard_normal((inputs, inputs))
        t = rng.standard_normal((2, inputs, inputs))
        self.t = t + t.swapaxes(1, 2)
        self.L = np.einsum("saxu,sbyu->sabxy", self.q, self.q)

    def draw(self, networks, outputs, rng, uniform=False):
        """What a sampler would record, arrays by name."""
        shape = (networks, outputs, self.size)
        w = rng.uniform(-(3**0.5), 3**0.5, shape) if uniform else rng.standard_normal(shape)
        state = rng.integers(0, 2, networks)
        one = np.eye(outputs)
        z = np.einsum("nix,nax->nia", w, self.s[state])
        along = np.einsum("nix,naxu->niau", w, self.q[state])
        theta = np.einsum("niau,njbu->nijab", along, along)
        theta += np.einsum("nab,ij->nijab", self.m[state], one)
        kernel = np.einsum("nax,nbx->nab", self.s[state], self.s[state])
        a, b = pairs(self.inputs).T
        wp, wr = (np.einsum("nix,ax->nia", w, v) for v in (self.p, self.r))
        d = np.einsum("nia,nbc,jk->nijkabc", wp, self.t[state], one)
        d += np.einsum("nkc,ab,ij->nijkabc", wr, self.y, one)
        d += np.einsum("njb,ac,ik->nijkabc", wr, self.y, one)
        d += np.einsum("nia,njb,nkc->nijkabc", wp, wr, wr)
        return {
            "ntk": theta,
            "output_preactivation": z,
            "conditional_kernel": kernel[:, a, b],
            "dntk": d,
        }

    def truth(self, kurtosis=0.0):
        """Expectations by Wick's theorem for W of that excess kurtosis, for equal odds."""
        n = range(self.inputs)
        p = pairs(self.inputs)
        couples = list(product(n, n))
        kernel = np.einsum("sax,sbx->sab", self.s, self.s)
        mean = self.m + np.einsum("sabxx->sab", self.L)

        def covariance(x, y):
            return np.array(
                [
                    [np.mean((x - x.mean(0))[:, a, b] * (y - y.mean(0))[:, c, d]) for c, d in p]
                    for a, b in p
                ]
            )

        def twice(function):
            """Mean over states for every two couples."""
            return np.array(
                [
                    [np.mean([function(s, *i, *j) for s in range(2)]) for j in couples]
                    for i in couples
                ]
            )

        def b_tensor(s, a, b, c, d):
            return np.sum(self.L[s, a, b] * self.L[s, c, d])

        def f_tensor(s, a, b, c, d):
            return self.s[s, a] @ self.L[s, c, d] @ self.s[s, b]

        def spread(s, a, b, c, d):
            one, two = self.L[s, a, b], self.L[s, c, d]
            wick = np.trace(one @ two) + np.sum(one * two)
            return wick + kurtosis * np.sum(np.diag(one) * np.diag(two))

        def p_tensor(s, a, b, c, d):
            return self.p[a] @ self.s[s, d] * (self.t[s, b, c] + self.r[b] @ self.r[c])

        def q_tensor(s, a, b, c, d):
            return self.r[c] @ self.s[s, d] * (self.y[a, b] + self.p[a] @ self.r[b])

        B = twice(b_tensor)
        A = covariance(mean, mean)
        place = [couples.index(tuple(x)) for x in p]
        variance = A + twice(spread)[np.ix_(place, place)]
        squares = [variance[k, k] + mean.mean(0)[a, b] ** 2 for k, (a, b) in enumerate(p)]
        second = np.array(
            [squares[k] / mean.mean(0)[a, a] ** 2 for k, (a, b) in enumerate(p) if a == b]
        )
        return {
            "ntk": mean.mean(0),
            "ntk_variance": variance,
            "ntk_second_moment": second,
            "ntk_A": A,
            "ntk_B": B,
            "ntk_D": covariance(kernel, mean),
            "ntk_F": twice(f_tensor),
            "dntk_P": twice(p_tensor),
            "dntk_Q": twice(q_tensor),
        }


def dataset(arrays):
    networks, outputs = arrays["ntk"].shape[:2]
    return xr.Dataset(
        {name: (("network", *DIMS[name]), values) for name, values in arrays.items()},
        coords={
            "network": np.arange(networks), "layer": [4], "width": ("layer", [max(outputs, 2)]),
        },
    )  # fmt: skip


def found(arrays, families=ALL, blocks=3, **options):
    networks = len(arrays["ntk"])
    with np.errstate(all="raise"):
        return estimate_ntk(
            Samples([dataset(arrays)]), families, block_bounds(networks, blocks), **options
        )


def small(inputs=2, outputs=3, networks=6, seed=3):
    rng = np.random.default_rng(seed)
    arrays = Model(inputs).draw(networks, outputs, rng)
    noise = rng.standard_normal(arrays["dntk"].shape)
    # Second derivatives commute.
    arrays["dntk"] += noise + noise.swapaxes(2, 3).swapaxes(5, 6)
    return arrays


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def apart(x, y):
    """E[x] E[y] from products over different networks; x, y have shape (network, output)."""
    return mean(x[m].mean() * y[k].mean() for m in range(len(x)) for k in range(len(x)) if m != k)


@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_moments_are_loops_over_networks_and_outputs(inputs, outputs):
    arrays = small(inputs, outputs)
    theta, p = arrays["ntk"], pairs(inputs)
    result = found(arrays, ["ntk"])
    own = {(a, b): np.array([[x[i, i, a, b] for i in range(outputs)] for x in theta]) for a, b in p}
    for k, (a, b) in enumerate(p):
        one = result["ntk"].value[0]
        assert one[a, b] == one[b, a] == pytest.approx(own[a, b].mean())
        for m, (c, d) in enumerate(p):
            joint = mean((own[a, b] * own[c, d]).ravel())
            expected = joint - apart(own[a, b], own[c, d])
            assert result["ntk_variance"].value[0, k, m] == pytest.approx(expected)
    for a in range(inputs):
        x = own[a, a]

        def ratio(kept, x=x):
            return np.mean(x[kept] ** 2) / np.mean(x[kept]) ** 2

        without = mean(
            ratio([0, 1, 2, 3, 4, 5][: 2 * b] + [0, 1, 2, 3, 4, 5][2 * b + 2 :]) for b in range(3)
        )
        expected = 3 * ratio(slice(None)) - 2 * without
        assert result["ntk_second_moment"].value[0, a] == pytest.approx(expected)


@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("outputs", [2, 3])
def test_tensors_are_loops_over_networks_and_pairs_of_outputs(inputs, outputs):
    arrays = small(inputs, outputs)
    theta, z, kernel = arrays["ntk"], arrays["output_preactivation"], arrays["conditional_kernel"]
    p, networks = pairs(inputs), range(len(theta))
    couples = list(product(range(inputs), repeat=2))
    two = list(permutations(range(outputs), 2))
    result = found(arrays, ["ntk_tensors"])
    own = np.einsum("niiab->niab", theta)
    for k, (a, b) in enumerate(p):
        for m, (c, d) in enumerate(p):
            x, y, g = own[:, :, a, b], own[:, :, c, d], kernel[:, k, None]
            joint = mean(x[n, i] * y[n, j] for n in networks for i, j in two)
            assert result["ntk_A"].value[0, k, m] == pytest.approx(joint - apart(x, y))
            joint = mean((g * y).ravel())
            assert result["ntk_D"].value[0, k, m] == pytest.approx(joint - apart(g, y))
    for (k, (a, b)), (m, (c, d)) in product(enumerate(couples), repeat=2):
        B = mean(theta[n, i, j, a, b] * theta[n, i, j, c, d] for n in networks for i, j in two)
        F = mean(z[n, i, a] * z[n, j, b] * theta[n, i, j, c, d] for n in networks for i, j in two)
        assert result["ntk_B"].value[0, k, m] == pytest.approx(B)
        assert result["ntk_F"].value[0, k, m] == pytest.approx(F)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("outputs", [2, 3])
def test_differentials_are_loops_over_networks_and_pairs_of_outputs(inputs, outputs):
    arrays = small(inputs, outputs)
    h, z = arrays["dntk"], arrays["output_preactivation"]
    result = found(arrays, ["dntk"])
    couples = list(product(range(inputs), repeat=2))
    two = list(product(range(len(z)), permutations(range(outputs), 2)))
    for (k, (a, b)), (m, (c, d)) in product(enumerate(couples), repeat=2):
        P = mean(h[n, i, j, j, a, b, c] * z[n, i, d] for n, (i, j) in two)
        Q = mean(h[n, i, i, j, a, b, c] * z[n, j, d] for n, (i, j) in two)
        assert result["dntk_P"].value[0, k, m] == pytest.approx(P)
        assert result["dntk_Q"].value[0, k, m] == pytest.approx(Q)


def rotated(arrays, o):
    """The same networks with their outputs rotated, z -> o z."""
    return arrays | {
        "output_preactivation": np.einsum("ij,nja->nia", o, arrays["output_preactivation"]),
        "ntk": np.einsum("ij,kl,njlab->nikab", o, o, arrays["ntk"]),
        "dntk": np.einsum("iu,jv,kw,nuvwabc->nijkabc", o, o, o, arrays["dntk"]),
    }


@pytest.mark.parametrize("inputs", [1, 2])
def test_an_isotropic_estimate_is_the_mean_over_all_rotations(inputs):
    # Of polynomials of degree 4 in the rotation, 8 angles give the mean over the circle exactly.
    arrays = small(inputs, outputs=2)
    families = ("ntk", "ntk_tensors", "dntk")
    turned = []
    for angle, sign in product(2 * np.pi * np.arange(8) / 8, (1, -1)):
        c, s = np.cos(angle), np.sin(angle)
        turned.append(found(rotated(arrays, np.array([[c, -s], [sign * s, sign * c]])), families))
    result = found(arrays, families, isotropic=True)
    for name in result:
        if name != "ntk_second_moment":
            expected = mean(one[name].value for one in turned)
            np.testing.assert_allclose(result[name].value, expected, rtol=1e-9, atol=1e-9)
    plain = found(arrays, families)
    assert not np.allclose(plain["ntk_B"].value, result["ntk_B"].value)


@pytest.mark.parametrize("outputs", [2, 3])
def test_isotropic_estimates_do_not_change_when_outputs_are_rotated(outputs):
    arrays = small(outputs=outputs)
    o = np.linalg.qr(np.random.default_rng(0).standard_normal((outputs, outputs)))[0]
    families = ("ntk", "ntk_tensors", "dntk")
    one = found(arrays, families, isotropic=True)
    other = found(rotated(arrays, o), families, isotropic=True)
    for name in one:
        np.testing.assert_allclose(other[name].value, one[name].value, rtol=1e-9, atol=1e-9)


def test_errors_are_those_of_leaving_out_blocks_word_for_word():
    arrays = small(networks=12)

    def alone(kept):
        kept = {name: np.delete(values, kept, axis=0) for name, values in arrays.items()}
        return found(kept, blocks=6 if len(kept["ntk"]) == 12 else 5)

    whole = alone([])
    without = [alone([2 * b, 2 * b + 1]) for b in range(6)]
    for name in ("ntk", "ntk_variance", "ntk_A", "ntk_B", "ntk_D", "ntk_F", "dntk_P", "dntk_Q"):
        values = np.array([one[name].value for one in without])
        expected = np.sqrt(5 * np.var(values, axis=0))
        np.testing.assert_allclose(whole[name].stderr, expected, rtol=1e-8)


def test_the_control_of_f_is_a_regression_over_blocks():
    blocks, size = 60, 5
    arrays = Model(1, aligned=1.0).draw(blocks * size, 2, np.random.default_rng(5))
    z, theta = arrays["output_preactivation"][..., 0], arrays["ntk"][..., 0, 0]
    f = (z[:, 0] * z[:, 1] * theta[:, 0, 1]).reshape(blocks, size).mean(axis=1)
    c = z[:, 0] ** 2 * z[:, 1] ** 2 - arrays["conditional_kernel"][:, 0] ** 2
    c = c.reshape(blocks, size).mean(axis=1)

    def at_zero(kept):
        return np.polynomial.polynomial.polyfit(c[kept], f[kept], 1)[0]

    every = np.arange(blocks)
    without = np.array([at_zero(every != b) for b in every])
    expected = blocks * at_zero(every) - (blocks - 1) * without.mean()
    result = found(arrays, ["ntk_tensors"], blocks=blocks)["ntk_F"]
    assert result.value.item() == pytest.approx(expected)
    assert result.stderr.item() == pytest.approx(np.sqrt((blocks - 1) * np.var(without)))
    # What it is for: a fraction of the error that f has by itself.
    assert result.stderr.item() < 0.7 * f.std() / np.sqrt(blocks)


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("outputs", [2, 3])
def test_a_control_that_is_all_there_is_leaves_no_error(outputs, isotropic):
    # Of Gaussian outputs with one kernel G, and tensors that are products of them, the control is
    # the number itself but for its mean, which Wick's theorem gives: i and j pair apart.
    mixing = np.array([[1.0, 0.4], [-0.3, 0.8]])
    z = np.random.default_rng(6).standard_normal((300, outputs, 2)) @ mixing
    G = mixing.T @ mixing
    arrays = {
        "ntk": np.einsum("nia,njb->nijab", z, z),
        "output_preactivation": z,
        "conditional_kernel": np.tile(G[[0, 0, 1], [0, 1, 1]], (300, 1)),
        "dntk": np.einsum("nia,njb,nkc->nijkabc", z, z, z),
    }
    result = found(arrays, ALL[:3], blocks=60, isotropic=isotropic)
    expected = {
        "ntk_F": np.einsum("ac,bd->abcd", G, G),
        "dntk_P": np.einsum("ad,bc->abcd", G, G),
        "dntk_Q": np.einsum("ab,cd->abcd", G, G),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(result[name].value[0], value.reshape(4, 4), atol=1e-12)
        assert np.isnan(result[name].stderr).all()
        assert (result[name].reason == Reason.NO_SPREAD).all()
    del arrays["conditional_kernel"]
    without = found(arrays, ["dntk"], blocks=60, isotropic=isotropic)
    assert without["dntk_P"].stderr.min() > 0.01


@pytest.mark.parametrize(
    ("inputs", "outputs", "uniform", "isotropic"),
    [(2, 2, True, False), (2, 3, False, True), (1, 4, False, True), (3, 2, False, False)],
)
def test_tensors_of_a_model_are_found(inputs, outputs, uniform, isotropic):
    # Each number within 4.8 standard errors: a false alarm in 600,000 for one, in 2500 for the 240
    # of this test's largest case. With uniform W only those that a single output's fourth moment
    # enters change, so the model tells whether outputs are mixed up.
    model = Model(inputs, seed=inputs)
    arrays = model.draw(80_000, outputs, np.random.default_rng(7), uniform)
    result = found(arrays, ALL[:3], blocks=500, isotropic=isotropic)
    for name, truth in model.truth(-6 / 5 if uniform else 0.0).items():
        one = result[name]
        assert one.value.shape == (1, *truth.shape)
        assert one.trusted.all(), name
        z = (one.value[0] - truth) / one.stderr[0]
        assert np.abs(z).max() < 4.8, (name, z)


def test_rotations_are_not_for_uniform_weights():
    model = Model(1)
    arrays = model.draw(200_000, 2, np.random.default_rng(8), uniform=True)
    wrong = found(arrays, ["ntk_tensors"], blocks=500, isotropic=True)["ntk_B"]
    assert abs(wrong.value.item() - model.truth()["ntk_B"].item()) > 10 * wrong.stderr.item()


@pytest.mark.parametrize("isotropic", [False, True])
def test_errors_are_right_on_average(isotropic):
    # z-scores of 150 ensembles: their standard deviation has one of 6 % itself, their mean one of
    # 0.08, so the bounds are 4.3 of these: a false alarm of any of the 18 in 3000 runs.
    model, rng = Model(1, seed=4, aligned=0.5), np.random.default_rng(9)
    truth = model.truth()
    scores = {name: [] for name in truth}
    for _ in range(150):
        arrays = model.draw(2000, 2, rng)
        result = found(arrays, ALL[:3], blocks=60, isotropic=isotropic)
        for name in truth:
            difference = result[name].value[0] - truth[name]
            scores[name].append((difference / result[name].stderr[0]).item())
    for name, z in scores.items():
        assert 0.75 < np.std(z) < 1.25, (name, np.std(z))
        assert abs(np.mean(z)) < 0.35, (name, np.mean(z))


def test_covariances_are_unbiased_from_four_networks():
    # Bound: five standard errors of the mean over 1000 ensembles, a false alarm in 2 million each.
    model, rng = Model(1, seed=5), np.random.default_rng(10)
    names = ("ntk_variance", "ntk_A", "ntk_D", "ntk_B", "ntk_F")
    values = {name: [] for name in names}
    for _ in range(1000):
        result = found(model.draw(4, 2, rng), ALL[:2], blocks=4)
        for name in names:
            values[name].append(result[name].value.item())
    for name, x in values.items():
        error = np.std(x) / np.sqrt(len(x))
        assert abs(np.mean(x) - model.truth()[name].item()) < 5 * error, name


def test_rotations_make_errors_smaller():
    # Errors of 500 blocks have errors of 3 %; of two outputs, variances are to be halved at best.
    arrays = Model(1).draw(20_000, 2, np.random.default_rng(11))
    plain, turned = (found(arrays, ALL[:2], blocks=500, isotropic=i) for i in (False, True))
    for name in ("ntk_B", "ntk_F"):
        gain = (plain[name].stderr / turned[name].stderr).item() ** 2
        assert gain > 1.5, (name, gain)


def test_eigenvalues_are_those_of_each_output():
    arrays = small(inputs=2, outputs=3)
    result = found(arrays, ["ntk_spectrum"])
    most, least = [], []
    for x in arrays["ntk"]:
        for i in range(3):
            (a, b), (_, d) = x[i, i]
            root = np.sqrt((a - d) ** 2 / 4 + b**2)
            most.append((a + d) / 2 + root)
            least.append((a * d - b**2) / most[-1])
    np.testing.assert_allclose(result["ntk_eigenvalue"].value, [[np.mean(most), np.mean(least)]])
    expected = np.mean(np.log(np.array(most) / least))
    np.testing.assert_allclose(result["ntk_log_condition"].value, [expected])


def test_eigenvalues_of_three_inputs_have_the_traces_of_their_matrices():
    arrays = small(inputs=3, outputs=1)
    values = found(arrays, ["ntk_spectrum"])["ntk_eigenvalue"].value[0]
    assert values.sum() == pytest.approx(np.einsum("niiaa->n", arrays["ntk"]).mean())
    assert values[0] > values[1] > values[2] > 0


@pytest.mark.parametrize("matrix", [np.ones((2, 2)), np.zeros((2, 2)), np.diag([1.0, 1e-300])])
def test_a_singular_matrix_has_no_condition_number(matrix):
    arrays = small(networks=60)
    arrays["ntk"][17, 1, 1] = matrix
    result = found(arrays, ["ntk_spectrum"], blocks=60)
    assert np.isnan(result["ntk_log_condition"].value)
    assert not result["ntk_log_condition"].trusted
    assert result["ntk_eigenvalue"].trusted.all()


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_of_one_output_what_takes_two_is_left_out(inputs):
    arrays = small(inputs, outputs=1, networks=60)
    families = ALL if inputs > 1 else ALL[:3]
    result = found(arrays, families, blocks=60, isotropic=True)
    expected = {"ntk", "ntk_variance", "ntk_second_moment", "ntk_D"}
    if inputs > 1:
        expected |= {"ntk_eigenvalue", "ntk_log_condition"}
    assert set(result) == expected
    del arrays["output_preactivation"], arrays["dntk"]
    alone = found(arrays, families, blocks=60)
    for name in expected:
        np.testing.assert_array_equal(alone[name].value, result[name].value)


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_spoils_its_own_input_alone(bad, isotropic):
    arrays = small(networks=600)
    clean = found(arrays, ALL, blocks=60, isotropic=isotropic)
    spoilt = {name: values.copy() for name, values in arrays.items()}
    spoilt["ntk"][3, :, :, 0] = spoilt["ntk"][3, :, :, :, 0] = bad
    spoilt["output_preactivation"][3, :, 0] = bad
    spoilt["conditional_kernel"][3, :2] = bad
    spoilt["dntk"][3, ..., 0, :, :] = bad
    result = estimate_ntk(
        Samples([dataset(spoilt)]), ALL, block_bounds(600, 60), isotropic=isotropic
    )
    assert not result["ntk_eigenvalue"].trusted.any()
    assert not result["ntk_log_condition"].trusted.any()
    for name in ("ntk", "ntk_variance", "ntk_second_moment", "ntk_A", "ntk_B", "ntk_D", "ntk_F"):
        one, last = result[name], (-1,) * result[name].value.ndim
        np.testing.assert_allclose(one.value[last], clean[name].value[last], rtol=1e-12)
        assert one.trusted[last] == clean[name].trusted[last], name
        assert np.isnan(one.value[(0,) * one.value.ndim]), name
        assert not one.trusted[(0,) * one.value.ndim], name
    for name in ("dntk_P", "dntk_Q"):
        assert not result[name].trusted[0, :2].any()
        assert result[name].trusted[0, 3, 3] == clean[name].trusted[0, 3, 3], name
        np.testing.assert_allclose(result[name].value[0, 3, 3], clean[name].value[0, 3, 3])


@pytest.mark.parametrize("factor", [1e-120, 1e120])
def test_other_units_change_nothing_but_the_units(factor):
    arrays = small(networks=60)
    scaled = arrays | {"ntk": factor * arrays["ntk"]}
    one, other = (found(x, ALL, blocks=60) for x in (arrays, scaled))
    powers = {
        "ntk": 1, "ntk_variance": 2, "ntk_second_moment": 0, "ntk_A": 2, "ntk_B": 2, "ntk_D": 1,
        "ntk_F": 1, "ntk_eigenvalue": 1, "ntk_log_condition": 0,
    }  # fmt: skip
    for name, power in powers.items():
        expected = one[name].value * factor**power
        np.testing.assert_allclose(other[name].value, expected, rtol=1e-9)
        np.testing.assert_array_equal(other[name].trusted, one[name].trusted)


@pytest.mark.parametrize("factor", [1e-170, 1e170])
def test_what_leaves_the_range_of_floats_is_untrusted_without_a_word(factor, recwarn):
    arrays = small(networks=600)
    result = found(arrays | {"ntk": factor * arrays["ntk"]}, ALL, blocks=60, isotropic=True)
    for name in ("ntk_variance", "ntk_A", "ntk_B"):
        assert not result[name].trusted.any()
    assert result["ntk_second_moment"].trusted.all()
    assert not list(recwarn)


def test_kernels_that_do_not_vary_have_no_covariance_and_no_error():
    arrays = small(networks=60)
    arrays["ntk"][:] = np.einsum("ij,ab->ijab", np.eye(3), [[0.1, 0.3], [0.3, 1.7]])
    result = found(arrays, ALL, blocks=60)
    np.testing.assert_allclose(result["ntk"].value[0], [[0.1, 0.3], [0.3, 1.7]], rtol=1e-15)
    for name in ("ntk_variance", "ntk_A", "ntk_B", "ntk_D", "ntk_F"):
        np.testing.assert_array_equal(result[name].value, 0)
        assert not result[name].trusted.any()
    assert not result["ntk"].trusted.any()


def test_networks_of_zeros_are_zeros():
    arrays = {name: np.zeros_like(values) for name, values in small(networks=60).items()}
    result = found(arrays, ALL[:3], blocks=60)
    for name in ("ntk", "ntk_A", "ntk_B", "ntk_D", "ntk_F", "dntk_P", "dntk_Q"):
        np.testing.assert_array_equal(result[name].value, 0)
        assert not result[name].trusted.any()
    assert np.isnan(result["ntk_second_moment"].value).all()


def test_many_networks_in_a_block_are_taken_in_parts(monkeypatch):
    arrays = small(networks=90)
    whole = found(arrays)
    monkeypatch.setattr("finitewidth.estimate.ntk.scaled_kernels._CHUNK", 7)
    parts = found(arrays)
    for name in whole:
        np.testing.assert_allclose(parts[name].value, whole[name].value, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "families", "message"),
    [
        (lambda x: x, ["magic"], "unknown family 'magic'; allowed are ntk, ntk_tensors"),
        (lambda x: x.drop_vars("ntk"), ["ntk_spectrum"], "ntk_spectrum needs the variable ntk"),
        (
            lambda x: x.drop_vars("conditional_kernel"),
            ["ntk_tensors"],
            "needs the variable conditional_kernel",
        ),
        (
            lambda x: x.drop_vars("output_preactivation"),
            ["ntk_tensors"],
            "needs the variable output_preactivation",
        ),
        (lambda x: x.drop_vars("dntk"), ["dntk"], "dntk needs the variable dntk"),
        (
            lambda x: x.isel(pair=slice(0, 2)),
            ["ntk_tensors"],
            r"conditional_kernel has the shape \(2,\) a network, not \(3,\)",
        ),
        (lambda x: x.isel(input_=[0]), ["ntk"], "ntk has the shape"),
        (
            lambda x: x.isel(input=[0], input_=[0], input__=[0], pair=[0]),
            ["ntk_spectrum"],
            "at least 2 inputs, not 1",
        ),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_a_sentence(change, families, message):
    samples = Samples([change(dataset(small(networks=60)))])
    with pytest.raises(ValueError, match=message) as error:
        estimate_ntk(samples, families, block_bounds(60))
    assert "\n" not in str(error.value)
