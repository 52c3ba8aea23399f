"""What an evaluation says besides the metrics: tables, matrices, plots, all as plain data.

A task makes its own `Report`; whoever shows it (the command line, a page, the app) knows only the kinds of
section made here, so a new task is shown everywhere without a word about it anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlcore.data.spec import Batch

Section = dict[str, Any]


class Report:
    """Sums over an evaluation; this one, for tasks without a report of their own, says nothing."""

    def update(self, outputs: Any, batch: Batch) -> None:
        """Add one batch: what the task's `loss` answered to it, in float32."""

    def figures(self) -> dict[str, float]:
        """Further figures beside the metrics, such as the calibration error."""
        return {}

    def sections(self) -> dict[str, Section]:
        """The rest, by a short name that scripts can rely on."""
        return {}


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    note: str = "",
    of_samples: bool = False,
) -> Section:
    """Rows of texts and numbers.

    Args:
        of_samples: the first column holds positions within the part, which may be shown by name.
    """
    listed = [list(row) for row in rows]
    return {
        "kind": "table", "title": title, "columns": list(columns), "rows": listed, "note": note,
        "of_samples": of_samples,
    }  # fmt: skip


def matrix(title: str, names: Sequence[str], cells: Sequence[Sequence[int]], *, note: str = "") -> Section:
    """Counts, true classes down and predicted ones across."""
    return {
        "kind": "matrix", "title": title, "names": list(names), "cells": [list(r) for r in cells], "note": note
    }  # fmt: skip


def bars(title: str, labels: Sequence[str], values: Sequence[float], *, note: str = "") -> Section:
    """One bar a label."""
    return {"kind": "bars", "title": title, "labels": list(labels), "values": list(values), "note": note}


def points(
    title: str, x_name: str, y_name: str, x: Sequence[float], y: Sequence[float], *, note: str = ""
) -> Section:
    """One point a sample."""
    return {
        "kind": "points", "title": title, "x_name": x_name, "y_name": y_name, "x": list(x), "y": list(y),
        "note": note,
    }  # fmt: skip


class Worst:
    """The samples with the highest scores so far.

    Args:
        count: how many are kept.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._scores = torch.empty(0, dtype=torch.float64)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, scores: Tensor, *columns: Tensor) -> None:
        """Add a batch.

        Args:
            scores: (batch,); one that is -inf is left out.
            columns: (batch,) each, what to keep of a sample.
        """
        best = scores.double().topk(min(self.count, len(scores)))
        chosen = [column[best.indices.to(column.device)].tolist() for column in columns]
        values = best.values.cpu()
        rows = list(zip(*chosen, strict=True))
        kept = [at for at, value in enumerate(values.tolist()) if value > float("-inf")]
        together = torch.cat([self._scores, values[kept]])
        known = self._rows + [rows[at] for at in kept]
        top = together.argsort(descending=True, stable=True)[: self.count]
        self._scores, self._rows = together[top], [known[at] for at in top.tolist()]

    def rows(self) -> list[tuple[Any, ...]]:
        """What was kept, the highest score first."""
        return self._rows
