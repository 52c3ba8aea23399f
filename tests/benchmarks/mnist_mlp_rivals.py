"""Samples a second on MNIST with an MLP 784-256-10, batch 128, beside what people use instead.

``DLTUI_DATA=FOLDER python -m tests.benchmarks.mnist_mlp_rivals``. Contenders take turns in one process, an
epoch of the same 54,000 images each; validation and checkpoints are left out for all, the recording of
each with its defaults is in. Lightning and Keras take part where they are installed; all but the tutorial
have their data in memory as floats, and torch's fused AdamW wherever an optimizer can be handed over.

One thread and processor time by default, which leaves a neighbour's work out; ``--threads 2 --wall`` on a
machine that is idle.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from dlcore.torchvision_compat import import_torchvision
from dlcore.worker import Worker
from tests.benchmarks import measure
from tests.benchmarks.workloads import MLP, Bare, Epochs, open_run

Clock = Callable[[], float]
Contender = Callable[[], float]
BATCH = 128
GOALS = {"bare DataLoader loop": 1.3, "tutorial loop": 5.0, "Lightning": 2.0, "Keras": 2.0}


def main() -> None:
    """Print the table."""
    parser = measure.parser(__doc__, rounds=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="time on the wall instead of the processor's")
    chosen = measure.parse(parser)
    data = measure.real_data()
    if data is None:
        return
    clock = time.perf_counter if chosen.wall else time.thread_time
    with measure.scratch() as runs:
        worker = open_run(runs, MLP.format(data="mnist"))
        torch.set_num_threads(chosen.threads)
        contenders = {"dltui": ours(worker, clock), "bare loop, same batches": bare(worker, clock)}
        contenders |= loops(worker, data, runs, clock) | frameworks(worker, runs, clock)
        figures = measure.interleave(contenders, 1 if chosen.quick else chosen.rounds)
        worker.close()
    how = f"{chosen.threads} threads, " + ("time on the wall" if chosen.wall else "processor time")
    measure.table(
        f"MNIST, MLP 784-256-10, batch {BATCH}: samples a second ({how}; medians [quartiles])",
        ["contender", "samples/s", "dltui is faster by", "goal", "met"],
        [row(name, figures) for name in figures],
    )


def row(name: str, figures: measure.Samples) -> list[str]:
    """One contender beside ours."""
    ratios = measure.ratio(figures["dltui"], figures[name])
    goal = next((value for start, value in GOALS.items() if name.startswith(start)), None)
    met = "" if goal is None else measure.verdict(statistics.median(ratios), goal, at_least=True)
    asked = "" if goal is None else f"≥ {goal:.1f}"
    return [name, measure.spread(figures[name], 0), f"{measure.spread(ratios)} ×", asked, met]


def ours(worker: Worker, clock: Clock) -> Contender:
    """The run as `dltui run` trains it."""
    epochs, samples = Epochs(worker, clock), len(worker.parts.data.train)

    def epoch() -> float:
        start = clock()
        epochs.train()
        # What follows the last step is the record and the validation; the record counts.
        return samples / (clock() - start - epochs.boundary + epochs.recorded)

    return epoch


def bare(worker: Worker, clock: Clock) -> Contender:
    """Our batches without a trainer."""
    loop, samples = Bare(worker), len(worker.parts.data.train)

    def epoch() -> float:
        start = clock()
        loop.train()
        return samples / (clock() - start)

    return epoch


def loops(worker: Worker, data: Path, folder: Path, clock: Clock) -> dict[str, Contender]:
    """The loops that a tutorial shows, over tensors and over torchvision's data set."""
    tensors = DataLoader(floats(worker), BATCH, shuffle=True)
    model = network()
    fused = torch.optim.AdamW(model.parameters(), fused=True)

    def over_tensors() -> float:
        start = clock()
        for inputs, targets in tensors:
            fused.zero_grad()
            loss = F.cross_entropy(model(inputs), targets)
            loss.backward()
            fused.step()
        return len(tensors.dataset) / (clock() - start)  # type: ignore[arg-type]

    vision = import_torchvision()
    images = vision.datasets.MNIST(unpacked(data, folder), transform=vision.transforms.ToTensor())
    samples = DataLoader(Subset(images, range(len(worker.parts.data.train))), BATCH, shuffle=True)
    net, criterion = network(), nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    def tutorial() -> float:
        start, running = clock(), 0.0
        for inputs, targets in samples:
            adam.zero_grad()
            loss = criterion(net(inputs), targets)
            loss.backward()
            adam.step()
            running += loss.item()
        return len(samples.dataset) / (clock() - start)  # type: ignore[arg-type]

    return {"bare DataLoader loop": over_tensors, "tutorial loop": tutorial}


