"""Networks generated from covariances: their law, their alignment, and what both are good for.

False alarms: entries of sample covariances are compared within 6 standard errors, some 3000 of
them, a false-alarm rate below 1e-5 for a fresh seed. Comparisons of aligned with unaligned networks
have margins of several spreads. Seeds are fixed.
"""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from finitewidth.data.labelled import labelled
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.trained.generation.rainbow import averaged_roots, generate, roots
from finitewidth.trained.representations.alignment import rotation
from finitewidth.trained.representations.second_moments import moments
from finitewidth.trained.training import networks
from finitewidth.trained.training.epochs import Settings, train
from finitewidth.trained.training.networks import evaluate, outputs
from small_networks import CASES, accuracy, architecture, described, drawn, hidden, loaded, permuted


def stream(seed=1):
    return torch.Generator().manual_seed(seed)


def reference(case, images=300):
    weights, x, y = drawn(case, 1, images, dtype=torch.float32)
    return architecture(case), weights, x, y


def z_scores(rows, covariance):
    """Of each entry of the second moments of rows (row, n) of a centred normal law."""
    found = rows.T @ rows / len(rows)
    diagonal = np.diag(covariance)
    variance = np.outer(diagonal, diagonal) + covariance**2
    return (found - covariance) / np.sqrt(variance / len(rows))


@pytest.mark.parametrize("case", CASES)
def test_roots_are_those_of_the_covariance_of_rows(case):
    weights, _, _ = drawn(case, 3, 1, dtype=torch.float32)
    found = roots(weights)
    assert len(found) == len(weights) - 1
    for root, weight in zip(found, weights, strict=False):
        for b, w in zip(root.numpy(), weight.double().numpy(), strict=True):
            wanted = sum(np.outer(row, row) for row in w) / len(w)
            assert np.allclose(b.T @ b, wanted, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_rows_have_the_covariance_of_the_reference_seen_through_the_alignment(case):
    shape, weights, x, _ = reference(case)
    # Fewer networks of the larger patches: their entries are the more.
    count = 300
    same, drawn_ = generate(shape, weights, roots(weights), x, networks=count, stream=stream())
    assert same == shape
    assert all(w.dtype == torch.float32 for w in drawn_)
    assert [w.shape for w in drawn_] == [(count, *w.shape[1:]) for w in weights]
    target = [None, *(h.movedim(1, 3).flatten(0, 2) for h in hidden(case, weights, 0, x))]
    turns = [None] * (shape.depth)
    for k in range(count):
        own = hidden(case, drawn_, k, x)
        for number, phi in enumerate(own, 1):
            phi = phi.movedim(1, 3).flatten(0, 2)
            turn = orthogonal_procrustes(phi.double(), target[number].double())[0]
            # phi turn ~ target, hence a row on the reference's channels is row turn.
            turns[number] = [*(turns[number] or []), turn]
    for number, (layer, weight) in enumerate(zip(shape.layers, drawn_, strict=True)):
        rows = weight.double().numpy().reshape(*weight.shape[:2], layer.channels, -1)
        if number:
            rows = np.einsum("krcq,kcd->krdq", rows, np.array(turns[number]))
        rows = rows.reshape(*weight.shape[:2], -1)
        w = weights[number][0].double().numpy()
        if number == shape.depth - 1:
            # But for a few networks with a direction that hardly any image has.
            apart = abs(rows - w).max((1, 2))
            assert np.median(apart) < 2e-5
            assert np.quantile(apart, 0.95) < 3e-4
            continue
        z = z_scores(rows.reshape(-1, rows.shape[-1]), w.T @ w / len(w))
        assert abs(z).max() < 6
        # Rows are independent, of one network and from one network to the next.
        covariance = w.T @ w / len(w)
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)) / count)
        assert (abs(rows[:, 0].T @ rows[:, 1] / count) < 6 * scale).all()
        assert (abs(rows[1:, 0].T @ rows[:-1, 0] / count) < 6 * scale).all()


@pytest.mark.parametrize("case", CASES)
def test_a_network_of_which_nothing_is_drawn_is_the_reference(case):
    shape, weights, x, _ = reference(case)
    same, kept = generate(shape, weights, roots(weights), x, networks=2, stream=stream(), layers=[])
    assert same == shape
    _, others, _ = drawn(case, 1, 50, seed=9, dtype=torch.float32)
    for images in (x, others):
        wanted = outputs(shape, weights, images[None])
        found = outputs(shape, kept, images[None])
        for k in range(2):
            assert torch.allclose(found[k], wanted[0], atol=1e-4 * float(wanted.abs().max()))


