"""What is measured: real runs through the worker, opened so that an epoch can be timed in its parts.

A bare loop is the shortest one that trains the same network on the same batches: permutation, gather, the
stored images brought to floats, forward, backward, the same fused optimizer. It keeps no loss and looks at
no clock. No run looks inside its network: `inspection_cost` measures that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dlcore import preset as presets
from dlcore.data.spec import TensorPart
from dlcore.run_dir import RunDir
from dlcore.training import optimizers
from dlcore.training.quick_steps import QuickStep
from dlcore.training.signals import Flags
from dlcore.training.trainer import Trainer
from dlcore.worker import Worker

FOLDER = Path(__file__).parent

LINEAR = """
[data]
name = "made_up.py:points"
[model]
name = "linear"
[training]
epochs = 1_000_000
batch_size = 8
"""

MLP = """
[data]
name = "{data}"
[model]
name = "mlp"
widths = [256]
[training]
epochs = 1_000_000
batch_size = 128
"""

CNN = """
[data]
name = "{data}"
[model]
name = "cnn"
channels = [24, 32]
kernels = [5, 3]
padding = "valid"
hidden = 256
dropout = 0.0
[optimizer]
name = "adam"
lr = 1e-2
betas = [0.7, 0.9]
[scheduler]
name = "onecycle"
[training]
epochs = 1_000_000
batch_size = 256
"""


def open_run(runs: Path, preset: str, *overrides: str) -> Worker:
    """A run as ``dltui run`` makes it, ready to train; without looks inside, unless overrides ask for them."""
    overrides = ("inspection.share=0", *overrides)
    loaded = presets.loads(preset, "benchmark", overrides, builders=True, base=FOLDER)
    run = RunDir.create(runs, None, "benchmark", FOLDER)
    run.preset_path.write_text(presets.dump(loaded))
    worker = Worker(run, Flags())
    worker.prepare()
    return worker


class Epochs:
    """Trains a run epoch by epoch and times the parts.

    Attributes:
        steps: seconds of the last epoch from its first batch to its last step.
        recorded: seconds of the record after it.
        boundary: seconds of all that followed: record, evaluation, state, events; without the checkpoint.
    """

    def __init__(self, worker: Worker, clock: Callable[[], float] = time.perf_counter) -> None:
        self.worker, self.trainer, self.clock = worker, worker.trainer, clock
        self.steps = self.recorded = self.boundary = 0.0
        self._last_step = 0.0
        self._record, self.trainer._record = self.trainer._record, self._stamped_record
        self.trainer.save = announce(self.trainer)  # type: ignore[method-assign]
        self.trainer.task.model.train()

    def train(self) -> None:
        """One epoch."""
        start = self.clock()
        self.trainer._train_epoch()
        end = self.clock()
        self.steps, self.boundary = self._last_step - start, end - self._last_step

    def close(self) -> None:
        """Let go of the run."""
        self.worker.close()

    def _stamped_record(self, **how: bool) -> None:
        start = self.clock()
        self._record(**how)
        self._last_step, self.recorded = start, self.clock() - start


def announce(trainer: Trainer) -> Callable[..., None]:
    """Instead of a trainer's `save`: the epoch is written down, the weights are not."""

    def save(*, best: bool = False, epoch_event: dict[str, Any] | None = None) -> None:
        if epoch_event is not None:
            trainer.recorder.event("epoch", **epoch_event)

    return save


class Bare:
    """The same work without a trainer: a copy of a run's network, its data and its optimizer."""

    def __init__(self, worker: Worker) -> None:
        part = worker.parts.data.train
        assert isinstance(part, TensorPart)
        self.inputs, self.targets, self.prepare = part.inputs, part.targets, part.prepare
        self.batch_size = worker.preset.training.batch_size
        self.model: nn.Module = deepcopy(worker.parts.model)
        options = worker.preset.optimizer.options
        self.optimizer = getattr(optimizers, worker.preset.optimizer.name)([self.model], **options)
        if isinstance(self.optimizer, QuickStep):
            self.optimizer.quick = False  # as it comes with torch

    def train(self) -> None:
        """One epoch."""
        model, optimizer, prepare, size = self.model, self.optimizer, self.prepare, self.batch_size
        inputs, targets = self.inputs, self.targets
        order = torch.randperm(len(inputs))
        for low in range(0, len(order), size):
            rows = order[low : low + size]
            batch, answers = inputs.index_select(0, rows), targets.index_select(0, rows)
            if prepare is not None:
                batch = prepare(batch)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(batch), answers)
            loss.backward()
            optimizer.step()
