"""Metrics of a part of the data with the weights as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from dlcore.data.batches import Batches
from dlcore.data.spec import Batch
from dlcore.training.precision import Precision
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task, as_float
from dlcore.training.trouble import is_out_of_memory


def evaluate(task: Task, batches: Batches, precision: Precision) -> Metrics:
    """Run a part once, in evaluation mode, without changing anything.

    Raises:
        torch.OutOfMemoryError: not even a single sample fits.
    """
    metrics = task.metrics()
    for _ in evaluating(task, batches, precision, metrics):
        pass
    return metrics


@torch.no_grad()
def evaluating(
    task: Task, batches: Batches, precision: Precision, metrics: Metrics, report: Report | None = None
) -> Iterator[int]:
    """As `evaluate`, telling after each batch how many samples are done: whoever waits can see it, or stop it.

    A batch that does not fit in memory is split in halves until it does.

    Args:
        metrics: are fed.
        report: is fed, too, where one is wanted.
    """
    pieces, done = 1, 0
    with evaluation_mode(task.model):
        for batch in batches.epoch(0):
            while not _add(task, batch, pieces, metrics, precision, report):
                pieces *= 2
            done += len(batch.targets)
            yield done


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Dropout off, batch norm by its averages; afterwards every layer is in the mode it was in.

    Layer by layer, since frozen layers stay in evaluation mode while the others train.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def split(batch: Batch, pieces: int) -> list[Batch]:
    """The batch in nearly equal pieces, at most one a sample."""
    if pieces == 1:
        return [batch]
    size = -(-len(batch.targets) // pieces)
    parts = (tensor.split(size) for tensor in batch)
    return [Batch(*piece) for piece in zip(*parts, strict=True)]


def _add(
    task: Task, batch: Batch, pieces: int, metrics: Metrics, precision: Precision, report: Report | None
) -> bool:
    """Add one batch in pieces; False when memory ran out, with nothing added."""
    results = []
    try:
        for piece in split(batch, pieces):
            with precision.autocast():
                loss, outputs = task.loss(piece, task.phases[0].name)
            results.append((loss, outputs, piece))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or pieces >= len(batch.targets):
            raise
        return False
    for loss, outputs, piece in results:
        metrics.update(loss.float(), as_float(outputs), piece)
        if report is not None:
            report.update(as_float(outputs), piece)
    return True
