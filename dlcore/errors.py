"""The one exception whose text is meant for the person at the terminal."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(ValueError):
    """Something the user can mend, said in plain sentences.

    Command line and app print the lines as they are and show no traceback; any other exception
    is a bug, ours or in the user's own code, and keeps its traceback.

    Args:
        lines: one sentence, or several that are shown one a line.
    """

    def __init__(self, lines: str | Sequence[str]) -> None:
        self.lines: tuple[str, ...] = (lines,) if isinstance(lines, str) else tuple(lines)
        super().__init__("\n".join(self.lines))


class NotFoundError(UserError):
    """A file or folder that a preset names is not there.

    Args:
        path: as the preset names it.
    """

    def __init__(self, lines: str | Sequence[str], path: str) -> None:
        super().__init__(lines)
        self.path = path
