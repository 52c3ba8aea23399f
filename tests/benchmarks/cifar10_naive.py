"""The recipe of `cifar10-fast` as one writes it in plain PyTorch: one file, a network, a loop, nothing of dltui.

``python -m tests.benchmarks.cifar10_naive --data FOLDER`` trains on CIFAR-10's own files in FOLDER/cifar-10-batches-py
(an archive of train|test/CLASS/NUMBER.jpg will do too) and prints a line a seed: the accuracy that `dltui run
cifar10-fast` has to reach on the same files, and the time that it has to beat. Every step is made one operation at a
time: no graph, nothing compiled. The photos are on the device from the start, as bytes. The recipe is Keller Jordan's
airbench94_muon; --help says what can be changed of it.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dlcore.data.cifar_files import pictures, read_files

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PHOTOS_FOR_WHITENING = 5000
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
TURNED_IN = torch.bfloat16
"""Number format of Newton and Schulz's iterations."""


def main() -> None:
    """Train once for each seed."""
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    train, test = load(args.data)
    if args.held_back:
        kept = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(0))[args.held_back :]
        train = train[0][kept], train[1][kept]
    train, test = (tuple(each.to(args.device) for each in part) for part in (train, test))  # type: ignore[assignment]
    results = []
    for seed in args.seeds:
        torch.manual_seed(seed)
        results.append(run(args, train, test))
        print(json.dumps({"seed": seed, **results[-1]}), flush=True)
    if len(results) > 1:
        means = {key: round(statistics.mean(each[key] for each in results), 4) for key in results[0]}
        spread = statistics.stdev(each["six views"] for each in results)
        print(json.dumps({"mean": means, "deviation of six views": round(spread, 4)}))


def arguments() -> argparse.Namespace:
    """What can be changed of the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of cifar-10-batches-py, or a .tar.gz of photos"
    )
    parser.add_argument("--widths", type=int, nargs=3, default=(64, 256, 256))
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument(
        "--bias-steps", type=int, default=75, help="steps in which the whitening layer's bias learns"
    )
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--held-back", type=int, default=0, help="photos that are not learned from")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("fp32", *DTYPES), default="bf16")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    return parser.parse_args()


# Data


def load(source: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test photos, uint8 (photos, 3, 32, 32), and their classes, int64 (photos,)."""
    if source.is_file():
        return from_archive(source)
    parts = []
    for names in ([f"data_batch_{number}" for number in range(1, 6)], ["test_batch"]):
        files = read_files(source / "cifar-10-batches-py", source / "cifar-10-python.tar.gz", names)
        pixels = np.concatenate([pictures(files[name]) for name in names])
        labels = np.concatenate([files[name]["labels"] for name in names])
        parts.append((torch.from_numpy(pixels), torch.from_numpy(labels)))
    return parts[0], parts[1]


