"""What the engine says about a draft: asked at each edit, only the answers to the latest questions taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from dlcore.preset.sections import OF_A_STEP
from dlcore.problems import inside
from dlcore.text_safety import safe_text
from tui.draft import Draft
from tui.engine_client import EngineClient, Post
from tui.form_rows import Place
from tui.messages import EngineAnswered

News = Literal["", "catalogue", "faults", "shapes"]


class Checks:
    """Questions and answers about one draft.

    Args:
        post: takes the answers, such as a screen's ``post_message``; they come back to `take`.

    Attributes:
        faults: what is wrong, by section and key.
        lines: the same, and what belongs to no field, as told for a file.
        entries: the user's own builders by section, as the engine describes them.
        shapes: the latest answer to ``shapes``; empty before the first.
    """

    def __init__(self, engine: EngineClient, post: Post) -> None:
        self.engine = engine
        self.catalogue: Mapping[str, Any] | None = None
        self.faults: dict[Place, str] = {}
        self.lines: tuple[str, ...] = ()
        self.entries: Mapping[str, Any] = {}
        self.shapes: Mapping[str, Any] = {}
        self._post = post
        self._latest: dict[str, int] = {}
        self._open: set[str] = set()
        self._errors: dict[str, tuple[str, ...]] = {}  # by kind of question
        self._shaping = ""
        self._kept = False  # the table of an earlier draft, because there is no model to build

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the engine cannot answer; none while it can."""
        return tuple(dict.fromkeys(line for lines in self._errors.values() for line in lines))

    @property
    def checking(self) -> bool:
        """Whether the latest edit has not been judged yet."""
        return "validate" in self._open

    @property
    def outdated(self) -> bool:
        """Whether the shapes are those of an earlier draft, because the draft as it is has none."""
        return self._kept

    @property
    def shape_error(self) -> str:
        """Why a batch does not go through, in a sentence; "" when it does or nobody knows yet."""
        failure = None if self._kept or "shapes" in self._open else self.shapes.get("failure")
        if not failure or failure["kind"] == "values":
            return ""
        name = safe_text(failure["path"] or failure["type"], limit=80)
        return f"{name}: {safe_text(failure['message'], limit=400)}"

    def ask_catalogue(self) -> None:
        """What there is to choose from."""
        self._ask("catalogue", {})

    def ask(self, draft: Draft, *, again: bool = False) -> None:
        """Has a draft judged; its shapes too where they may have changed, or ``again`` in any case."""
        base = str(draft.base) if draft.base is not None else None
        content = {"values": draft.values, "base": base, "source": draft.title}
        self._ask("validate", content)
        table = draft.values.get("training", {})
        parts = [draft.values.get(section) for section in ("data", "model", "task", "optimizer")]
        shaping = json.dumps([base, *parts, *(table.get(key) for key in OF_A_STEP)])
        if again or shaping != self._shaping:
            self._shaping = shaping
            self._ask("shapes", content)

    def take(self, message: EngineAnswered) -> News:
        """Takes an answer if it is to the latest question of its kind; says what is new."""
        if message.id != self._latest.get(message.kind):
            return ""
        self._open.discard(message.kind)
        self._errors[message.kind] = message.errors
        if message.answer is None:
            if message.kind == "shapes":
                self._shaping = ""  # the same question may be asked again
            return "catalogue" if message.kind == "catalogue" else "shapes"
        if message.kind == "catalogue":
            self.catalogue = message.answer
            return "catalogue"
        if message.kind == "validate":
            self._take_faults(message.answer)
            return "faults"
        self._take_shapes(message.answer)
        return "shapes"

    def _ask(self, kind: str, content: Mapping[str, Any]) -> None:
        self._open.add(kind)
        self._latest[kind] = self.engine.ask(self._post, kind, **content)

    def _take_shapes(self, answer: Mapping[str, Any]) -> None:
        """Where there is no model to build, the table before stays, with the reason and what would mend it."""
        self._kept = answer.get("state") == "wrong" and bool(self.shapes.get("rows"))
        if self._kept:
            why = {key: answer.get(key) for key in ("failure", "problems")}
            answer = {**self.shapes, **why, "state": "wrong", "fixes": answer.get("fixes", ())}
        self.shapes = answer

    def _take_faults(self, answer: Mapping[str, Any]) -> None:
        self.faults = {}
        for place, told in answer["faults"]:
            if len(place) >= 2:
                where = (safe_text(place[0], limit=80), safe_text(place[1], limit=80))
                message = inside(tuple(place[2:])) + safe_text(told, limit=500)
                self.faults.setdefault(where, message)
        self.lines = tuple(safe_text(line, limit=500) for line in answer["lines"])
        self.entries = answer["entries"]
