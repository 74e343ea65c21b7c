"""Sweeps over width extrapolated as ladders are, on estimates whose truth is known."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.comparison.compare import table
from finitewidth.comparison.results import MemberResults, Study
from finitewidth.comparison.sweeps import extrapolate_sweep, groups
from finitewidth.core.reasons import Reason
from finitewidth.estimate.families import estimate
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_ntk import predict_ntk
from small_members import networks

WIDTHS = [16, 24, 48, 96]
DIMS = ("layer", "couple", "couple_")
#: Coefficients of 1/n, 1/n^2 and 1/n^3, for each of four draws.
TRUTH = np.array([3.0, -7.0, 11.0])


def made(stream, name="ntk_F", draws=4, wrong=0.0, truth=TRUTH):
    """Members of all widths with the truth above, and errors of their own."""
    estimates, theory = [], []
    for n in WIDTHS:
        size = 0.02 / n
        mean = (1.0 / n) ** np.arange(1, 4) @ truth + wrong * np.sin(n) / n
        value = mean + size * stream.standard_normal((1, draws, 1))
        coords = {"layer": [4], "width": ("layer", [n])}
        estimates.append(
            xr.Dataset(
                {
                    name: (DIMS, value, {"long_name": "F"}),
                    f"{name}_stderr": (DIMS, np.full_like(value, size)),
                    f"{name}_reason": (DIMS, np.zeros(value.shape, np.int8)),
                    f"{name}_diagnostic": (DIMS, np.full(value.shape, np.nan, np.float32)),
                },
                coords=coords,
            )
        )
        first = np.stack([np.zeros_like(value), np.full_like(value, truth[0] / n)])
        about = {"long_name": "F", "equation": "docs/theory.md 9.3"}
        theory.append(
            xr.Dataset(
                {name: (("order", *DIMS), first, about)},
                coords={"order": ["infinite_width", "1/n"], **coords},
            )
        )
    return estimates, theory


def test_coefficients_are_those_of_the_expansion_within_their_errors():
    # 2000 fits: the mean of z has an error of 0.022, its standard deviation one of 0.016, and the
    # share of fits with p < 0.1 one of 0.007; at four of these the false-alarm rate is 4e-4.
    found, known = extrapolate_sweep(WIDTHS, *made(np.random.default_rng(1), draws=2000))
    for power in (1, 2):
        z = (found[f"ntk_F_{power}"] - TRUTH[power - 1]) / found[f"ntk_F_{power}_stderr"]
        assert abs(float(z.mean())) < 4 / np.sqrt(2000)
        assert abs(float(z.std()) - 1) < 4 / np.sqrt(4000)
        assert found[f"ntk_F_{power}_trusted"].mean() > 0.99
        assert "4 widths" in found[f"ntk_F_{power}"].attrs["estimator"]
    assert known["ntk_F_1"].dims == ("order", *DIMS)
    assert np.allclose(known["ntk_F_1"].sel(order="1/n"), TRUTH[0])
    assert (known["ntk_F_1_neglected"] == 0).all()
    assert "ntk_F_2" not in known


def test_widths_that_no_expansion_describes_are_not_trusted():
    found, _ = extrapolate_sweep(WIDTHS, *made(np.random.default_rng(2), wrong=0.3))
    assert (found["ntk_F_1_reason"] == Reason.NO_FIT).all()


def test_a_width_that_is_not_trusted_is_named():
    estimates, theory = made(np.random.default_rng(3))
    estimates[2]["ntk_F_reason"][0, 1, 0] = Reason.SKEW
    found, _ = extrapolate_sweep(WIDTHS, estimates, theory)
    assert found["ntk_F_1_reason"].values.ravel().tolist() == [0, Reason.SKEW, 0, 0]


@pytest.mark.parametrize("first", [lambda n: 3.0, lambda n: np.nan])
def test_what_has_no_expansion_with_one_coefficient_is_not_fitted(first):
    """Learning rates that grow with the width, say: n times the first order depends on n."""
    estimates, theory = made(np.random.default_rng(4))
    for n, one in zip(WIDTHS, theory, strict=True):
        one["ntk_F"].loc[{"order": "1/n"}] = first(n)
    found, known = extrapolate_sweep(WIDTHS, estimates, theory)
    assert not found.data_vars
    assert not known.data_vars


@pytest.mark.parametrize(("name", "narrow"), [("kernel_drift", False), ("frozen_mean", True)])
def test_narrow_networks_tell_nothing_of_motion(name, narrow):
    """Four widths of 32 and more beside one of 16, whose value is far off."""
    widths = [16, 32, 48, 64, 96]
    each = [made(np.random.default_rng(k), name=name) for k in range(5)]
    estimates, theory = ([one[k][0].copy(deep=True) for one in each] for k in (0, 1))
    for n, e, t in zip(widths, estimates, theory, strict=True):
        size = 0.02 / n
        shape = e[name].shape
        noise = np.random.default_rng(n).standard_normal(shape)
        e[name][:] = (1.0 / n) ** np.arange(1, 4) @ TRUTH + size * noise + (n == 16)
        e[f"{name}_stderr"][:] = size
        t[name].loc[{"order": "1/n"}] = TRUTH[0] / n
    found, _ = extrapolate_sweep(widths, estimates, theory)
    z = (found[f"{name}_1"] - TRUTH[0]) / found[f"{name}_1_stderr"]
    # Four numbers beyond 4.5: one choice of seeds in 40 000.
    assert bool((np.abs(z) > 4.5).all()) is narrow
    assert ("5 widths" if narrow else "4 widths") in found[f"{name}_1"].attrs["estimator"]
    found, _ = extrapolate_sweep(widths[:4], estimates[:4], theory[:4])
    assert (f"{name}_1" in found) is narrow


def test_a_coefficient_of_quasi_random_points_says_how_well_it_is_known():
    estimates, theory = made(np.random.default_rng(6), name="frozen_mean")
    for n, one in zip(WIDTHS, theory, strict=True):
        one["frozen_mean_points"] = (DIMS, np.full(one["frozen_mean"].shape[1:], 0.3 / n))
    _, known = extrapolate_sweep(WIDTHS, estimates, theory)
    assert np.allclose(known["frozen_mean_1_neglected"], 0.3)


def about(width, ensemble="e", **more):
    return networks(ensemble=ensemble, width=width, **more)


def test_members_that_differ_in_their_width_alone_are_a_sweep():
    members = [(about(n), {"width": n, "depth": L}) for L in (2, 3) for n in (48, 16, 96, 24)]
    members += [(about(n, "f"), {"width": n}) for n in (8, 16, 32)]
    members += [(about(n, "g"), {"depth": 2}) for n in (8, 16, 32, 64)]
    found = groups(members)
    assert [[members[k][0].width for k in g] for g in found] == [[16, 24, 48, 96]] * 2
    assert {members[k][1]["depth"] for k in found[0]} == {2}


@pytest.fixture(scope="module")
def sampled():
    """Leaky ReLU on two inputs in layer 3: more than the first order, and exact diagonals."""
    x = np.array([[1.0, -0.5, 0.3], [0.8, 0.9, -0.2]])
    members = []
    for n in (8, 12, 20, 40):
        mlp = Perceptron.uniform_width(
            "leaky_relu(0.3)", dimension=3, width=n, depth=3, C_b=0.1, C_W=1.5, outputs=4
        )
        rates = LearningRates.named("pdlt", mlp, 0.5, 1.2)
        name = ("e", str(n))
        samples = sample_ntk(mlp, rates, x, networks=8000, seed=5, name=name, outputs=4,
                             sampler="explicit", measure=("ntk", "dntk"))  # fmt: skip
        families = ["ntk_tensors", "dntk"]
        found = estimate([samples], families, isotropic=True, seed=5, ensemble="e", member=str(n))
        theory = predict_ntk(mlp, rates, x, [3], families)
        theory = with_neglected(theory, [mlp], x, [rates])
        members.append(MemberResults(about(n), {"width": n}, found, theory))
    fitted = extrapolate_sweep(
        [m.about.width for m in members],
        [m.estimates for m in members],
        [m.theory for m in members],
    )
    sweep = MemberResults(members[-1].about, {}, *fitted)
    return table(Study("s", None, None, members, [sweep]))


def test_measured_tensors_extrapolate_to_the_first_order(sampled):
    """67 entries of six tensors: beyond 4.5 in less than one of 2000 choices of the seed."""
    ends = sampled[sampled["quantity"].str.fullmatch(r"(ntk_[ABDF]|dntk_[PQ])_1")]
    assert set(ends["quantity"]) == {"ntk_A_1", "ntk_B_1", "ntk_D_1", "ntk_F_1", "dntk_P_1",
                                     "dntk_Q_1"}  # fmt: skip
    assert ends["width"].isna().all()
    trusted = ends[ends["trusted"]]
    assert len(trusted) > 0.7 * len(ends)
    assert (trusted["holds"]).all()
    assert trusted["z"].abs().max() < 4.5
    # A coefficient stands once for each number that its quantity has.
    count = sampled[(sampled["width"] == 8) & (sampled["order"] == "1/n")][
        "quantity"
    ].value_counts()
    for name, number in ends["quantity"].value_counts().items():
        assert number == count[name.removesuffix("_1")]


def test_what_is_not_enough_at_a_width_does_not_hold_there(sampled):
    """At width 8 the first order is off by many errors, at 40 by few: z of what holds is normal."""
    first = sampled[(sampled["order"] == "1/n") & sampled["width"].notna() & sampled["trusted"]]
    assert first.loc[first["width"] == 8, "z"].abs().max() > 5
    assert (first.loc[~first["holds"], "z"].abs() > 3).any()
    holds = sampled[sampled["holds"]]
    assert holds["z"].abs().max() < 4.5
    assert 0.8 < holds["z"].std() < 1.2
