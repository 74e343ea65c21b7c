"""Clipped networks against copies whose weights are multiplied by a projector."""

import pytest
import torch

from finitewidth.trained.representations import rank_truncation
from finitewidth.trained.representations.rank_truncation import truncated_accuracy
from small_networks import CASES, accuracy, architecture, clipped_by_copies, drawn, loaded


def frames(networks, n, ranks, seed=2):
    """Orthonormal columns, one set a network."""
    stream = torch.Generator().manual_seed(seed)
    square = torch.randn(networks, n, n, generator=stream, dtype=torch.float64)
    return torch.linalg.qr(square).Q[:, :, :ranks].contiguous()


def layers():
    for case in CASES:
        for number in range(architecture(case).depth):
            for basis in ("channels", "fan_in"):
                yield pytest.param(case, number, basis, id=f"{case}-{number}-{basis}")


@pytest.mark.parametrize("memory", [2**20, 100], ids=["together", "piece by piece"])
@pytest.mark.parametrize(("case", "number", "basis"), layers())
def test_every_rank_is_that_of_a_copy_with_projected_weights(
    case, number, basis, memory, monkeypatch
):
    monkeypatch.setattr(rank_truncation, "_NUMBERS", memory)
    weights, x, y = drawn(case, 2, 25)
    shape = architecture(case)
    n = getattr(shape.layers[number], basis)
    basis = frames(2, n, n)
    found = truncated_accuracy(shape, weights, number, basis, x, y)
    assert found.shape == (2, n)
    assert torch.allclose(found, clipped_by_copies(case, weights, number, basis, x, y), atol=1e-12)
    whole = [accuracy(loaded(case, weights, k), x, y) for k in range(2)]
    assert found[:, -1].tolist() == pytest.approx(whole)
    # Something is lost on the way.
    assert (found != found[:, -1:]).any()


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_right_singular_vectors_keep_the_whole_layer_in_as_many_as_its_outputs(case):
    weights, x, y = drawn(case, 2, 40)
    shape = architecture(case)
    for number, weight in enumerate(weights):
        basis = torch.linalg.svd(weight, full_matrices=False).Vh.transpose(1, 2)
        found = truncated_accuracy(shape, weights, number, basis, x, y)
        whole = [accuracy(loaded(case, weights, k), x, y) for k in range(2)]
        assert found[:, -1].tolist() == pytest.approx(whole)


def test_the_first_components_decide():
    """Of two inputs that say opposite things, the leading one is believed until both are seen."""
    shape = architecture("mlp, one hidden layer")
    first = torch.zeros(1, 9, 6, dtype=torch.float64)
    first[0, 0, 0], first[0, 1, 1] = 1.0, 2.0
    last = torch.zeros(1, 4, 9, dtype=torch.float64)
    last[0, 1, 0], last[0, 2, 1] = 1.0, 1.0
    x = torch.ones(5, 6, 1, 1, dtype=torch.float64)
    basis = torch.eye(6, dtype=torch.float64)[None]
    ones, twos = torch.full((5,), 1), torch.full((5,), 2)
    found = truncated_accuracy(shape, [first, last], 0, basis, x, ones)
    assert found.tolist() == [[1, 0, 0, 0, 0, 0]]
    found = truncated_accuracy(shape, [first, last], 0, basis, x, twos)
    assert found.tolist() == [[0, 1, 1, 1, 1, 1]]


def test_a_basis_of_neither_channels_nor_patches_is_refused():
    weights, x, y = drawn("strided", 2, 5)
    with pytest.raises(ValueError, match="basis of 5 components, allowed are 4 or 36"):
        truncated_accuracy(architecture("strided"), weights, 1, frames(2, 5, 5), x, y)
