"""Talks to the engine process, and stands for it when it is slow, hung or dead.

One daemon thread owns the process and its pipes: asking never waits, answers come as messages. The engine is
started by the first question. Every question is answered, unless a newer one of its kind has replaced it: if
the engine dies it is started again and asked once more; if it works on a question for too long it is ended.
"""

from __future__ import annotations

import atexit
import functools
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from dlcore.engine.protocol import LONGEST_WAIT
from dlcore.json_lines import decode, encode
from dlcore.text_safety import safe_text
from tui.engine_process import EngineProcess
from tui.messages import EngineAnswered

Post = Callable[[Message], object]

LONGEST_START = 180.0  # seconds; torch on a network drive is slow
_TRIES = 2  # of a question that the engine died of, and of starting it
_CHUNK = 1 << 16


@dataclass
class _Asked:
    """A question without its last answer."""

    id: int
    kind: str
    line: bytes
    post: Post
    tries: int = 0
    sent: bool = False
    guessed: bool = False  # answered once; a better answer will follow

    def answer(self, answer: Any, errors: Sequence[str] = ()) -> None:
        self.post(EngineAnswered(self.id, self.kind, answer, errors))


class EngineClient:
    """The engine, for as long as the app is open.

    Args:
        command: instead of this Python's ``-m dlcore.engine``.
        longest_wait: seconds that a question may take.
    """

    def __init__(self, command: Sequence[str] = (), *, longest_wait: float = LONGEST_WAIT) -> None:
        self._command = list(command) or [sys.executable, "-m", "dlcore.engine"]
        self._longest_wait = longest_wait
        self._lock = threading.Lock()  # guards all that follows up to the process, which the thread owns
        self._asked: dict[int, _Asked] = {}
        self._count = 0
        self._broken: tuple[str, ...] = ()
        self._thread: threading.Thread | None = None
        self._wanted = False  # before there is a question
        self._closing = False
        self._woken, self._waker = -1, -1
        self._process: EngineProcess | None = None
        self._failed_starts = 0

    # For everybody.

    def ask(self, post: Post, kind: str, **content: Any) -> int:
        """Asks, and returns the question's number at once.

        Args:
            post: called from another thread with `EngineAnswered`, such as a widget's ``post_message``; again
                where a first guess is followed by a better answer.
            kind: ``catalogue``, ``validate``, ``shapes``, ``shape`` or ``toml``.
            content: JSON-able.
        """
        with self._lock:
            self._count += 1
            line = encode({"id": self._count, "ask": kind} | content).encode() + b"\n"
            asked = _Asked(self._count, kind, line, post)
            broken = self._broken
            if not broken and not self._closing:
                self._asked[asked.id] = asked
                self._wake()
        if broken:
            asked.answer(None, broken)
        return asked.id

    def warm_up(self) -> None:
        """Starts the engine before there is a question, so that it is ready when there is one."""
        with self._lock:
            if not self._closing:
                self._wanted = True
                self._wake()

    def restart(self) -> None:
        """Forgets that the engine could not be started: the next question starts it."""
        with self._lock:
            self._broken = ()
            self._failed_starts = 0

    def close(self) -> None:
        """Ends the engine for good; open questions are not answered any more."""
        with self._lock:
            self._closing = True
            self._asked.clear()
            thread = self._thread
            if thread is not None:
                self._wake()
        if thread is not None:
            thread.join(5.0)
            atexit.unregister(self.close)

    def _wake(self) -> None:
        """Has the thread look at the questions. Under the lock."""
        if self._thread is None:
            self._woken, self._waker = os.pipe()
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        else:
            os.write(self._waker, b"!")

    # In the thread.

    def _run(self) -> None:
        while not self._closing:
            self._send()
            self._listen()
        if self._process is not None:
            self._process.end()

    def _send(self) -> None:
        """Starts the engine if there is something to ask, and sends what has not been sent."""
        with self._lock:
            unsent = [asked for asked in self._asked.values() if not asked.sent]
        if (unsent or self._wanted) and self._process is None:
            self._wanted = False
            try:
                self._process = EngineProcess(self._command)
            except OSError as error:
                self._give_up((f"The engine cannot be started: {safe_text(error)}",))
                return
        process = self._process
        if process is None or not process.ready:  # before it reads, a full pipe would block this thread
            return
        for asked in unsent:
            asked.sent = True
            if not process.send(asked.line):
                return  # it is dead, which its other pipe will tell

    def _listen(self) -> None:
        """Waits for a wake-up, for a message, or until the engine has been silent for too long."""
        process = self._process
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if process is not None:
                selector.register(process.answers, selectors.EVENT_READ)
            ready = {key.fd for key, _ in selector.select(self._time_left())}
        if self._woken in ready:
            os.read(self._woken, _CHUNK)
        if process is None:
            return
        if process.answers in ready:
            data = os.read(process.answers, _CHUNK)
            process.heard = time.monotonic()
            for line in process.lines.feed(data):
                self._hear(process, decode(line) or {})
            if not data:
                self._died(process)
        elif self._time_left() == 0.0:
            self._hung(process)

    def _time_left(self) -> float | None:
        """Seconds that the engine may still be silent; None for any number."""
        process = self._process
        if process is None:
            return None
        longest = self._longest_wait if process.ready else LONGEST_START
        with self._lock:
            waiting = [asked for asked in self._asked.values() if asked.sent and not asked.guessed]
        if process.ready and not waiting:
            return None
        return max(0.0, process.heard + longest - time.monotonic())

    def _hear(self, process: EngineProcess, message: dict[str, Any]) -> None:
        if message.get("ready") is True:
            process.ready = True
            self._failed_starts = 0
        if isinstance(message.get("failed"), list):
            process.failure = tuple(safe_text(line) for line in message["failed"])
        if type(message.get("working")) is int:
            process.working = message["working"]
        with self._lock:
            asked = self._asked.get(message.get("id", -1))
            last = not (message.get("more") is True and "answer" in message)
            if asked is not None and last:
                del self._asked[asked.id]
        if asked is None:
            return
        process.working = None
        asked.guessed = not last
        errors = message.get("error")
        if isinstance(errors, list):
            asked.answer(None, [safe_text(line) for line in errors] or ["the engine gave no reason"])
        elif "answer" in message:
            asked.answer(message["answer"])

    def _died(self, process: EngineProcess) -> None:
        """Has the questions asked again, apart from one that it has died of twice."""
        how = process.end()
        self._process = None
        reasons = process.failure or (f"The engine ended by itself ({how})",)
        if not process.ready:
            self._failed_starts += 1
            if process.failure or self._failed_starts >= _TRIES:
                self._give_up(("The engine cannot be started.", *reasons))
                return
        with self._lock:
            culprit = self._asked.get(process.working or -1)
            if culprit is not None:
                culprit.tries += 1
                if culprit.tries >= _TRIES:
                    del self._asked[culprit.id]
            for asked in self._asked.values():
                asked.sent = asked.guessed = False
        if culprit is not None and culprit.tries >= _TRIES:
            culprit.answer(None, [f"{reasons[0]} while it worked on this, twice"])

    def _hung(self, process: EngineProcess) -> None:
        """Ends an engine that gives no sign of life; the question that it works on is not asked again."""
        process.end()
        self._process = None
        if not process.ready:
            self._give_up((f"The engine did not start within {LONGEST_START:g} s",))
            return
        with self._lock:
            culprit = self._asked.pop(process.working or -1, None)
            for asked in self._asked.values():
                asked.sent = asked.guessed = False
        if culprit is not None:
            seconds = f"{self._longest_wait:g} s"
            culprit.answer(None, [f"No answer within {seconds}: does your own code wait for something?"])

    def _give_up(self, reasons: tuple[str, ...]) -> None:
        with self._lock:
            self._broken = reasons
            questions = list(self._asked.values())
            self._asked.clear()
        for asked in questions:
            asked.answer(None, reasons)


@functools.cache
def shared() -> EngineClient:
    """The engine of this process, kept warm from one screen to the next."""
    return EngineClient()
