"""The engine's answers, frozen: the New-run screen's test data, as recorded runs are that of the others.

With DLTUI_RECORD_ENGINE=1 in the environment, questions that are not in the file yet are put to a real
engine in this process and its answers kept. What depends on the machine is made the same everywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from textual.message import Message

from tui.engine_client import EngineClient
from tui.messages import EngineAnswered

FILE = Path(__file__).with_name("engine_answers.json")
DEVICE = {"name": "cpu", "free": 24 << 30, "fits": True, "problem": ""}
HOME = "/home/ada"


class RecordedEngine(EngineClient):
    """Answers at once, from the file.

    Args:
        errors: lines to answer questions of these kinds with instead.
        silent: kinds that are never answered, as by an engine that is still starting.

    Attributes:
        asked: kinds of questions, in order.
        restarts: how often it was started again.
    """

    def __init__(self, errors: Mapping[str, Iterable[str]] | None = None, silent: Iterable[str] = ()) -> None:
        super().__init__(["/no/engine"])
        self.errors = {kind: tuple(lines) for kind, lines in (errors or {}).items()}
        self.silent = set(silent)
        self.asked: list[str] = []
        self.restarts = 0
        self._answers: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}

    def ask(self, post: Callable[[Message], object], kind: str, **content: Any) -> int:
        """Posts the answer before it returns."""
        self.asked.append(kind)
        number = len(self.asked)
        if kind in self.errors:
            post(EngineAnswered(number, kind, None, self.errors[kind]))
        elif kind not in self.silent:
            post(EngineAnswered(number, kind, self._answer(kind, content)))
        return number

    def restart(self) -> None:
        """Counts."""
        self.restarts += 1

    def _answer(self, kind: str, content: Mapping[str, Any]) -> Any:
        key = f"{kind} {json.dumps(content.get('values'), sort_keys=True)}"
        if key not in self._answers:
            assert os.environ.get("DLTUI_RECORD_ENGINE"), f"not recorded: {key}"
            self._answers[key] = _really(kind, content)
            lines = [f"{json.dumps(key)}: {json.dumps(self._answers[key])}" for key in sorted(self._answers)]
            FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        return self._answers[key]


def _really(kind: str, content: Mapping[str, Any]) -> Any:
    """What a real engine answers in the end."""
    from dlcore.engine.engine import Engine, Question

    said: list[Any] = []
    engine = Engine(said.append)
    question: Question | None = Question(1, kind, content)
    while question is not None:
        engine.work(question)
        question = engine.inbox.take(60) if said[-1].get("more") else None
    answer = json.loads(json.dumps(said[-1]["answer"]).replace(str(Path.cwd()), HOME))
    if "device" in answer:
        answer["device"] = DEVICE
    return answer