def test_kept_layers_keep_the_weights_and_the_width_of_the_reference():
    shape, weights, x, _ = reference("mlp")
    arguments = shape, weights, roots(weights), x
    grown, found = generate(*arguments, networks=4, stream=stream(), layers=[1], widths=[20, 30])
    assert grown.widths == (12, 7, 30, 3)
    assert all(torch.equal(w, weights[0][0]) for w in found[0])
    assert [tuple(w.shape) for w in found] == [(4, 7, 12), (4, 30, 7), (4, 3, 30)]
    assert not torch.allclose(found[1][0], found[1][1], atol=0.1)
    grown, found = generate(*arguments, networks=4, stream=stream(), layers=[0], widths=[20, 30])
    assert grown.widths == (12, 20, 5, 3)
    # The kept layer sees the new representation through an isometry, of norm 1 but for the widths.
    for k in range(4):
        phi = torch.relu(x.flatten(1) @ found[0][k].T)
        target = hidden("mlp", weights, 0, x)[0].flatten(1)
        u, _, vt = np.linalg.svd((target.T @ phi).double().numpy())
        turn = np.sqrt(7 / 20) * u @ vt[:7]
        wanted = weights[1][0].double().numpy() @ turn
        assert np.allclose(found[1][k], wanted, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_chunks_of_images_do_not_change_networks_beyond_rounding(case, monkeypatch):
    shape, weights, x, _ = reference(case)
    arguments = shape, weights, roots(weights), x
    _, whole = generate(*arguments, networks=3, stream=stream())
    _, again = generate(*arguments, networks=3, stream=stream())
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    monkeypatch.setattr(networks, "_NUMBERS", 3 * shape.activations * 40)
    _, found = generate(*arguments, networks=3, stream=stream())
    for a, b in zip(whole, found, strict=True):
        assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))


@pytest.mark.parametrize("case", ["mlp", "cnn", "strided"])
def test_activations_of_other_widths_have_the_same_size(case):
    shape, weights, x, _ = reference(case)
    sizes = {}
    for factor in (1, 4, 16):
        widths = [factor * n for n in shape.widths[1:-1]]
        grown, found = generate(
            shape, weights, roots(weights), x, networks=40, stream=stream(), widths=widths
        )
        assert grown == shape.resized(widths)
        assert [tuple(w.shape) for w in found] == [
            (40, layer.out, layer.fan_in) for layer in grown.layers
        ]
        each = networks.representations(grown, found, x[None])
        sizes[factor] = np.array([float(phi.square().mean()) for phi in each])
    # Had a turn not taken the ratio of widths back, all but the first would grow 16 times.
    assert (abs(np.log(sizes[4] / sizes[16])) < np.log(1.5)).all()
    assert (abs(np.log(sizes[1] / sizes[16])) < np.log(2.5)).all()
    # And like the reference's, as far as those are of mean 0 before ReLU.
    own = [float(phi.square().mean()) for phi in networks.representations(shape, weights, x[None])]
    assert (abs(np.log(sizes[16] / own)) < np.log(2.5)).all()


def test_layers_that_are_not_hidden_are_refused():
    shape, weights, x, _ = reference("mlp")
    for layers in ([2], [0, 5], [-1]):
        with pytest.raises(ValueError, match=r"layers \[.*\], allowed are 0 to 1"):
            generate(shape, weights, roots(weights), x, networks=1, stream=stream(), layers=layers)


@pytest.fixture(scope="module")
def digits():
    """A trained perceptron, and images that it was and was not trained on."""
    data = labelled("d", {"kind": "digits", "validation": 0.3, "normalise": True}, 1)
    law = {"weights": "uniform", "C_W": 1 / 3}
    shape = trained_architecture(described([64, 48, 32, 10]), (1, 8, 8), 10, **law)
    x, held = (torch.from_numpy(i).view(-1, 64, 1, 1) for i in (data.train_x, data.validation_x))
    y, held_y = (torch.from_numpy(i) for i in (data.train_y, data.validation_y))
    how = Settings(1, 12, 32, 0.05, 0.9, (1, "rainbow"))
    state = train(shape, how, (x, y), (held, held_y))
    assert float(state.curves["validation_accuracy"][-1]) > 0.94
    return shape, state.weights, x, held, held_y


def unaligned(shape, weights, factor, count):
    """As generated ones, but with identities (padded with zeros) in place of alignments."""
    rng = np.random.default_rng(5)
    found = []
    for layer, weight in zip(shape.layers[:-1], weights, strict=False):
        w = weight[0].double().numpy()
        root = np.linalg.cholesky(w.T @ w / len(w) + 1e-9 * np.eye(w.shape[1])).T
        rows = rng.standard_normal((count, factor * layer.out, len(root))) @ root
        if found:
            rows = np.pad(rows, ((0, 0), (0, 0), (0, (factor - 1) * layer.channels)))
        found.append(torch.from_numpy(rows).float())
    last = np.pad(weights[-1][0].numpy(), ((0, 0), (0, (factor - 1) * shape.layers[-1].channels)))
    return [*found, torch.from_numpy(last).expand(count, -1, -1).contiguous()]


