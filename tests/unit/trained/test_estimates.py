"""What is measured of replicas, against loops over them; and theory in the same shapes."""

import types
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from scipy.linalg import orthogonal_procrustes

from finitewidth.members.trained import Published, Rainbow
from finitewidth.quantities.vocabulary import TRAINED_FAMILIES
from finitewidth.theory.predict.predict_trained import predict_trained
from finitewidth.theory.predict.trained_tables import ORDERS
from finitewidth.trained.generation import generated as generated_module
from finitewidth.trained.generation import rainbow
from finitewidth.trained.generation.generated import generated
from finitewidth.trained.replica_axes import Replicas
from finitewidth.trained.representations import spectral
from finitewidth.trained.representations.replica_estimates import estimates
from small_members import trained
from small_networks import (
    CASES,
    accuracy,
    architecture,
    clipped_by_copies,
    described,
    drawn,
    hidden,
    loaded,
    permuted,
)

EPOCHS = 4
SPEC = Rainbow(
    networks=3,
    covariance=("average", "reference"),
    widen=(1.0, 2.0),
    layers=((1,), "all"),
)
DIMS = {
    "accuracy": ("split",),
    "loss": ("split",),
    "accuracy_curve": ("split", "epoch"),
    "loss_curve": ("split", "epoch"),
    "activation_eigenvalue": ("state", "centring", "layer", "rank"),
    "activation_participation": ("state", "centring", "layer"),
    "activation_slope": ("state", "centring", "layer"),
    "weight_eigenvalue": ("state", "layer", "rank"),
    "weight_participation": ("state", "layer"),
    "weight_largest": ("state", "layer"),
    "weight_outliers": ("state", "layer"),
    "alignment": ("state", "centring", "split", "layer"),
    "alignment_r2": ("state", "centring", "split", "layer"),
    "alignment_chance": ("state", "centring", "split", "layer"),
    "eigenvector_cosine": ("basis", "aligned", "layer", "rank_a", "rank_b"),
    "clipped_accuracy": ("basis", "layer", "rank"),
    "rank_needed": ("basis", "layer"),
    "generated_accuracy": ("drawn", "source", "widening"),
}


def replicas_of(case, count):
    """Replicas that have something in common: their weights are those of one, and noise."""
    weights, x, y = drawn(case, 6, 180, seed=4, dtype=torch.float32)
    trained = [(0.8 * w[:1] + 0.6 * w[1 : 1 + count]).contiguous() for w in weights]
    start = [w[6 - count :].contiguous() for w in weights]
    # Labels that the first network gives: accuracies are then above chance.
    with torch.no_grad():
        known = loaded(case, weights, 0)(x).argmax(1)
    y = torch.where(torch.arange(len(y)) % 4 > 0, known, y)
    images = {"train": (x[:80], y[:80]), "validation": (x[80:], y[80:])}
    return Replicas(architecture(case), {"start": start, "trained": trained}, images)


def curves_of(count):
    rng = np.random.default_rng(1)
    names = [f"{s}_{q}" for s in ("train", "validation") for q in ("loss", "accuracy")]
    return {name: rng.random((count, EPOCHS + 1)) for name in names}


def measured(case, count):
    replicas = replicas_of(case, count)
    largest = [1.5] * replicas.architecture.depth
    return replicas, estimates(replicas, curves_of(count), largest)[0]


@pytest.fixture(scope="module", params=["mlp", "strided"])
def three(request):
    return request.param, *measured(request.param, 3)


def assert_summary(dataset, name, place, values):
    """That a variable is the mean of one value a replica, with its error and spread."""
    values = np.asarray(values, dtype=float)
    for suffix, wanted in (
        ("", values.mean()),
        ("_stderr", stats.sem(values) if np.ptp(values) > 0 else np.nan),
        ("_spread", np.std(values, ddof=1)),
    ):
        found = float(dataset[name + suffix].sel(place))
        close = pytest.approx(wanted, rel=2e-4, abs=1e-6, nan_ok=True)
        assert found == close, (name + suffix, place)
    assert int(dataset[f"{name}_trusted"].sel(place)) == (np.std(values) > 0)


