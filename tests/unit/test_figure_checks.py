"""Figures that nothing can be drawn of are refused before any job, by their names."""

import numpy as np
import pytest
import xarray as xr

from finitewidth.core.errors import ConfigError
from finitewidth.quantities.vocabulary import FIGURES, TRAINED_FAMILIES
from finitewidth.study.figure_checks import NEEDS, STUDY_NEEDS
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import validate

LADDER = {"ladder": [2, 3, 4, 6], "width": None, "measure": None}


TRAIN = {"train": {"inputs": "x", "times": [0.1]}}


def content(figure, count=2, families=None, dimension=3, **keys):
    """A study file of one ensemble that estimates all that the figure needs."""
    families = list(FIGURES[figure].families if families is None else families)
    study = {"ensembles": ["few"], "figures": [figure]}
    ensemble = {
        "activation": "linear", "init": {"C_W": 1.0}, "width": 4, "depth": 2, "inputs": "x",
        "networks": 50, "estimate": families, **keys,
    }  # fmt: skip
    trained = {}
    if set(families) & set(TRAINED_FAMILIES):
        mlp = {"data": "d", "mlp": [64, 4, 10], "epochs": 1, "learning_rate": 0.1, **keys}
        trained = {"data": {"d": {"kind": "digits"}}, "trained": {"few": mlp}}
        study["trained"] = study.pop("ensembles")
    given = {key: value for key, value in ensemble.items() if value is not None}
    return {
        "seed": 1,
        "inputs": {
            "x": {"kind": "sphere", "dimension": dimension, "count": count,
                  "targets": {"kind": "sine"}},
        },
        "ensembles": {} if trained else {"few": given},
        **trained,
        "studies": {"s": study},
    }  # fmt: skip


#: Figure -> an ensemble that it can be drawn of, and others that it cannot.
CASES = {
    "corrections": (LADDER, [LADDER | {"ladder": [2, 3, 4]}]),
    "ntk_corrections": (
        LADDER,
        [LADDER | {"ladder": [8]}, LADDER | {"ntk": {"parameterisation": "standard"}}],
    ),
    "two_inputs": (LADDER, [LADDER | {"ladder": [2, 3, 4]}, LADDER | {"count": 1}]),
    "output_density": (
        {},
        [{"activation": "relu"}, {"init": {"C_W": 1.0, "C_b": 0.1}},
         {"weights": "uniform", "sampler": "explicit"}],
    ),
    "intralayer": ({}, [{"depth": 1}, {"layers": ["first"]}]),
    "universality": (LADDER, [LADDER | {"layers": ["first"]}, LADDER | {"depth": 1}]),
    "breakdown_map": (
        {}, [{"depth": 1}, {"activation": "tanh", "weights": "uniform", "sampler": "explicit"}],
    ),
    "log_norm_moments": (
        {"depth": None, "network": {"blocks": [{"repeat": 2, "residual": {}}]}},
        [{"depth": 1}, {"activation": "tanh"}, {"layers": [1]},
         {"depth": None, "network": {"blocks": [{"repeat": 2, "residual": {"norm": "rms"}}]}}],
    ),
    "phase_diagram": ({}, [{"weights": "pytorch", "init": None, "sampler": "explicit"}]),
    "ntk_fluctuations": ({"measure": ["ntk"]}, [{"measure": ["ntk"], "depth": 1}]),
    "ntk_criticality": ({"measure": ["ntk"]}, [{"measure": ["ntk"], "depth": 1}]),
    "training": (TRAIN | {"dimension": 1, "count": 1}, [TRAIN]),
    "eigenvectors": ({}, [{"replicas": 1}]),
    "alignment": ({}, [{"replicas": 1}]),
}  # fmt: skip


def test_every_need_has_a_case():
    assert set(CASES) == set(NEEDS)


@pytest.mark.parametrize("figure", CASES)
def test_a_figure_is_refused_by_its_name_and_that_of_the_ensemble(figure):
    fits, others = CASES[figure]
    validate(content(figure, **fits))
    for keys in others:
        with pytest.raises(
            ConfigError, match=rf"studies.s.figures: given .{figure} of few"
        ) as told:
            validate(content(figure, **keys))
        assert NEEDS[figure][1] in str(told.value)


@pytest.mark.parametrize("figure", STUDY_NEEDS)
def test_a_figure_of_what_a_study_has_not_is_refused_with_words(figure):
    with pytest.raises(ConfigError, match=rf"given .{figure}.* of a study with") as told:
        validate(content(figure, families=FIGURES[figure].families or ["covariance"]))
    assert STUDY_NEEDS[figure][1] in str(told.value)


