"""Every message that crosses widgets. State comes up from threads in them; wishes go up to the App.

A message that tells what is now replaces the one of its kind that still waits, so a slow screen never has
a queue behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary
    from tui.follow import RunView


class RunsChanged(Message):
    """The runs folder, or what its runs say of themselves, is not what it was.

    Attributes:
        runs: all that were read, newest first.
        complete: whether those are all there are.
    """

    def __init__(self, runs: tuple[RunSummary, ...], complete: bool = True) -> None:
        super().__init__()
        self.runs = runs
        self.complete = complete

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, RunsChanged)


class TrendsChanged(Message):
    """Sparklines for the rows that are in sight.

    Attributes:
        trends: bars by run path; only those that are new.
    """

    def __init__(self, trends: Mapping[Path, str]) -> None:
        super().__init__()
        self.trends = trends


class RunChanged(Message):
    """One followed run has something new to show."""

    def __init__(self, path: Path, view: RunView) -> None:
        super().__init__()
        self.path = path
        self.view = view

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, RunChanged) and message.path == self.path


class DeviceRead(Message):
    """What the header says of this machine's GPUs; "" where there is nothing to say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, DeviceRead)


class EngineAnswered(Message):
    """What the engine said to one question.

    Attributes:
        id: of the question, as `EngineClient.ask` returned it.
        kind: of the question.
        answer: plain data; None when it failed.
        errors: lines for a person; none when it worked.
    """

    def __init__(self, id: int, kind: str, answer: Any, errors: Sequence[str] = ()) -> None:
        super().__init__()
        self.id = id
        self.kind = kind
        self.answer = answer
        self.errors = tuple(errors)


class OpenRun(Message):
    """Wish: show this run.

    Attributes:
        known: what was read of it already, to be shown until it is read again; None for nothing.
    """

    def __init__(self, path: Path, known: RunView | None = None) -> None:
        super().__init__()
        self.path = path
        self.known = known


class OpenInspector(Message):
    """Wish: show what was seen inside the network of this run."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


class OpenEvaluation(Message):
    """Wish: show how good the network of this run is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


class OpenNewRun(Message):
    """Wish: set up a new run.

    Attributes:
        preset: name or path of what to begin from; None for a blank one.
        changes: overrides of it to begin with, ``section.key=value`` each.
    """

    def __init__(self, preset: str | None = None, changes: Sequence[str] = ()) -> None:
        super().__init__()
        self.preset = preset
        self.changes = tuple(changes)


class OpenCompare(Message):
    """Wish: show these runs over each other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self.paths = tuple(paths)