def test_names_and_dimensions(three):
    case, _, dataset = three
    families = {q for name, family in TRAINED_FAMILIES.items() if name != "rainbow" for q in family}
    assert families == set(DIMS) - {"generated_accuracy"}
    for name in families:
        for suffix in ("", "_stderr", "_spread", "_trusted"):
            assert dataset[name + suffix].dims == DIMS[name]
        assert dataset[name].attrs["long_name"]
        assert dataset[name].attrs["units"] == ("nat" if "loss" in name else "1")
    shape = architecture(case)
    assert dataset["layer"].values.tolist() == list(range(shape.depth + 1))
    assert dataset["width"].values.tolist() == list(shape.widths)
    assert dataset["rank"].values.tolist() == list(range(1, dataset.sizes["rank"] + 1))
    assert dataset["rank_a"].values.tolist() == list(range(1, dataset.sizes["rank_a"] + 1))
    assert dataset.sizes["epoch"] == EPOCHS + 1
    positions = [np.prod(CASES[case][2][1:]), *(layer.positions for layer in shape.layers[:-1]), 0]
    assert dataset["samples"].values.tolist() == [80 * p for p in positions]


def test_accuracy_loss_and_curves(three):
    case, replicas, dataset = three
    weights = replicas.weights["trained"]
    for split, (x, y) in replicas.images.items():
        each = [accuracy(loaded(case, weights, k), x, y) for k in range(3)]
        assert len(set(each)) > 1
        assert_summary(dataset, "accuracy", {"split": split}, each)
        with torch.no_grad():
            losses = [
                float(torch.nn.CrossEntropyLoss()(loaded(case, weights, k)(x), y)) for k in range(3)
            ]
        assert_summary(dataset, "loss", {"split": split}, losses)
        curves = curves_of(3)
        for epoch in range(EPOCHS + 1):
            for name in ("loss", "accuracy"):
                values = curves[f"{split}_{name}"][:, epoch]
                place = {"split": split, "epoch": epoch}
                found = dataset.isel(epoch=epoch).sel(split=split)
                assert_summary(found, f"{name}_curve", {}, values), place


def test_weights(three):
    _, replicas, dataset = three
    for state, weights in replicas.weights.items():
        for layer, w in enumerate(weights, 1):
            place = {"state": state, "layer": layer}
            grams = [v.T @ v / len(v) for v in w.double().numpy()]
            values = np.array([np.sort(np.linalg.eigvalsh(g))[::-1] for g in grams])
            assert_summary(dataset, "weight_largest", place, values[:, 0])
            assert_summary(dataset, "weight_outliers", place, (values > 1.5).sum(1))
            ratios = [np.trace(g) ** 2 / np.sum(g**2) for g in grams]
            assert_summary(dataset, "weight_participation", place, ratios)
            there = min(w.shape[1:])
            for rank in (1, there):
                assert_summary(
                    dataset, "weight_eigenvalue", place | {"rank": rank}, values[:, rank - 1]
                )
            found = dataset["weight_eigenvalue"].sel(place)
            assert np.isfinite(found[:there]).all()
            assert np.isnan(found[there:]).all()
    for name in ("weight_largest", "weight_participation", "weight_outliers"):
        assert np.isnan(dataset[name].sel(layer=0)).all()


def rows(case, replicas, state, replica, split):
    """Samples (sample, channel) of each representation, of the images first."""
    x = replicas.images[split][0]
    own = [x.reshape(len(x), *replicas.architecture.image)]
    own += hidden(case, replicas.weights[state], replica, x)
    return [phi.movedim(1, 3).flatten(0, 2).double().numpy() for phi in own]