@pytest.mark.parametrize("figure", ["pooled_correlator", "intralayer", "breakdown_map"])
def test_one_ensemble_has_to_estimate_all_that_a_figure_needs(figure):
    given = content(figure, families=["covariance"])
    given["ensembles"]["other"] = given["ensembles"]["few"] | {"estimate": ["four_point"]}
    given["studies"]["s"]["ensembles"].append("other")
    with pytest.raises(ConfigError, match=f"given .{figure} of few, other.* covariance and four_p"):
        validate(given)


@pytest.fixture
def array(tmp_path):
    """The content of a study on a user's array, and what checks it."""

    def checked(shape, estimate, ending="npy", **keys):
        x = np.ones(shape)
        if ending == "npy":
            np.save(tmp_path / "x.npy", x)
        else:
            dims = [f"d{k}" for k in range(len(shape))]
            xr.Dataset({"v": (dims, x)}).to_netcdf(tmp_path / "x.nc")
        given = content("kernel_flow", families=estimate, **keys)
        del given["studies"]
        spec = {"kind": "array", "file": f"x.{ending}"}
        given["inputs"]["x"] = spec | ({"variable": "v"} if ending == "nc" else {})
        check_given(validate(given), tmp_path)

    return checked


@pytest.mark.parametrize("ending", ["npy", "nc"])
def test_rows_of_an_array_count_before_any_job(array, ending):
    array((2, 3), ["correlation"], ending)
    for shape, estimate, keys, words in (
        ((1, 3), ["correlation"], {}, "correlation for two or more inputs"),
        ((1, 3), ["ntk_spectrum"], {"measure": ["ntk"]}, "ntk_spectrum for two or more"),
        ((40, 3), ["kernel_moments"], LADDER, "at most 8 vectors for a ladder"),
        ((9, 3), ["four_point"], {}, "four_point on at most 8 inputs"),
        ((17, 3), ["ntk"], {"measure": ["ntk"]}, "ntk on at most 16 inputs"),
        ((20_000, 1), ["covariance"], {}, "one network leaves at most 256 MiB"),
        ((3, 0), ["covariance"], {}, r"given \"array of shape \(3, 0\)\""),
        ((0, 3), ["covariance"], {}, r"given \"array of shape \(0, 3\)\""),
        ((4,), ["covariance"], {}, r"given \"array of shape \(4,\)\""),
        ((2, 3, 4), ["covariance"], {}, r"given \"array of shape \(2, 3, 4\)\""),
    ):
        with pytest.raises(ConfigError, match=words):
            array(shape, estimate, ending, **keys)


def test_an_array_that_is_not_there_is_refused_where_it_is_used(tmp_path):
    given = content("covariance")
    given["inputs"]["unused"] = {"kind": "array", "file": "unused.npy"}
    check_given(validate(given), tmp_path)
    given["inputs"]["x"] = {"kind": "array", "file": "x.npy"}
    with pytest.raises(
        ConfigError, match=r"inputs.x.file: given .x.npy., allowed is a file that ex"
    ):
        check_given(validate(given), tmp_path)


def test_a_group_has_more_networks_than_neurons():
    tested = {"groups": 2, "networks": 20, "neurons": 20}
    given = content("normality", width=32, record=32, normality=tested)
    with pytest.raises(
        ConfigError, match=r"few.normality.networks: given 20, allowed is more than"
    ):
        validate(given)


@pytest.mark.parametrize("value", [1e308, 1e10, 5e-324, 1e-10])
def test_numbers_whose_powers_are_none_are_refused(value):
    ntk = {"measure": ["ntk"], "families": ["ntk"]}
    for keys in (
        {"init": {"C_W": value}},
        {"init": {"C_W": 1.0, "C_b": value}},
        {"init": {"critical_times": value}},
        ntk | {"ntk": {"parameterisation": "pdlt", "lambda_b": value, "lambda_W": 1.0}},
        ntk | {"ntk": {"parameterisation": "pdlt", "lambda_b": 0.0, "lambda_W": value}},
    ):
        with pytest.raises(ConfigError, match="1e-9 to 1e9"):
            validate(content("covariance", **keys))
    for keys in ({"learning_rate": value}, {"C_W": value}, {"widen": value}):
        with pytest.raises(ConfigError, match="1e-9 to 1e9"):
            validate(content("rainbow", **keys))
