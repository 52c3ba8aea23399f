"""A line on the terminal about what goes on, while a command takes its time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console

from dlcore.text_safety import safe_text


@contextlib.contextmanager
def status(first: str) -> Iterator[Callable[[str], None]]:
    """A line that is gone afterwards; nothing where stderr is no terminal.

    Args:
        first: what goes on now; the function that comes of it takes what goes on later.
    """
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    with Console(file=sys.stderr).status(safe_text(first)) as shown:
        yield lambda line: shown.update(safe_text(line, limit=200))
