"""The user's program: a file, what to take from it and how to build it; run as it is, or as it would be.

A changed program runs in modules of its own, which are gone afterwards; no file is written.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.shapes import Inputs, Options, Pass, trace_pass
from dlcore.inspection.sources import Construction

Finish = Callable[[Pass], Pass]
NAME = "_dltui_attempt"
MOST_BYTES = 2_000_000  # of a file that is still looked at


@dataclass(frozen=True)
class Attempt:
    """What came of running a program.

    Attributes:
        result: of the forward pass; None where there is no model.
        error: what kept the model from being built.
        texts: by file, what differs from the files on the disk.
    """

    result: Pass | None
    construction: Construction
    error: Exception | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether the model was built and a batch went through."""
        return self.result is not None and self.result.trace.failure is None


@dataclass(frozen=True)
class Program:
    """How to get from a file to a traced model.

    Attributes:
        path: the user's file.
        attribute: what to take from it, such as ``Net``.
        construct: makes the model from what was taken.
        finish: looks further at a pass that went well, such as through a loss.
        other: the same with another number of samples.
    """

    path: Path
    attribute: str
    construct: Callable[[Any], nn.Module]
    inputs: Inputs
    options: Options = field(default_factory=Options)
    batch_size: int = 32
    finish: Finish | None = None
    other: Program | None = None

    def attempt(self, texts: Mapping[str, str]) -> Attempt:
        """Runs the program with some files' texts in place of what is on the disk.

        An exception from the file itself counts as one of the constructor.
        """
        construction = Construction()
        try:
            with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as stack:
                with construction.watched():
                    module = stack.enter_context(_modules(self.path, texts))
                    model = build_on_meta(lambda: self._model(module))
                result = self.run(model)
                if result.trace.failure is not None and result.trace.failure.kind == "values":
                    with construction.watched():
                        model = self._model(module)
                    result = self.run(model)
                return Attempt(result, construction, None, texts)
        except (Exception, SystemExit) as error:
            wrong = (
                error
                if isinstance(error, Exception)
                else RuntimeError("the code ends the program, as with sys.exit")
            )
            return Attempt(None, construction, wrong, texts)

    def works_with_another_batch(self, texts: Mapping[str, str]) -> bool:
        """Whether a change mends it for any number of samples, and not by the chance of this one."""
        return self.other is None or self.other.attempt(texts).works

    def _model(self, module: ModuleType) -> nn.Module:
        return self.construct(_taken(module, self.attribute))

    def run(self, model: nn.Module) -> Pass:
        """The forward pass, and what comes after it."""
        result = trace_pass(model, self.inputs, batch_size=self.batch_size, options=self.options)
        if result.trace.failure is not None and result.trace.failure.kind == "values":
            return result
        return result if self.finish is None or result.trace.failure else self.finish(result)


def text_of(file: str) -> str | None:
    """A file's text; None where it is no readable source of reasonable size."""
    try:
        path = Path(file)
        return path.read_text("utf-8") if path.stat().st_size <= MOST_BYTES else None
    except (OSError, ValueError):
        return None


def _taken(module: ModuleType, attribute: str) -> Any:
    value: Any = module
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


@contextlib.contextmanager
def _modules(path: Path, texts: Mapping[str, str]) -> Iterator[ModuleType]:
    """The program's module, run anew; other changed files take the place of the imported ones inside."""
    before = {
        name: module for name, module in sys.modules.items() if getattr(module, "__file__", "") in texts
    }
    changed = {
        name: _executed(name, Path(module.__file__), texts[module.__file__])
        for name, module in before.items()
        if module.__file__ and Path(module.__file__) != path and not name.startswith("_dltui")
    }
    sys.modules.update(changed)
    try:
        yield _executed(NAME, path, texts.get(str(path)) or text_of(str(path)) or "")
    finally:
        sys.modules.update({name: before[name] for name in changed})
        sys.modules.pop(NAME, None)


def _executed(name: str, path: Path, text: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__package__ = name.rpartition(".")[0]
    known, sys.modules[name] = sys.modules.get(name), module  # dataclasses look a class's module up by name
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except BaseException:
        if known is None:
            del sys.modules[name]
        else:
            sys.modules[name] = known
        raise
    return module
