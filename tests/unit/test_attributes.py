"""Every dataset says what its networks are, and what each coordinate and variable is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import finitewidth as fw
from finitewidth.data.input_sets import dataset
from finitewidth.members.attributes import MEANINGS, attributes_of
from finitewidth.members.words import network
from finitewidth.provenance.artifacts import write_dataset
from small_studies import run

INPUTS = {
    "two": {"kind": "arc", "dimension": 3, "angles": [0, 60]},
    "one": {"kind": "sphere", "dimension": 3, "count": 1},
    "line": {"kind": "line", "count": 3, "first": -1.0, "last": 1.0},
    "taught": {
        "kind": "points",
        "points": [-0.5, 0.5],
        "targets": {"kind": "sine", "frequency": 1.5, "noise": 0.0},
    },
}
SMALL = {"activation": "relu", "init": "critical", "width": 8, "depth": 3, "inputs": "two",
         "networks": 200}  # fmt: skip
#: Every kind of member, and all that is recorded of each.
ENSEMBLES = {
    "plain": SMALL | {"width": [8, 12], "init": {"C_W": [1.0, 2.0]}, "record": 5, "networks": 600,
                      "estimate": ["covariance", "four_point", "six_point", "kurtosis",
                                   "distribution", "quadruple", "correlation", "normality"],
                      "normality": {"groups": 5, "networks": 100, "neurons": 4}},
    "norms": SMALL | {"measure": ["log_norm"]},
    "tangents": SMALL | {"activation": "tanh", "measure": ["preactivations", "ntk", "dntk"],
                         "sampler": "explicit", "outputs": 2,
                         "estimate": ["ntk", "ntk_tensors", "ntk_spectrum", "dntk"]},
    "ways": SMALL | {"networks": 60, "measure": ["ntk_methods"], "sampler": "explicit",
                     "estimate": ["ntk_methods"]},
    "ladder": SMALL | {"width": None, "ladder": [8, 12, 16, 24], "networks": 300,
                       "estimate": ["kernel_moments", "log_kernel", "ntk_mean"]},
    "grown": SMALL | {"inputs": "one", "population": {"islands": 20, "members": 50},
                      "estimate": ["covariance", "four_point"]},
    "blocks": SMALL | {"init": {"C_W": 1.0}, "depth": None,
                       "network": {"blocks": [{"repeat": [2, 3], "residual": {"gamma": 1.0}}]},
                       "estimate": ["covariance", "four_point"]},
    "training": SMALL | {"inputs": "line", "networks": 100, "outputs": None,
                         "train": {"inputs": "taught", "learning_rate": 0.01, "steps": [2, 4]}},
}  # fmt: skip
TRAINED = {"mlp": {"data": "digits", "mlp": [64, 6, 5, 10], "replicas": 2, "epochs": 2,
                   "batch": 64, "learning_rate": 0.05}}  # fmt: skip


def without_none(content):
    return {k: {x: y for x, y in v.items() if y is not None} for k, v in content.items()}


@pytest.fixture(scope="module")
def study():
    return fw.load_study({"seed": 4, "inputs": INPUTS, "ensembles": without_none(ENSEMBLES)})


def unexplained(found):
    """Names of what lacks a name in words or a unit."""
    return [
        name
        for name, v in found.variables.items()
        if not (v.attrs.get("long_name") and v.attrs.get("units"))
    ]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_samples_estimates_and_theory_explain_themselves(study, name):
    members = [m for key, m in study.members.items() if key.startswith(f"{name}/")]
    for member in members[:2]:
        samples = member.sample(progress=False)
        datasets = {"samples": samples, "estimates": member.estimate(samples),
                    "theory": member.predict()}  # fmt: skip
        for what, found in datasets.items():
            assert unexplained(found) == [], (name, what)
            about = member.about
            wanted = {"ensemble": name, "member": about.name, "activation": about.activation,
                      "C_W": about.C_W, "depth": about.depth, "networks": about.networks,
                      "inputs": about.inputs}  # fmt: skip
            wanted |= {} if what == "theory" else {"seed": 4, "sampler": about.sampler}
            assert {k: found.attrs.get(k) for k in wanted} == wanted, what
            assert json.loads(found.attrs["swept"]) == about.swept
            assert ("blocks" in found.attrs["network"]) == (name == "blocks")


def test_files_of_inputs_and_of_trained_networks_do_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run({"inputs": {}, "ensembles": {}, "data": {"digits": {"kind": "digits"}},
         "trained": TRAINED})  # fmt: skip
    for file in ("estimates", "theory", "generated"):
        with xr.open_dataset(Path(f"results/trained/mlp/only/{file}.nc")) as found:
            assert unexplained(found) == [], file
            assert found.attrs["network"] == "perceptron 64-6-5-10"
            assert (found.attrs["replicas"], found.attrs["C_b"]) == (2, 0.0)
    found = dataset("taught", INPUTS["taught"], 4)
    assert unexplained(found) == []
    assert (found.attrs["inputs"], found.attrs["seed"]) == ("taught", 4)


def test_weights_of_torchs_own_law_have_their_C_W(study):
    """C_W is that of torch's own layers; C_b differs from layer to layer, so that none is told."""
    torch.manual_seed(5)
    layer = torch.nn.Linear(40, 4000)
    own = {"weights": "pytorch", "sampler": "explicit", "init": None, "width": [8, 3]}
    entry = without_none({"own": SMALL | own})
    found = fw.load_study({"seed": 4, "inputs": INPUTS, "ensembles": entry}).members
    for member in found.values():
        about = network(member.about)
        # A variance of 160,000 uniform numbers is known to 0.3 %.
        assert about["C_W"] == pytest.approx(40 * layer.weight.var().item(), rel=0.01)
        assert about["C_b"] is None
        assert member.predict().attrs["C_W"] == about["C_W"]
        mine = fw.perceptron("relu", inputs=3, width=member.about.width, depth=2, weights="pytorch")
        alike = member.about.width == 3
        assert attributes_of(mine)["C_W"] == about["C_W"]
        assert ("C_b" in attributes_of(mine)) == alike


