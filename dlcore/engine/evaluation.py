"""Evaluations for a viewer to look at, measured a moment at a time: other questions are answered in between.

The newest one is kept, with its network and data, for the gallery. Nothing is downloaded here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dlcore import trained
from dlcore.data.download import no_downloads
from dlcore.deploy.evaluation import Evaluation
from dlcore.deploy.gallery import Wish, gallery
from dlcore.errors import UserError
from dlcore.run_dir import RunDir

SLICE = 0.4  # seconds of measuring between two answers
BATCH = 64  # samples; a slice ends with one
MOST_SHOWN = 48


class Key(NamedTuple):
    """What an evaluation is of."""

    run: str
    checkpoint: str
    split: str
    turn: int  # counts up to have the same measured again

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Key:
        """From a question."""
        turn = content.get("turn")
        run, checkpoint, split = (str(content.get(name) or "") for name in ("run", "checkpoint", "split"))
        return cls(run, checkpoint, split, turn if type(turn) is int else 0)


class Evaluations:
    """At most one evaluation, under way or done."""

    def __init__(self) -> None:
        self._key: Key | None = None
        self._evaluation: Evaluation | None = None
        self._steps: Iterator[int] | None = None
        self._done = 0

    def answer(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """How far it is, or the result; and whether to ask the same again for more.

        A question without a run ends the one under way.

        Raises:
            UserError: the run cannot be evaluated.
        """
        key = Key.read(content)
        if key != self._key:
            self._key, self._evaluation, self._steps, self._done = key, None, None, 0
            return {"state": "loading"}, bool(key.run)
        try:
            return self._going_on(key)
        except BaseException:
            self._key = None
            raise

    def gallery(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Samples of the evaluation that is done.

        Raises:
            UserError: it is not, or another has taken its place.
        """
        if self._evaluation is None or self._steps is not None or Key.read(content) != self._key:
            raise UserError("this evaluation is not there any more; r measures again")
        offset, count = (content.get(name) for name in ("offset", "count"))
        return gallery(
            self._evaluation,
            Wish.read(content),
            offset if type(offset) is int else 0,
            min(MOST_SHOWN, count if type(count) is int else 12),
        )

    def _going_on(self, key: Key) -> tuple[dict[str, Any], bool]:
        if self._evaluation is None:
            self._evaluation = _begin(key)
            self._steps = self._evaluation.steps(BATCH)
            return self._progress(), True
        until = time.monotonic() + SLICE
        while self._steps is not None:
            done = next(self._steps, None)
            if done is None:
                self._steps = None
                break
            self._done = done
            if time.monotonic() >= until:
                break
        if self._steps is not None:
            return self._progress(), True
        result = json.loads(json.dumps(self._evaluation.result()))
        sorted_by = "class" if "confidence" in self._evaluation.verdicts else ""
        names = list(map(str, getattr(self._evaluation.trained.task, "names", ()))) if sorted_by else []
        return {
            "state": "done", "result": result, "classes": names,
            "sorted_by": sorted_by or ("error" if "error" in self._evaluation.verdicts else ""),
        }, False  # fmt: skip

    def _progress(self) -> dict[str, Any]:
        assert self._evaluation is not None
        return {"state": "measuring", "done": self._done, "samples": len(self._evaluation.part)}


def _begin(key: Key) -> Evaluation:
    run = RunDir.open(Path(key.run))
    # A GPU belongs to whoever trains on it.
    device = "cpu" if run.is_locked() else "auto"
    with no_downloads():
        return Evaluation(trained.load(run, key.checkpoint or "best", device=device), split=key.split)
