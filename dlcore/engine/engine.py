"""The engine: answers a viewer's questions, so that the viewer needs no torch.

The protocol is in `protocol`. One question is worked on at a time, in the main thread; a newer one
supersedes those of its kind that still wait. The user's own code runs here: what it prints or reads never
reaches the protocol, what it raises is an answer, and when it hangs the viewer ends the process. The engine
ends by itself when the viewer does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcore.atomic import write_all
from dlcore.engine.protocol import VERSION, Lines
from dlcore.errors import UserError
from dlcore.json_lines import decode, encode
from dlcore.text_safety import safe_text

if TYPE_CHECKING:
    from dlcore.engine.evaluation import Evaluations

NICE = 5  # behind a training, yet soon enough for who edits beside one
IDLE = 0.2  # seconds without a question after which the engine warms up

Say = Callable[[Mapping[str, Any]], None]


class Question(NamedTuple):
    """What was asked: its number, its kind, and all else in it."""

    id: int
    kind: str
    content: Mapping[str, Any]


class Inbox:
    """Questions that wait, at most one of each kind, in the order they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, Question] = {}
        self._changed = threading.Condition()

    def put(self, question: Question, *, again: bool = False) -> Question | None:
        """Adds a question and returns the one that it supersedes.

        Args:
            again: the question has been answered before, and gives way to a newer one.
        """
        with self._changed:
            if again and question.kind in self._waiting:
                return question
            before = self._waiting.pop(question.kind, None)
            self._waiting[question.kind] = question
            self._changed.notify()
            return before

    @property
    def waits(self) -> bool:
        """Whether there is a question."""
        return bool(self._waiting)

    def take(self, timeout: float | None = None) -> Question | None:
        """The next question; None when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout)
            first = next(iter(self._waiting), None)
            return None if first is None else self._waiting.pop(first)


class Engine:
    """Answers questions; imports torch when it is made.

    Args:
        say: sends one message to the viewer; may be called from any thread.
    """

    def __init__(self, say: Say) -> None:
        from dlcore.engine import catalogue, drafts, shapes

        self.inbox = Inbox()
        self.say = say
        self._shapes = shapes.Shapes(self._shapes_changed, lambda: self.inbox.waits)
        self._evaluations: Evaluations | None = None
        self._guarding = threading.Lock()
        self._unfinished: Question | None = None  # of shapes, answered by a first guess
        self._changes = 0  # of what such an answer depends on
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "catalogue": lambda _: catalogue.catalogue(),
            "validate": drafts.validate,
            "toml": drafts.toml,
            "shape": shapes.calculated,
            "gallery": lambda content: self._evaluating().gallery(content),
        }

    def receive(self, line: bytes) -> None:
        """Takes a question in; called from the reading thread."""
        message = decode(line)
        number = message.get("id") if message else None
        if message is None or type(number) is not int:
            return
        superseded = self.inbox.put(Question(number, str(message.get("ask")), message))
        if superseded is not None:
            self.say({"id": superseded.id, "superseded": True})

    def work(self, question: Question) -> None:
        """Answers one question, whatever happens on the way."""
        self.say({"working": question.id})
        try:
            answer, more = self._answer(question)
        except UserError as error:
            self.say({"id": question.id, "error": [safe_text(line) for line in error.lines]})
        except (Exception, SystemExit) as error:  # user code may raise anything; the engine goes on
            from dlcore.user_code import one_line

            self.say({"id": question.id, "error": [one_line(error)]})
        else:
            self.say({"id": question.id, "answer": answer} | ({"more": True} if more else {}))
            self._shapes.specs.begin()
            if more and question.kind == "evaluation":  # in turns with what else is asked
                self._again(question)

    def warm_up(self) -> None:
        """Imports what the first shape table needs: torch loads 800 modules for it, which takes 1.5 s."""
        with contextlib.suppress(Exception):
            from torch import nn

            from dlcore.inspection.shapes import trace

            trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (2, 1, 2, 2))

    def _answer(self, question: Question) -> tuple[Any, bool]:
        if question.kind == "shapes":
            return self._answer_shapes(question)
        if question.kind == "evaluation":
            return self._evaluating().answer(question.content)
        handler = self._handlers.get(question.kind)
        if handler is None:
            raise UserError(f"the engine knows no question {safe_text(question.kind, limit=40)}")
        return handler(question.content), False

    def _answer_shapes(self, question: Question) -> tuple[Any, bool]:
        before = self._changes
        answer, more = self._shapes.answer(question.content)
        with self._guarding:
            self._unfinished = question if more else None
            missed = more and self._changes != before  # it came while the guess was being made
        if missed:
            self._shapes_changed()
        return answer, more

    def _evaluating(self) -> Evaluations:
        """What measures trained networks, loaded when it is first wanted."""
        if self._evaluations is None:
            from dlcore.engine.evaluation import Evaluations

            self._evaluations = Evaluations()
        return self._evaluations

    def _again(self, question: Question) -> None:
        if self.inbox.put(question, again=True) is not None:
            self.say({"id": question.id, "superseded": True})

    def _shapes_changed(self) -> None:
        """Asks an unfinished question again; called from a thread that has read data."""
        with self._guarding:
            self._changes += 1
            question, self._unfinished = self._unfinished, None
        if question is not None:
            self.inbox.put(question, again=True)


def main() -> int:
    """Serves the process that started this one, until it closes the pipe."""
    questions, answers = _take_standard_files()
    lock = threading.Lock()

    def say(message: Mapping[str, Any]) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            write_all(answers, encode(message).encode() + b"\n")

    with contextlib.suppress(OSError):
        os.nice(NICE)
    say({"hello": VERSION})
    gc.disable()  # looking at what torch makes while it is imported takes a second, and again later
    try:
        _prepare_torch()
        engine = Engine(say)
    except BaseException as error:
        from dlcore.user_code import one_line

        say({"failed": [one_line(error)]})
        return 1
    threading.Thread(target=_read, args=(questions, engine), name="questions", daemon=True).start()
    say({"ready": True})
    cold = True
    while True:
        question = engine.inbox.take(IDLE if cold else None)
        if question is not None:
            engine.work(question)
        elif cold:
            cold = False
            engine.warm_up()
            gc.freeze()
            gc.enable()


def _take_standard_files() -> tuple[int, int]:
    """Private descriptors of the pipes; whatever else uses stdin and stdout meets /dev/null."""
    questions, answers = os.dup(0), os.dup(1)  # not inherited by what user code starts
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    return questions, answers


def _prepare_torch() -> None:
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for GPUs must not start CUDA
    import torch

    torch.set_num_threads(1)  # a training may want them all


def _read(questions: int, engine: Engine) -> None:
    """Passes questions on; ends the process with the viewer, even while user code runs."""
    lines = Lines()
    while data := os.read(questions, 1 << 16):
        for line in lines.feed(data):
            engine.receive(line)
    os._exit(0)