def centred(phi, centring):
    return phi - phi.mean(0) if centring == "centred" else phi


@pytest.mark.parametrize("centring", ["uncentred", "centred"])
@pytest.mark.parametrize("state", ["start", "trained"])
def test_activations(three, state, centring):
    case, replicas, dataset = three
    each = [rows(case, replicas, state, k, "train") for k in range(3)]
    for layer in range(replicas.architecture.depth):
        phis = [centred(e[layer], centring) for e in each]
        moments = [phi.T @ phi / len(phi) for phi in phis]
        values = np.array([np.sort(np.linalg.eigvalsh(m))[::-1] for m in moments])
        place = {"state": state, "centring": centring, "layer": layer}
        found = dataset["activation_eigenvalue"].sel(place)
        assert np.allclose(found[: values.shape[1]], values.mean(0), rtol=1e-4, atol=1e-6)
        assert np.isnan(found[values.shape[1] :]).all()
        ratio = [np.trace(m) ** 2 / np.sum(m**2) for m in moments]
        if layer:
            assert_summary(dataset, "activation_participation", place, ratio)
        else:
            # The images are everybody's: no spread.
            participation = dataset["activation_participation"].sel(place)
            assert float(participation) == pytest.approx(ratio[0], rel=1e-5)
            assert float(dataset["activation_participation_spread"].sel(place)) < 1e-9
    readout = {"state": state, "centring": centring, "layer": replicas.architecture.depth}
    assert np.isnan(dataset["activation_eigenvalue"].sel(readout)).all()


@pytest.mark.parametrize("centring", ["uncentred", "centred"])
def test_alignment_is_fitted_on_training_images_and_held_against_others(three, centring):
    case, replicas, dataset = three
    for state in ("start", "trained"):
        both = {
            split: [rows(case, replicas, state, k, split) for k in range(3)]
            for split in ("train", "validation")
        }
        for layer in range(1, replicas.architecture.depth):
            rho = {"train": [], "validation": []}
            for a, b in combinations(range(3), 2):
                phi, psi = (centred(both["train"][k][layer], centring) for k in (a, b))
                turn, _ = orthogonal_procrustes(psi, phi)
                for split, values in rho.items():
                    phi, psi = (centred(both[split][k][layer], centring) for k in (a, b))
                    norms = np.linalg.norm(phi) * np.linalg.norm(psi)
                    values.append(np.sum(phi * (psi @ turn)) / norms)
            for split, values in rho.items():
                place = {"state": state, "centring": centring, "split": split, "layer": layer}
                r2 = np.maximum(values, 0) ** 2
                for name, of_pairs in (("alignment", np.array(values)), ("alignment_r2", r2)):
                    found = dataset.sel(place)
                    assert float(found[name]) == pytest.approx(of_pairs.mean(), abs=2e-5)
                    spread = float(found[f"{name}_spread"])
                    assert spread == pytest.approx(of_pairs.std(ddof=1), abs=5e-5)
                    # Leaving out one of three replicas leaves one pair.
                    error = np.sqrt(2 / 3 * np.sum((of_pairs - of_pairs.mean()) ** 2))
                    assert float(found[f"{name}_stderr"]) == pytest.approx(error, abs=5e-5)
                    assert int(found[f"{name}_trusted"]) == 1
    # Replicas with something in common have more of it than chance gives.
    seen = dataset.sel(state="trained", centring="centred", split="train", layer=1)
    assert float(seen["alignment_r2"]) > float(seen["alignment_chance"])
    ends = dataset.isel(layer=[0, -1])
    assert np.isnan(ends["alignment"]).all()
    assert np.isnan(ends["alignment_chance"]).all()


