"""Commands sent to a worker and not answered yet. Only the worker's own event says that one was obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui import words
from tui.run_state import Answer

_DOING = {
    "pause": "pausing",
    "continue": "going on",
    "stop": "saving and stopping",
    "save": "saving a checkpoint",
    "evaluate": "evaluating",
    "inspect": "inspecting",
}


@dataclass(frozen=True)
class Outcome:
    """What became of the commands that were last answered."""

    ok: bool
    message: str


class Pending:
    """Remembers by id what was asked, in order."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._answered: dict[str, Outcome] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, id: str, command: str, value: float | int | None = None) -> Outcome | None:
        """Notes a command; gives what became of it where the answer was faster than this note."""
        if id in self._answered:
            return self._answered[id]
        self._asked[id] = doing(command, value)
        return None

    def settle(self, answers: Iterable[Answer]) -> list[Outcome]:
        """What these answers say of commands that waited for one."""
        settled = []
        for answer in answers:
            if answer.id in self._answered:
                continue
            asked = self._asked.pop(answer.id, None)
            said = answer.message or f"{asked or answer.command}: {'done' if answer.ok else 'refused'}"
            self._answered[answer.id] = Outcome(answer.ok, said)
            if asked is not None:
                settled.append(self._answered[answer.id])
        return settled

    def give_up(self) -> list[Outcome]:
        """The run is over: what is not answered now was not done."""
        lost = [Outcome(False, f"Not done ({asked}): the run ended first.") for asked in self._asked.values()]
        self._asked.clear()
        return lost

    @property
    def text(self) -> str:
        """``pausing, saving``; "" when nothing waits."""
        return ", ".join(dict.fromkeys(self._asked.values()))


def doing(command: str, value: float | int | None) -> str:
    """A command as what is going on."""
    if command == "lr":
        return f"learning rate {words.rate(value)}"
    if command == "epochs":
        return f"training to epoch {words.count(value)}"
    return _DOING.get(command, command)