def from_archive(source: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The same from train|test/CLASS/NUMBER.jpg; classes in the alphabet's order, as CIFAR-10 has them."""
    found: dict[str, list[tuple[str, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(source) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if file is not None:
                part, kind, _ = member.name.split("/")[-3:]
                found[part].append((kind, np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))))
    names = sorted({kind for kind, _ in found["train"]})
    train, test = (
        (
            torch.from_numpy(np.stack([photo for _, photo in found[part]]).transpose(0, 3, 1, 2).copy()),
            torch.tensor([names.index(kind) for kind, _ in found[part]]),
        )
        for part in ("train", "test")
    )
    return train, test


def normalised(photos: Tensor) -> Tensor:
    """float32, in channels-last order."""
    mean, std = (torch.tensor(each, device=photos.device).view(1, 3, 1, 1) for each in (MEAN, STD))
    return ((photos / 255 - mean) / std).to(memory_format=torch.channels_last)


class Epochs:
    """Batches of photos that are shifted anew in each epoch, and mirrored in every second one."""

    def __init__(self, photos: Tensor, labels: Tensor, batch: int) -> None:
        self.photos, self.labels, self.batch = photos, labels, batch
        self.padded = F.pad(photos.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
        self.mirrored = torch.rand(len(photos), device=photos.device) < 0.5

    def __len__(self) -> int:
        return len(self.photos) // self.batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        device, count = self.photos.device, len(self.photos)
        down, right = torch.randint(0, 5, (2, count), device=device)
        shown = torch.empty_like(self.photos)
        for y in range(5):
            for x in range(5):
                chosen = (down == y) & (right == x)
                shown[chosen] = self.padded[chosen, :, y : y + 32, x : x + 32]
        mirrored = self.mirrored if number % 2 == 0 else ~self.mirrored
        shown[mirrored] = shown[mirrored].flip(-1)
        order = torch.randperm(count, device=device)
        for at in range(len(self)):
            rows = order[at * self.batch : (at + 1) * self.batch]
            yield normalised(shown[rows]), self.labels[rows]


# Network


def norm(channels: int) -> nn.BatchNorm2d:
    """Fast averages; the scale stays 1."""
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Its first filters pass their channel on."""
    layer = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


def group(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, of half the height and width."""
    return nn.Sequential(
        conv(inputs, outputs), nn.MaxPool2d(2), norm(outputs), nn.GELU(),
        conv(outputs, outputs), norm(outputs), nn.GELU(),
    )  # fmt: skip


class Network(nn.Module):
    """24 whitened channels, three groups, a maximum of 3×3, a head."""

    def __init__(self, widths: tuple[int, int, int], photos: Tensor) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        patches = photos.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
        self.whiten.weight.data = torch.cat([filters, -filters])
        first, second, third = widths
        self.body = nn.Sequential(
            nn.GELU(),
            group(24, first),
            group(first, second),
            group(second, third),
            nn.MaxPool2d(3),
            nn.Flatten(),
        )
        self.head = nn.Linear(third, 10, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def forward(self, photos: Tensor) -> Tensor:
        features = self.body(self.whiten(photos))
        return self.head(features) / features.shape[1]


# Optimizer


def orthogonal(matrix: Tensor) -> Tensor:
    """Three quintic Newton-Schulz iterations."""
    x = matrix.to(TURNED_IN)
    x = x / (x.norm() + 1e-7)
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Filters of constant length, turned by orthogonal steps."""

    def __init__(self, filters: list[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(filters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for each in self.param_groups:
            for filters in each["params"]:
                kept = self.state[filters].setdefault("kept", torch.zeros_like(filters))
                kept.mul_(each["momentum"]).add_(filters.grad)
                ahead = filters.grad + each["momentum"] * kept
                filters.mul_(len(filters) ** 0.5 / filters.norm())
                filters.sub_(each["lr"] * orthogonal(ahead.flatten(1)).view_as(filters))


# Training


class Learner:
    """A network with its two optimizers, and how far it is.

    Args:
        steps: of the whole training.
        bias_steps: in which the whitening layer's bias learns.
    """

    def __init__(self, model: Network, batch: int, steps: int, bias_steps: int) -> None:
        self.model, self.steps, self.bias_steps, self.made = model, steps, bias_steps, 0
        decay = 2e-6 * batch
        biases = [p for name, p in model.body.named_parameters() if name.endswith("bias")]
        self.sgd = torch.optim.SGD(
            [
                {"params": [model.whiten.bias], "lr": 0.053, "weight_decay": decay / 0.053},
                {"params": biases, "lr": 0.053, "weight_decay": decay / 0.053},
                {"params": [model.head.weight], "lr": 0.67, "weight_decay": decay / 0.67},
            ],
            momentum=0.85, nesterov=True,
        )  # fmt: skip
        self.muon = Muon([p for p in model.body.parameters() if p.ndim == 4], lr=0.24, momentum=0.6)
        self.groups = [*self.sgd.param_groups, *self.muon.param_groups]
        self.rates = [group["lr"] for group in self.groups]

    def step(self, photos: Tensor, labels: Tensor, autocast: torch.autocast) -> Tensor:
        """The sum of the losses, ()."""
        self.model.whiten.bias.requires_grad_(self.made < self.bias_steps)
        with autocast:
            loss = F.cross_entropy(self.model(photos), labels, label_smoothing=0.2, reduction="sum")
        loss.backward()
        for number, (each, rate) in enumerate(zip(self.groups, self.rates, strict=True)):
            each["lr"] = rate * (1 - self.made / (self.steps if number else self.bias_steps))
        for optimizer in (self.sgd, self.muon):
            optimizer.step()
            optimizer.zero_grad()
        self.made += 1
        return loss.detach()


def run(
    args: argparse.Namespace, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> dict[str, float]:
    """Accuracies and seconds of one training; the evaluation is not in the seconds, the whitening is."""
    start = clock(args.device)
    rows = torch.randperm(len(train[0]))[:PHOTOS_FOR_WHITENING].to(args.device)
    model = Network(args.widths, normalised(train[0][rows])).to(
        args.device, memory_format=torch.channels_last
    )
    epochs = Epochs(*train, args.batch)
    learner = Learner(model, args.batch, round(args.epochs * len(epochs)), args.bias_steps)
    model.train()
    while learner.made < learner.steps:
        for photos, labels in epochs.epoch(learner.made // len(epochs)):
            loss = learner.step(photos, labels, autocast(args))
            if learner.made == learner.steps:
                break
    seconds = clock(args.device) - start
    return {**judged(args, model, *test), "last loss": float(loss) / args.batch, "seconds": round(seconds, 3)}


def clock(device: str) -> float:
    """Now, when the device has done everything."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def autocast(args: argparse.Namespace) -> torch.autocast:
    """Convolutions and products of matrices in the precision asked for; a sum of losses needs no scaling in fp16."""
    kind = torch.device(args.device).type
    return torch.autocast(
        kind, dtype=DTYPES.get(args.precision, torch.bfloat16), enabled=args.precision != "fp32"
    )


def answers(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of one view, of two and of six."""
    framed = F.pad(images, (1, 1, 1, 1), mode="reflect")
    views = (images, framed[:, :, :32, :32], framed[:, :, 2:, 2:])
    plain, *mirrored = (model(view).float() for view in (images, *(view.flip(-1) for view in views)))
    shifted = [
        (model(view).float() + mirror) / 2 for view, mirror in zip(views[1:], mirrored[1:], strict=True)
    ]
    both = (plain + mirrored[0]) / 2
    return plain, both, both / 2 + shifted[0] / 4 + shifted[1] / 4


@torch.no_grad()
def judged(args: argparse.Namespace, model: Network, photos: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy of one view, of two and of six."""
    model.eval()
    hits = {"one view": 0.0, "mirrored": 0.0, "six views": 0.0}
    for some, right in zip(photos.split(2000), labels.split(2000), strict=True):
        with autocast(args):
            all_logits = answers(model, normalised(some))
        for name, logits in zip(hits, all_logits, strict=True):
            hits[name] += float((logits.argmax(1) == right).sum())
    return {name: count / len(labels) for name, count in hits.items()}


if __name__ == "__main__":
    main()