def test_eigenvectors_of_two_replicas(three):
    case, replicas, dataset = three
    weights = replicas.weights["trained"]
    each = [rows(case, replicas, "trained", k, "train") for k in (0, 1)]
    turn = None
    for layer in range(1, replicas.architecture.depth + 1):
        v0, v1 = (np.linalg.svd(weights[layer - 1][k].double().numpy())[2] for k in (0, 1))
        count = min(weights[layer - 1].shape[1:])
        v0, v1 = v0[:count], v1[:count]
        found = dataset["eigenvector_cosine_01"].sel(basis="weights", layer=layer)
        plain = found.sel(aligned="as they are").values[:count, :count]
        assert np.allclose(plain, abs(v0 @ v1.T), atol=1e-4)
        if turn is not None:
            places = v1.shape[1] // len(turn)
            v1 = v1 @ np.kron(turn, np.eye(places))
        aligned = found.sel(aligned="aligned").values[:count, :count]
        assert np.allclose(aligned, abs(v0 @ v1.T), atol=1e-3)
        if layer < replicas.architecture.depth:
            # Row vectors: psi turn ~ phi.
            turn, _ = orthogonal_procrustes(each[1][layer], each[0][layer])
            own = [np.linalg.svd(e[layer], full_matrices=False)[2] for e in each]
            found = dataset["eigenvector_cosine_01"].sel(basis="activations", layer=layer)
            n = len(turn)
            plain = found.sel(aligned="as they are").values[:n, :n]
            assert np.allclose(plain, abs(own[0] @ own[1].T), atol=1e-3)
            aligned = found.sel(aligned="aligned").values[:n, :n]
            assert np.allclose(aligned, abs(own[0] @ turn.T @ own[1].T), atol=1e-3)


def test_clipping_and_the_rank_that_is_needed(three):
    """The least rank from which on no more than one answer in a hundred is lost."""
    case, replicas, dataset = three
    weights, (x, y) = replicas.weights["trained"], replicas.images["validation"]
    assert len(y) == 100
    whole = [round(100 * accuracy(loaded(case, weights, k), x, y)) for k in range(3)]
    needed = []
    for number in range(replicas.architecture.depth):
        of_activations = [
            np.linalg.eigh(e[number].T @ e[number])[1][:, ::-1].copy()
            for e in (rows(case, replicas, "trained", k, "train") for k in range(3))
        ]
        of_weights = [
            np.linalg.svd(w.double().numpy(), full_matrices=False)[2].T.copy()
            for w in weights[number]
        ]
        for basis, frames in (("activations", of_activations), ("weights", of_weights)):
            frames = torch.from_numpy(np.array(frames)).float()
            curves = clipped_by_copies(case, weights, number, frames, x, y).numpy()
            place = {"basis": basis, "layer": number + 1}
            found = dataset["clipped_accuracy"].sel(place)
            # An answer may turn by rounding.
            assert np.allclose(found[: curves.shape[1]], curves.mean(0), atol=0.007)
            assert np.isnan(found[curves.shape[1] :]).all()
            right = np.round(100 * curves).astype(int)
            least = []
            for k in range(3):
                rank = right.shape[1]
                while rank > 1 and right[k, rank - 2] >= whole[k] - 1:
                    rank -= 1
                least.append(rank)
            needed.append((float(dataset["rank_needed"].sel(place)), np.mean(least)))
    found, wanted = np.array(needed).T
    assert np.allclose(found, wanted)
    assert np.isnan(dataset["rank_needed"].sel(layer=0)).all()


