"""Where in the user's own code something happens: the line and the exact expression, found in running frames.

Also which expression made which module: while a model is being built, `nn.Module.__init__` notes who called it,
and every module passes there once.
"""

from __future__ import annotations

import linecache
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from dlcore.inspection.records import SourceLine

TORCH = str(Path(torch.__file__).parent)
HERE = str(Path(__file__).parent)
NOT_THE_USERS = (TORCH, HERE, "<")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
_END = str(Path(__file__).parent / "shapes.py")  # the file that calls the model: above it is no user code
_watching = threading.Lock()


class Site(NamedTuple):
    """An expression that is being evaluated: cheap to keep, told as a `SourceLine` when somebody asks."""

    code: CodeType
    offset: int  # of the instruction, in bytes

    def source(self) -> SourceLine:
        """The line with the expression's place in it."""
        return _source(self.code, self.offset, None)


def running_site() -> Site | None:
    """The innermost running expression that is neither torch's nor this package's; None at the top."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file == _END:
            return None
        if not file.startswith(NOT_THE_USERS):
            return Site(frame.f_code, frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def source_lines(traceback: TracebackType | None) -> tuple[SourceLine, ...]:
    """The lines that were running outside of torch and this package, outermost first.

    Lines of installed libraries are left out too, unless there are no others.
    """
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(NOT_THE_USERS):
            lines.append(_source(code, traceback.tb_lasti, traceback.tb_lineno))
        traceback = traceback.tb_next
    return tuple(line for line in lines if not line.file.startswith(LIBRARIES)) or tuple(lines)


def raised_by_torch(error: BaseException) -> bool:
    """Whether the innermost frame of an exception is torch's own."""
    file = ""
    for frame, _ in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
    return file.startswith(TORCH)


def _source(code: CodeType, offset: int, line: int | None) -> SourceLine:
    place = next(islice(code.co_positions(), offset // 2, None), (None, None, None, None))
    first, last, column, end = (number or 0 for number in place)
    line = line or first or code.co_firstlineno
    text = linecache.getline(code.co_filename, line).strip()
    return SourceLine(code.co_filename, line, code.co_name, text, (first, column, last, end))


class Construction:
    """Where modules were made; copies of a module are not known."""

    def __init__(self) -> None:
        self._sites: WeakKeyDictionary[nn.Module, Site] = WeakKeyDictionary()

    def site(self, module: nn.Module) -> Site | None:
        """The call expression that made the module, in code that is neither torch's nor this package's."""
        return self._sites.get(module)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notes the modules that this thread builds inside."""
        thread, original = threading.get_ident(), nn.Module.__init__

        def noting(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            if threading.get_ident() == thread:
                site = _caller(module)
                if site is not None:
                    self._sites_soon.append((module, site))
            original(module, *args, **kwargs)

        self._sites_soon: list[tuple[nn.Module, Site]] = []
        with _watching:
            nn.Module.__init__ = noting  # type: ignore[method-assign, assignment]
            try:
                yield
            finally:
                nn.Module.__init__ = original  # type: ignore[method-assign]
                # Only now: a module can be hashed by its own class's rules, which may need its __init__.
                self._sites.update(self._sites_soon)
                self._sites_soon = []


def _caller(module: nn.Module) -> Site | None:
    """The expression outside of torch that asked for the module; its own constructors do not count."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        own = code.co_name in ("__init__", "__call__") and frame.f_locals.get("self") is module
        if not own and not code.co_filename.startswith(NOT_THE_USERS):
            return Site(code, frame.f_lasti)
        frame = frame.f_back
    return None
