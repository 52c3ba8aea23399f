"""How good a trained network is: every metric of its task, and the task's own report, on a part or on other data."""

from __future__ import annotations

from typing import Any

from dlcore.data.batches import Batches
from dlcore.data.spec import Data, Part
from dlcore.deploy.inputs import labelled_data, reader_for
from dlcore.errors import UserError
from dlcore.trained import Trained
from dlcore.training.evaluation import evaluate as measure

BATCH = 256


def evaluate(trained: Trained, *, split: str = "", other: str | None = None) -> dict[str, Any]:
    """Measure on a part of the training's data, or on other data.

    Args:
        split: ``train``, ``val`` or ``test``; empty takes test, or val where nothing was held back.
        other: a file or folder with true answers, preprocessed as the training's; instead of a part.

    Returns:
        Plain data: ``run, checkpoint, data, split, samples, task, metrics``, the task's ``report`` of sections
        (see `training.report`), and ``notes``.

    Raises:
        UserError: there is no such part, or the data cannot be had.
    """
    notes = list(trained.notes)
    names: list[str] | None = None
    if other is not None:
        data, names = labelled_data(
            trained.spec, reader_for(trained.spec, trained.preset.data.options), other
        )
        notes += data.notes
        split, part = "", data.train
    else:
        split, part = _part(trained.data(), split)
    batches = Batches(
        part, BATCH, seed=trained.preset.training.seed, device=trained.device, shuffle=False, train=False
    )
    report = trained.task.report()
    try:
        metrics = measure(trained.task, batches, trained.precision, report)
    finally:
        batches.close()
    sections = report.sections()
    if names is not None:
        _name_samples(sections, names)
    return {
        "run": trained.run.name,
        "checkpoint": {
            "name": trained.checkpoint.path.name, "step": trained.step, "epoch": trained.epoch,
            "best": trained.checkpoint.best,
        },
        "data": other if other is not None else trained.preset.data.name,
        "split": split,
        "samples": len(part),
        "task": type(trained.task).__name__,
        "metrics": metrics.compute() | report.figures(),
        "report": sections,
        "notes": notes,
    }  # fmt: skip


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