def test_a_loss_of_exactly_one_percent_is_allowed(monkeypatch):
    """Of 100 answers one: also where binary fractions are not quite the decimal ones."""
    replicas = replicas_of("mlp, one hidden layer", 1)
    for right in range(2, 101):
        monkeypatch.setattr(
            spectral,
            "evaluate",
            lambda *_, r=right: (None, torch.tensor([r / 100], dtype=torch.float64)),
        )
        curve = torch.tensor([[right - 2, right - 1, right - 1, right, right]]).double() / 100
        monkeypatch.setattr(spectral, "truncated_accuracy", lambda *_, c=curve: c)
        bases = {b: [np.zeros((1, 2, 2))] * 2 for b in spectral.BASES}
        found = spectral.truncation(replicas, bases)["rank_needed"][1]
        assert found[0, 1:].tolist() == [2, 2], right


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_one_replica_has_numbers_but_no_errors(case):
    replicas, dataset = measured(case, 1)
    made = generated(replicas, SPEC, (1, "g"))
    for name in DIMS:
        source = made if name == "generated_accuracy" else dataset
        assert np.isnan(source[f"{name}_stderr"]).all()
        assert np.isnan(source[f"{name}_spread"]).all()
        assert not source[f"{name}_trusted"].any()
        # Pairs are none.
        of_pairs = name in ("alignment", "alignment_r2", "eigenvector_cosine")
        # Five neurons have no slope.
        assert bool(np.isnan(source[name]).all()) == (of_pairs or name == "activation_slope")


def test_two_replicas_are_one_pair_without_an_error():
    _, dataset = measured("mlp", 2)
    place = {"state": "trained", "centring": "centred", "split": "train", "layer": 1}
    assert 0 < float(dataset["alignment"].sel(place)) < 1
    for name in DIMS:
        if name != "generated_accuracy":
            assert np.isnan(dataset[f"{name}_stderr"]).all()
            assert not dataset[f"{name}_trusted"].any()
    assert np.isfinite(dataset["accuracy_spread"]).all()


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_a_dead_layer_leaves_numbers_out_and_nothing_crashes(case):
    replicas = replicas_of(case, 3)
    for state in ("start", "trained"):
        # Weights without a positive entry, on images without a negative one.
        first = replicas.weights[state][0]
        first.copy_(-first.abs())
    for x, _ in replicas.images.values():
        x.copy_(x.abs())
    dataset, _ = estimates(replicas, curves_of(3), [1.5] * replicas.architecture.depth)
    dead = dataset.sel(layer=1, state="trained", centring="centred")
    assert np.isnan(dead["alignment"]).all()
    assert np.isnan(dead["activation_participation"])
    assert (dead["activation_eigenvalue"].dropna("rank") == 0).all()
    assert np.isfinite(dataset["weight_largest"].sel(layer=1)).all()
    theory = predict_trained(member_of(case), CASES[case][2], CASES[case][3], dataset, 1)
    assert np.isnan(theory["alignment_chance"].sel(layer=1, order="spectrum")).all()


