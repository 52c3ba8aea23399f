"""Samples of an evaluation to look at: chosen by right or wrong, class and confidence, shown as the task shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlcore.assembly import plain
from dlcore.data.picking import pick
from dlcore.deploy.evaluation import Evaluation
from dlcore.exhibits import shown


@dataclass(frozen=True)
class Wish:
    """Which samples, in which order.

    Attributes:
        verdict: ``right`` or ``wrong``; "" for both.
        target, prediction: codes of classes; None for any.
        low, high: limits of the confidence.
        descending: the most sure, or the most wrong, come first.
    """

    verdict: str = ""
    target: int | None = None
    prediction: int | None = None
    low: float = 0.0
    high: float = 1.0
    descending: bool = True

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Wish:
        """From plain data; what makes no sense is as by default."""

        def code(name: str) -> int | None:
            value = content.get(name)
            return value if type(value) is int else None

        def limit(name: str, usual: float) -> float:
            value = content.get(name)
            return float(value) if isinstance(value, int | float) else usual

        return cls(
            str(content.get("verdict") or ""), code("target"), code("prediction"),
            limit("low", 0.0), limit("high", 1.0), content.get("descending") is not False,
        )  # fmt: skip


def chosen(verdicts: Mapping[str, Tensor], count: int, wish: Wish) -> Tensor:
    """Positions of the samples that are meant, in order; all of them where there is nothing to choose by.

    Args:
        count: samples there are.
    """
    if "confidence" not in verdicts:
        if "error" not in verdicts:
            return torch.arange(count)
        return verdicts["error"].argsort(descending=wish.descending, stable=True)
    target, prediction, confidence = (verdicts[name] for name in ("target", "prediction", "confidence"))
    kept = (confidence >= wish.low) & (confidence <= wish.high)
    if wish.verdict in ("right", "wrong"):
        kept &= (target == prediction) == (wish.verdict == "right")
    if wish.target is not None:
        kept &= target == wish.target
    if wish.prediction is not None:
        kept &= prediction == wish.prediction
    found = kept.nonzero().flatten()
    return found[confidence[found].argsort(descending=wish.descending, stable=True)]


def gallery(evaluation: Evaluation, wish: Wish, offset: int, count: int) -> dict[str, Any]:
    """``total`` samples that are meant, and ``rows`` of them from ``offset`` on, as plain data."""
    trained = evaluation.trained
    places = chosen(evaluation.verdicts, len(evaluation.part), wish)
    offset = min(max(0, offset), max(0, len(places) - 1))
    here = places[offset : offset + count].tolist()
    rows: list[dict[str, Any]] = []
    if here:
        rows = shown(trained.task, trained.precision, pick(evaluation.part, here, trained.device), len(here))
    return {"total": len(places), "offset": offset, "rows": plain(rows)}
