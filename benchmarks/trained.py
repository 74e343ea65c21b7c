"""Trained networks against the way a tutorial does it, and against the floor of arithmetic.

    python benchmarks/trained.py

One thread, single precision; both sides in one run, turn by turn, the best of each.

Training: eight replicas together, images prepared once and evaluation included, against one after
another as in "Comparing latent dimensions of representations and weights" (CCN 2023): a DataLoader
whose Dataset transforms sample by sample (scale, normalise, grey), an nn.Sequential without biases,
SGD with momentum, the accuracy of each batch by .item(), an evaluation after each epoch. The floor
is the bare products: forwards, by weights, by inputs, and the evaluations' forwards.

Clipping: accuracy at every rank of every layer against a copy of the model for each rank, its
weight multiplied by the projector, all evaluated batch by batch on images that are in memory. Of
large networks the copies are made at every 16th rank, and their time is multiplied.

Second moments: against x.T @ x of the same activations in the same chunks.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from finitewidth.members.plain import of_plain
from finitewidth.models.network_shape import NetworkShape
from finitewidth.models.relu_network import ReluNetwork
from finitewidth.models.trained_architecture import trained_architecture
from finitewidth.trained.representations.rank_truncation import truncated_accuracy
from finitewidth.trained.representations.second_moments import _Sum, moments
from finitewidth.trained.representations.spectra import eigen
from finitewidth.trained.training.epochs import Settings, initial, train
from finitewidth.trained.training.networks import chunks, each, representations

REPLICAS, REPEATS = 8, 3
LUMA = (0.2989, 0.587, 0.114)
DIGITS = {"training": 1437, "batch": 64, "rate": 0.05, "epochs": 4}
CIFAR = {"training": 2000, "batch": 128, "rate": 0.01, "epochs": 2}
MODELS = {
    "digits, MLP 64-128-64-10": (DIGITS, {"mlp": [64, 128, 64, 10]}),
    "digits, CNN 1-32-64": (
        DIGITS | {"rate": 0.02, "epochs": 2},
        {"cnn": {"channels": [1, 32, 64], "kernel": 5, "stride": 2, "padding": 2}},
    ),
    "CIFAR-shaped, MLP 1024-512-256-10": (CIFAR, {"mlp": [1024, 512, 256, 10]}),
    "CIFAR-shaped, CNN 1-32-64": (
        CIFAR,
        {"cnn": {"channels": [1, 32, 64], "kernel": 5, "stride": 2, "padding": 0}},
    ),
}


def fastest(*jobs: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Seconds of each job, in turns, so that a slow moment of the machine hits all of them."""
    best = [float("inf")] * len(jobs)
    for _ in range(repeats):
        for k, job in enumerate(jobs):
            start = time.perf_counter()
            job()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


# --- data and models --------------------------------------------------------------------------


def pictures(name: str) -> tuple[Tensor, Tensor]:
    """Images (image, row, column, channel) of bytes, and labels."""
    if name.startswith("digits"):
        images, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(images).view(-1, 8, 8, 1) * 15
        return x.to(torch.uint8), torch.from_numpy(labels).long()
    stream = torch.Generator().manual_seed(0)
    x = torch.randint(256, (4000, 32, 32, 3), generator=stream, dtype=torch.uint8)
    return x, torch.randint(10, (4000,), generator=stream)


def to_tensor(image: Tensor) -> Tensor:
    """Bytes (row, column, channel) to numbers from 0 to 1, (channel, row, column)."""
    return image.permute(2, 0, 1).contiguous().float().div(255)


def normalise(image: Tensor) -> Tensor:
    """About 0, of variance about 1."""
    mean, deviation = (torch.full((image.shape[0], 1, 1), v) for v in (0.45, 0.27))
    return image.clone().sub_(mean).div_(deviation)


def grey(image: Tensor) -> Tensor:
    """Three channels to one."""
    r, g, b = image.unbind(-3)
    return (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b).unsqueeze(-3)


class Transformed(Dataset):
    """Images that are made anew each time, one by one."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images, self.labels = images, labels.tolist()
        self.transforms = [to_tensor, normalise, *([grey] if images.shape[3] == 3 else [])]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        image = self.images[index]
        for transform in self.transforms:
            image = transform(image)
        return image, self.labels[index]


def prepared(images: Tensor, labels: Tensor, architecture: ReluNetwork) -> tuple[Tensor, Tensor]:
    """The same images at once, as the workflow prepares them."""
    x = (images.permute(0, 3, 1, 2) / 255 - 0.45) / 0.27
    if x.shape[1] == 3:
        x = torch.einsum("nchw,c->nhw", x, torch.tensor(LUMA))
    return x.reshape(-1, *architecture.image), labels


def case(name: str) -> tuple[ReluNetwork, dict, tuple, tuple]:
    """Architecture, options, and the images' training and validation part."""
    options, model = MODELS[name]
    x, y = pictures(name)
    member = {"ensemble": "benchmark", "mlp": None, "cnn": None} | model
    law = {"weights": "uniform", "C_W": 1 / 3}
    described = of_plain(member, NetworkShape)
    architecture = trained_architecture(described, (1, *x.shape[1:3]), 10, **law)
    n = options["training"]
    # The validation set of digits is what is left; the other's has 500 here, 2000 for clipping.
    return architecture, options, (x[:n], y[:n]), (x[n:], y[n:])


