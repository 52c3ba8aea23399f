"""Evaluations as the engine tells them, made from a seed, and an engine that tells them at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from textual.message import Message

from tui.engine_client import EngineClient
from tui.messages import EngineAnswered

NAMES = ["cat", "dog", "horse"]
COUNT = 40


def samples() -> list[dict[str, Any]]:
    """Forty pictures of three classes, a quarter of them taken for another."""
    draw = random.Random(0)
    rows = []
    for index in range(COUNT):
        target = index % 3
        prediction = target if draw.random() > 0.25 else draw.randrange(3)
        sure = round(draw.uniform(0.4, 0.999), 3)
        chances = [(1 - sure) / 2] * 3
        chances[prediction] = sure
        pixels = [
            [min(255, 40 * (row + target) + 10 * draw.randrange(5)) for _ in range(8)] for row in range(8)
        ]
        rows.append({
            "index": index, "target": target, "prediction": prediction, "probabilities": chances, "pixels": pixels,
        })  # fmt: skip
    return rows


def classified(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the engine says in the end of a classifier."""
    cells = [[0] * 3 for _ in range(3)]
    for row in rows:
        cells[row["target"]][row["prediction"]] += 1
    right = sum(cells[at][at] for at in range(3))
    classes = [
        [name, 0.8, cells[at][at] / sum(cells[at]), 0.79, sum(cells[at])] for at, name in enumerate(NAMES)
    ]
    result = {
        "run": "animals", "checkpoint": {"name": "step-00000120", "step": 120, "epoch": 4, "best": True},
        "data": "animals", "split": "test", "samples": COUNT, "task": "Classification",
        "metrics": {"loss": 0.512, "accuracy": right / COUNT, "f1": 0.77, "ece": 0.041, "brier": 0.31},
        "report": {
            "classes": section("table", "classes", columns=["class", "precision", "recall", "f1", "samples"],
                               rows=classes),
            "confusion": section("matrix", "confusion matrix", names=NAMES, cells=cells),
            "calibration": section("table", "calibration", columns=["confidence", "samples", "sure", "right"],
                                   rows=[["40 % to 60 %", 12, 0.51, 0.5], ["90 % to 100 %", 8, 0.96, None]],
                                   note="a model that can be trusted is right as often as it is sure"),
        },
        "notes": ["net.py has changed since this run began"],
    }  # fmt: skip
    return {"state": "done", "result": result, "classes": NAMES, "sorted_by": "class"}


def regressed() -> dict[str, Any]:
    """The same of numbers."""
    draw = random.Random(1)
    x = [round(draw.uniform(50, 300), 1) for _ in range(120)]
    y = [round(draw.gauss(0, 20 + value / 10), 1) for value in x]
    result = {
        "checkpoint": {"step": 45, "epoch": 5, "best": True}, "data": "houses", "split": "val", "samples": 120,
        "metrics": {"loss": 0.4, "mae": 33.1, "rmse": 41.9, "r2": 0.61},
        "report": {
            "against": section("points", "residuals against the prediction", x_name="predicted", y_name="residual",
                               x=x, y=y, note="no shape should be left"),
            "residuals": section("bars", "residuals", labels=["-40", "0", "40"], values=[30, 60, 30]),
        },
        "notes": [],
    }  # fmt: skip
    return {"state": "done", "result": result, "classes": [], "sorted_by": "error"}


def section(kind: str, title: str, note: str = "", **content: Any) -> dict[str, Any]:
    return {"kind": kind, "title": title, "note": note, **content}


class JudgingEngine(EngineClient):
    """Answers at once: progress first, then the result, and samples that are chosen as the real one does.

    Attributes:
        asked: every question, kind and content.
        holds: the result is kept back.
    """

    def __init__(self, answer: Mapping[str, Any] | None = None, errors: tuple[str, ...] = ()) -> None:
        super().__init__(["/no/engine"])
        self.rows = samples()
        self.result = dict(answer) if answer is not None else classified(self.rows)
        self.errors = errors
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.holds = False

    def restart(self) -> None:
        """Nothing to start."""
        self.errors = ()

    def ask(self, post: Callable[[Message], object], kind: str, **content: Any) -> int:
        """Posts the answers before it returns."""
        self.asked.append((kind, content))
        number = len(self.asked)
        if kind == "gallery":
            post(EngineAnswered(number, kind, self._gallery(content)))
        elif self.errors:
            post(EngineAnswered(number, kind, None, self.errors))
        elif content.get("run"):
            post(EngineAnswered(number, kind, {"state": "measuring", "done": 16, "samples": COUNT}))
            if not self.holds:
                post(EngineAnswered(number, kind, self.result))
        return number

    def _gallery(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        if self.result["sorted_by"] != "class":
            errors = [{"index": at, "target": [100.0 + at], "prediction": [100.0 - at]} for at in range(12)]
            errors = errors[::-1] if wish["descending"] else errors
            return {"total": 120, "offset": wish["offset"], "rows": errors}
        kept = []
        for row in self.rows:
            right, sure = row["target"] == row["prediction"], max(row["probabilities"])
            if wish["verdict"] and (wish["verdict"] == "right") != right:
                continue
            if any(wish[name] not in (None, row[name]) for name in ("target", "prediction")):
                continue
            if wish["low"] <= sure <= wish["high"]:
                kept.append(row)
        kept.sort(key=lambda row: max(row["probabilities"]), reverse=wish["descending"])
        here = kept[wish["offset"] : wish["offset"] + wish["count"]]
        return {"total": len(kept), "offset": wish["offset"], "rows": here}
