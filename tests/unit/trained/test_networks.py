"""Networks computed together against torch's modules, one by one."""

import pytest
import torch
from torch.nn import functional

from finitewidth.trained.training import networks
from finitewidth.trained.training.networks import (
    chunks,
    each,
    evaluate,
    outputs,
    representations,
    scores,
)
from small_networks import CASES, accuracy, architecture, drawn, hidden, loaded

pytestmark = pytest.mark.fast

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("own", [False, True], ids=["shared images", "own images"])
@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_modules(case, own, count, device):
    weights, x, _ = drawn(case, count, 5 * count)
    x = x.view(count, 5, *x.shape[1:]) if own else x[None, :5]
    here = [w.to(device) for w in weights]
    found = outputs(architecture(case), here, x.to(device)).cpu()
    assert found.shape == (count, 5, CASES[case][3])
    for k in range(count):
        wanted = loaded(case, weights, k)(x[k if own else 0])
        assert torch.allclose(found[k], wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_representations_are_those_of_modules_from_any_layer_on(case):
    weights, x, _ = drawn(case, 3, 4)
    shape = architecture(case)
    found = list(representations(shape, weights, x[None]))
    for k in range(3):
        for mine, wanted in zip(found[:-1], hidden(case, weights, k, x), strict=True):
            assert mine[k].shape == wanted.shape
            assert torch.allclose(mine[k], wanted, rtol=1e-11, atol=1e-12)
    (*_, last) = representations(shape, weights, found[0], start=1)
    assert torch.allclose(last, found[-1], rtol=1e-11, atol=1e-12)
    assert (found[-1] < 0).any()


@pytest.mark.parametrize("case", CASES)
def test_evaluate_is_a_loop_over_networks_and_images(case):
    weights, x, y = drawn(case, 3, 40)
    loss, right = evaluate(architecture(case), weights, x, y)
    for k in range(3):
        model = loaded(case, weights, k)
        assert float(right[k]) == pytest.approx(accuracy(model, x, y), abs=1e-12)
        with torch.no_grad():
            losses = [
                float(functional.cross_entropy(model(a[None]), b[None]))
                for a, b in zip(x, y, strict=True)
            ]
        assert float(loss[k]) == pytest.approx(sum(losses) / len(losses), rel=1e-10)


def test_scores_by_hand():
    logits = torch.tensor([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]]]).double()
    half = torch.log(torch.tensor(2.0).double())

    def softplus(v):
        return torch.log1p(torch.exp(torch.tensor(v).double()))

    y = torch.tensor([[0, 1], [1, 0]])
    logarithms, loss, right = scores(logits, y)
    assert torch.allclose(loss, torch.stack([half + softplus(1.0), softplus(-2.0) + half]))
    assert torch.allclose(logarithms.exp().sum(1), torch.ones(2, 2).double())
    # Of equal logits the first counts.
    assert right.tolist() == [1, 2]
    assert scores(logits, 1 - y)[2].tolist() == [1, 0]


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_chunks_do_not_change_results_beyond_rounding(case, monkeypatch):
    weights, x, y = drawn(case, 3, 41, dtype=torch.float32)
    shape = architecture(case)
    whole = evaluate(shape, weights, x, y)
    assert len(list(chunks(shape, 3, 41))) == 1
    monkeypatch.setattr(networks, "_NUMBERS", 3 * shape.activations * 6)
    monkeypatch.setattr(networks, "_FEW", 3 * shape.activations * 6)
    parts = list(chunks(shape, 3, 41))
    assert [k for part in parts for k in range(41)[part]] == list(range(41))
    sizes = [len(range(41)[part]) for part in parts]
    assert max(sizes) <= 6
    assert max(sizes) - min(sizes) <= 1
    found = evaluate(shape, weights, x, y)
    assert torch.allclose(found[0], whole[0], rtol=1e-6)
    assert torch.equal(found[1], whole[1])
    # At least one image at a time, however little memory there is.
    monkeypatch.setattr(networks, "_NUMBERS", 1)
    monkeypatch.setattr(networks, "_FEW", 1)
    assert len(list(chunks(shape, 3, 41))) == 41


def test_each_takes_some_networks():
    weights, _, _ = drawn("mlp", 4, 1)
    assert all(torch.equal(a, b[2:3]) for a, b in zip(each(weights, 2), weights, strict=True))
    assert [len(w) for w in each(weights, slice(1, 4))] == [3, 3, 3]
