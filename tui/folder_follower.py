"""The thread behind samples and inspections: the JSON files of a run's folder, one of them read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.message import Message

from dlcore.run_dir import RunDir
from tui.follow import Follower

MOST_BYTES = 4 << 20
SECONDS = 1.0


class FolderRead(Message):
    """What is in the folder, and the file that was chosen.

    Attributes:
        names: of the JSON files, oldest first.
        name: the one that was read; "" where there is none.
        content: what `parse` made of it; None where it cannot be read.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], name: str, content: Any) -> None:
        super().__init__()
        self.folder = folder
        self.names = names
        self.name = name
        self.content = content

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, FolderRead) and message.folder == self.folder


class FolderFollower(Follower):
    """Posts `FolderRead` at first, and when a file came or another one was chosen.

    Args:
        post: as for `Follower`.
        run: whose run.json goes with it.
        folder: it may be missing yet.
        parse: makes something to show of a file's JSON and run.json; it must not raise.
    """

    def __init__(
        self,
        post: Callable[[Message], object],
        run: RunDir,
        folder: Path,
        parse: Callable[[Any, Mapping[str, Any]], Any],
    ) -> None:
        super().__init__(post)
        self._parse = parse
        self._run_dir = run
        self._folder = folder
        self._wanted = ""
        self._known: tuple[object, ...] | None = None
        self._names: tuple[str, ...] = ()
        self._version = -1

    def choose(self, name: str) -> None:
        """Another file; "" for always the newest."""
        self._wanted = name
        self.wake()

    def look(self) -> Message | None:  # noqa: D102
        self._list()
        wanted = self._wanted
        name = wanted if wanted in self._names else self._names[-1] if self._names else ""
        known = (self._names, name, _changed(self._folder / name) if name else 0)
        if known == self._known:
            return None
        self._known = known
        content = _read(self._folder / name) if name else None
        if content is not None:
            about = _read(self._run_dir.run_json_path)
            content = self._parse(content, about if isinstance(about, dict) else {})
        return FolderRead(self._folder, self._names, name, content)

    def rest(self) -> float:  # noqa: D102
        return SECONDS

    def _list(self) -> None:
        version = _changed(self._folder)
        if version == self._version:
            return
        self._version = version
        try:
            found = os.listdir(self._folder)  # noqa: PTH208 - names are all that is wanted
        except OSError:
            found = []
        self._names = tuple(sorted(name for name in found if name.endswith(".json") and name.isprintable()))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1


def _read(path: Path) -> Any:
    """The JSON in a file; None where there is none, or far too much."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        return json.loads(data) if len(data) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
