"""Training of replicas against torch's own modules and optimiser, one network after another.

False alarms: the moments of weights at the start are compared within 6 standard errors, with fixed
seeds; the few comparisons give a false-alarm rate below 1e-7 for a fresh seed.
"""

import copy
import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from finitewidth.data.labelled import labelled
from finitewidth.models.optimisers.table import TABLE
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.planning.trained_members import trained_members
from finitewidth.study.study_file import validate
from finitewidth.trained.train_member import train_member
from finitewidth.trained.training import checkpoint, epochs, networks
from finitewidth.trained.training.epochs import (
    DivergenceError,
    Settings,
    State,
    initial,
    largest_at_start,
    train,
)
from finitewidth.trained.training.networks import evaluate
from small_networks import CASES, accuracy, architecture, described, drawn, loaded

IMAGES = 44


def settings(**change):
    values = {
        "replicas": 3,
        "epochs": 3,
        "batch": 16,  # the last batch of an epoch has 12 images
        "learning_rate": 0.05,
        "momentum": 0.9,
        "stream": (5, "trained", "e", "only"),
    }
    return Settings(**values | change)


def sets(case, seed=1):
    _, x, y = drawn(case, 1, IMAGES + 20, seed, torch.float32)
    return (x[:IMAGES], y[:IMAGES]), (x[IMAGES:], y[IMAGES:])


#: What each optimiser of the table is in torch.
OPTIMISERS = {
    "sgd": lambda p, how: torch.optim.SGD(p, lr=how.learning_rate, momentum=how.momentum),
}


def by_torch(case, how, start, orders, train_set, validation_set):
    """One replica: weights in the end, and curves, from torch's optimiser on modules."""
    model = loaded(case, start, 0)
    optimiser = OPTIMISERS[how.optimiser](model.parameters(), how)
    criterion = nn.CrossEntropyLoss()
    x, y = train_set
    curves = {"train_loss": [], "train_accuracy": [], "validation_loss": []}
    for order in orders:
        loss_sum = right = 0.0
        for first in range(0, len(x), how.batch):
            index = order[first : first + how.batch]
            optimiser.zero_grad()
            logits = model(x[index])
            loss = criterion(logits, y[index])
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() * len(index)
            right += int((logits.argmax(1) == y[index]).sum())
        curves["train_loss"].append(loss_sum / len(x))
        curves["train_accuracy"].append(right / len(x))
        with torch.no_grad():
            curves["validation_loss"].append(
                criterion(model(validation_set[0]), validation_set[1]).item()
            )
    return [p.detach().flatten(1) for p in model.parameters()], curves


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimiser", TABLE)
@pytest.mark.parametrize("case", CASES)
def test_replicas_train_as_modules_under_torchs_optimisers_do(case, optimiser, momentum):
    how = settings(momentum=momentum, optimiser=optimiser)
    train_set, validation_set = sets(case)
    shape = architecture(case)
    start = initial(shape, how)
    orders = [epochs._order(how, epoch, IMAGES) for epoch in (1, 2, 3)]
    state = train(shape, how, train_set, validation_set)
    for k in range(how.replicas):
        mine = [w[k : k + 1] for w in start]
        wanted, curves = by_torch(
            case, how, mine, [o[k] for o in orders], train_set, validation_set
        )
        for found, weight in zip(state.weights, wanted, strict=True):
            assert torch.allclose(found[k], weight, rtol=2e-4, atol=2e-5)
        # The weights have gone somewhere.
        assert (state.weights[0][k] - start[0][k]).abs().max() > 1e-3
        for name, values in curves.items():
            tolerance = 1e-9 if name == "train_accuracy" else 1e-4
            measured = [float(v[k]) for v in state.curves[name][1:]]
            assert measured == pytest.approx(values, rel=tolerance)


