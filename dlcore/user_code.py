"""Builders of the user's own, named ``file.py:Name``.

A user's file runs because the user named it, and only then. It is imported once under a private name made
from its path, so that it shadows no other module while its classes still pickle, also into loader processes
that start afresh; an edited file is run anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, MappingProxyType, ModuleType
from typing import Any

from dlcore.errors import UserError
from dlcore.problems import nearest, show
from dlcore.text_safety import safe_text

PREFIX = "_dltui_user_"

_NAME = re.compile(r"(?P<file>.+\.py):(?P<attribute>\w+(?:\.\w+)*)", re.DOTALL)
_FILES = "DLTUI_USER_FILES"  # environment variable, for child processes: JSON of private name -> path
_lock = threading.RLock()
_loaded: dict[Path, tuple[tuple[int, int], ModuleType]] = {}  # (modification time, size), module
_copies: ContextVar[Mapping[str, Path]] = ContextVar("copies", default=MappingProxyType({}))


def is_user_name(name: str) -> bool:
    """Whether a builder's name means the user's own file."""
    return name.endswith(".py") or ".py:" in name


def load_user_builder(name: str, base: Path | None = None) -> Callable[..., Any]:
    """Imports the file and returns what the name after the colon stands for.

    Args:
        name: ``net.py:Net``; a relative path is taken from the working folder, then from ``base``.

    Raises:
        UserError: no such file or name, the file raises when imported (its line is named), or no callable.
    """
    match = _match(name)
    value: Any = _module(find_file(match["file"], base), match["file"])
    for part in match["attribute"].split("."):
        owner, value = value, getattr(value, part, None)
        if value is None:
            close = nearest(part, _callables(owner))
            hint = f"; did you mean '{close}'?" if close else ""
            raise UserError(f"{show(match['file'])} has no {show(part)}{hint}")
    if not callable(value):
        raise UserError(f"{show(name)} is {show(value)}, not a class or function that builds something")
    return value  # type: ignore[no-any-return]


@contextmanager
def standing_in(copies: Mapping[str, Path]) -> Iterator[None]:
    """Inside, a file named like a key is the copy that it stands for, wherever the original is.

    Args:
        copies: by the file as presets name it, such as ``nets/net.py``.
    """
    token = _copies.set(copies)
    try:
        yield
    finally:
        _copies.reset(token)


def file_of(name: str) -> str:
    """The file's part of ``file.py:Name``.

    Raises:
        UserError: it is no such name.
    """
    return _match(name)["file"]


def _match(name: str) -> re.Match[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(f"{show(name)} must name a file and what to take from it, such as 'net.py:Net'")
    return match


def _callables(owner: object) -> list[str]:
    return [name for name, value in getattr(owner, "__dict__", {}).items() if callable(value)]


def find_file(file: str, base: Path | None) -> Path:
    """The file, from the working folder or else from ``base``; or the copy that stands in for it.

    Raises:
        UserError: there is none.
    """
    copy = _copies.get().get(file)
    if copy is not None:
        return copy
    given = Path(os.path.expanduser(file))  # noqa: PTH111  (Path's own raises where a user has no home)
    candidates = [given] if base is None or given.is_absolute() else [given, base / given]
    for candidate in candidates:
        try:
            if candidate.is_file():
                return candidate.resolve()
            exists = candidate.exists()
        except OSError as error:
            raise UserError(f"{show(file)} cannot be read: {error.strerror}") from error
        if exists:
            raise UserError(f"{show(file)} is not a file")
    where = " or ".join(safe_text(path.parent.absolute()) for path in candidates)
    raise UserError(f"there is no file {show(file)} (looked in {where})")


def _module(path: Path, shown: str) -> ModuleType:
    """The file as a module; run again only when it has changed since."""
    with _lock:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        loaded = _loaded.get(path)
        if loaded is None or loaded[0] != stamp:
            _loaded[path] = loaded = (stamp, _run(path, shown))
        return loaded[1]


def _run(path: Path, shown: str) -> ModuleType:
    """Runs the file; a failing one leaves no trace in `sys.modules`."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    name = f"{PREFIX}{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}_{digest}"
    spec = _spec(name, path)
    module = module_from_spec(spec)
    if str(path.parent) not in sys.path:
        # At the end, so that its neighbours can be imported (now, or lazily) and shadow nothing; those of a
        # copy at the start, or else the originals would be found.
        sys.path.insert(0 if path in _copies.get().values() else len(sys.path), str(path.parent))
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up by name
    streams = sys.stdout, sys.stderr
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        reason = f"{_where(error, path)}: {one_line(error)}"
        raise UserError(f"{show(shown)} failed at import, {reason}") from error
    finally:
        sys.stdout, sys.stderr = streams  # a file that puts its own in their place would silence everything
    os.environ[_FILES] = json.dumps(_files() | {name: str(path)})
    return module


def _where(error: BaseException, path: Path) -> str:
    """The line of the user's own file that was running last."""
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        return f"line {error.lineno}"
    frames = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)]
    return f"line {frames[-1]}" if frames else "before its first line"


def one_line(error: BaseException) -> str:
    """An exception as ``NameError: name 'x' is not defined``: short, printable, one line."""
    words = str(error.msg if isinstance(error, SyntaxError) else error)[:2000].split()
    text = safe_text(" ".join(words), limit=300)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Loader(SourceFileLoader):
    """Compiles the text each time: bytecode files go by whole seconds and would miss a quick edit."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    """Imports a private name in a process that has not loaded the file itself, to unpickle what is in it."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        file = _files().get(fullname) if fullname.startswith(PREFIX) else None
        return _spec(fullname, Path(file)) if file else None


def _spec(name: str, path: Path) -> ModuleSpec:
    spec = spec_from_loader(name, _Loader(name, str(path)))
    assert spec is not None, "a file loader always gives a spec"
    spec.has_location = True  # sets __file__
    return spec


def _files() -> dict[str, str]:
    files: dict[str, str] = json.loads(os.environ.get(_FILES, "{}"))
    return files


# At import, because a fresh process imports its main module and then unpickles. Asked last of all finders.
sys.meta_path.append(_Finder())
