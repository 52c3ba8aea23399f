"""How good a trained network is: every metric of its task, and the task's own report, on a part or on other data."""

from __future__ import annotations

from typing import Any

from dlcore.deploy.evaluation import Evaluation
from dlcore.trained import Trained


def evaluate(trained: Trained, *, split: str = "", other: str | None = None) -> dict[str, Any]:
    """Measure on a part of the training's data, or on other data; see `Evaluation` and its `result`.

    Raises:
        UserError: there is no such part, or the data cannot be had.
    """
    evaluation = Evaluation(trained, split=split, other=other)
    for _ in evaluation.steps():
        pass
    return evaluation.result()