def test_curves_begin_before_training_and_end_with_what_is_returned():
    train_set, validation_set = sets("mlp")
    shape, how = architecture("mlp"), settings()
    state = train(shape, how, train_set, validation_set)
    assert state.epoch == how.epochs
    names = {f"{s}_{q}" for s in ("train", "validation") for q in ("loss", "accuracy")}
    assert set(state.curves) == names
    assert all(len(v) == how.epochs + 1 for v in state.curves.values())
    assert all(value.shape == (how.replicas,) for v in state.curves.values() for value in v)
    for part, data in (("train", train_set), ("validation", validation_set)):
        loss, right = evaluate(shape, initial(shape, how), *data)
        assert torch.equal(state.curves[f"{part}_loss"][0], loss)
        assert torch.equal(state.curves[f"{part}_accuracy"][0], right)
    loss, right = evaluate(shape, state.weights, *validation_set)
    assert torch.equal(state.curves["validation_loss"][-1], loss)
    assert torch.equal(state.curves["validation_accuracy"][-1], right)
    by_hand = [accuracy(loaded("mlp", state.weights, k), *validation_set) for k in range(3)]
    assert right.tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_weights_at_the_start_have_their_law(law):
    how, drawn = settings(replicas=20), {"weights": law, "C_W": 0.7}
    shape = trained_architecture(described([30, 60, 20]), (30, 1, 1), 20, **drawn)
    kurtosis = {"normal": 3.0, "uniform": 9 / 5}[law]
    for layer, weight in zip(shape.layers, initial(shape, how), strict=True):
        assert weight.shape == (20, layer.out, layer.fan_in)
        assert weight.dtype == torch.float32
        w = weight.double().numpy().ravel() * np.sqrt(layer.fan_in / 0.7)
        error = len(w) ** -0.5
        assert abs(w.mean()) < 6 * error
        assert abs((w**2).mean() - 1) < 6 * error * np.sqrt(kurtosis - 1)
        if law == "uniform":
            assert np.sqrt(3) * (1 - 1e-3) < abs(w).max() <= np.sqrt(3) * (1 + 1e-6)
            assert abs((w**4).mean() - kurtosis) < 6 * error
        else:
            assert abs(w).max() > 3
            assert abs((w**4).mean() - kurtosis) < 6 * error * np.sqrt(96)
        # No weight is there twice, in one replica or another.
        assert len(np.unique(w)) > 0.99 * len(w)


def test_replicas_are_different_and_do_not_depend_on_how_many_there_are():
    train_set, validation_set = sets("cnn")
    shape = architecture("cnn")
    few, many = settings(replicas=2), settings(replicas=4)
    assert all(
        torch.equal(a, b[:2])
        for a, b in zip(initial(shape, few), initial(shape, many), strict=True)
    )
    assert torch.equal(epochs._order(few, 2, IMAGES), epochs._order(many, 2, IMAGES)[:2])
    one = train(shape, few, train_set, validation_set)
    other = train(shape, many, train_set, validation_set)
    for a, b in zip(one.weights, other.weights, strict=True):
        assert torch.allclose(a, b[:2], rtol=1e-4, atol=1e-5)
        assert (b[0] - b[1]).abs().max() > 0.01
        assert (b[1] - b[3]).abs().max() > 0.01
    elsewhere = initial(shape, settings(stream=(6, "trained", "e", "only")))
    assert not torch.equal(elsewhere[0], initial(shape, settings())[0])


def test_each_epoch_of_each_replica_has_an_order_of_its_own():
    orders = torch.cat([epochs._order(settings(), epoch, 50) for epoch in (1, 2, 3)])
    assert orders.shape == (9, 50)
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 9


@pytest.mark.parametrize("case", ["mlp", "strided"])
@pytest.mark.parametrize("optimiser", TABLE)
@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, case, optimiser, stop):
    train_set, validation_set = sets(case)
    shape, how = architecture(case), settings(optimiser=optimiser)
    path = tmp_path / "state.pt"

    class KilledError(Exception):
        pass

    def die(state):
        if state.epoch == stop:
            checkpoint.save(state, path, "mine")
            raise KilledError

    whole = train(shape, how, train_set, validation_set)
    with pytest.raises(KilledError):
        train(shape, how, train_set, validation_set, on_epoch=die)
    state = checkpoint.load(path, "mine", "cpu")
    assert state.epoch == stop
    seen = []
    continued = train(
        shape, how, train_set, validation_set, state=state, on_epoch=lambda s: seen.append(s.epoch)
    )
    assert seen == list(range(stop + 1, how.epochs + 1))
    kept = [(run.weights, *run.buffers) for run in (whole, continued)]
    for a, b in zip(*(chain.from_iterable(tensors) for tensors in kept), strict=True):
        assert torch.equal(a, b)
    assert set(whole.curves) == set(continued.curves)
    for name, values in whole.curves.items():
        assert torch.equal(torch.stack(values), torch.stack(continued.curves[name]))


def some_state():
    shape = architecture("mlp")
    weights = initial(shape, settings())
    return State(2, weights, [[w + 1 for w in weights]], {"train_loss": [torch.ones(3)]})


