"""What the verbs share: plain sentences for errors, JSON that every parser reads, colour if wanted."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import IO, Any

from dlcore.errors import UserError
from dlcore.text_safety import safe_text

FAILED = 1
BAD_INPUT = 2
HELD = 3

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class OwnCodeError(UserError):
    """The user's own code failed while a trained network was used; the lines are its traceback, cut to their own."""


def exit_code(error: UserError) -> int:
    """3 when another process holds the run, 1 when the user's own code failed, else 2."""
    from dlcore.run_dir import RunHeld

    if isinstance(error, OwnCodeError):
        return FAILED
    return HELD if isinstance(error, RunHeld) else BAD_INPUT


def report(error: UserError) -> None:
    """Writes an error's sentences to stderr."""
    for line in error.lines:
        print(safe_text(line), file=sys.stderr)


def runs_in(folder: Path | None) -> Path:
    """The folder of the runs: as given on the command line, else as the environment says."""
    from dlcore.run_dir import runs_folder

    return runs_folder() if folder is None else folder


def wants_colour(stream: IO[str]) -> bool:
    """A terminal that can show colours and a person who did not forbid them (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str, stream: IO[str] | None = None) -> str:
    """The text in a style, or as it is where colour is not wanted."""
    if not styles or not wants_colour(stream or sys.stdout):
        return text
    codes = ";".join(str(_CODES[style]) for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def print_json(value: Any) -> None:
    """Prints strict JSON: a number that is not finite becomes null; a list has one line an entry."""
    if isinstance(value, list):
        lines = ",\n".join(json.dumps(_strict(entry), allow_nan=False) for entry in value)
        print(f"[\n{lines}\n]" if lines else "[]")
    else:
        print(json.dumps(_strict(value), indent=2, allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _strict(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(entry) for entry in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def terminal_width() -> int:
    """Columns to lay text out in: the terminal's, else 100 (a pipe has no width and is never cut)."""
    if sys.stdout.isatty():
        return max(20, shutil.get_terminal_size().columns)
    return 100