def frameworks(worker: Worker, folder: Path, clock: Clock) -> dict[str, Contender]:
    """Lightning and Keras, where they are installed."""
    found: dict[str, Contender] = {}
    if importlib.util.find_spec("lightning"):
        found["Lightning"] = lightning(worker, folder, clock, plain=False)
        found["Lightning, no logger, no bar"] = lightning(worker, folder, clock, plain=True)
    if importlib.util.find_spec("keras"):
        found["Keras"] = keras(worker, clock)
    for name in ("Lightning", "Keras"):
        if name not in found:
            print(f"without {name}: it is not installed", file=sys.stderr)
    return found


def lightning(worker: Worker, folder: Path, clock: Clock, *, plain: bool) -> Contender:
    """Lightning as its documentation starts: a module that logs its loss, over a DataLoader."""
    import_torchvision()  # its metrics import torchvision, which a CPU torch refuses without this
    import logging
    import warnings

    import lightning as L

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")

    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
            inputs, targets = batch
            loss = F.cross_entropy(self.net(inputs), targets)
            if not plain:
                self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.net.parameters(), fused=True)

    class Times(L.Callback):
        start = seconds = 0.0

        def on_train_epoch_start(self, *_: object) -> None:
            self.start = clock()

        def on_train_epoch_end(self, *_: object) -> None:
            self.seconds = clock() - self.start

    module, loader = Classifier(), DataLoader(floats(worker), BATCH, shuffle=True)

    def epoch() -> float:
        times = Times()
        trainer = L.Trainer(
            max_epochs=1, accelerator="cpu", default_root_dir=folder, enable_checkpointing=False,
            enable_model_summary=False, callbacks=[times],
            logger=not plain, enable_progress_bar=not plain,
        )  # fmt: skip
        with measure.silence():
            trainer.fit(module, loader)
        return len(loader.dataset) / times.seconds  # type: ignore[arg-type]

    return epoch


def keras(worker: Worker, clock: Clock) -> Contender:
    """Keras on torch, as its documentation starts: compile and fit over arrays, without its bar."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as K

    inputs, targets = (tensor.numpy() for tensor in floats(worker).tensors)
    model = K.Sequential(
        [K.Input((1, 28, 28)), K.layers.Flatten(), K.layers.Dense(256, "relu"), K.layers.Dense(10)]
    )
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=K.optimizers.AdamW(1e-3), loss=loss)

    class Times(K.callbacks.Callback):
        start = seconds = 0.0

        def on_epoch_begin(self, *_: object) -> None:
            self.start = clock()

        def on_epoch_end(self, *_: object) -> None:
            self.seconds = clock() - self.start

    def epoch() -> float:
        times = Times()
        model.fit(inputs, targets, batch_size=BATCH, epochs=1, verbose=0, callbacks=[times])
        return len(inputs) / times.seconds

    return epoch


def floats(worker: Worker) -> TensorDataset:
    """The training part with every image normalised beforehand: the rivals' best case."""
    part = worker.parts.data.train
    return TensorDataset(part.prepare(part.inputs), part.targets)  # type: ignore[union-attr,misc]


def network() -> nn.Module:
    """The rivals' MLP."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def unpacked(data: Path, folder: Path) -> Path:
    """A copy of the MNIST files as torchvision wants them: not compressed."""
    raw = folder / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (data / "MNIST" / "raw").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    for plain in (data / "MNIST" / "raw").glob("*-ubyte"):
        (raw / plain.name).write_bytes(plain.read_bytes())
    return folder / "torchvision"


if __name__ == "__main__":
    main()
