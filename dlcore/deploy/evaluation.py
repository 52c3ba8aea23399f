"""A trained network judged on a part of its data or on other data, batch by batch, with a verdict on every sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, Data, Part
from dlcore.deploy.inputs import labelled_data, reader_for
from dlcore.errors import UserError
from dlcore.trained import Trained
from dlcore.training.evaluation import evaluating
from dlcore.training.report import Report
from dlcore.training.task import Task

BATCH = 256


class Evaluation:
    """One network on one set of samples.

    Args:
        split: ``train``, ``val`` or ``test``; empty takes test, or val where nothing was held back.
        other: a file or folder with true answers, preprocessed as the training's; instead of a part.

    Attributes:
        part: the samples.
        names: what to call each, where the data has names for them.

    Raises:
        UserError: there is no such part, or the data cannot be had.
    """

    def __init__(self, trained: Trained, *, split: str = "", other: str | None = None) -> None:
        self.trained, self.other = trained, other
        self.notes = list(trained.notes)
        self.names: list[str] | None = None
        if other is not None:
            reader = reader_for(trained.spec, trained.preset.data.options)
            data, self.names = labelled_data(trained.spec, reader, other)
            self.notes += data.notes
            self.split, self.part = "", data.train
        else:
            self.split, self.part = _part(trained.data(), split)
        self._metrics = trained.task.metrics()
        self._report = trained.task.report()
        self._verdicts = Verdicts(trained.task, self._report)

    def steps(self, batch: int = BATCH) -> Iterator[int]:
        """Measures; after each batch the number of samples that are done."""
        trained = self.trained
        batches = Batches(
            self.part,
            batch,
            seed=trained.preset.training.seed,
            device=trained.device,
            shuffle=False,
            train=False,
        )
        try:
            yield from evaluating(trained.task, batches, trained.precision, self._metrics, self._verdicts)
        finally:
            batches.close()

    @property
    def verdicts(self) -> dict[str, Tensor]:
        """Of every sample in the part's order; see `Task.verdicts`."""
        return self._verdicts.columns()

    def result(self) -> dict[str, Any]:
        """Plain data: ``run, checkpoint, data, split, samples, task, metrics``, the task's ``report``, ``notes``."""
        trained, sections = self.trained, self._report.sections()
        if self.names is not None:
            _name_samples(sections, self.names)
        return {
            "run": trained.run.name,
            "checkpoint": {
                "name": trained.checkpoint.path.name, "step": trained.step, "epoch": trained.epoch,
                "best": trained.checkpoint.best,
            },
            "data": self.other if self.other is not None else trained.preset.data.name,
            "split": self.split,
            "samples": len(self.part),
            "task": type(trained.task).__name__,
            "metrics": self._metrics.compute() | self._report.figures(),
            "report": sections,
            "notes": self.notes,
        }  # fmt: skip


class Verdicts(Report):
    """Feeds the task's own report, and keeps a few numbers a sample beside it."""

    def __init__(self, task: Task, report: Report) -> None:
        self._task, self._report = task, report
        self._kept: list[dict[str, Tensor]] = []

    def update(self, outputs: Any, batch: Batch) -> None:
        """Add one batch."""
        self._report.update(outputs, batch)
        found = self._task.verdicts(outputs, batch)
        self._kept.append({name: values.detach().cpu() for name, values in found.items()})

    def columns(self) -> dict[str, Tensor]:
        """All batches in a row."""
        names = self._kept[0] if self._kept else ()
        return {name: torch.cat([each[name] for each in self._kept]) for name in names}


def _part(data: Data, split: str) -> tuple[str, Part]:
    """The part that is meant, and its name."""
    parts: dict[str, Part | None] = {"train": data.train, "val": data.val, "test": data.test}
    chosen = split or ("test" if data.test is not None and len(data.test) else "val")
    if chosen not in parts:
        raise UserError(f"there is no part '{chosen}': say train, val or test")
    part = parts[chosen]
    if part is None or not len(part):
        raise UserError(f"the data has no {chosen} part; try --split val")
    return chosen, part


def _name_samples(sections: dict[str, Any], names: list[str]) -> None:
    """Files and lines in place of positions."""
    for section in sections.values():
        if section.get("of_samples"):
            section["rows"] = [[names[int(row[0])], *row[1:]] for row in section["rows"]]