def test_meanings_are_of_names_that_are_used():
    """So that none is left of what is gone."""
    library = Path(fw.__file__).parent
    texts = [file.read_text() for file in library.rglob("*.py") if file.name != "attributes.py"]
    for name in MEANINGS:
        stem = name[:-2] if name[-2:] in ("_a", "_b", "_c", "_d") else name
        assert any(f'"{stem}' in t or f'_{stem.split("_")[-1]}"' in t for t in texts), name


def written(folder, study, ensemble):
    """Files of estimates as a run leaves them, by members."""
    for member in study.members.values():
        if member.about.ensemble == ensemble:
            place = folder / ensemble / member.about.name
            place.mkdir(parents=True)
            found = member.estimate(member.sample(progress=False))
            found.to_netcdf(place / "estimates.nc")
            yield place / "estimates.nc"


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("name", ["plain", "blocks"])
def test_swept_keys_are_dimensions_of_members_together(study, tmp_path, name, lazily):
    files = list(written(tmp_path, study, name))
    if lazily:
        found = xr.open_mfdataset(files, preprocess=fw.with_swept, combine="by_coords",
                                  combine_attrs="drop_conflicts")  # fmt: skip
    else:
        # As open_ensemble does, of files without a stamp.
        each = [fw.with_swept(xr.open_dataset(file)) for file in files]
        found = xr.combine_by_coords(each, combine_attrs="drop_conflicts", join="outer")
    swept = {"plain": {"width": [8, 12], "C_W": [1.0, 2.0]}, "blocks": {"repeat": [2, 3]}}[name]
    for key, values in swept.items():
        assert found[key].values.tolist() == values
        assert found[key].attrs["long_name"]
        assert key in found["covariance"].dims
    assert found.attrs["ensemble"] == name
    assert "member" not in found.attrs
    for member in study.members.values():
        if member.about.ensemble == name:
            one = member.estimate(member.sample(progress=False))["covariance"]
            here = found["covariance"].sel(dict(member.swept)).sel(layer=one["layer"])
            assert np.array_equal(here.transpose(*one.dims).values, one.values)


def as_written(folder, name, swept, widths, **numbers):
    """A file of estimates with some numbers of each layer."""
    data = {key: ("layer", np.asarray(values, float)) for key, values in numbers.items()}
    coords = {"layer": np.arange(1, 1 + len(widths)), "width": ("layer", widths)}
    place = folder / name / "estimates.nc"
    place.parent.mkdir(parents=True)
    estimates = xr.Dataset(data, coords, {"swept": json.dumps(swept)})
    write_dataset(estimates, place, {"config_sha256": ""}, title="")


def test_members_of_an_ensemble_may_have_other_quantities_and_depths(tmp_path):
    as_written(tmp_path, "a", {"width": 8, "depth": 2}, [8, 2], covariance=[1, 2], other=[3, 4])
    as_written(tmp_path, "b", {"width": 16, "depth": 3}, [16, 16, 2], covariance=[5, 6, 7])
    found = fw.open_ensemble(tmp_path)
    assert found["covariance"].sel(width=8, depth=2).values.tolist()[:2] == [1, 2]
    assert found["covariance"].sel(width=16, depth=3).values.tolist() == [5, 6, 7]
    assert found["layer_width"].sel(width=16, depth=3).values.tolist() == [16, 16, 2]
    assert found["layer_width"].sel(width=8, depth=2).values.tolist()[:2] == [8, 2]
    assert np.isnan(found["other"].sel(width=16, depth=3)).all()


def test_a_key_may_be_swept_over_numbers_and_words(tmp_path):
    as_written(tmp_path, "a", {"beta": 1.0}, [8], covariance=[1])
    as_written(tmp_path, "b", {"beta": "1/sqrt(L)"}, [8], covariance=[2])
    found = fw.open_ensemble(tmp_path)
    assert found["beta"].values.tolist() == ["1.0", "1/sqrt(L)"]
    assert found["covariance"].sel(beta="1/sqrt(L)").item() == 2
    assert found["beta"].attrs["long_name"]