def kernel_error(shape, weights, reference_shape, reference_weights, x):
    """How far the kernel of the last representation is from the reference's, both of norm 1."""

    def kernels(shape, weights):
        (*_, phi, _) = networks.representations(shape, weights, x[None])
        phi = phi.flatten(2).double()
        k = phi @ phi.transpose(1, 2)
        return k / torch.linalg.matrix_norm(k)[:, None, None]

    apart = kernels(shape, weights) - kernels(reference_shape, reference_weights)
    return float(torch.linalg.matrix_norm(apart).mean())


def test_alignment_is_what_makes_generated_networks_know_digits(digits):
    shape, weights, x, held, held_y = digits
    accuracy_, error = {}, {}
    for factor in (1, 8):
        widths = [factor * n for n in shape.widths[1:-1]]
        grown, found = generate(
            shape, weights, roots(weights), x, networks=8, stream=stream(), widths=widths
        )
        by_hand = unaligned(shape, weights, factor, 8)
        for name, of in (("aligned", found), ("unaligned", by_hand)):
            accuracy_[name, factor] = float(evaluate(grown, of, held, held_y)[1].mean())
            error[name, factor] = kernel_error(grown, of, shape, weights, held[:150])
    whole = float(evaluate(shape, weights, held, held_y)[1])
    # Without alignment a read-out is worth as much as guessing.
    assert accuracy_["unaligned", 1] < 0.3
    assert accuracy_["unaligned", 8] < 0.3
    assert accuracy_["aligned", 1] > 0.5
    assert accuracy_["aligned", 8] > accuracy_["aligned", 1] + 0.03
    assert whole - 0.15 < accuracy_["aligned", 8] <= whole + 0.01
    assert error["aligned", 8] < 0.8 * error["aligned", 1]
    assert error["aligned", 8] < 0.8 * error["unaligned", 8]


def through(q, places):
    """A turn of channels as one of patches."""
    return np.kron(q, np.eye(places))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("copies", [1, 3])
def test_the_average_over_rotated_copies_is_the_covariance_of_one(case, copies):
    """Of networks that differ by a rotation of every hidden representation."""
    shape = architecture(case)
    weights, _, _ = drawn(case, 1, 1)
    rotated, turns = [[] for _ in weights], [None]
    for number, layer in enumerate(shape.layers):
        turn = []
        for k in range(copies):
            w = weights[number][0].numpy()
            if number:
                w = w @ through(turns[number][k].T, layer.fan_in // layer.channels)
            if number < shape.depth - 1:
                q = ortho_group.rvs(layer.out, random_state=10 * k + number)
                w, turn = q @ w, [*turn, q]
            rotated[number].append(w)
        turns.append(turn)
    # What takes a copy's representation to the reference's is the inverse of its rotation.
    given = [None, *(torch.from_numpy(np.swapaxes(t, 1, 2)) for t in turns[1:-1] if t)]
    found = averaged_roots(shape, [torch.from_numpy(np.array(w)) for w in rotated], given)
    assert len(found) == shape.depth - 1
    for root, weight in zip(found, weights, strict=False):
        assert root.shape[0] == 1
        assert root.shape[1] <= root.shape[2]
        w = weight[0].numpy()
        assert np.allclose(root[0].T @ root[0], w.T @ w / len(w), atol=1e-12)


def test_the_average_of_different_networks_is_the_mean_of_their_turned_covariances():
    shape = architecture("strided")
    weights, _, _ = drawn("strided", 3, 1)
    q = np.array([ortho_group.rvs(4, random_state=k) for k in range(3)])
    first, second = averaged_roots(shape, weights, [None, torch.from_numpy(q)])
    w = weights[0].numpy()
    assert np.allclose(first[0].T @ first[0], np.mean([a.T @ a / 4 for a in w], 0))
    turned = [a @ through(r.T, 9) for a, r in zip(weights[1].numpy(), q, strict=True)]
    assert np.allclose(second[0].T @ second[0], np.mean([a.T @ a / 3 for a in turned], 0))


@pytest.mark.parametrize("case", ["mlp", "strided"])
def test_measured_alignments_undo_a_permutation_of_neurons(case):
    """Copies with permuted hidden channels compute the same, and are found to be the same."""
    shape = architecture(case)
    weights, x, _ = drawn(case, 1, 200)
    together = permuted(case, weights, 3)
    wanted = loaded(case, weights, 0)(x)
    assert torch.allclose(outputs(shape, together, x[None])[2], wanted, atol=1e-10)
    cross = [m.second for m in moments(shape, together, x)][1:]
    turns = [None, *(torch.from_numpy(rotation(c[0].permute(1, 0, 2).numpy())) for c in cross)]
    found = averaged_roots(shape, together, turns)
    for root, own in zip(found, roots([w[:1] for w in together]), strict=True):
        assert torch.allclose(root[0].T @ root[0], own[0].T @ own[0], atol=1e-9)
    assert accuracy(loaded(case, together, 1), x, wanted.argmax(1)) == 1