def test_a_checkpoint_holds_the_state(tmp_path):
    path = tmp_path / "state.pt"
    state = some_state()
    checkpoint.save(state, path, "mine")
    found = checkpoint.load(path, "mine", "cpu")
    assert found.epoch == 2
    assert all(torch.equal(a, b) for a, b in zip(found.weights, state.weights, strict=True))
    for one, other in zip(found.buffers, state.buffers, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(found.curves["train_loss"][0], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_ignored(tmp_path):
    path = tmp_path / "state.pt"
    assert checkpoint.load(path, "mine", "cpu") is None
    checkpoint.save(some_state(), path, "mine")
    assert checkpoint.load(path, "another", "cpu") is None
    whole = path.read_bytes()
    for damaged in (b"", b"\x80garbage", whole[: len(whole) // 2], whole[:-40], b"0" * len(whole)):
        path.write_bytes(damaged)
        assert checkpoint.load(path, "mine", "cpu") is None
    for content in (torch.ones(3), {"weights": []}, {"fingerprint": "mine", "curves": {}}):
        torch.save(content, path)
        assert checkpoint.load(path, "mine", "cpu") is None
    path.write_bytes(whole)
    assert checkpoint.load(path, "mine", "cpu") is not None


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, sprung = tmp_path / "state.pt", tmp_path / "sprung"
    torch.save({"fingerprint": "mine", **vars(some_state()), "trap": Trap(sprung)}, path)
    assert checkpoint.load(path, "mine", "cpu") is None
    path.write_bytes(pickle.dumps(Trap(sprung)))
    assert checkpoint.load(path, "mine", "cpu") is None
    assert not sprung.exists()
    # The trap itself works.
    pickle.loads(pickle.dumps(Trap(sprung))).close()
    assert sprung.exists()


def test_training_starts_anew_from_a_checkpoint_that_is_none(tmp_path):
    entry = {"data": "d", "mlp": [64, 5, 10], "replicas": 3, "epochs": 1, "learning_rate": 0.05}
    content = {"seed": 1, "data": {"d": {"kind": "digits"}}, "trained": {"t": entry}}
    config = validate(content)
    (member,) = trained_members(config, "t")
    images = labelled("d", config.data["d"].model_dump(), 1)
    path, sprung = tmp_path / ".training.pt", tmp_path / "sprung"

    def trained():
        return train_member(member, images, seed=1, device="cpu", kept=path, fingerprint="mine")

    anew = trained()
    torch.save({"fingerprint": "mine", "trap": Trap(sprung)}, path)
    traps = [path.read_bytes(), pickle.dumps(Trap(sprung), protocol=0), pickle.dumps(Trap(sprung))]
    for damaged in (*traps, traps[0][:200], b"garbage"):
        path.write_bytes(damaged)
        assert trained().identical(anew)
        assert not sprung.exists()


def test_divergence_is_told_in_one_sentence():
    train_set, validation_set = sets("mlp")
    how = settings(learning_rate=1e30)
    with pytest.raises(DivergenceError) as caught:
        train(architecture("mlp"), how, train_set, validation_set)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "learning_rate 1e+30" in sentence
    assert "momentum 0.9" in sentence
    assert "every replica" in sentence
    assert "epoch 1;" in sentence


def test_divergence_names_its_replicas_and_ends_at_once():
    train_set, validation_set = sets("mlp")
    shape, how = architecture("mlp"), settings()
    whole = train(shape, how, train_set, validation_set)
    curves = {name: values[:2] for name, values in whole.curves.items()}
    weights = [w.clone() for w in whole.weights]
    weights[-1][1, 0, 0] = float("inf")
    state = State(1, weights, [[torch.zeros_like(w) for w in weights]], copy.deepcopy(curves))
    seen = []
    with pytest.raises(DivergenceError, match=r"loss of replicas \[1\] is not finite in epoch 2;"):
        train(shape, how, train_set, validation_set, state=state, on_epoch=seen.append)
    assert not seen


@pytest.mark.parametrize("case", CASES)
def test_groups_that_fit_the_cache_change_nothing_beyond_rounding(case, monkeypatch):
    train_set, validation_set = sets(case)
    together = train(architecture(case), settings(), train_set, validation_set)
    monkeypatch.setattr(networks, "_FEW", 1)
    assert len(networks.groups(architecture(case), 3, 16, torch.device("cpu"))) == 3
    alone = train(architecture(case), settings(), train_set, validation_set)
    for a, b in zip(together.weights, alone.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_the_threshold_of_outliers_is_met_by_five_percent_of_untrained_matrices():
    """Among 4000 fresh matrices 5 % to within 6 errors: of 200 draws of the threshold, 1.5 %."""
    law = {"weights": "uniform", "C_W": 1 / 3}
    shape = trained_architecture(described([10, 16, 4]), (10, 1, 1), 4, **law)
    bounds = largest_at_start(shape, settings())
    rng = np.random.default_rng(3)
    for (n_in, n_out), bound in zip(((10, 16), (16, 4)), bounds, strict=True):
        w = rng.uniform(-1, 1, (4000, n_out, n_in)) / np.sqrt(n_in)
        largest = np.linalg.norm(w, 2, axis=(1, 2)) ** 2 / n_out
        # Var W = C_W/n_in = 1/(3 n_in), as drawn.
        assert abs((largest > bound).mean() - 0.05) < 6 * np.sqrt(
            0.05 * 0.95 * (1 / 200 + 1 / 4000)
        )
