"""The traceback of a failed training, cut down to what the user can mend: the lines of their own files."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import dlcore
from dlcore.launch import log_tail
from dlcore.run_dir import RunDir
from tui import words

LOG_LINES = 400
_FRAME = re.compile(r'  File "(.+)", line \d+')
_LIBRARIES = tuple(
    str(folder)
    for folder in (
        Path(dlcore.__file__).parents[1] / "dlcore",
        Path(dlcore.__file__).parents[1] / "tui",
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(path for path in sys.path if path.endswith("-packages")),
        "<frozen ",
    )
)


def last_traceback(run: RunDir) -> list[str]:
    """The last traceback in a run's log without the calls of libraries; nothing when there is none."""
    return shortened(log_tail(run.log_path, LOG_LINES))


def shortened(log: Sequence[str]) -> list[str]:
    """The last traceback of a log, each stretch of library calls as one line."""
    starts = [
        number for number, line in enumerate(log) if line.startswith("Traceback (most recent call last)")
    ]
    if not starts:
        return []
    shown, left_out = [log[starts[-1]]], 0
    for frame in [*_frames(log[starts[-1] + 1 :]), None]:
        file = _FRAME.match(frame[0]) if frame else None
        if file and is_library(file[1]):
            left_out += 1
            continue
        if left_out:
            shown.append(f"  ({words.plural(left_out, 'call')} of dltui and libraries)")
            left_out = 0
        shown += frame or []
    return shown


def is_library(file: str) -> bool:
    """Whether a line of a traceback is in dltui, in Python or in what was installed."""
    return file.startswith(_LIBRARIES)


def _frames(lines: Sequence[str]) -> Iterator[list[str]]:
    """Groups of lines, one for each call; what follows the calls is the last group."""
    group: list[str] = []
    for line in lines:
        if group and (_FRAME.match(line) or (_FRAME.match(group[0]) and not line.startswith("    "))):
            yield group
            group = []
        group.append(line)
    if group:
        yield group