def test_generated_networks_are_summed_up_over_replicas():
    replicas = replicas_of("mlp", 3)
    done = []
    dataset = generated(replicas, SPEC, (1, "g"), lambda *of: done.append(of))
    assert done == [(1, 3), (2, 3), (3, 3)]
    dims = ("drawn", "source", "widening")
    for suffix in ("", "_stderr", "_spread", "_trusted"):
        assert dataset[f"generated_accuracy{suffix}"].dims == dims
    assert dataset["generated_each"].dims == (*dims, "replica", "network")
    assert dataset["generated_each"].shape == (2, 2, 2, 3, 3)
    assert dataset["drawn"].values.tolist() == ["1", "all"]
    assert dataset["source"].values.tolist() == ["average", "reference"]
    assert dataset["widening"].values.tolist() == [1.0, 2.0]
    each = dataset["generated_each"]
    assert ((each >= 0) & (each <= 1)).all()
    of_replicas = each.values.mean(-1)
    assert np.allclose(dataset["generated_accuracy"], of_replicas.mean(-1))
    error = stats.sem(of_replicas, axis=-1)
    error[np.ptp(of_replicas, axis=-1) == 0] = np.nan
    assert np.allclose(dataset["generated_accuracy_stderr"], error, equal_nan=True)
    # What else is asked for changes nothing.
    alone = replace(SPEC, covariance=("reference",), widen=(2.0,), layers=("all",))
    found = generated(replicas, alone, (1, "g"))["generated_each"].values[0, 0, 0]
    place = {"drawn": "all", "source": "reference", "widening": 2.0}
    assert np.array_equal(found, each.sel(place).values)
    other = generated(replicas, alone, (2, "g"))["generated_each"].values[0, 0, 0]
    assert not np.array_equal(found, other)


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_identical_replicas_are_as_good_on_average_as_one(case):
    """Where all replicas are one network, its covariance is the average one."""
    replicas = replicas_of(case, 3)
    same = {
        state: [w[:1].expand_as(w).contiguous() for w in weights]
        for state, weights in replicas.weights.items()
    }
    replicas = Replicas(replicas.architecture, same, replicas.images)
    spec = replace(SPEC, networks=60, widen=(4.0,), layers=("all",))
    found = generated(replicas, spec, (1, "g"))["generated_accuracy"].isel(drawn=0, widening=0)
    # Means of 180 networks, each with a spread of some 0.1: 6 errors are 0.06.
    assert abs(float(found[0]) - float(found[1])) < 0.06
    dataset, _ = estimates(replicas, curves_of(3), [1.5] * replicas.architecture.depth)
    hidden_layers = dataset["alignment"].isel(layer=slice(1, -1))
    assert np.allclose(hidden_layers, 1, atol=1e-4)
    plain = dataset["eigenvector_cosine"].sel(basis="weights", layer=2, aligned="aligned")
    assert np.allclose(np.diag(plain)[:3], 1, atol=1e-3)


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_replicas_with_permuted_neurons_have_the_average_covariance_of_each(case, monkeypatch):
    replicas = replicas_of(case, 1)
    copies = permuted(case, replicas.weights["trained"], 3)
    replicas = Replicas(
        replicas.architecture, {"start": copies, "trained": copies}, replicas.images
    )
    seen = []

    def noted(architecture, reference, covariance_roots, *rest, **options):
        grams = [r[0].double() for r in covariance_roots]
        seen.append([(r.T @ r).numpy() for r in grams])
        return rainbow.generate(architecture, reference, covariance_roots, *rest, **options)

    stub = types.SimpleNamespace(**vars(rainbow) | {"generate": noted})
    monkeypatch.setattr(generated_module, "rainbow", stub)
    generated(replicas, replace(SPEC, widen=(1.0,), layers=("all",)), (1, "g"))
    assert len(seen) == 6
    for average, own in zip(seen[::2], seen[1::2], strict=True):
        for a, b in zip(average, own, strict=True):
            assert np.allclose(a, b, atol=1e-4)
    # Neurons stand in another order in each of them.
    assert not np.allclose(seen[1][1], seen[3][1], atol=0.01)


def member_of(case, **change):
    shape = described(*CASES[case][:2])
    return trained(**{"name": "only", "mlp": shape.mlp, "cnn": shape.cnn, "rainbow": SPEC} | change)


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_theory_has_the_shapes_of_what_is_measured(case):
    replicas, dataset = measured(case, 3)
    both = xr.merge([dataset, generated(replicas, SPEC, (1, "g"))])
    theory = predict_trained(member_of(case), CASES[case][2], CASES[case][3], dataset, 1)
    for name, variable in theory.data_vars.items():
        name = name.removesuffix("_neglected")
        assert variable.dims == ("order", *both[name].dims)
        assert np.isfinite(variable).any() or name == "alignment"
        for dim in both[name].dims:
            wanted = both[dim].values.tolist()
            assert theory[dim].values.tolist() == wanted[: theory.sizes[dim]]
            assert theory.sizes[dim] == both.sizes[dim] or dim == "rank"
        assert variable.attrs["equation"].startswith("docs/theory.md 11")
    assert theory["order"].values.tolist() == list(ORDERS)
    assert (theory["accuracy"].sel(order="chance") == 1 / CASES[case][3]).all()
    # What is known is of the start only, except for chance.
    assert np.isnan(theory["weight_largest"].sel(state="trained")).all()
    again = predict_trained(member_of(case), CASES[case][2], CASES[case][3], dataset, 1)
    assert again.identical(theory)