def settings_of(options: dict) -> Settings:
    """For eight replicas."""
    return Settings(REPLICAS, options["epochs"], options["batch"], options["rate"], 0.9, (1,))


def module(architecture: ReluNetwork, weights: list[Tensor] | None = None) -> nn.Sequential:
    """The network as torch.nn has it."""
    parts = []
    for layer in architecture.layers:
        if layer.is_linear:
            parts += [nn.Flatten(), nn.Linear(layer.fan_in, layer.out, bias=False), nn.ReLU()]
        else:
            options = {"stride": layer.stride, "padding": layer.padding, "bias": False}
            parts += [nn.Conv2d(layer.channels, layer.out, layer.kernel, **options), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    for parameter, weight in zip(model.parameters(), weights or [], strict=False):
        parameter.data.copy_(weight.view_as(parameter))
    return model


# --- training ---------------------------------------------------------------------------------


def together(architecture, options, training, validation) -> None:
    """Ours, with the preparation of the images."""
    sets = [prepared(*part, architecture) for part in (training, validation)]
    train(architecture, settings_of(options), *sets)


def one_by_one(architecture, options, training, validation) -> None:
    """Replica after replica, as the tutorial trains them."""
    size = options["batch"]
    for _ in range(REPLICAS):
        model = module(architecture)
        descent = torch.optim.SGD(model.parameters(), lr=options["rate"], momentum=0.9)
        loader = DataLoader(Transformed(*training), batch_size=size, shuffle=True)
        held_out = DataLoader(Transformed(*validation), batch_size=size)
        for _ in range(options["epochs"]):
            run(model, loader, descent)
            with torch.no_grad():
                run(model, held_out, None)


def run(model: nn.Module, loader: DataLoader, descent) -> tuple[float, float]:
    """Mean loss and accuracy of one pass, with or without descent."""
    loss_sum = right = count = 0
    for x, y in loader:
        logits = model(x)
        loss = functional.cross_entropy(logits, y)
        if descent is not None:
            descent.zero_grad()
            loss.backward()
            descent.step()
        loss_sum += loss.item() * len(y)
        right += (logits.argmax(1) == y).sum().item()
        count += len(y)
    return loss_sum / count, right / count


def floor(architecture, options, training, validation) -> tuple[float, float]:
    """GFLOP and seconds of the products that training takes.

    Its evaluations count, after each epoch and before the first.
    """
    images, held_out, size = len(training[0]), len(validation[0]), options["batch"]
    operations = seconds = 0.0
    for number, layer in enumerate(architecture.layers):
        rows = size * layer.positions
        x, w = torch.randn(REPLICAS, rows, layer.fan_in), torch.randn(layer.out, layer.fan_in)
        w = w.expand(REPLICAS, -1, -1).contiguous()
        z = torch.randn(REPLICAS, rows, layer.out)
        # Forwards each epoch and, both sets, before the first; twice more each epoch.
        forwards = (options["epochs"] + 1) * (images + held_out)
        passes = [forwards, options["epochs"] * images]
        jobs = [
            lambda w=w, x=x: torch.bmm(w, x.transpose(1, 2)),
            lambda z=z, x=x: torch.bmm(z.transpose(1, 2), x),
        ]
        if number:
            passes.append(passes[-1])
            jobs.append(lambda z=z, w=w: torch.bmm(z, w))
        taken = fastest(*jobs, repeats=15)
        seconds += sum(t * n / size for t, n in zip(taken, passes, strict=True))
        operations += 2e-9 * REPLICAS * layer.positions * w[0].numel() * sum(passes)
    return operations, seconds


def training_table() -> None:
    print("## Training eight replicas\n")
    print("| network | epochs | together, s | one by one, s | ratio | GFLOP | bare products, s"
          " | of ours | of theirs |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name in MODELS:
        architecture, options, training, validation = case(name)
        sets = training, tuple(part[:500] for part in validation)
        ours, theirs = fastest(
            lambda: together(architecture, options, *sets),  # noqa: B023
            lambda: one_by_one(architecture, options, *sets),  # noqa: B023
        )
        work, least = floor(architecture, options, *sets)
        print(f"| {name} | {options['epochs']} | {ours:.3g} | {theirs:.3g} | {theirs / ours:.1f}"
              f" | {work:.3g} | {least:.3g} | {least / ours:.2f} | {least / theirs:.3f} |",
              flush=True)  # fmt: skip


# --- clipping ---------------------------------------------------------------------------------


def bases(architecture, weights, number: int, x: Tensor) -> dict[str, Tensor]:
    """Eigenvectors of what the layer sees, and right singular vectors of its weights."""
    second = moments(architecture, weights, x)[number].second
    frame = eigen(second[0, :, 0].numpy())[1].copy()
    singular = torch.linalg.svd(weights[number][0], full_matrices=False)[2].T
    return {"activations": torch.from_numpy(frame).float(), "weights": singular.contiguous()}


@torch.no_grad()
def copies(architecture, weights, number, basis, x, y, stride) -> Tensor:
    """Accuracy at every ``stride``-th rank of a perceptron's layer, each by a copy of it."""
    original = module(architecture, [w[0] for w in weights])
    models = []
    for rank in range(1, basis.shape[1] + 1, stride):
        model = copy.deepcopy(original)
        kept = basis[:, :rank]
        weight = list(model.parameters())[number]
        weight.copy_(weight @ (kept @ kept.T))
        models.append(model)
    right = torch.zeros(len(models))
    for images, labels in zip(x.split(128), y.split(128), strict=True):
        for k, model in enumerate(models):
            right[k] += (model(images).argmax(1) == labels).sum().item()
    return right / len(x)


def clipping_table() -> None:
    print("\n## Clipping at every rank, all layers (one network)\n")
    print("| network | basis | images | ranks | ours, s | copies, s | ratio | largest deviation |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("digits, MLP 64-128-64-10", "CIFAR-shaped, MLP 1024-512-256-10"):
        architecture, options, training, validation = case(name)
        (x, _), (held, y) = (prepared(*p, architecture) for p in (training, validation))
        weights = each(train(architecture, settings_of(options), (x, training[1]), (held, y)).
                       weights, 0)  # fmt: skip
        found = [bases(architecture, weights, k, x) for k in range(architecture.depth)]
        for basis in ("activations", "weights"):
            frames = list(enumerate(frame[basis] for frame in found))
            clip_row(name, architecture, weights, basis, frames, held, y)


def clip_row(name, architecture, weights, basis, frames, x, y) -> None:
    """One row of the table."""

    stride = 1 if name.startswith("digits") else 16

    def ours():
        return [truncated_accuracy(architecture, weights, k, f[None], x, y)[0] for k, f in frames]

    def theirs():
        return [copies(architecture, weights, k, f, x, y, stride) for k, f in frames]

    pairs = list(zip(ours(), theirs(), strict=True))
    gap = max(float((a[::stride] - b).abs().max()) for a, b in pairs)
    fast, slow = fastest(ours, theirs, repeats=3 if stride == 1 else 1)
    ranks = sum(f.shape[1] for _, f in frames)
    slow *= ranks / sum(len(b) for _, b in pairs)
    print(f"| {name} | {basis} | {len(x)} | {ranks} | {fast:.3g} | {slow:.3g} | {slow / fast:.1f}"
          f" | {gap:.1e} |", flush=True)  # fmt: skip


# --- second moments ---------------------------------------------------------------------------


@torch.no_grad()
def moments_table() -> None:
    print("\n## Second moments of eight replicas\n")
    print("| network | images | product, s | moments, s | share | forward, s | all, s"
          " | share of forward and product |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in MODELS:
        architecture, options, training, _ = case(name)
        x, _ = prepared(*training, architecture)
        moments_row(name, architecture, initial(architecture, settings_of(options)), x)


def moments_row(name, architecture, weights, x) -> None:
    """One row of the table."""
    parts = [x[None, part] for part in chunks(architecture, REPLICAS, len(x))]
    seen = [[part, *representations(architecture, weights, part)][:-1] for part in parts]
    samples = [[flat(phi) for phi in phis] for phis in seen]

    def product():
        return [[a.T @ a for a in phis] for phis in samples]

    def without_forward():
        sums = [_Sum() for _ in architecture.layers]
        for phis in seen:
            for total, phi in zip(sums, phis, strict=True):
                total.add(phi)

    def forward():
        for part in parts:
            list(representations(architecture, weights, part))

    def everything():
        moments(architecture, weights, x)

    bare, ours, way, whole = fastest(product, without_forward, forward, everything, repeats=5)
    print(f"| {name} | {len(x)} | {bare:.3g} | {ours:.3g} | {bare / ours:.2f} | {way:.3g}"
          f" | {whole:.3g} | {(way + bare) / whole:.2f} |", flush=True)  # fmt: skip


def flat(phi: Tensor) -> Tensor:
    """(sample, replica * channel), positions being samples."""
    return phi.permute(1, 3, 4, 0, 2).flatten(3).flatten(0, 2).contiguous()


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training_table()
    clipping_table()
    moments_table()


if __name__ == "__main__":
    main()
