"""control.jsonl: what viewers ask of a worker; the only way from them to it.

A viewer appends ``{"id":"5f0c…","time":…,"command":"lr","value":0.0001}``; the worker polls, obeys at
its next step and answers with a ``command`` event that carries the id. Damaged lines are skipped.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dlcore.errors import UserError
from dlcore.json_lines import LineReader, LineWriter, decode, encode
from dlcore.text_safety import safe_text

COMMANDS = ("pause", "continue", "stop", "save", "evaluate", "inspect", "lr", "epochs")
_LINE_LIMIT = 4096
_POLL_BYTES = 1 << 16


@dataclass(frozen=True)
class Command:
    """One request.

    Attributes:
        command: one of `COMMANDS`.
        value: the new learning rate for ``lr``, the new number of epochs for ``epochs``, else None.
        id: names the request in the worker's answer; given by `send`.
        time: when it was sent, Unix seconds, only to show.
    """

    command: str
    value: float | int | None = None
    id: str = ""
    time: float = 0.0

    def __str__(self) -> str:
        return self.command if self.value is None else f"{self.command}={self.value}"


def parse(text: str) -> Command:
    """A command as typed: ``pause``, ``lr=1e-4``, ``epochs=40``.

    Raises:
        UserError: no such command, a value that is missing, not allowed or out of range.
    """
    name, equals, typed = (part.strip() for part in text.partition("="))
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"no command '{safe_text(name, limit=60)}'; {hint}")
    value: float | int | None = None
    if equals:
        try:
            value = int(typed) if name == "epochs" else float(typed)
        except ValueError:
            kind = "a whole number" if name == "epochs" else "a number"
            raise UserError(f"{name}: must be {kind}, got '{safe_text(typed, limit=60)}'") from None
    problem = _problem(name, value)
    if problem:
        raise UserError(f"{name}: {problem}")
    return Command(name, value)


def send(run_dir: str | os.PathLike[str], command: Command | str) -> str:
    """Appends a command to a run's control.jsonl and returns the id that the answer will carry.

    Args:
        run_dir: a `RunDir` or the path of one.
        command: as from `parse`, or its text.

    Raises:
        UserError: a bad command, or the folder cannot be written.
    """
    asked = parse(command) if isinstance(command, str) else command
    problem = _problem(asked.command, asked.value)
    assert problem is None, problem
    request: dict[str, Any] = {"id": os.urandom(8).hex(), "time": time.time(), "command": asked.command}
    if asked.value is not None:
        request["value"] = asked.value
    try:
        lines = LineWriter(Path(run_dir) / "control.jsonl")
        try:
            lines.append(encode(request))
        finally:
            lines.close()
    except OSError as error:
        raise UserError(f"cannot tell {safe_text(run_dir)}: {error.strerror or error}") from error
    return str(request["id"])


class ControlReader:
    """The worker's side: new commands since the last poll.

    Args:
        path: control.jsonl; it may be missing.
        start_at_end: ignore what was asked before, as a resumed run must.
    """

    def __init__(self, path: str | os.PathLike[str], start_at_end: bool = True) -> None:
        self._lines = LineReader(path, limit=_LINE_LIMIT, at_end=start_at_end)
        self._damaged = 0

    @property
    def damaged(self) -> int:
        """Lines passed over so far."""
        return self._damaged + self._lines.damaged

    def poll(self) -> list[Command]:
        """New commands, oldest first. Costs one ``stat`` (about 1 µs) when there are none."""
        commands = []
        for line in self._lines.read(_POLL_BYTES):  # a flood is obeyed in portions, between steps
            command = _from_line(line)
            if command is None:
                self._damaged += 1
            else:
                commands.append(command)
        return commands


def _from_line(line: bytes) -> Command | None:
    request = decode(line)
    if request is None:
        return None
    name, value, sent = request.get("command"), request.get("value"), request.get("time")
    if not isinstance(name, str) or name not in COMMANDS or _problem(name, value):
        return None
    moment = float(sent) if _is_number(sent) and sent is not None else 0.0
    return Command(name, value, safe_text(request.get("id", ""), limit=64), moment)


def _problem(name: str, value: object) -> str | None:
    if name == "lr":
        good = _is_number(value) and isinstance(value, int | float) and value > 0
        return None if good else "needs a finite number above 0, such as lr=1e-4"
    if name == "epochs":
        good = type(value) is int and 1 <= value <= 2**31
        return None if good else "needs a whole number of at least 1, such as epochs=40"
    return None if value is None else "takes no value"


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300  # type: ignore[arg-type]  # false for NaN