def test_theory_of_the_start_is_what_weights_drawn_so_have():
    """Means over 400 drawn replicas, to a few errors of 1 % each."""
    _, dataset = measured("mlp", 3)
    theory = predict_trained(member_of("mlp"), (12, 1, 1), 3, dataset, 1).sel(state="start")
    rng = np.random.default_rng(1)
    for layer, (n_out, n_in) in enumerate(((7, 12), (5, 7), (3, 5)), 1):
        w = rng.uniform(-1, 1, (400, n_out, n_in)) / np.sqrt(n_in)
        grams = w.transpose(0, 2, 1) @ w / n_out
        largest = np.linalg.norm(w, 2, axis=(1, 2)) ** 2 / n_out
        found = theory.sel(layer=layer)
        by_simulation = float(found["weight_largest"].sel(order="simulation"))
        assert by_simulation == pytest.approx(largest.mean(), rel=0.1)
        traces = np.einsum("kii->k", grams)
        ratio = np.mean(traces) ** 2 / np.mean(np.sum(grams**2, (1, 2)))
        by_theory = float(found["weight_participation"].sel(order="marchenko_pastur"))
        assert by_theory == pytest.approx(ratio, rel=0.03)


def test_what_references_of_trained_networks_leave_out():
    _, dataset = measured("mlp", 3)
    published = Published(source="x", accuracy=0.7, generated_accuracy=None, alignment=None)
    theory = predict_trained(member_of("mlp", published=published), (12, 1, 1), 3, dataset, 1)
    largest = theory["weight_largest_neglected"].sel(state="start").isel(layer=slice(1, None))
    # The limit is further off than the simulation is uncertain, which is a tenth of one draw.
    assert (largest.sel(order="marchenko_pastur") > largest.sel(order="simulation")).all()
    assert (largest.sel(order="simulation") > 0).all()
    chance = (
        theory["alignment_chance_neglected"]
        .stack(place=["state", "layer"])
        .dropna("place", how="all")
    )
    known = {"centring": "centred", "split": "train"}
    white, coloured = (
        chance.sel(order=order, **known).dropna("place") for order in ("chance", "spectrum")
    )
    assert white.size == coloured.size > 0
    assert (white > coloured).all()
    # Guesses and other people's numbers predict nothing here.
    assert not any(f"{name}_neglected" in theory for name in ("accuracy", "generated_accuracy"))


def test_published_numbers_stand_in_a_row_of_their_own():
    _, dataset = measured("mlp", 3)
    published = Published(
        source="a paper", accuracy=0.7, generated_accuracy=0.6, alignment=(0.9, 0.8)
    )
    theory = predict_trained(member_of("mlp", published=published), (12, 1, 1), 3, dataset, 1)
    found = theory.sel(order="published")
    assert found["accuracy"].sel(split="validation") == 0.7
    assert np.isnan(found["accuracy"].sel(split="train"))
    like = {"drawn": "all", "source": "reference", "widening": 1.0}
    assert found["generated_accuracy"].sel(like) == 0.6
    assert np.isfinite(found["generated_accuracy"]).sum() == 1
    place = {"state": "trained", "centring": "uncentred", "split": "train"}
    assert found["alignment"].sel(place).values[1:-1].tolist() == [0.9, 0.8]
    assert np.isfinite(found["alignment"]).sum() == 2
    assert theory.attrs["published"] == "a paper"
    # Where nothing measured is like it, the published accuracy stands nowhere.
    few = member_of("mlp", published=published, rainbow=replace(SPEC, widen=(2.0,)))
    theory = predict_trained(few, (12, 1, 1), 3, dataset, 1)
    assert np.isnan(theory["generated_accuracy"].sel(order="published")).all()
